"""Records a training that does not go through `fit`: a loop around a step of the user's own."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import keras

from tfdiag import backend
from tfdiag.errors import TfdiagError
from tfdiag.recording import Recording
from tfdiag.request import Request
from tfdiag.trainer import OwnLoop, numbers

_log = logging.getLogger("tfdiag")


class Loop:
    """One training, from `with` to the end of its block. `HealthMonitor.loop` makes it.

    Args:
        recording: of the folder of the run.
        part: what asks for it, as a callback of a `fit` does.
        request: what is to be recorded.
        model: as for `HealthMonitor.loop`, as are all that follow.
        optimizer: one or several.
        loss: for the probe set.
        epochs: planned.
        steps: planned.

    Raises:
        ValueError: if an argument is wrong.
    """

    def __init__(
        self,
        recording: Recording,
        part: Any,
        request: Request,
        *,
        model: keras.Model,
        optimizer: Any,
        loss: Callable[[Any, Any], Any] | None,
        epochs: int | None,
        steps: int | None,
    ):
        self._recording, self._part, self._request = recording, part, request
        self._model = _checked_model(model)
        self._optimizers = _checked_optimizers(optimizer)
        self._loss = _checked_loss(loss)
        self._epochs, self._steps = _checked_plan(epochs, steps)
        self._is_open = self._has_step = self._has_warned = False
        self._epoch = self._batch = 0
        self._trainer: OwnLoop | None = None

    @property
    def should_stop(self) -> bool:
        """Whether `HealthMonitor(stop_on=...)` wants the loop to end: check it after each step."""
        return self._trainer is not None and self._trainer.should_stop

    def __enter__(self) -> Loop:
        self._is_open = True
        return self

    def __exit__(self, *error: object) -> None:
        self._is_open = False
        if self._has_step:
            self._recording.end(self._part)
        elif error[0] is None:
            _log.warning("tfdiag recorded nothing: no training step was passed to `loop.wrap`.")

    def wrap(self, train_step: Callable) -> Callable:
        """Returns what to call in the place of the training step; it returns what that returns.

        Recording begins here, with a look at the probe set. Afterwards nothing of ours raises.

        Args:
            train_step: makes one step: it computes gradients and calls `apply_gradients` or
                `apply` of the optimizer. A `tf.function` stays compiled, with the settings that
                it has; a plain function stays eager. The loss is the number that it returns, the
                first one of a tuple, or the entry "loss" of a dict.

        Raises:
            ValueError: if it cannot be called; if the probe set does not fit the model.
            TfdiagError: outside of the `with` block; at the second call in it.
        """
        if not callable(train_step):
            raise ValueError(
                f"`train_step` is the function that makes one training step, but got "
                f"{train_step!r}. Pass the function itself, loop.wrap(train_step), not its result."
            )
        if not self._is_open or self._has_step:
            raise TfdiagError(
                "One step is recorded in one loop, and `loop.wrap` was called before in it. Put "
                "what belongs to one step into one function and wrap that."
                if self._is_open
                else "`loop.wrap` records nothing outside of the `with` block. Write: "
                "with monitor.loop(model, optimizer) as loop: step = loop.wrap(train_step)"
            )
        trainer = OwnLoop(self._model, self._optimizers, self._loss, train_step)
        self._trainer = trainer
        self._recording.join(self._part, self._request, trainer)
        self._recording.begin(self._part, self._epochs, self._steps)
        self._has_step = True

        @functools.wraps(getattr(train_step, "python_function", train_step), updated=())
        def step(*args: Any, **kwargs: Any) -> Any:
            if backend.graph() is not None:
                self._warn_of_graph()
                return train_step(*args, **kwargs)
            self._recording.batch_begin(self._part, self._batch)
            returned = trainer.function(*args, **kwargs)
            self._batch += 1
            self._recording.batch_end(self._part, _or_nothing(trainer.logs, returned))
            return returned

        return step

    def end_epoch(self, logs: Mapping[str, Any] | None = None) -> None:
        """Ends an epoch; optional.

        Args:
            logs: names to floating-point numbers, or scalar tensors, such as {"val_loss": 0.3}.
        """
        if logs is not None and not isinstance(logs, Mapping):
            _log.warning("tfdiag records a dict of an epoch's numbers, but got %r.", logs)
            logs = None
        self._recording.epoch_end(self._part, _or_nothing(numbers, logs or {}))
        self._epoch += 1
        self._batch = 0
        self._recording.epoch_begin(self._part, self._epoch)

    def _warn_of_graph(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "tfdiag cannot see the steps of a loop that is inside a tf.function: call what "
                "`loop.wrap` returns from Python."
            )


def _or_nothing(read: Callable[[Any], dict[str, float]], values: Any) -> dict[str, float]:
    """Returns the numbers among values of the user's; none of them if that fails."""
    try:
        return read(values)
    except Exception as error:
        _log.debug("tfdiag cannot read %r: %s", values, error)
        return {}


def _checked_model(model: Any) -> keras.Model:
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be the Keras model that is trained, but got {model!r}. Use "
            "monitor.loop(model, optimizer)."
        )
    return model


def _checked_optimizers(optimizer: Any) -> Sequence[Any]:
    several = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    wrong = [other for other in several if not isinstance(other, keras.optimizers.Optimizer)]
    if wrong or not several:
        raise ValueError(
            f"`optimizer` must be the Keras optimizer that the step calls, or a list of several, "
            f"but got {wrong[0] if wrong else optimizer!r}. Pass the object itself, not its name."
        )
    return several


def _checked_loss(loss: Any) -> Callable[[Any, Any], Any] | None:
    if loss is not None and not callable(loss):
        raise ValueError(
            f"`loss` is called with labels and outputs of the probe set, so it must be a Keras "
            f"loss or a function loss(y, outputs), but got {loss!r}. Use "
            "keras.losses.get(name), or leave it out: then there is no loss on the probe set."
        )
    return loss


def _checked_plan(epochs: Any, steps: Any) -> tuple[int | None, int | None]:
    for name, value in (("epochs", epochs), ("steps", steps)):
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise ValueError(
                f"`{name}` is how many are planned, so it must be an integer of at least 1, but "
                f"got {value!r}. Leave it out if that is not known."
            )
    if epochs is not None and steps is None:
        raise ValueError(
            "`epochs` says how long the training will be only together with `steps`, the number "
            "of steps in an epoch. Pass both, or `steps` alone for a single epoch."
        )
    return (epochs or 1, steps) if steps else (None, None)
