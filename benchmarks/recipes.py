"""Callbacks as people copy them from tutorials, to see gradients and Grad-CAM."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class GradientTapeLogger(keras.callbacks.Callback):
    """Writes a histogram of each weight's gradient on held-out samples, after each epoch.

    Args:
        folder: where the event file goes.
        x: samples.
        y: their labels.
    """

    def __init__(self, folder: Path, x: np.ndarray, y: np.ndarray):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(folder))
        self._x, self._y = tf.constant(x), tf.constant(y)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        weights = self.model.trainable_weights
        with tf.GradientTape() as tape:
            predicted = self.model(self._x, training=False)
            loss = self.model.compute_loss(x=self._x, y=self._y, y_pred=predicted)
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        with self._writer.as_default():
            for weight, gradient in zip(weights, gradients, strict=True):
                tf.summary.histogram(f"gradients/{weight.path}", gradient, step=epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self._writer.close()


class KerasVisGradcam(keras.callbacks.Callback):
    """Writes tf-keras-vis's Grad-CAM of a few images, after each epoch.

    Args:
        folder: where the event file goes.
        x: `float32[N, H, W, C]`, images.
        y: `int[N]`, their classes.
        layer: name of the layer to look at.
    """

    def __init__(self, folder: Path, x: np.ndarray, y: np.ndarray, layer: str):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it imports old names of scipy
            from tf_keras_vis.gradcam import Gradcam
            from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
            from tf_keras_vis.utils.scores import CategoricalScore
        self._gradcam, self._modifier = Gradcam, ReplaceToLinear()
        self._score = CategoricalScore([int(label) for label in y])
        self._writer = tf.summary.create_file_writer(str(folder))
        self._x, self._layer = x, layer

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        gradcam = self._gradcam(self.model, model_modifier=self._modifier, clone=True)
        maps = gradcam(self._score, self._x, penultimate_layer=self._layer)
        with self._writer.as_default():
            images = np.asarray(maps)[..., np.newaxis]
            tf.summary.image("gradcam", images, step=epoch, max_outputs=len(images))

    def on_train_end(self, logs: Any = None) -> None:
        self._writer.close()
