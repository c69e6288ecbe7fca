"""Adds up every layer's output while the model's own test step looks at the probe set.

Nothing of the model is changed by it: metrics, seeds and statistics that a forward pass moves
are put back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state

from tfdiag.architecture import DYING, SATURATING
from tfdiag.layers import PASSIVE, activation_name
from tfdiag.probe import ProbeSet
from tfdiag.statistics import OUTPUT_SUMS


@dataclass(frozen=True, eq=False)
class ProbeSums:
    """What one pass over the probe set added up.

    Attributes:
        sums: `float64[L, 5]`, columns as in `tfdiag.statistics.OUTPUT_SUMS`.
        unit_max: `L` entries; `float32[U]`, each unit's largest output, of a layer whose units
            can die, else None.
        saturated: `L` entries; `float64[U]`, how often each unit was in its flat end, of a
            layer that can saturate, else None.
        logs: loss and metrics on the probe set, as the model's `test_step` reports them.
    """

    sums: np.ndarray
    unit_max: list[np.ndarray | None]
    saturated: list[np.ndarray | None]
    logs: dict[str, float]


class ForwardTap:
    """The instrumented test step of one model.

    Args:
        model: a compiled and built Keras model.
        layers: name to layer, those to measure.

    Attributes:
        shapes: layer's name to the shape of its output without the batch axis; known for
            those that the first pass has reached.
    """

    def __init__(self, model: keras.Model, layers: dict[str, keras.layers.Layer]):
        self.shapes: dict[str, tuple[int | None, ...]] = {}
        self._model = model
        self._layers = layers
        self._function = tf.function(self._step, reduce_retracing=True, autograph=False)

    def run(self, probe: ProbeSet) -> ProbeSums:
        """Runs the model's test step over the probe set, in order.

        Raises:
            Exception: whatever the model raises on data that it cannot take.
        """
        merged: dict[str, dict[str, np.ndarray]] = {}
        with unchanged(self._model):
            self._model.reset_metrics()
            step = self._step if self._model.run_eagerly else self._function
            for batch in probe.batches(_declared_batch(self._model)):
                with tapping():
                    logs, taken = step(_tensors(batch))
                for name, sums in taken.items():
                    _merge(merged.setdefault(name, {}), sums)
            logs = {name: float(np.mean(value)) for name, value in logs.items()}
        return ProbeSums(
            sums=np.array(
                [merged.get(n, {}).get("sums", np.zeros(len(OUTPUT_SUMS))) for n in self._layers]
            ),
            unit_max=[merged.get(name, {}).get("unit_max") for name in self._layers],
            saturated=[merged.get(name, {}).get("saturated") for name in self._layers],
            logs=logs,
        )

    def _step(self, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        taken: dict[str, dict[str, tf.Tensor]] = {}
        names = {id(layer): name for name, layer in self._layers.items()}

        def look(layer: keras.layers.Layer, output: Any) -> None:
            name, tensor = names.get(id(layer)), first_float(output)
            if name is None or tensor is None:
                return
            self.shapes[name] = tuple(tensor.shape[1:]) if tensor.shape.rank else ()
            if not isinstance(layer, PASSIVE):
                sums = _output_sums(tensor, layer)
                taken[name] = _added(taken[name], sums) if name in taken else sums

        with watching(look):
            if has_loss(self._model):
                logs = self._model.test_step(batch)
            else:
                self._model(batch[0], training=False)
                logs = {}
        self._model._clear_losses()  # an add_loss would leave tensors of this graph behind
        return dict(logs), taken


def has_loss(model: keras.Model) -> bool:
    """Returns whether the model can be tested: it has a loss, or a `test_step` of its own."""
    own = type(model).test_step is not keras.Model.test_step
    own = own or type(model).compute_loss is not keras.Model.compute_loss
    return own or bool(model.losses) or getattr(model, "_compile_loss", None) is not None


def _declared_batch(model: keras.Model) -> int | None:
    """Returns the batch size that the model insists on, as stateful ones do; else None."""
    try:
        declared = [tensor.shape[0] for tensor in getattr(model, "inputs", None) or ()]
    except (AttributeError, ValueError):  # a subclassed model declares none
        return None
    return declared[0] if declared else None


_local = threading.local()
_patching = threading.Lock()


@contextlib.contextmanager
def tapping() -> Iterator[None]:
    """Lets `watching` see every layer's call that this thread makes or traces.

    One thread at a time: the class that is patched is everybody's.
    """
    with _patching, _patched_call():
        yield


@contextlib.contextmanager
def _patched_call() -> Iterator[None]:
    original = keras.layers.Layer.__call__

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        output = original(layer, *args, **kwargs)
        look = getattr(_local, "look", None)
        if look is not None and _in_watched_graph(output):
            look(layer, output)
        return output

    keras.layers.Layer.__call__ = call
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = original


@contextlib.contextmanager
def watching(look: Callable[[keras.layers.Layer, Any], None]) -> Iterator[None]:
    """Calls `look(layer, output)` for every layer called within, in this graph only.

    What is called inside a loop or a function of its own (the cell of an LSTM) lives in
    another graph and cannot be read from here.
    """
    _local.look, _local.graph = look, _current_graph()
    try:
        yield
    finally:
        _local.look = _local.graph = None


def _current_graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _in_watched_graph(output: Any) -> bool:
    tensor = first_float(output)
    return tensor is not None and getattr(tensor, "graph", None) is _local.graph


def first_float(output: Any) -> tf.Tensor | None:
    """Returns the first floating-point tensor in a layer's output, None if there is none."""
    for tensor in keras.tree.flatten(output):
        if isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating:
            return tensor
    return None


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Puts back whatever a forward pass moves: metrics, seeds, moving statistics."""
    saved = [
        (variable, tf.identity(tf.convert_to_tensor(variable))) for variable in _movable(model)
    ]
    try:
        yield
    finally:
        model.reset_metrics()  # those that the pass itself created
        for variable, value in saved:
            variable.assign(value)


def _movable(model: keras.Model) -> list[Any]:
    variables = [variable for metric in model.metrics for variable in metric.variables]
    for layer in model._flatten_layers():
        variables += layer._non_trainable_variables
        variables += [generator.state for generator in layer._seed_generators]
        variables += [value for value in vars(layer).values() if isinstance(value, tf.Variable)]
    shared = global_state.get_global_attribute("global_seed_generator")
    if shared is not None:  # what `keras.random` takes where no seed is given
        variables.append(shared.state)
    return list({id(variable): variable for variable in variables}.values())


def _tensors(batch: Any) -> Any:
    return keras.tree.map_structure(tf.convert_to_tensor, batch)


def _output_sums(output: tf.Tensor, layer: keras.layers.Layer) -> dict[str, tf.Tensor]:
    values = tf.cast(output, tf.float32)
    sums = {
        "sums": tf.stack(
            [
                tf.cast(tf.size(values), tf.float32),
                tf.reduce_sum(values),
                2 * tf.nn.l2_loss(values),
                _count(tf.equal(values, 0)),
                _count(~tf.math.is_finite(values)),
            ]
        )
    }
    activation = activation_name(layer)
    if values.shape.rank is None or values.shape.rank < 2:
        return sums
    channels = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    others = [axis for axis in range(values.shape.rank) if axis != channels % values.shape.rank]
    if activation in DYING:
        sums["unit_max"] = tf.reduce_max(values, axis=others)
    if activation in SATURATING:
        low, high = SATURATING[activation]
        flat = (values < low) | (values > high)
        sums["saturated"] = tf.reduce_sum(tf.cast(flat, tf.float32), axis=others)
    return sums


def _count(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.math.count_nonzero(condition), tf.float32)


def _added(one: dict[str, tf.Tensor], other: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the sums of two calls of a shared layer."""
    return {
        name: tf.maximum(value, other[name]) if name == "unit_max" else value + other[name]
        for name, value in one.items()
    }


def _merge(total: dict[str, np.ndarray], sums: dict[str, Any]) -> None:
    for name, value in sums.items():
        value = np.asarray(value, np.float64)
        if name not in total:
            total[name] = value
        elif name == "unit_max":
            total[name] = np.maximum(total[name], value)
        else:
            total[name] = total[name] + value
