"""Grad-CAM++, as tf-keras-vis computes it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdiag.errors import TfdiagError
from tfdiag.explain import Cams
from tfdiag.forward import unchanged


class GradCamPlusPlusTap:
    """Grad-CAM++ of one layer of a Sequential or Functional model.

    It weights positive partial derivatives, which shows several instances of a class.

    Args:
        model: a built Keras model whose last layer gives class probabilities.
        layer: the layer to look at.

    Raises:
        TfdiagError: if tf-keras-vis cannot take this model.

    Source: Chattopadhyay et al. (2018), "Grad-CAM++", arXiv:1710.11063.
    """

    def __init__(self, model: keras.Model, layer: keras.layers.Layer):
        if not getattr(model, "outputs", None) or layer not in model.layers:
            raise TfdiagError(
                "Grad-CAM++ needs a Sequential or Functional model, and a layer that is directly "
                "in it"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it imports old names of scipy
            from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
            from tf_keras_vis.utils.scores import CategoricalScore

        head = model.layers[-1]
        is_function = isinstance(head, keras.layers.Softmax | keras.layers.Activation)
        self._head = None if is_function else head
        self._model, self._layer = model, layer
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        self._scores = keras.Model(inputs, head.input if is_function else model.outputs[0])
        self._visualizer = GradcamPlusPlus(self._scores)
        self._score_of = CategoricalScore

    def run(self, x: Any, true: np.ndarray) -> Cams:
        """Returns the maps of samples.

        Args:
            x: `N` samples, as the model takes them.
            true: `int[N]`, their classes.
        """
        with unchanged(self._model), _linear(self._head):
            probabilities = np.asarray(tf.nn.softmax(self._scores(x, training=False)))
            predicted = np.nan_to_num(probabilities).argmax(axis=1)
            maps = [self._maps(x, classes) for classes in (true, predicted)]
        return Cams.of(np.stack(maps, axis=1), probabilities, true)

    def _maps(self, x: Any, classes: np.ndarray) -> np.ndarray:
        return self._visualizer(
            self._score_of([int(number) for number in classes]),
            x,
            penultimate_layer=self._layer.name,
            expand_cam=False,
            normalize_cam=False,
        )


@contextlib.contextmanager
def _linear(head: keras.layers.Layer | None) -> Iterator[None]:
    """Takes the scores before softmax from the model's last layer, within this block only."""
    if head is None or not hasattr(head, "activation"):
        yield
        return
    activation, head.activation = head.activation, keras.activations.linear
    try:
        yield
    finally:
        head.activation = activation
