"""Who trains a model, Keras in `fit` or a loop of the user's own; both answer the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfdiag import backend

#: Tests one batch after the other; returns loss and metrics of all of them so far.
Tester = Callable[[Any], dict[str, Any]]


class Trainer(Protocol):
    """What the taps need to know of a training. Two are equal if one goes on with the other.

    Attributes:
        model: what is trained.
        function: what is called for each execution; the taps put theirs in its place.
    """

    model: keras.Model
    function: Any

    @property
    def step(self) -> Callable:
        """The user's training step, to be traced or run with taps in it."""

    @property
    def optimizers(self) -> Sequence[Any]:
        """The optimizers whose `apply` is to be tapped; the first one is asked for its state."""

    @property
    def loss(self) -> Any:
        """The loss, to be named in the recording; None if there is none."""

    @property
    def no_loss(self) -> str | None:
        """Why the probe set has no loss; None if it has one."""

    @property
    def is_loss_whole(self) -> bool:
        """Whether `tester` counts what the model adds to its loss: regularization, `add_loss`."""

    @property
    def is_eager(self) -> bool:
        """Whether the step is run, not traced."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the step's numbers are better left where they are."""

    @property
    def steps_per_execution(self) -> int:
        """How many steps one call of `function` makes."""

    def make_function(self) -> None:
        """Makes `function`, if it is not made yet."""

    def functions(self, step: Callable) -> tuple[Callable | None, Callable]:
        """Returns what stands for `function` around another step.

        Args:
            step: called as the user's step; returns {"returned": what that does, ...}.

        Returns:
            A function that returns what the user's does, None if that has to be the user's own;
            and one that returns all that `step` does.
        """

    def prepare(self) -> None:
        """Creates what the first step would: a trace that creates something is made twice."""

    def fetched(self, *args: Any) -> tuple[Any, ...]:
        """Returns a call's arguments with data that is still there if the call fails."""

    def loss_in(self, returned: Any) -> Any:
        """Returns the loss in what a step returned; None if it is not there."""

    def tester(self) -> Tester:
        """Returns what tests the model on a data set, for one pass over it."""

    def stop(self) -> None:
        """Asks for an end of the training after this step."""

    def settle(self) -> None:
        """Does what the training does with its weights at the end, once they were put back."""


class Fit:
    """A model that Keras trains.

    Args:
        model: a compiled Keras model.
    """

    def __init__(self, model: keras.Model):
        self.model = model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fit) and other.model is self.model

    def __hash__(self) -> int:
        return id(self.model)

    @property
    def function(self) -> Any:
        return self.model.train_function

    @function.setter
    def function(self, function: Any) -> None:
        self.model.train_function = function

    @property
    def step(self) -> Callable:
        return self.model.train_step

    @property
    def optimizers(self) -> Sequence[Any]:
        main = getattr(self.model, "optimizer", None)
        return sorted(backend.optimizers(self.model), key=lambda other: other is not main)

    @property
    def loss(self) -> Any:
        return getattr(self.model, "loss", None)

    @property
    def no_loss(self) -> str | None:
        return None if backend.has_loss(self.model) else "the model was compiled without a loss"

    @property
    def is_loss_whole(self) -> bool:
        return not backend.has_own_test(self.model)

    @property
    def is_eager(self) -> bool:
        return self.model.run_eagerly

    @property
    def is_elsewhere(self) -> bool:
        # Where several replicas have a share of each number, they are summed inside the step.
        return backend.is_elsewhere(self.model.jit_compile) or not backend.is_single(self.model)

    @property
    def steps_per_execution(self) -> int:
        return backend.steps_per_execution(self.model)

    def make_function(self) -> None:
        self.model.make_train_function()  # Keras has made it in `fit`, not in a loop by hand

    def functions(self, step: Callable) -> tuple[Callable | None, Callable]:
        shared = backend.traced_once(self.model, step)
        if shared is None:  # eager, or under a distribution strategy
            return None, backend.train_function(self.model, step)
        plain = backend.train_function(self.model, lambda data: shared(data)["returned"])
        if self.steps_per_execution == 1:
            return plain, backend.one_batch(shared)
        return plain, backend.train_function(self.model, shared)

    def prepare(self) -> None:
        if not self.is_eager and backend.is_single(self.model):
            backend.build_optimizer(self.model)

    def fetched(self, *args: Any) -> tuple[Any, ...]:
        once = self.steps_per_execution == 1 and backend.is_single(self.model)
        return (backend.OneBatch(*args),) if once else args

    def loss_in(self, returned: Any) -> Any:
        return None  # a mean over the epoch: what `compute_loss` returns is the step's own

    def tester(self) -> Tester:
        def test(batch: Any) -> dict[str, Any]:
            if self.no_loss is None:
                return dict(self.model.test_step(batch))
            self.model(batch[0], training=False)
            return {}

        return test

    def stop(self) -> None:
        self.model.stop_training = True

    def settle(self) -> None:
        for optimizer in self.optimizers:
            if getattr(optimizer, "use_ema", False):  # Keras has done it before `on_train_end`
                optimizer.finalize_variable_values(self.model.trainable_variables)


class OwnLoop:
    """A model that the user's own loop trains.

    Args:
        model: a Keras model, compiled or not.
        optimizers: those that the step calls.
        loss: called with labels and outputs; None if the probe set is to have no loss.
        function: the user's training step, a `tf.function` or not.

    Attributes:
        should_stop: whether the loop was asked to end.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizers: Sequence[Any],
        loss: Callable[[Any, Any], Any] | None,
        function: Callable,
    ):
        self.model = model
        self.optimizers = optimizers
        self.loss = loss
        self.function = self._users = function
        self.step = backend.python_function(function)
        self.no_loss = None if loss is not None else "no loss was given: monitor.loop(..., loss=f)"
        self.is_loss_whole = False
        self.is_eager = not backend.is_traced(function)
        self.is_elsewhere = backend.is_elsewhere(backend.is_jitted(function))
        self.steps_per_execution = 1
        self.should_stop = False
        self._is_asynchronous = backend.is_elsewhere(False)  # reading a loss would wait for it

    def make_function(self) -> None:
        pass  # it is the user's

    def functions(self, step: Callable) -> tuple[Callable | None, Callable]:
        if self.is_eager:
            return None, step
        shared = backend.traced_like(self._users, step)
        return backend.traced_like(self._users, lambda *a, **k: shared(*a, **k)["returned"]), shared

    def fetched(self, *args: Any) -> tuple[Any, ...]:
        return args

    def prepare(self) -> None:
        pass  # what the step trains is known to the user only

    def loss_in(self, returned: Any) -> Any:
        if isinstance(returned, Mapping):
            return returned["loss"] if _is_number(returned.get("loss")) else None
        candidates = returned if isinstance(returned, tuple | list) else [returned]
        return next(filter(_is_number, candidates), None)

    def logs(self, returned: Any) -> dict[str, float]:
        """Returns the loss of any step, sampled or not, if it is not costly."""
        loss = None if self._is_asynchronous else self.loss_in(returned)
        return {} if loss is None else {"loss": float(tf.convert_to_tensor(loss))}

    def tester(self) -> Tester:
        losses: list[float] = []
        sizes: list[int] = []

        def test(batch: Any) -> dict[str, Any]:
            x, y = batch
            outputs = self.model(x, training=False)
            if self.loss is None:
                return {}
            losses.append(float(tf.reduce_mean(self.loss(y, outputs))))
            sizes.append(len(keras.tree.flatten(x)[0]))
            return {"loss": np.average(losses, weights=sizes)}

        return test

    def stop(self) -> None:
        self.should_stop = True

    def settle(self) -> None:
        pass  # the loop is the user's


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers among the values, in tensors or not."""
    return {str(name): float(tf.convert_to_tensor(v)) for name, v in logs.items() if _is_number(v)}


def _is_number(value: Any) -> bool:
    """Returns whether a value is one floating-point number, in a tensor or not."""
    if isinstance(value, keras.Variable):
        value = value.value
    if tf.is_tensor(value):
        return bool(tf.as_dtype(value.dtype).is_floating) and value.shape.rank == 0
    return isinstance(value, float | np.floating)
