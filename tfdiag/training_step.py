"""The user's training step, with gradients and weights as a further output of it.

What is taken leaves the step as it is and is added up on the host, or is added up inside the
step, where its numbers had better stay.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdiag import backend, distribution, graph_sums, sums
from tfdiag.trainer import Trainer


@dataclass(frozen=True, eq=False)
class StepSums:
    """What one sampled training step added up.

    Attributes:
        variables: `W` trainable variables, in the order in which the optimizers got them.
        sums: `float64[W, 10]`, columns as in `tfdiag.statistics.WEIGHT_SUMS`.
        histograms: `float64[W, BINS]`, entries per bin, scaled up to the whole weight.
        loss: mean loss over the training batch; None if the step neither returned it nor called
            `compute_loss`.
        batch: number of samples in it, of one replica; None if the step did not call
            `compute_loss`.
    """

    variables: list[Any]
    sums: np.ndarray
    histograms: np.ndarray
    loss: float | None
    batch: float | None = None


class InstrumentedStep:
    """The user's training step, with what we take as a further output.

    Args:
        trainer: what trains the model.
        ours: calls a function of ours so that it cannot fail.

    Attributes:
        variables: what a trace takes is named by its index here; a step whose traces differ, as
            by an argument of it, has the variables of all of them.
        was_traced: True once a trace has come to its end.
        in_graph: whether gradients are added up inside the step, not after it.
    """

    def __init__(self, trainer: Trainer, ours: Callable[[Callable[[], Any]], Any]):
        self.variables: list[Any] = []
        self.was_traced = False
        self.in_graph = trainer.is_elsewhere
        self._trainer = trainer
        self._train_step = trainer.step  # as it is now: it is replaced while it is traced
        self._row = None if backend.is_single(trainer.model) else distribution.Row()
        self._ours = ours
        self._sink = threading.local()  # a strategy runs one thread per replica
        self._patched = contextlib.ExitStack()
        self._running = 0

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._sink.taken, self._sink.graph = {}, backend.graph()
        try:
            with self._patches():
                returned = self._train_step(*args, **kwargs)
            self._ours(lambda: self._take_loss(self._trainer.loss_in(returned)))
            taken = self._sink.taken
            if not self.in_graph:
                self._ours(lambda: self._take_after(taken))
        finally:
            self._sink.taken = None
        self.was_traced = True
        return {"returned": returned, "tfdiag": self._packed(taken)}

    def _packed(self, taken: dict[str, Any]) -> dict[str, Any]:
        """Returns what was taken in the form in which it leaves the step."""
        row = self._row
        if row is None or not taken:
            return taken
        if "loss" in taken:  # each replica's is a share of it
            taken["loss"] = self._ours(lambda: distribution.summed([taken["loss"]])[0])
        packed = self._ours(lambda: row.pack(taken))
        return {} if packed is None else {"row": packed}

    def _unpacked(self, taken: dict[str, Any]) -> dict[str, Any]:
        """Returns what an executed step has taken."""
        return self._row.unpack(taken["row"]) if self._row and taken else taken

    def sums(self, taken: dict[str, Any]) -> StepSums | None:
        """Returns what an executed step adds up to; None if no optimizer was called in it.

        Args:
            taken: "tfdiag" of what the step returned.
        """
        taken = self._unpacked(taken)
        loss, batch = taken.pop("loss", None), taken.pop("batch", None)
        if not taken:
            return None
        keys = sorted(taken)
        variables = [self.variables[int(key)] for key in keys]
        add_up = _added_up if self.in_graph else _add_up
        totals, bins = add_up([taken[key] for key in keys], variables)
        return StepSums(
            variables=variables,
            sums=totals,
            histograms=bins,
            loss=None if loss is None else float(loss),
            batch=None if batch is None else float(np.asarray(batch)),
        )

    @contextlib.contextmanager
    def _patches(self) -> Iterator[None]:
        """Replaces `apply` of each optimizer and `compute_loss`, once for all threads."""
        if self._running == 0:
            self._patched = contextlib.ExitStack()
            for optimizer in self._trainer.optimizers:
                tap = self._tap_apply(optimizer)
                self._patched.enter_context(backend.replaced(optimizer, "apply", tap))
            tap = self._tap_loss()
            self._patched.enter_context(backend.replaced(self._trainer.model, "compute_loss", tap))
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if self._running == 0:
                self._patched.close()

    def _tap_apply(self, optimizer: Any) -> Callable:
        original = optimizer.apply

        def apply(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._sink, "taken", None) is None:
                return original(*args, **kwargs)
            args, kwargs = (
                _as_lists(args),
                dict(zip(kwargs, _as_lists(kwargs.values()), strict=True)),
            )
            taken = self._ours(lambda: self._take(optimizer, *_update(*args, **kwargs)))
            result = original(*args, **kwargs)
            if taken and self.in_graph:
                self._ours(lambda: self._add_up(taken))
            return result

        return tf.autograph.experimental.do_not_convert(apply)

    def _take(self, optimizer: Any, grads: list[Any], variables: list[Any] | None) -> list[str]:
        """Takes gradients and weights before the update; returns under which keys."""
        self._check_graph()
        variables = backend.updated_variables(optimizer, variables)
        scale = backend.loss_scale(optimizer)  # the update may change it
        keys = []
        for gradient, variable in zip(grads, variables, strict=True):
            twice = self._taken_before(variable)
            if twice is not None:  # applied twice in one step
                if "gradient" in twice and gradient is not None:
                    twice["gradient"] = _dense(twice["gradient"], variable) + gradient
                elif gradient is not None:
                    twice["gradient"] = _as_output(gradient)
                continue
            keys.append(self._new_key(variable))
            part = {"before": self._before(variable, gradient)}
            if gradient is not None:
                part["gradient"] = _as_output(gradient)
            if scale is not None:
                part["scale"] = tf.cast(scale, tf.float32)
            self._sink.taken[keys[-1]] = part
        return keys

    def _before(self, variable: Any, gradient: Any) -> tf.Tensor:
        """Returns as much of a weight as its change is measured on.

        Where a gradient is sparse, or may still be, that is all of it: blocks could miss the few
        rows that change.
        """
        value = tf.identity(variable.value)
        of = sums.blocks(value.shape.as_list())
        sparse = gradient is None or isinstance(gradient, tf.IndexedSlices)
        if of is None or self.in_graph or sparse:
            return value
        rows = tf.reshape(tf.reshape(value, [-1])[: of.spanned], [of.count, of.period])
        return rows[:, : sums.BLOCK]

    def _take_after(self, taken: dict[str, Any]) -> None:
        """Takes the weights after the step, with it: to read each one later costs more."""
        for key, part in taken.items():
            if key.isdigit():
                part["after"] = tf.identity(self.variables[int(key)].value)

    def _taken_before(self, variable: Any) -> dict[str, Any] | None:
        """Returns what this step has taken of a weight already, if it is not added up yet."""
        taken = [part for key in self._keys(variable) if (part := self._sink.taken.get(key))]
        return taken[-1] if taken and "before" in taken[-1] else None

    def _new_key(self, variable: Any) -> str:
        """Returns a key of a weight that this step has taken nothing under."""
        free = [key for key in self._keys(variable) if key not in self._sink.taken]
        if free:
            return free[0]
        self.variables.append(variable)
        return f"{len(self.variables) - 1:06d}"

    def _keys(self, variable: Any) -> list[str]:
        return [f"{i:06d}" for i, other in enumerate(self.variables) if other is variable]

    def _check_graph(self) -> None:
        """Checks that what is taken now can leave the step.

        Raises:
            RuntimeError: if it is inside a further `tf.function`, a branch or a loop.
        """
        if backend.graph() is not self._sink.graph:
            raise RuntimeError(
                "its optimizer or loss is called inside a tf.function, a branch or a loop that "
                "the step contains, whose tensors cannot be taken out"
            )

    def _add_up(self, keys: list[str]) -> None:
        """Puts sums in the place of what was taken; call after the update."""
        parts = [self._sink.taken[key] for key in keys]
        variables = [self.variables[int(key)] for key in keys]
        gradients = [_unscaled(part, v) for part, v in zip(parts, variables, strict=True)]
        gradients = distribution.summed(gradients)
        before = [part["before"] for part in parts]
        after = [tf.convert_to_tensor(v.value) for v in variables]
        totals = graph_sums.weight_sums(gradients, before, after)
        bins = graph_sums.histograms(gradients)
        for row, key in enumerate(keys):
            self._sink.taken[key] = {"sums": totals[row], "bins": bins[row]}

    def _tap_loss(self) -> Callable:
        original = self._trainer.model.compute_loss

        def compute_loss(*args: Any, **kwargs: Any) -> Any:
            loss = original(*args, **kwargs)
            if getattr(self._sink, "taken", None) is not None:
                outputs = kwargs.get("y_pred", args[2] if len(args) > 2 else None)
                self._ours(lambda: self._take_loss(loss))
                self._ours(lambda: self._take_batch(outputs))
            return loss

        return tf.autograph.experimental.do_not_convert(compute_loss)

    def _take_loss(self, loss: Any) -> None:
        """Takes the loss if it is one number; another one trains, but has no place in a curve."""
        if tf.is_tensor(loss) and loss.shape.rank == 0:
            self._check_graph()
            self._sink.taken["loss"] = tf.cast(loss, tf.float32)

    def _take_batch(self, outputs: Any) -> None:
        """Takes how many samples the model's outputs are for, if that can be told."""
        first = next(iter(tf.nest.flatten(outputs)), None)
        if isinstance(first, tf.Tensor) and first.shape.rank and "loss" in self._sink.taken:
            self._sink.taken["batch"] = tf.cast(tf.shape(first)[0], tf.float32)


def _as_lists(values: Iterable[Any]) -> tuple[Any, ...]:
    """Returns values of which none is used up by looking at it."""
    return tuple(list(v) if isinstance(v, Iterator | tuple) else v for v in values)


def _update(grads: Any, trainable_variables: Any = None, *_: Any, **__: Any) -> tuple[Any, Any]:
    """Returns the gradients and variables among the arguments of an optimizer's `apply`."""
    return grads, trainable_variables


def _as_output(gradient: Any) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        return {"values": gradient.values, "indices": gradient.indices}
    return tf.convert_to_tensor(gradient)


def _unscaled(part: dict[str, Any], variable: Any) -> tf.Tensor | None:
    """Returns a gradient that was taken, float32 and dense, inside the step."""
    if "gradient" not in part:
        return None
    gradient = tf.cast(_dense(part["gradient"], variable), tf.float32)
    return tf.reshape(gradient, variable.shape) / part.get("scale", 1.0)


def _dense(taken: Any, variable: Any) -> tf.Tensor:
    if not isinstance(taken, dict):
        return taken
    return tf.convert_to_tensor(
        tf.IndexedSlices(taken["values"], taken["indices"], tf.constant(list(variable.shape)))
    )


def _added_up(parts: list[dict[str, Any]], variables: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sums and histograms that the step itself has added up."""
    strides = np.array([sums.stride(v.shape) for v in variables])
    bins = np.array([np.asarray(part["bins"]) for part in parts], np.float64)
    return np.array([np.asarray(part["sums"]) for part in parts]), bins * strides[:, None]


def _add_up(parts: list[dict[str, Any]], variables: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sums and histograms of the gradients that the step returned."""
    gradients = [_gradient(part, v) for part, v in zip(parts, variables, strict=True)]
    before = [_float32(part["before"]) for part in parts]
    after = [_float32(part["after"]) for part in parts]
    return sums.weight_sums(gradients, before, after), sums.histograms(gradients)


def _gradient(part: dict[str, Any], variable: Any) -> sums.Gradient | None:
    """Returns a gradient that was taken, float32, without the loss's scale."""
    gradient, scale = part.get("gradient"), part.get("scale")
    if gradient is None:  # the loss does not depend on this weight
        return None
    divisor = None if scale is None else np.float32(scale)
    if isinstance(gradient, dict):
        values = _float32(gradient["values"], divisor)
        return sums.SparseRows(values, np.asarray(gradient["indices"]), variable.shape[0])
    return _float32(gradient, divisor)


def _float32(tensor: Any, divisor: np.float32 | None = None) -> np.ndarray:
    array = backend.float32(tensor)
    return array if divisor is None else array / divisor
