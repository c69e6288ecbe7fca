"""The last healthy state of a training, in memory: weights, optimizers and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfdiag import backend
from tfdiag.trainer import Trainer

#: Types that TensorFlow tells finite numbers of.
_PLAIN = (tf.float64, tf.float32, tf.float16, tf.bfloat16)


class Checkpoint:
    """One state of a training, to be taken again and again and put back once.

    Args:
        trainer: what trains a Keras model.
        limit: bytes that it may take.

    Attributes:
        step: when the state was taken; None if there is none.
    """

    def __init__(self, trainer: Trainer, limit: int):
        self.step: int | None = None
        self._trainer, self._limit = trainer, limit
        self._saved: list[tuple[Any, np.ndarray]] = []  # variables and their values

    @property
    def is_complete(self) -> bool:
        """Whether everything that is to be taken exists already."""
        built = all(optimizer.built for optimizer in self._trainer.optimizers)
        return built and bool(self._trainer.model.built)

    def too_large(self) -> str | None:
        """Returns why the state cannot be kept; None if it can."""
        size = sum(_bytes(variable) for variable in self._variables())
        if size <= self._limit:
            return None
        return (
            f"weights and optimizer state take {size:,} bytes, and restore_bytes is {self._limit:,}"
        )

    def take(self, step: int) -> bool:
        """Takes the state, in the place of an earlier one, unless there is a NaN in it.

        Returns:
            Whether it was taken. An earlier one is kept if not.
        """
        variables = self._variables()
        trained = {id(variable) for variable in self._trained()}
        if not all(_is_sound(variable, id(variable) in trained) for variable in variables):
            return False
        earlier = {id(variable): value for variable, value in self._saved}
        self.step, self._saved = None, []  # should a copy fail, there is none
        saved = [(v, _copy(_value(v).numpy(), earlier.get(id(v)))) for v in variables]
        self.step, self._saved = step, saved
        return True

    def restore(self) -> None:
        """Puts the state back."""
        for variable, value in self._saved:
            variable.assign(value)
        self._trainer.settle()

    def _variables(self) -> list[Any]:
        return backend.state(self._trainer.model, self._trainer.optimizers)

    def _trained(self) -> list[Any]:
        of_optimizers = [v for optimizer in self._trainer.optimizers for v in optimizer.variables]
        return [*self._trainer.model.trainable_variables, *of_optimizers]


def _value(variable: Any) -> tf.Tensor:
    return tf.convert_to_tensor(variable)


def _bytes(variable: Any) -> int:
    return int(np.prod(variable.shape)) * tf.as_dtype(variable.dtype).size


def _is_sound(variable: Any, is_trained: bool) -> bool:
    """Returns whether there is no NaN in it, and no Inf if it is trained; a mask may have some."""
    if not tf.as_dtype(variable.dtype).is_floating:
        return True
    value = _value(variable)
    value = value if value.dtype in _PLAIN else tf.cast(value, tf.float32)
    bad = tf.math.is_nan(value)
    if is_trained:
        bad = tf.logical_not(tf.math.is_finite(value))
    return not bool(tf.reduce_any(bad))


def _copy(value: np.ndarray, place: np.ndarray | None) -> np.ndarray:
    """Returns a copy, in the memory of an earlier one if it fits."""
    if place is None or place.shape != value.shape or place.dtype != value.dtype or not value.ndim:
        return np.array(value)
    np.copyto(place, value)
    return place
