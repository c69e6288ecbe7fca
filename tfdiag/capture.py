"""Samples steps of the real, compiled training.

A function of ours stands where the user's is that trains. The user's step is traced once, with
what is measured as further outputs (`training_step.py`): a function that returns them makes the
sampled steps, one that does not, in which they are pruned and nothing is added, all others.
"""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfdiag.cadence import Clock
from tfdiag.trainer import Trainer
from tfdiag.training_step import InstrumentedStep, StepSums

_log = logging.getLogger("tfdiag")


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
        self._prepare = trainer.prepare
        self._own = trainer.function
        self._step = InstrumentedStep(trainer, self._ours)
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
        if not self._step.was_traced:
            with contextlib.suppress(Exception):  # then the step itself will say so
                self._prepare()
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
        found = self._step.sums(taken)
        if found is None:
            self.failure = self.failure or "the training step called no optimizer that is seen"
        return found

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
