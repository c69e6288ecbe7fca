"""What the data looks like: a few facts about samples, small enough to be kept. Pure numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What labels can be, judged by their values: whole numbers; rows with a single 1; rows of zeros
#: and ones; rows that sum to 1; anything else.
KINDS = ("classes", "one-hot", "multi-hot", "soft", "real")
#: Most classes whose shares are kept one by one.
_SHARES = 64
#: Most entries of which a deviation is taken.
_ENTRIES = 2**20


@dataclass(frozen=True)
class Input:
    """One input of the model.

    Attributes:
        name: its name or its number.
        dtype: type of its numbers, such as "float32".
        shape: of one sample.
        minimum: of its finite entries; nan if there are none, as in the next three.
        maximum: see `minimum`.
        mean: see `minimum`.
        std: see `minimum`.
        nonfinite: share of entries that are NaN or infinite.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    std: float
    nonfinite: float


@dataclass(frozen=True)
class Labels:
    """What one output of the model is compared with.

    Attributes:
        kind: one of `KINDS`.
        dtype: type of its numbers.
        shape: of one sample.
        minimum: of its finite entries; nan if there are none.
        maximum: see `minimum`.
        nonfinite: share of entries that are NaN or infinite.
        classes: number of different classes among them; 0 unless "classes" or "one-hot".
        largest: share of the most frequent class; nan if there are no classes.
        smallest: share of the least frequent class among those that occur.
        shares: share of each class from 0 on; empty if there are none, or more than 64.
        std: of the entries around the mean of their column, the best constant for a squared error;
            nan if an entry is not finite, or if it was not noted.
        deviation: mean distance of the entries from the median of their column, the best constant
            for an absolute error; nan as `std`.
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    nonfinite: float
    classes: int = 0
    largest: float = math.nan
    smallest: float = math.nan
    shares: tuple[float, ...] = ()
    std: float = math.nan
    deviation: float = math.nan


@dataclass(frozen=True)
class Output:
    """What the model said of the samples when it was asked.

    Attributes:
        shape: of one sample.
        minimum: of all entries; nan if one is NaN.
        maximum: see `minimum`.
        adds_up: True if the last axis always sums to 1, as that of a softmax does.
    """

    shape: tuple[int, ...]
    minimum: float
    maximum: float
    adds_up: bool

    @property
    def is_finite(self) -> bool:
        """Whether no entry is NaN or infinite."""
        return math.isfinite(self.minimum) and math.isfinite(self.maximum)


@dataclass(frozen=True)
class Data:
    """Facts about some samples and their labels.

    Attributes:
        samples: their number.
        inputs: one entry per input.
        labels: one entry per output that has labels.
        outputs: one entry per output; empty if the model did not see them.
    """

    samples: int
    inputs: tuple[Input, ...]
    labels: tuple[Labels, ...]
    outputs: tuple[Output, ...] = ()


def described(x: Any, y: Any) -> Data:
    """Returns the facts about samples and labels.

    Args:
        x: array, or dict or list of arrays, with the samples along the first axis.
        y: labels of the same kind.
    """
    inputs = tuple(_input(name, array) for name, array in _named(x))
    arrays = [array for _, array in _named(y)]
    samples = len(arrays[0]) if arrays else 0
    return Data(samples, inputs, tuple(_labels(array) for array in arrays))


def output(array: np.ndarray) -> Output:
    """Returns the facts about a model's output, `float[N, ...]`."""
    sums = array.sum(axis=-1) if array.ndim > 1 else array
    return Output(
        shape=array.shape[1:],
        minimum=float(array.min()) if array.size else math.nan,
        maximum=float(array.max()) if array.size else math.nan,
        adds_up=bool(array.ndim > 1 and array.size and np.allclose(sums, 1, atol=1e-3)),
    )


def joined(one: Output | None, other: Output) -> Output:
    """Returns the facts about two parts of a model's output together."""
    if one is None:
        return other
    return Output(
        shape=other.shape,
        minimum=float(np.minimum(one.minimum, other.minimum)),
        maximum=float(np.maximum(one.maximum, other.maximum)),
        adds_up=one.adds_up and other.adds_up,
    )


def classes_of(y: Any) -> np.ndarray | None:
    """Returns each sample's class, `int64[N]`; None if labels are not one class per sample.

    >>> classes_of(np.array([[0, 1], [1, 0]])), classes_of(np.array([0.5, 1.0]))
    (array([1, 0]), None)
    """
    arrays = [array for _, array in _named(y)]
    if len(arrays) != 1:
        return None
    array = arrays[0]
    kind = _kind(array)
    if kind == "one-hot" and array.ndim == 2:
        return np.argmax(array, axis=-1)
    return array.reshape(-1).astype(np.int64) if kind == "classes" and _is_flat(array) else None


def first_rows(part: Any, rows: np.ndarray, most: int) -> np.ndarray | None:
    """Returns the first numbers of some samples, `[n, m]`; None if a sample is no row of numbers.

    Args:
        part: array, or dict or list with a single one, `[N, ...]`.
        rows: `int[n]`, the samples.
        most: at most so many of each.

    >>> first_rows(np.array([[1, 2, 3], [4, 5, 6]]), np.array([1]), 2)
    array([[4, 5]])
    """
    arrays = [array for _, array in _named(part)]
    if len(arrays) != 1 or arrays[0].ndim > 2 or not arrays[0].size:
        return None
    return arrays[0][rows].reshape(len(rows), -1)[:, :most]


def top_class(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Returns the share of the class that is predicted most often, and its true share.

    Args:
        predicted: `int[N]`, a class per sample.
        true: `int[N]`.

    >>> top_class(np.array([1, 1, 1, 0]), np.array([1, 0, 2, 0]))
    (0.75, 0.25)
    """
    classes, counts = np.unique(predicted, return_counts=True)
    top = classes[np.argmax(counts)]
    return float(counts.max() / len(predicted)), float(np.mean(true == top))


def _input(name: str, array: np.ndarray) -> Input:
    finite, share = _finite(array)
    sample = finite[:: max(1, len(finite) // _ENTRIES)]
    known = len(finite) > 0
    return Input(
        name=name,
        dtype=str(array.dtype),
        shape=array.shape[1:],
        minimum=float(finite.min()) if known else math.nan,
        maximum=float(finite.max()) if known else math.nan,
        mean=float(sample.mean(dtype=np.float64)) if known else math.nan,
        std=float(sample.std(dtype=np.float64)) if known else math.nan,
        nonfinite=share,
    )


def _labels(array: np.ndarray) -> Labels:
    finite, share = _finite(array)
    known = len(finite) > 0
    kind = _kind(array)
    shares = _class_shares(array, kind)
    present = shares[shares > 0]
    std, deviation = _spread(array) if known and not share else (math.nan, math.nan)
    return Labels(
        kind=kind,
        dtype=str(array.dtype),
        shape=array.shape[1:],
        minimum=float(finite.min()) if known else math.nan,
        maximum=float(finite.max()) if known else math.nan,
        nonfinite=share,
        classes=len(present),
        largest=float(present.max()) if len(present) else math.nan,
        smallest=float(present.min()) if len(present) else math.nan,
        shares=tuple(shares.tolist()) if len(shares) <= _SHARES else (),
        std=std,
        deviation=deviation,
    )


def _spread(array: np.ndarray) -> tuple[float, float]:
    """Returns how far the entries are from the best constants of their columns.

    >>> _spread(np.array([[0, 5], [0, 5], [3, 5]])) == (1.0, 0.5)
    True
    """
    rows = array.reshape(len(array), -1)
    # Columns from everywhere: the first ones of an image are its top, which may be empty.
    taken = np.linspace(0, rows.shape[1] - 1, min(rows.shape[1], max(1, _ENTRIES // len(rows))))
    columns = rows[:, taken.round().astype(int)].astype(np.float64)
    around = np.abs(columns - np.median(columns, axis=0)).mean()
    return float(np.sqrt(columns.var(axis=0).mean())), float(around)


def _kind(array: np.ndarray) -> str:
    finite, _ = _finite(array)
    if not len(finite) or finite.min() < 0:
        return "real"
    whole = array.dtype.kind in "biu" or bool(np.array_equal(finite, np.round(finite)))
    if _is_flat(array) or len(finite) < array.size:
        return "classes" if whole else "real"
    sums = array.sum(axis=-1, dtype=np.float64)
    if finite.max() > 1:
        return "classes" if whole else "real"
    if np.allclose(sums, 1, atol=1e-3):
        return "one-hot" if whole else "soft"
    return "multi-hot" if whole else "real"


def _class_shares(array: np.ndarray, kind: str) -> np.ndarray:
    if kind == "one-hot":
        return array.reshape(-1, array.shape[-1]).mean(axis=0, dtype=np.float64)
    finite, _ = _finite(array)
    if kind != "classes" or not len(finite) or finite.max() >= _ENTRIES:
        return np.zeros(0)
    return np.bincount(finite.astype(np.int64)) / len(finite)


def _is_flat(array: np.ndarray) -> bool:
    """Returns whether each sample, or each place of it, has a single number."""
    return array.ndim < 2 or array.shape[-1] == 1


def _finite(array: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the finite entries in one row, and the share of the others."""
    flat = array.reshape(-1)
    if flat.dtype.kind != "f":
        return flat, 0.0
    finite = np.isfinite(flat)
    if finite.all():
        return flat, 0.0
    return flat[finite], float(1 - finite.mean())


def _named(part: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _named(value, str(key))
    elif isinstance(part, tuple | list) and any(hasattr(value, "shape") for value in part):
        for number, value in enumerate(part):
            yield from _named(value, str(number))
    elif part is not None:
        yield name or "0", np.asarray(part)
