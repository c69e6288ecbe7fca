"""The probe set: fixed samples, in order, that the model is never trained on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from tfdiag.data import Data, classes_of, described

#: Samples per forward pass, where nothing else limits them; the last batch may be smaller.
BATCH = 256

_EXPECTED = (
    "`probe` is the held-out set that the monitor looks at, so it must be a pair (x, y) of "
    "arrays (or of dicts or lists of arrays), or a tf.data.Dataset of batches of such pairs"
)


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """Held-out samples, held in memory.

    Attributes:
        x: array, or dict or list of arrays, with `N` samples along the first axis.
        y: labels of the same kind, `N` samples.
        size: `N`.
    """

    x: Any
    y: Any
    size: int

    @functools.cached_property
    def facts(self) -> Data:
        """What the samples and their labels look like."""
        return described(self.x, self.y)

    @functools.cached_property
    def classes(self) -> np.ndarray | None:
        """Each sample's class, `int64[N]`; None if labels are not one class per sample."""
        return classes_of(self.y)

    def batches(self, size: int = BATCH, *, exactly: bool = False) -> Iterator[tuple[Any, Any]]:
        """Yields (x, y) in order.

        Args:
            size: samples in each batch.
            exactly: whether the model insists on it; then a smaller rest is left out.
        """
        for start in range(0, self.size, size):
            rows = slice(start, start + size)
            if not exactly or rows.stop <= self.size:
                yield _rows(self.x, rows), _rows(self.y, rows)

    def take(self, rows: np.ndarray) -> ProbeSet:
        """Returns the samples at `rows`, `int[n]`, as a probe set of their own."""
        return ProbeSet(_rows(self.x, rows), _rows(self.y, rows), len(rows))


def probe_set(probe: Any, samples: int) -> ProbeSet:
    """Returns what a user passed as `probe` as a set of at most `samples` samples.

    Of longer arrays evenly spaced samples are taken, so that sorted ones keep all their
    classes; of a dataset the first ones.

    Raises:
        ValueError: if it is empty, has no labels, or is not made of numbers.
    """
    if isinstance(samples, bool) or not isinstance(samples, Integral) or samples < 1:
        raise ValueError(
            f"`probe_samples` must be an integer of at least 1, but got {samples!r}. "
            "256 is enough to see a unit that fires on 1 % of the data with probability 92 %."
        )
    pair = _from_dataset(probe, samples) if hasattr(probe, "element_spec") else probe
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        got = f"a {type(pair).__name__}"
        if isinstance(pair, tuple | list):
            got += f" of {len(pair)}"
        raise ValueError(
            f"{_EXPECTED}, but got {got}. Pass probe=(x_val, y_val); an autoencoder's "
            "labels are its inputs, probe=(x_val, x_val)."
        )
    x, y = (_mapped(_array, part) for part in pair)
    if y is None or not list(_arrays(y)):
        raise ValueError(
            f"{_EXPECTED}, but its labels are missing. Pass probe=(x_val, y_val): the loss on "
            "the probe set needs them."
        )
    size = _common_length(x, y)
    if size > samples:
        rows = np.linspace(0, size - 1, samples).round().astype(int)
        return ProbeSet(x, y, size).take(rows)
    return ProbeSet(x, y, size)


def check_fits(
    probe: ProbeSet,
    declared: Sequence[Any],
    named: Mapping[str, Any],
    called: str = "probe set",
) -> None:
    """Checks the probe set against the inputs that a model declares.

    Args:
        probe: the probe set.
        declared: the model's inputs, each with a name, a shape and a dtype; none if the model
            declares none, as a subclassed one.
        named: the same by the names that a dict of arrays has.
        called: what the user knows the samples as.

    Raises:
        ValueError: if an input is missing, or has another shape or kind of number.
    """
    if not declared:
        return
    if isinstance(probe.x, Mapping):
        missing = [name for name in named if name not in probe.x]
        if missing:
            raise ValueError(
                f"The {called} has no input {', '.join(map(repr, missing))}: it has "
                f"{sorted(probe.x)}, but the model has {list(named)}. "
                "Name its arrays as the model's inputs are named."
            )
        pairs = [(tensor, probe.x[name]) for name, tensor in named.items()]
    else:
        arrays = list(_arrays(probe.x))
        if len(arrays) != len(declared):
            raise ValueError(
                f"The {called} has {len(arrays)} input(s), but the model has {len(declared)}: "
                f"{[t.name for t in declared]}. Pass one array for each of them."
            )
        pairs = list(zip(declared, arrays, strict=True))
    for tensor, array in pairs:
        _check_input(tensor, array, called)


def _check_input(tensor: Any, array: np.ndarray | None, called: str) -> None:
    if array is None:  # an input that need not be there
        return
    expected = tuple(tensor.shape[1:])
    got = array.shape[1:]
    # Keras itself adds a last axis of 1 to a vector; nothing else is bent to fit.
    if got == () and expected == (1,):
        return
    fits = len(expected) == len(got) and all(
        e is None or e == g for e, g in zip(expected, got, strict=True)
    )
    if not fits:
        raise ValueError(
            f"The {called}'s samples for the input {tensor.name!r} have the shape {got}, but "
            f"the model expects {expected}. Prepare the {called} exactly as the training data."
        )
    wanted = "float" if "float" in str(tensor.dtype) else "int"
    if wanted == "int" and array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        raise ValueError(
            f"The {called}'s samples for the input {tensor.name!r} are of dtype "
            f"{array.dtype}, but the model expects {tensor.dtype}. Prepare the {called} exactly "
            "as the training data."
        )


def _from_dataset(dataset: Any, samples: int) -> tuple[Any, Any]:
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2:
        raise ValueError(
            f"{_EXPECTED}, but this dataset's elements have no labels: {spec!r}. "
            "Let it yield (x, y)."
        )
    parts: list[tuple[Any, Any]] = []
    seen = 0
    for x, y, *_ in dataset.as_numpy_iterator():
        parts.append((x, y))
        seen += len(np.atleast_1d(next(_arrays(x))))
        if seen >= samples:
            break
    if not parts:
        raise ValueError(f"{_EXPECTED}, but this dataset is empty. Give it at least one batch.")
    x = _joined([part[0] for part in parts])
    y = _joined([part[1] for part in parts])
    return _rows(x, slice(samples)), _rows(y, slice(samples))


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Mapping):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, tuple | list):
        return type(first)(_joined(list(column)) for column in zip(*parts, strict=True))
    try:
        return np.concatenate([np.asarray(part) for part in parts])
    except ValueError as error:
        raise ValueError(
            f"{_EXPECTED}, but this dataset's elements cannot be joined ({error}). "
            "Batch it: dataset.batch(32)."
        ) from error


def _array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{_EXPECTED}, but one of its arrays is of dtype {array.dtype}. Turn it into "
            "numbers as for training; ragged lists must be padded."
        )
    if array.ndim == 0:
        raise ValueError(f"{_EXPECTED}, but got the single number {array!r}.")
    # What Keras does with training data: float64 would trace a step of its own.
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _common_length(x: Any, y: Any) -> int:
    lengths = [len(array) for part in (x, y) for array in _arrays(part)]
    if not lengths or min(lengths) == 0:
        raise ValueError(f"{_EXPECTED}, but it is empty. Hold back at least some 64 samples.")
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{_EXPECTED} with as many labels as samples, but its arrays have the lengths "
            f"{lengths}. Check how x and y were split."
        )
    return lengths[0]


def _arrays(part: Any) -> Iterator[Any]:
    if isinstance(part, Mapping):
        for value in part.values():
            yield from _arrays(value)
    elif isinstance(part, tuple | list):
        for value in part:
            yield from _arrays(value)
    elif part is not None:
        yield part


def _rows(part: Any, rows: slice | np.ndarray) -> Any:
    return _mapped(lambda array: array[rows], part)


def _mapped(function: Callable[[Any], Any], part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: _mapped(function, value) for key, value in part.items()}
    # A list of numbers is an array that the user has not made one; a list of arrays is not.
    if isinstance(part, tuple | list) and any(hasattr(v, "shape") for v in part):
        return type(part)(_mapped(function, value) for value in part)
    return None if part is None else function(part)
