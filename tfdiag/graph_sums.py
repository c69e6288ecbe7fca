"""Adds up gradients and weights inside the compiled step, where the numbers are.

The same as `tfdiag.sums`, for a step that XLA compiles or that runs on a GPU: further outputs
would change what XLA fuses, and so the last bits of the training, or would have to be copied.
"""

from __future__ import annotations

import tensorflow as tf

from tfdiag.statistics import BINS, INF_BIN, LOWEST_EXPONENT, NAN_BIN, OCTAVES, ZERO_BIN
from tfdiag.sums import stride


def weight_sums(
    gradients: list[tf.Tensor | None], before: list[tf.Tensor], after: list[tf.Tensor]
) -> tf.Tensor:
    """Returns `float32[W, 10]`, columns as in `tfdiag.statistics.WEIGHT_SUMS`.

    Args:
        gradients: `W` gradients, float32, dense, unscaled; None where the loss does not depend
            on the weight.
        before: `W` weights before the step.
        after: the same after the step.
    """
    rows = []
    for gradient, old, new in zip(gradients, before, after, strict=True):
        old, new = tf.cast(old, tf.float32), tf.cast(new, tf.float32)
        entries = tf.cast(tf.size(old), tf.float32)
        nothing = tf.zeros_like(entries)
        rows.append(
            tf.stack(
                [
                    entries,
                    *([nothing] * 4 if gradient is None else _gradient_sums(gradient)),
                    2 * tf.nn.l2_loss(old),
                    2 * tf.nn.l2_loss(new),
                    2 * tf.nn.l2_loss(new - old),
                    _count(~tf.math.is_finite(new)),
                    nothing if gradient is None else entries,
                ]
            )
        )
    return tf.stack(rows)


def _gradient_sums(gradient: tf.Tensor) -> list[tf.Tensor]:
    return [
        2 * tf.nn.l2_loss(gradient),
        tf.reduce_max(tf.abs(gradient)),
        _count(tf.equal(gradient, 0)),
        _count(~tf.math.is_finite(gradient)),
    ]


def _count(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.math.count_nonzero(condition), tf.float32)


def histograms(gradients: list[tf.Tensor | None]) -> tf.Tensor:
    """Returns `int32[W, BINS]`: entries per power of two, of at most `HISTOGRAM_ENTRIES` each.

    Args:
        gradients: as for `weight_sums`.
    """
    bins = [
        _bins(tf.reshape(gradient, [-1])[:: stride(gradient.shape)]) + BINS * row
        for row, gradient in enumerate(gradients)
        if gradient is not None
    ]
    size = BINS * len(gradients)  # a Python number: XLA needs it while tracing
    counts = tf.raw_ops.DenseBincount(
        input=tf.concat([*bins, tf.zeros([0], tf.int32)], axis=0),
        size=tf.constant(size, tf.int32),
        weights=tf.zeros([0], tf.float32),
        binary_output=False,
    )
    return tf.reshape(counts, [len(gradients), BINS])


def _bins(values: tf.Tensor) -> tf.Tensor:
    """Returns the histogram bin of each value, `int32[N]`, from its float32 exponent."""
    bits = tf.bitcast(values, tf.int32)
    exponent = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 23), 0xFF) - 127
    octave = tf.clip_by_value(exponent - LOWEST_EXPONENT, 0, OCTAVES - 1)
    bins = tf.where(values > 0, octave + OCTAVES, octave)
    bins = tf.where(tf.equal(values, 0), ZERO_BIN, bins)
    bins = tf.where(tf.math.is_inf(values), INF_BIN, bins)
    return tf.where(tf.math.is_nan(values), NAN_BIN, bins)
