"""Histograms of a model's weights, read beside the training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdiag import backend, distribution, sums


def histograms(weights: Sequence[Any]) -> np.ndarray:
    """Returns `float64[W, BINS]`: entries per power of two, scaled up to the whole weight.

    Args:
        weights: `W` Keras variables. Of one that is mirrored, this process's first copy is read.
    """
    strides = np.array([sums.stride(weight.shape) for weight in weights])
    samples = [_sample(weight, step) for weight, step in zip(weights, strides, strict=True)]
    return sums.binned(samples) * strides[:, None]


def _sample(weight: Any, step: int) -> np.ndarray:
    """Returns every `step`-th entry, float32; only those are moved from a GPU."""
    value = backend.read(distribution.local_parts(weight)[0])
    if step > 1 and "CPU" not in value.device:
        return backend.float32(tf.reshape(value, [-1])[::step])
    return backend.array(value).reshape(-1)[::step].astype(np.float32, copy=False)
