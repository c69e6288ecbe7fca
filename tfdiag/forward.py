"""Adds up every layer's output while the model's own test step looks at the probe set.

The step runs eagerly, so nothing has to be traced for it and each output is let go as soon as it
is added up. Nothing of the model is changed: metrics, seeds and statistics that a forward pass
moves are put back.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdiag import backend, data, distribution, predictions, sums
from tfdiag.architecture import DYING, SATURATING
from tfdiag.layers import PASSIVE, Place, activation_name, containers, output_shape
from tfdiag.probe import BATCH, ProbeSet
from tfdiag.statistics import OUTPUT_SUMS
from tfdiag.trainer import Tester, Trainer

#: Of a layer's output at most this much is in memory at a time, if `SMALLEST_BATCH` allows it.
OUTPUT_BYTES = 8 * 2**20
SMALLEST_BATCH = 16

#: Functions whose units can die or saturate, as TensorFlow's operations are called.
_FUNCTIONS = {"Relu": "relu", "Relu6": "relu6", "Tanh": "tanh", "Sigmoid": "sigmoid"}


@dataclass(frozen=True, eq=False)
class ProbeSums:
    """What one pass over the probe set added up.

    Attributes:
        sums: `float64[L, 5]`, columns as in `tfdiag.statistics.OUTPUT_SUMS`.
        unit_max: `L` entries; `float32[U]`, each unit's largest output, of a layer whose units
            can die, else None.
        saturated: `L` entries; `float64[U]`, how often each unit was in its flat end, of a
            layer that can saturate, else None.
        logs: loss and metrics on the probe set, as testing the model reports them.
        outputs: facts about each of the model's outputs.
        answers: what the model says of each sample if it has one output with one row per sample:
            `int64[N]`, the unit that says most; of a single unit `float32[N]`, its value; else
            None.
        followed: what the model says of the samples that `predictions.chosen` names, as far as it
            was asked about them, if it has one output with one row of numbers per sample:
            `float32[n, U]`; else None.
    """

    sums: np.ndarray
    unit_max: list[np.ndarray | None]
    saturated: list[np.ndarray | None]
    logs: dict[str, float]
    outputs: tuple[data.Output, ...] = ()
    answers: np.ndarray | None = None
    followed: np.ndarray | None = None


class ForwardTap:
    """A look at one model while it is tested.

    Args:
        trainer: what trains a built Keras model.
        layers: name to layer, those to measure.

    Attributes:
        places: name to what is measured there, in the order of the layers; from the first pass
            on also the functions that are called between layers, with the shapes that it saw.
        tests: whether the model is tested; else it is only called, without loss and metrics.
        regularized: whether the model adds to its loss; None until the first pass.
    """

    def __init__(self, trainer: Trainer, layers: dict[str, keras.layers.Layer]):
        self.places = {name: Place(layer, activation_name(layer)) for name, layer in layers.items()}
        self._trainer = trainer
        self._model = trainer.model
        self.tests = True
        self.regularized: bool | None = None
        self._loops = backend.Loops()
        self._was_run = False

    def run(self, probe: ProbeSet) -> ProbeSums:
        """Tests the model on the probe set, in order.

        Raises:
            Exception: whatever the model raises on data that it cannot take.
        """
        logs: dict[str, Any] = {}
        added: list[float] = []
        sizes: list[int] = []
        look = _Look(self._model, self.places, discover=not self._was_run)
        said = _Said(predictions.chosen(probe.size))
        if not self._was_run and self._trainer.no_loss is None:
            backend.build(self._model, next(probe.batches(SMALLEST_BATCH)))
        with unchanged(self._model):
            self._model.reset_metrics()
            test = self._trainer.tester()
            declared = _declared_batch(self._model)
            size = declared or self._batch_size()
            for batch in probe.batches(size, exactly=declared is not None):
                with backend.watching(look.on_layer, look.on_operation, self._loops):
                    logs, penalty = self._test(test, _tensors(batch))
                added.append(penalty)
                sizes.append(len(keras.tree.flatten(batch[0])[0]))
                said.add(look.output, sizes[-1])
                look.next_batch()
            if not look.has_run:
                raise ValueError(
                    f"the model takes batches of exactly {declared} samples, but the probe set has "
                    f"{probe.size}"
                )
            numbers = _numbers(logs)
        if self.regularized and self._is_loss_whole():
            numbers["regularization"] = float(np.average(added, weights=sizes))
        self._was_run = True
        taken = [look.taken.get(name, _Taken()) for name in self.places]
        return ProbeSums(
            sums=np.array([part.sums for part in taken]),
            unit_max=[part.unit_max for part in taken],
            saturated=[part.saturated for part in taken],
            logs=numbers,
            outputs=tuple(said.outputs),
            answers=said.answers,
            followed=said.followed,
        )

    def _batch_size(self) -> int:
        """Returns how many samples at a time keep the largest output within `OUTPUT_BYTES`."""
        shapes = [place.shape or output_shape(place.layer) for place in self.places.values()]
        largest = max((math.prod(n or 1 for n in shape) for shape in shapes), default=1)
        return int(np.clip(OUTPUT_BYTES // (4 * largest), SMALLEST_BATCH, BATCH))

    def _is_loss_whole(self) -> bool:
        return self.tests and self._trainer.is_loss_whole

    def _test(self, test: Tester, batch: Any) -> tuple[dict[str, Any], float]:
        """Returns loss and metrics of all batches so far, and what the model added in this one."""
        try:
            logs = test(batch) if self.tests else {}
            if not self.tests:
                self._model(batch[0], training=False)
            if self.regularized is None:
                self.regularized = bool(self._model.losses)
            return logs, backend.added_loss(self._model) if self._is_loss_whole() else 0.0
        finally:
            backend.clear_losses(self._model)


@dataclass
class _Taken:
    """What one layer's outputs add up to, over its calls and the batches."""

    sums: np.ndarray = field(default_factory=lambda: np.zeros(len(OUTPUT_SUMS)))
    unit_max: np.ndarray | None = None
    saturated: np.ndarray | None = None

    def add(self, output: np.ndarray, activation: str | None, axis: int) -> None:
        self.sums += sums.output_sums(output)
        if output.ndim < 2:
            return
        if activation in DYING:
            largest = sums.unit_max(output, axis)
            self.unit_max = largest if self.unit_max is None else np.maximum(self.unit_max, largest)
        if activation in SATURATING:
            often = sums.outside(output, axis, *SATURATING[activation])
            self.saturated = often if self.saturated is None else self.saturated + often


class _Said:
    """What the model's outputs are like, over the batches.

    Args:
        rows: samples whose outputs are kept, increasing.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.outputs: list[data.Output] = []
        self._answers: list[np.ndarray] | None = []
        self._rows = rows
        self._followed: list[np.ndarray] | None = []  # None once outputs are not the samples' own
        self._seen = 0  # samples so far

    @property
    def answers(self) -> np.ndarray | None:
        return np.concatenate(self._answers) if self._answers else None

    @property
    def followed(self) -> np.ndarray | None:
        return np.concatenate(self._followed) if self._followed else None

    def add(self, output: Any, samples: int) -> None:
        """Adds the model's output on a batch of so many samples; None if it was not seen."""
        tensors = [] if output is None else keras.tree.flatten(output)
        arrays = [backend.array(tensor) for tensor in tensors if isinstance(tensor, tf.Tensor)]
        known: list[data.Output | None] = [*self.outputs] or [None] * len(arrays)
        facts = [data.output(array.astype(np.float32)) for array in arrays if array.ndim]
        self.outputs = [data.joined(*pair) for pair in zip(known, facts, strict=False)]
        self._answers = _answers(arrays, self._answers)
        self._follow(arrays, samples)

    def _follow(self, arrays: list[np.ndarray], samples: int) -> None:
        first, self._seen = self._seen, self._seen + samples
        if self._followed is None:
            return
        if len(arrays) != 1 or arrays[0].ndim not in (1, 2) or len(arrays[0]) != samples:
            self._followed = None
            return
        rows = self._rows[(self._rows >= first) & (self._rows < self._seen)] - first
        own = arrays[0].reshape(samples, -1)[rows].astype(np.float32)
        alike = not self._followed or self._followed[0].shape[1] == own.shape[1]
        self._followed = [*self._followed, own] if alike else None


def _answers(arrays: list[np.ndarray], before: list[np.ndarray] | None) -> list[np.ndarray] | None:
    """Returns the answers so far with those of a batch; None if they are no answers."""
    if before is None or len(arrays) != 1 or arrays[0].ndim != 2 or not arrays[0].size:
        return None
    if not np.isfinite(arrays[0]).all():
        return None
    one = arrays[0].shape[1] == 1
    return [*before, arrays[0][:, 0] if one else np.argmax(arrays[0], axis=1)]


class _Look:
    """Listens to one pass; the first one also discovers what is called between layers."""

    def __init__(self, model: keras.Model, places: dict[str, Place], *, discover: bool):
        self.taken: dict[str, _Taken] = {}
        self.has_run = False
        self._model = model
        self._places = places
        self._discover = discover
        self._names = {id(p.layer): name for name, p in places.items() if p.layer is not None}
        self._prefixes = containers(model)
        self._counts: dict[tuple[int, str], int] = {}  # functions called so far, per call
        self._pending: list[tuple[Any, str, tf.Tensor]] = []  # in a layer that has not returned
        self._recent: deque[tuple[str, tf.Tensor]] = deque(maxlen=4)
        self._last = ""  # the last place that was reached
        self.output: Any = None  # the model's own

    def next_batch(self) -> None:
        """Forgets what is known of the batch that has ended."""
        self.has_run = True
        self.output = None
        self._counts.clear()
        self._pending.clear()
        self._recent.clear()

    def on_layer(self, layer: keras.layers.Layer, output: Any) -> None:
        """Adds up what a layer has put out."""
        if layer is self._model:
            self.output = output
        name, tensor = self._names.get(id(layer)), first_float(output)
        pending = [part for part in self._pending if part[0] is layer]
        self._pending = [part for part in self._pending if part[0] is not layer]
        if name is not None and tensor is not None:
            if pending and pending[-1][2] is tensor:  # a function that the layer ends with
                *pending, (_, function, _) = pending
                if self._discover:
                    self._places[name].activation = function
            if not backend.comes_with_keras(layer):
                for _, function, inner in pending:
                    self._add_function(layer, f"{name}/", function, inner)
            self._add(name, tensor)
        elif id(layer) in self._prefixes:
            self._counts = {key: n for key, n in self._counts.items() if key[0] != id(layer)}
            if layer is self._model:
                for name, inner in self._recent:
                    self._places[name].is_output |= inner is tensor

    def on_operation(
        self,
        kind: str,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        stack: Sequence[keras.layers.Layer],
    ) -> None:
        """Adds up what a function between layers has put out; remembers what is inside one."""
        if kind == "Mul":
            for name, tensor in self._recent:
                if any(tensor is value for value in inputs):
                    self._places[name].is_gate = True
        if kind not in _FUNCTIONS or not stack:
            return
        owner = stack[-1]
        if id(owner) in self._prefixes:
            self._add_function(owner, self._prefixes[id(owner)], _FUNCTIONS[kind], outputs[0])
        elif id(owner) in self._names:
            self._pending.append((owner, _FUNCTIONS[kind], outputs[0]))

    def _add_function(self, owner: Any, prefix: str, function: str, tensor: tf.Tensor) -> None:
        number = self._counts.get((id(owner), function), 0)
        self._counts[id(owner), function] = number + 1
        name = f"{prefix}{function}_{number}" if number else f"{prefix}{function}"
        if name not in self._places or self._places[name].layer is not None:
            if not self._discover or name in self._places:
                return
            _insert(self._places, self._last, name, Place(None, function))
        self._recent.append((name, tensor))
        self._add(name, tensor)

    def _add(self, name: str, tensor: tf.Tensor) -> None:
        place = self._places[name]
        self._last = name
        if not place.shape and tensor.shape.rank:
            place.shape = tuple(tensor.shape[1:])
        if isinstance(place.layer, PASSIVE):
            return
        output = backend.float32(tensor)
        data_format = getattr(place.layer, "data_format", None) or keras.config.image_data_format()
        axis = 1 if data_format == "channels_first" and output.ndim > 2 else -1
        self.taken.setdefault(name, _Taken()).add(output, place.activation, axis)


def _insert(places: dict[str, Place], after: str, name: str, place: Place) -> None:
    items = list(places.items())
    position = [key for key, _ in items].index(after) + 1 if after in places else 0
    places.clear()
    places.update([*items[:position], (name, place), *items[position:]])


def _declared_batch(model: keras.Model) -> int | None:
    """Returns the batch size that the model insists on, as stateful ones do; else None."""
    declared = [tensor.shape[0] for tensor in backend.declared_inputs(model)]
    return declared[0] if declared else None


def first_float(output: Any) -> tf.Tensor | None:
    """Returns the first floating-point tensor in a layer's output, None if there is none."""
    for tensor in keras.tree.flatten(output):
        if isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating:
            return tensor
    return None


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Puts back whatever a forward pass moves: metrics, seeds, moving statistics.

    Of several replicas the pass is one's alone, and no other one takes notice.
    """
    with distribution.one_replica(model):
        variables = [p for v in backend.movable(model) for p in distribution.local_parts(v)]
        # Not copies: a variable that is written to while its value is held gets a new place.
        saved = [(variable, backend.read(variable)) for variable in variables]
        try:
            yield
        finally:
            model.reset_metrics()  # those that the pass itself created
            for variable, value in saved:
                if not _is_same(backend.read(variable), value):
                    variable.assign(value)


def _is_same(one: tf.Tensor, other: tf.Tensor) -> bool:
    """Returns whether two values of one variable are in the same place, or equal at least."""
    if "CPU" not in one.device:  # its place cannot be asked for
        return bool(tf.reduce_all(tf.equal(one, other)))
    arrays = backend.array(one), backend.array(other)
    if arrays[0].ctypes.data == arrays[1].ctypes.data:
        return True
    return np.array_equal(*arrays)


def _tensors(batch: Any) -> Any:
    return keras.tree.map_structure(
        lambda part: None if part is None else tf.convert_to_tensor(part), batch
    )


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers among the values of logs; others are the user's own matter."""
    arrays = {name: backend.array(v) for name, v in logs.items() if not isinstance(v, Mapping)}
    return {
        name: float(a.mean()) for name, a in arrays.items() if a.size and a.dtype.kind in "fiub"
    }
