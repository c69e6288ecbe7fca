"""Takes gradients and weights out of the real, compiled training step.

The user's training step is traced once, with the gradients and the weights before the step as
further outputs. A function that does not return them, in which they are pruned and nothing is
added, makes all steps but the sampled ones.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdiag import backend, distribution, graph_sums, sums
from tfdiag.trainer import Trainer

_log = logging.getLogger("tfdiag")


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


class TrainingTap:
    """Samples training steps of one model. Several taps share one instrumented step.

    Args:
        trainer: what trains it.
    """

    def __init__(self, trainer: Trainer):
        self.result: StepSums | None = None
        self._trainer = trainer
        self._function: _SampledFunction | None = None

    @property
    def failure(self) -> str | None:
        """Why nothing can be measured, once that is known; training goes on without us."""
        return None if self._function is None else self._function.failure

    @property
    def clock(self) -> Clock:
        """How long steps take, sampled and not."""
        return Clock() if self._function is None else self._function.clock

    def attach(self) -> None:
        """Puts our function in the place of the one that trains, until it is detached.

        One that an exception out of an earlier `fit` left behind serves on: where nobody
        samples, it changes nothing.
        """
        self._trainer.make_function()
        sampled = _SampledFunction.behind(self._trainer.function)
        self._function = sampled or _SampledFunction(self._trainer)
        self._function.taps.add(self)
        self._trainer.function = self._function

    def detach(self) -> None:
        """Lets a function without taps train, unless another tap samples on."""
        function = self._function
        if function is None:
            return
        function.taps.discard(self)
        if not function.taps and self._trainer.function is function:
            self._trainer.function = function.plain

    def arm(self) -> None:
        """Lets the next execution be a sampled one."""
        if self._function is None or self.failure is not None:
            return
        if self._trainer.function is not self._function:  # made anew, by a callback of the user's
            self.detach()
            self.attach()
        self._function.armed.append(self)

    def take(self) -> StepSums | None:
        """Returns what the last sampled execution added up, once; None if there is nothing."""
        result, self.result = self.result, None
        return result


class Clock:
    """How long executions take, in seconds.

    Attributes:
        plain: a typical execution that is not sampled; 0 while none is known.
        last_extra: what the last sampled execution took more.
        extra: what all sampled executions took more.
    """

    def __init__(self) -> None:
        self.plain = self.last_extra = self.extra = 0.0
        self._seen = 0

    def add(self, seconds: float) -> None:
        """Adds an execution that was not sampled; the first ones are traced, so they are slow."""
        self._seen += 1
        if self._seen < 3:
            return
        # A running median: an outlier moves it as little as any other value.
        rate = 1 / min(self._seen, 50)
        self.plain = self.plain * (1 + (rate if seconds > self.plain else -rate)) or seconds

    def add_sampled(self, seconds: float) -> None:
        """Adds a sampled execution."""
        self.last_extra = max(0.0, seconds - self.plain)
        self.extra += self.last_extra


def compiled_state(trainer: Trainer) -> Any:
    """Returns what stands for the model's last `compile`: another object after each of them."""
    function = _SampledFunction.behind(trainer.function)
    return function.plain if function else trainer.function


@dataclass(frozen=True, eq=False)
class _Untraced:
    """That one of our functions could not be traced, and what the user's own returned instead."""

    returned: Any


class _SampledFunction:
    """Stands where the function is that trains.

    An execution that no tap is armed for runs the user's own program.

    Args:
        trainer: what trains the model; its function is not one of these.
    """

    def __init__(self, trainer: Trainer):
        self.taps: weakref.WeakSet[TrainingTap] = weakref.WeakSet()
        self.armed: list[TrainingTap] = []
        self.failure: str | None = None
        self.clock = Clock()
        self._is_eager = trainer.is_eager
        self._own = trainer.function
        self._step = _InstrumentedStep(trainer, self._ours)
        plain, self._sampled = trainer.functions(self._step)
        self._fetched = trainer.fetched
        self._plain = self._own if plain is None else plain

        def unsampled(*args: Any, **kwargs: Any) -> Any:
            return self._unsampled(*args, **kwargs)

        self.plain: Callable = unsampled
        self.plain.sampled_function = self  # type: ignore[attr-defined]

    @staticmethod
    def behind(function: Any) -> _SampledFunction | None:
        """Returns the one that a function that trains is or comes from."""
        if isinstance(function, _SampledFunction):
            return function
        return getattr(function, "sampled_function", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        armed, self.armed = self.armed, []
        started = time.perf_counter()
        if not armed or self.failure is not None:
            returned = self._unsampled(*args, **kwargs)
            self.clock.add(time.perf_counter() - started)
            return returned
        args = self._fetched(*args)
        output = self._attempt(self._sampled, *args, **kwargs)
        if isinstance(output, _Untraced):
            return output.returned
        taken = self._ours(lambda: self._step_sums(output["tfdiag"]))
        for tap in armed:
            tap.result = taken
        self.clock.add_sampled(time.perf_counter() - started)
        return output["returned"]

    def _unsampled(self, *args: Any, **kwargs: Any) -> Any:
        if self._step.was_traced or self._plain is self._own:
            return self._plain(*args, **kwargs)
        returned = self._attempt(self._plain, *args, **kwargs)
        return returned.returned if isinstance(returned, _Untraced) else returned

    def _attempt(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Returns what one of our functions does, or `_Untraced` if it could not be traced.

        In that case no weight has changed and the data is still there: the user's own function
        goes on, and if the error was the user's, it raises it again.
        """
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if self._step.was_traced or self._is_eager or isinstance(error, StopIteration):
                raise  # the user's own error: the data, a numeric check, the end of the epoch
            self._plain = self._own
            returned = self._own(*args, **kwargs)
            self._give_up(error)
            return _Untraced(returned)

    def _step_sums(self, taken: dict[str, Any]) -> StepSums | None:
        taken = self._step.unpacked(taken)
        loss, batch = taken.pop("loss", None), taken.pop("batch", None)
        if not taken:
            self.failure = self.failure or "the training step called no optimizer that is seen"
            return None
        keys = sorted(taken)
        variables = [self._step.variables[int(key)] for key in keys]
        add_up = _added_up if self._step.in_graph else _add_up
        totals, bins = add_up([taken[key] for key in keys], variables)
        return StepSums(
            variables=variables,
            sums=totals,
            histograms=bins,
            loss=None if loss is None else float(loss),
            batch=None if batch is None else float(np.asarray(batch)),
        )

    def _ours(self, work: Callable[[], Any]) -> Any:
        """Returns what `work` returns, or None if it fails: the user's step goes on."""
        try:
            return work()
        except Exception as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        if self.failure is not None:  # what follows from it explains nothing
            return
        self.failure = f"the training step could not be instrumented: {error}"
        _log.warning(
            "tfdiag cannot measure gradients here and trains on without them: %s: %s",
            type(error).__name__,
            error,
            exc_info=_log.isEnabledFor(logging.DEBUG),
        )


class _InstrumentedStep:
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

    def unpacked(self, taken: dict[str, Any]) -> dict[str, Any]:
        """Returns what an executed step has taken."""
        return self._row.unpack(taken["row"]) if self._row and taken else taken

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
            part = {"before": tf.identity(variable.value)}
            if gradient is not None:
                part["gradient"] = _as_output(gradient)
            if scale is not None:
                part["scale"] = tf.cast(scale, tf.float32)
            self._sink.taken[keys[-1]] = part
        return keys

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


Sums = tuple[np.ndarray, np.ndarray]


def _added_up(parts: list[dict[str, Any]], variables: list[Any]) -> Sums:
    """Returns the sums and histograms that the step itself has added up."""
    strides = np.array([sums.stride(v.shape) for v in variables])
    bins = np.array([np.asarray(part["bins"]) for part in parts], np.float64)
    return np.array([np.asarray(part["sums"]) for part in parts]), bins * strides[:, None]


def _add_up(parts: list[dict[str, Any]], variables: list[Any]) -> Sums:
    """Returns the sums and histograms of the gradients that the step returned."""
    gradients = [_gradient(part) for part in parts]
    before = [_float32(part["before"]) for part in parts]
    after = [_float32(backend.read(v)) for v in variables]
    return sums.weight_sums(gradients, before, after), sums.histograms(gradients)


def _gradient(part: dict[str, Any]) -> sums.Gradient | None:
    """Returns a gradient that was taken, float32, without the loss's scale."""
    gradient, scale = part.get("gradient"), part.get("scale")
    if gradient is None:  # the loss does not depend on this weight
        return None
    divisor = None if scale is None else np.float32(scale)
    if isinstance(gradient, dict):
        values = _float32(gradient["values"], divisor)
        return sums.SparseRows(values, np.asarray(gradient["indices"]), part["before"].shape[0])
    return _float32(gradient, divisor)


def _float32(tensor: Any, divisor: np.float32 | None = None) -> np.ndarray:
    array = np.asarray(tensor)  # no copy where it is in the host's memory
    if array.dtype != np.float32:
        array = array.astype(np.float32)
    return array if divisor is None else array / divisor
