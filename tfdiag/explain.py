"""Grad-CAM: where in an image a class score comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdiag import backend
from tfdiag.architecture import Architecture, Layer
from tfdiag.errors import TfdiagError
from tfdiag.forward import first_float, unchanged

#: Operations between a score and the model's output that do not change it.
_TRANSPARENT = ("Identity", "Cast", "Reshape", "Squeeze")
#: Operations that turn scores into probabilities.
_PROBABILITIES = ("Softmax", "Sigmoid")


@dataclass(frozen=True, eq=False)
class Cams:
    """Grad-CAM maps of some samples.

    Attributes:
        maps: `float32[N, 2, h, w]`, raw and not normalised, at least 0: of the true class and
            of the predicted class. The unit is that of score times activation.
        predicted: `int[N]`, the predicted class; -1 where the output is not finite.
        confidence: `float32[N]`, its probability; nan where the output is not finite.
        true_confidence: `float32[N]`, the probability of the true class.
    """

    maps: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    true_confidence: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray, probabilities: np.ndarray, true: np.ndarray) -> Cams:
        """Returns the maps with what the model predicts.

        Args:
            maps: `float32[N, 2, h, w]`.
            probabilities: `float32[N, C]`.
            true: `int[N]`.
        """
        finite = np.isfinite(probabilities).all(axis=1)
        rows = np.arange(len(true))
        predicted = np.where(finite, np.nan_to_num(probabilities).argmax(axis=1), -1)
        return cls(
            maps=maps,
            predicted=predicted,
            confidence=np.where(finite, probabilities[rows, predicted], np.nan),
            true_confidence=np.where(finite, probabilities[rows, true], np.nan),
        )


class GradCamTap:
    """Grad-CAM of one layer of a model, also of a nested, subclassed or Sequential one.

    Args:
        model: a built Keras model.
        layer: the layer to look at, with an output of two spatial axes and channels.

    Source: Selvaraju et al. (2017), "Grad-CAM", arXiv:1610.02391, equations 1 and 2; the score
    is the one before softmax, as there.
    """

    def __init__(self, model: keras.Model, layer: keras.layers.Layer):
        self._model = model
        self._layer = layer
        self._loops = backend.Loops()

    def run(self, x: Any, true: np.ndarray) -> Cams:
        """Returns the maps of samples.

        Args:
            x: `N` samples, as the model takes them.
            true: `int[N]`, their classes.

        Raises:
            TfdiagError: if the layer has no spatial output, or the model no class scores.
        """
        x = keras.tree.map_structure(tf.convert_to_tensor, x)
        with unchanged(self._model):
            maps, probabilities = self._maps(x, tf.constant(true, tf.int32))
            backend.clear_losses(self._model)
        return Cams.of(np.asarray(maps), np.asarray(probabilities), true)

    def _maps(self, x: Any, true: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        spatial: list[tf.Tensor] = []
        trail = Trail()
        with tf.GradientTape(persistent=True) as tape:

            def look(layer: keras.layers.Layer, output: Any) -> None:
                tensor = first_float(output) if layer is self._layer else None
                if tensor is not None:
                    tape.watch(tensor)
                    spatial.append(tensor)

            with backend.watching(look, trail.on_operation, self._loops):
                output = first_float(self._model(x, training=False))
            if not spatial or spatial[-1].shape.rank != 4:
                raise TfdiagError(
                    f"Grad-CAM needs a layer with two spatial axes and channels, but "
                    f"{self._layer.name!r} has none. Name a convolution with `layer=`."
                )
            scores = trail.class_scores(output)
            predicted = tf.argmax(scores, axis=1, output_type=tf.int32)
            true_score = tf.gather(scores, true, axis=1, batch_dims=1)
            predicted_score = tf.gather(scores, predicted, axis=1, batch_dims=1)
        activation = spatial[-1]
        channels = 1 if getattr(self._layer, "data_format", "") == "channels_first" else 3
        maps = [
            _gradcam(tape.gradient(score, activation), activation, channels)
            for score in (true_score, predicted_score)
        ]
        return tf.stack(maps, axis=1), tf.nn.softmax(scores)


class Trail:
    """Remembers where the model's probabilities come from, while the model runs."""

    def __init__(self) -> None:
        # With the output, so that its id stays its own.
        self._made: dict[int, tuple[str, tf.Tensor, tf.Tensor]] = {}

    def on_operation(
        self, kind: str, inputs: Sequence[Any], outputs: Sequence[Any], stack: Sequence[Any]
    ) -> None:
        """Notes an operation that only changes the form of scores, or makes probabilities."""
        if kind in _TRANSPARENT or kind in _PROBABILITIES:
            self._made[id(outputs[0])] = (kind, inputs[0], outputs[0])

    def class_scores(self, output: tf.Tensor) -> tf.Tensor:
        """Returns the scores before softmax or sigmoid, `float32[N, C]`.

        A single score s of a binary classifier becomes the two scores (-s/2, s/2): their softmax
        is the sigmoid of s, and what speaks for one class speaks against the other.

        Args:
            output: the model's output, `float[N, C]`.

        Raises:
            TfdiagError: if it is not one score per class.
        """
        scores = source = output
        while id(source) in self._made:
            kind, source, _ = self._made[id(source)]
            if kind in _PROBABILITIES:
                scores = tf.reshape(source, tf.shape(output))
                break
        scores = tf.cast(scores, tf.float32)
        if scores.shape.rank != 2:
            raise TfdiagError(
                f"Grad-CAM explains one score per class, but the model's output has the shape "
                f"{tuple(output.shape)}."
            )
        if scores.shape[1] == 1:
            half = scores / 2
            return tf.concat([-half, half], axis=1)
        return scores


def class_labels(y: Any, classes: int) -> np.ndarray:
    """Returns labels as class numbers, `int[N]`.

    Args:
        y: class numbers `[N]` or `[N, 1]`, or one-hot rows `[N, C]`.
        classes: number of classes that the model tells apart.

    Raises:
        TfdiagError: if they are not classes: several outputs, fractions, out of range.
    """
    if not isinstance(y, np.ndarray):
        raise TfdiagError("Grad-CAM needs one label per sample, but the model has several outputs.")
    if y.ndim == 2 and y.shape[1] > 1:
        if not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
            raise TfdiagError(
                "Grad-CAM needs one class per sample, but the labels are not one-hot."
            )
        return y.argmax(axis=1).astype(np.int64)
    flat = y.reshape(len(y), -1)
    whole = flat.shape[1] == 1 and np.array_equal(flat, np.round(flat))
    if not whole or flat.min() < 0 or flat.max() >= max(classes, 2):
        raise TfdiagError(
            f"Grad-CAM needs the labels to be classes from 0 to {max(classes, 2) - 1}, but they "
            "are not."
        )
    return flat[:, 0].astype(np.int64)


def one_per_class(true: np.ndarray, images: int) -> np.ndarray:
    """Returns which samples to show, `int[n]`: one of each class, then the next of each.

    Args:
        true: `int[N]`, the samples' classes.
        images: how many are wanted; fewer if there are fewer samples.

    >>> one_per_class(np.array([7, 7, 7, 2, 2, 5]), 4)
    array([0, 1, 3, 5])
    """
    seen: dict[int, int] = {}
    turn = np.empty(len(true), int)
    for row, label in enumerate(true.tolist()):
        turn[row] = seen[label] = seen.get(label, -1) + 1
    return np.sort(np.lexsort((np.arange(len(true)), turn))[:images])


def spatial_layer(architecture: Architecture, name: str | None) -> str:
    """Returns the layer that Grad-CAM looks at: the last one with two spatial axes.

    Args:
        architecture: the model's layers.
        name: the user's choice, or None.

    Raises:
        ValueError: if there is no layer of that name.
        TfdiagError: if no layer has a spatial output.
    """
    spatial = [layer.name for layer in architecture.layers if _is_spatial(layer)]
    if name is not None:
        if name not in architecture.names:
            raise ValueError(
                f"`layer` must be the name of one of the model's layers, but got {name!r}. "
                f"Choose one of {spatial or list(architecture.names)}."
            )
        chosen = architecture.layers[architecture.names.index(name)]
        if chosen.shape and len(chosen.shape) != 3:
            raise ValueError(
                f"`layer` must have two spatial axes and channels, but the output of {name!r} has "
                f"the shape {chosen.shape}. Choose one of {spatial}."
            )
        return name
    if not spatial:
        raise TfdiagError("no layer has a spatial output, so there is nothing to map")
    return spatial[-1]


def _is_spatial(layer: Layer) -> bool:
    # A pooled map says the same as the one before it, more coarsely.
    if "Pooling" in layer.type or layer.type in ("Reshape", "ZeroPadding2D", "Dropout"):
        return False
    if layer.shape:
        return len(layer.shape) == 3 and layer.role == "hidden"
    return layer.type in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def _gradcam(gradient: tf.Tensor | None, activation: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns `float32[N, h, w]`: channels weighted by their mean gradient, where positive."""
    activation = tf.cast(activation, tf.float32)
    if gradient is None:  # the score does not depend on this layer
        gradient = tf.zeros_like(activation)
    gradient = tf.cast(gradient, tf.float32)
    if channels == 1:
        activation = tf.transpose(activation, [0, 2, 3, 1])
        gradient = tf.transpose(gradient, [0, 2, 3, 1])
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activation, axis=-1))
