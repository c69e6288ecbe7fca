"""Adds up gradients, weights and layers' outputs: the few numbers that all measures come from.

Pure numpy on arrays that are in memory already, in pieces that stay in the processor's cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfdiag.statistics import (
    BINS,
    INF_BIN,
    LOWEST_EXPONENT,
    NAN_BIN,
    OCTAVES,
    OUTPUT_SUMS,
    WEIGHT_SUMS,
    ZERO_BIN,
)

#: A weight's histogram is taken of at most this many of its entries, evenly strided.
HISTOGRAM_ENTRIES = 65_536
#: The change of a weight is measured on at most this many of its entries, in blocks that are evenly
#: spaced: to copy a large weight before a step costs more than all else that is measured.
CHANGE_ENTRIES = 262_144
#: Entries of such a block: long enough to be read at the speed of memory.
BLOCK = 1_024
#: Entries of a piece: three float32 pieces fit into a processor's second-level cache.
PIECE = 32_768

#: Below this sum of a piece's squares, what float32 rounds to zero in it may be all of it.
_SMALLEST_SQUARES = 2.0**-90
#: No sum of squares of a piece is larger if none of its numbers is the largest float32.
_LARGEST_SQUARES = float(np.finfo(np.float32).max) ** 2
#: Bits of a float32 without its sign, from which on it is Inf or NaN.
_SPECIAL = 0xFF << 24
#: Codes of a float32, its sign and exponent, at which the bins of the octaves begin: the first
#: takes all that is smaller, the last all that is larger.
_CODES = 512
_NOTHING = np.zeros(0, np.float32)
_STARTS = np.r_[0, np.arange(1, OCTAVES) + LOWEST_EXPONENT + 127]


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A gradient that is zero but for some rows, as an embedding has it.

    Attributes:
        values: `float32[K, ...]`, one row per look-up; the same row may come several times.
        indices: `int[K]`, which row of the weight each one belongs to.
        rows: rows of the weight.
    """

    values: np.ndarray
    indices: np.ndarray
    rows: int

    @functools.cached_property
    def merged(self) -> np.ndarray:
        """The rows that were looked up, `float32[R, ...]`, each of them once."""
        if not self.indices.size:
            return self.values
        order = np.argsort(self.indices, kind="stable")
        in_order = self.indices[order]
        starts = np.r_[0, np.flatnonzero(np.diff(in_order)) + 1]
        return np.add.reduceat(self.values[order], starts, axis=0)

    @property
    def size(self) -> int:
        """Entries of the weight."""
        return self.rows * math.prod(self.values.shape[1:])


Gradient = np.ndarray | SparseRows


def weight_sums(
    gradients: Sequence[Gradient | None],
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
) -> np.ndarray:
    """Returns `float64[W, 10]`, columns as in `tfdiag.statistics.WEIGHT_SUMS`.

    Args:
        gradients: `W` gradients, float32, unscaled; None where the loss does not depend on it.
        before: `W` weights before the step, float32, or as much of each as `blocks` says.
        after: `W` weights after the step, float32, each of its gradient's shape.
    """
    sums = np.zeros((len(gradients), len(WEIGHT_SUMS)))
    with np.errstate(all="ignore"):
        for row, (gradient, old, new) in enumerate(zip(gradients, before, after, strict=True)):
            entries = 0 if gradient is None else gradient.size
            of_gradient = (0.0, 0.0, 0, 0) if gradient is None else _gradient_sums(gradient)
            sums[row] = new.size, *of_gradient, *_update_sums(old, new), entries
    return sums


def histograms(gradients: Sequence[Gradient | None]) -> np.ndarray:
    """Returns `float64[W, BINS]`: entries per power of two, scaled up to the whole weight.

    Args:
        gradients: `W` gradients, float32; None where the loss does not depend on the weight.
    """
    samples = [_NOTHING] * len(gradients)
    scales = np.ones(len(gradients))
    untouched = np.zeros(len(gradients))
    for row, gradient in enumerate(gradients):
        if gradient is None:
            continue
        dense = _dense(gradient)
        untouched[row] = gradient.size - dense.size
        step = stride(dense.shape) if dense.size else 1
        scales[row] = step
        samples[row] = dense.ravel()[::step]
    bins = binned(samples) * scales[:, None]
    bins[:, ZERO_BIN] += untouched
    return bins


def binned(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Returns `float64[W, BINS]`: entries per power of two.

    Args:
        samples: `W` arrays of numbers, float32, each with one axis.
    """
    counts = np.zeros((len(samples), _CODES))
    zeros = np.zeros((len(samples), 2))  # of either sign
    special = np.zeros((len(samples), 2))  # Inf, NaN
    for row, sample in enumerate(samples):
        values = np.ascontiguousarray(sample)
        bits = values.view(np.uint32)
        counts[row] = np.bincount(bits >> 23, minlength=_CODES)
        if counts[row, 0] or counts[row, 256]:
            zeros[row] = np.count_nonzero(bits == 0), np.count_nonzero(bits == 1 << 31)
        if counts[row, 255] or counts[row, 511]:
            special[row] = np.isinf(values).sum(), np.isnan(values).sum()
            counts[row, [255, 511]] = 0
    counts[:, [0, 256]] -= zeros  # what is left is too small to be a normal number
    bins = np.zeros((len(samples), BINS))
    bins[:, :OCTAVES] = np.add.reduceat(counts[:, 256:], _STARTS, axis=1)
    bins[:, OCTAVES : 2 * OCTAVES] = np.add.reduceat(counts[:, :256], _STARTS, axis=1)
    bins[:, ZERO_BIN] = zeros.sum(axis=1)
    bins[:, [INF_BIN, NAN_BIN]] = special
    return bins


def output_sums(output: np.ndarray) -> np.ndarray:
    """Returns `float64[5]`, columns as in `tfdiag.statistics.OUTPUT_SUMS`.

    Args:
        output: a layer's output, float32, of any shape.
    """
    sums = np.zeros(len(OUTPUT_SUMS))
    sums[0] = output.size
    with np.errstate(all="ignore"):
        for values in _pieces(output):
            exact = values.astype(np.float64)  # a deviation is a small difference of large sums
            squares = float(exact @ exact)
            sums[1] += exact.sum()
            sums[2] += squares
            sums[3] += values.size - np.count_nonzero(values.view(np.uint32) << 1)
            sums[4] += 0 if squares < _LARGEST_SQUARES else _beyond(values)
    return sums


def unit_max(output: np.ndarray, axis: int) -> np.ndarray:
    """Returns each unit's largest output, `float32[U]`.

    Args:
        output: a layer's output, `float32[N, ...]`.
        axis: the axis of the units or channels.

    Returns:
        -inf for a unit without an output; NaN for one with a NaN in it.
    """
    if axis % output.ndim == output.ndim - 1 and output.size:
        # Long rows first: they are what is fast.
        return output.max(axis=0).reshape(-1, output.shape[-1]).max(axis=0)
    others = tuple(a for a in range(output.ndim) if a != axis % output.ndim)
    return output.max(axis=others, initial=-np.inf)


def outside(output: np.ndarray, axis: int, low: float, high: float) -> np.ndarray:
    """Returns how many of each unit's outputs are below `low` or above `high`, `float64[U]`.

    Args:
        output: a layer's output, `float32[N, ...]`.
        axis: the axis of the units or channels.
        low: lower end of the curve's steep part.
        high: its upper end.
    """
    flat = (output < low) | (output > high)
    others = tuple(a for a in range(output.ndim) if a != axis % output.ndim)
    return flat.sum(axis=others, dtype=np.float64)


@dataclass(frozen=True)
class Blocks:
    """Evenly spaced blocks of a weight's entries, which are its first `count * period` ones.

    Attributes:
        count: number of blocks.
        period: entries from the start of one block to that of the next.
    """

    count: int
    period: int

    @property
    def spanned(self) -> int:
        """Entries from which the blocks are taken."""
        return self.count * self.period


def blocks(shape: Sequence[int]) -> Blocks | None:
    """Returns on which entries a weight's change is measured; None for all of them.

    Rows longer than a block begin each at another column, by the golden ratio, so that no unit is
    left out.
    """
    size = math.prod(shape)
    if size <= CHANGE_ENTRIES:
        return None
    columns, period = int(shape[-1]), size // (CHANGE_ENTRIES // BLOCK)
    if columns > BLOCK:
        period += (round(0.618 * columns) - period) % columns
    return Blocks(size // period, period)


def in_blocks(weight: np.ndarray) -> np.ndarray:
    """Returns the entries on which a weight's change is measured."""
    of = blocks(weight.shape)
    if of is None:
        return weight
    return weight.reshape(-1)[: of.spanned].reshape(of.count, of.period)[:, :BLOCK]


def stride(shape: Sequence[int]) -> int:
    """Returns the stride that leaves at most `HISTOGRAM_ENTRIES` entries of a weight.

    It shares no factor with the last axis, so that no unit is left out.
    """
    step = max(1, math.ceil(math.prod(shape) / HISTOGRAM_ENTRIES))
    while step > 1 and math.gcd(step, int(shape[-1])) > 1:
        step += 1
    return step


def _gradient_sums(gradient: Gradient) -> tuple[float, float, int, int]:
    """Returns squares, largest magnitude, zeros and how many entries are not finite."""
    dense = _dense(gradient)
    squares, largest, zeros, bad = 0.0, 0, gradient.size - dense.size, 0
    room = np.empty(min(PIECE, dense.size), np.uint32)  # once, not for each piece
    for values in _pieces(dense):
        bits = np.left_shift(values.view(np.uint32), 1, out=room[: values.size])
        squares += _squares(values)
        zeros += values.size - int(np.count_nonzero(bits))
        top = int(bits.max())
        bad += _nonfinite(values) if top >= _SPECIAL else 0
        largest = max(largest, top)
    return squares, float(np.uint32(largest >> 1).view(np.float32)), zeros, bad


def _update_sums(old: np.ndarray, new: np.ndarray) -> tuple[float, float, float, int]:
    """Returns squares before, after and of the change; how many are not finite after.

    Args:
        old: the weight before the step, or as much of it as `in_blocks` returns.
        new: all of it after the step.
    """
    before = after = change = 0.0
    bad = 0
    for now in _pieces(new):
        squares = _squares(now)
        bad += 0 if math.isfinite(squares) else _nonfinite(now)
        after += squares
    seen = new if old.size == new.size else in_blocks(new)
    room = np.empty(min(PIECE, old.size), np.float32)
    for was, now in zip(_pieces(old), _pieces(seen), strict=True):
        before += _squares(was)
        change += _squares(np.subtract(now, was, out=room[: was.size]))
    scale = new.size / old.size if old.size else 1.0
    return before * scale, after, change * scale, bad


def _dense(gradient: Gradient) -> np.ndarray:
    return gradient.merged if isinstance(gradient, SparseRows) else gradient


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = np.ascontiguousarray(array).reshape(-1)
    for start in range(0, flat.size, PIECE):
        yield flat[start : start + PIECE]


def _squares(values: np.ndarray) -> float:
    squares = float(values @ values)
    if _SMALLEST_SQUARES < squares < math.inf or not values.any():
        return squares
    return float(np.square(values, dtype=np.float64).sum())  # beyond float32, or not finite


def _beyond(values: np.ndarray) -> int:
    """Returns how many outputs are not finite; a MaxPooling of NaN returns the lowest float32."""
    return values.size - int(np.count_nonzero(np.abs(values) < np.finfo(np.float32).max))


def _nonfinite(values: np.ndarray) -> int:
    return values.size - int(np.count_nonzero(np.isfinite(values)))
