"""Takes sums of gradients and weights inside the real, compiled training step.

A second, instrumented train function is built beside the model's own and exchanged in for
sampled executions only. All other steps run the user's own program, unmodified. This module
holds what tfdiag leans on in Keras' trainer and optimizers; nothing else here knows of it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdiag.statistics import (
    BINS,
    INF_BIN,
    LOWEST_EXPONENT,
    NAN_BIN,
    OCTAVES,
    ZERO_BIN,
)

_log = logging.getLogger("tfdiag")

#: A weight's histogram is taken of at most this many of its entries, evenly strided.
HISTOGRAM_ENTRIES = 65_536


@dataclass(frozen=True, eq=False)
class StepSums:
    """What one sampled training step added up.

    Attributes:
        variables: `W` trainable variables, in the order in which the optimizer got them.
        sums: `float32[W, 9]`, columns as in `tfdiag.statistics.WEIGHT_SUMS`.
        histograms: `float32[W, BINS]`, entries per bin, scaled up to the whole weight.
        loss: mean loss over the training batch; None if the step did not call `compute_loss`.
    """

    variables: list[Any]
    sums: np.ndarray
    histograms: np.ndarray
    loss: float | None


class TrainingTap:
    """Samples training steps of one model. Several taps share one instrumented step.

    Args:
        model: a compiled Keras model.
    """

    def __init__(self, model: keras.Model):
        self.armed = False
        self.result: StepSums | None = None
        self._model = model
        self._function: _SampledFunction | None = None

    @property
    def failure(self) -> str | None:
        """Why nothing can be measured, once that is known; training goes on without us."""
        return None if self._function is None else self._function.failure

    def attach(self) -> None:
        """Puts our function in the place of the model's train function.

        Call after `make_train_function`, that is in `on_train_begin`. One that an exception out
        of an earlier `fit` left behind serves on: where nobody samples, it changes nothing.
        """
        current = self._model.train_function
        if current is None:
            return
        if isinstance(current, _SampledFunction):
            self._function = current
        elif self._function is None or current is not self._function.plain:
            self._function = _SampledFunction(self._model, current)  # compiled, or compiled anew
        self._function.taps.add(self)
        self._model.train_function = self._function

    def detach(self) -> None:
        """Puts the model's own train function back, unless another tap samples on."""
        function = self._function
        if function is None:
            return
        function.taps.discard(self)
        if not function.taps and self._model.train_function is function:
            self._model.train_function = function.plain

    def arm(self) -> None:
        """Lets the next execution be a sampled one."""
        self.armed = self._function is not None and self.failure is None

    def take(self) -> StepSums | None:
        """Returns what the last sampled execution added up, once; None if there is nothing."""
        result, self.result = self.result, None
        return result


def plain_function(model: keras.Model) -> Callable | None:
    """Returns the model's own train function: another one after each `compile`."""
    function = model.train_function
    return function.plain if isinstance(function, _SampledFunction) else function


class _SampledFunction:
    """Stands where Keras looks for the model's train function.

    An execution that no tap is armed for runs the user's own program.
    """

    def __init__(self, model: keras.Model, plain: Callable):
        self.plain = plain
        self.taps: weakref.WeakSet[TrainingTap] = weakref.WeakSet()
        self.failure: str | None = None
        self._model = model
        self._instrumented: Callable | None = None
        self._variables: list[Any] = []
        self._sink = threading.local()
        self._traced = False

    def __call__(self, iterator: Any) -> Any:
        armed = [tap for tap in self.taps if tap.armed]
        if not armed:
            return self.plain(iterator)
        for tap in armed:
            tap.armed = False
        if self.failure is not None:
            return self.plain(iterator)
        try:
            if self._instrumented is None:
                self._instrumented = self._build()
            with self._patched():
                output = self._instrumented(iterator)
        except Exception as error:
            if self._traced or self._model.run_eagerly or isinstance(error, StopIteration):
                raise  # the user's own error: the data, a numeric check, the end of the epoch
            # Tracing failed, so no data was consumed and no weight has changed. If that was the
            # user's error, the plain function raises it again.
            logs = self.plain(iterator)
            self._give_up(error)
            return logs
        sums = self._step_sums(output["tfdiag"])
        for tap in armed:
            tap.result = sums
        return output["logs"]

    def _build(self) -> Callable:
        model, train_step = self._model, self._model.train_step

        def instrumented_step(data: Any) -> dict[str, Any]:
            self._sink.taken = {}
            self._sink.variables = []
            try:
                logs = train_step(data)
                taken = self._sink.taken
            finally:
                self._sink.taken = None
            self._variables = self._sink.variables
            self._traced = True
            return {"logs": logs, "tfdiag": taken}

        standing = model.train_function
        try:
            with _replaced(model, "train_step", instrumented_step):
                model.make_train_function(force=True)
            return model.train_function
        finally:
            model.train_function = standing

    def _step_sums(self, taken: dict[str, Any]) -> StepSums | None:
        rows = [value for name, value in sorted(taken.items()) if name.startswith("sums")]
        bins = [value for name, value in sorted(taken.items()) if name.startswith("bins")]
        if not rows:
            self.failure = self.failure or "the training step called no optimizer that is seen"
            return None
        loss = taken.get("loss")
        strides = np.array([_stride(v.shape) for v in self._variables], np.float32)
        return StepSums(
            variables=self._variables,
            sums=np.concatenate([np.asarray(row) for row in rows]),
            histograms=np.concatenate([np.asarray(b) for b in bins]) * strides[:, None],
            loss=None if loss is None else float(np.asarray(loss)),
        )

    @contextlib.contextmanager
    def _patched(self) -> Iterator[None]:
        """Replaces `apply` of each optimizer and `compute_loss`, during this call only."""
        with contextlib.ExitStack() as stack:
            for optimizer in self._optimizers():
                stack.enter_context(_replaced(optimizer, "apply", self._tap_apply(optimizer)))
            stack.enter_context(_replaced(self._model, "compute_loss", self._tap_loss()))
            yield

    def _optimizers(self) -> list[Any]:
        """Returns the optimizers that are attributes of the model, also in a list or dict."""
        found = []
        for value in vars(self._model).values():
            parts = value.values() if isinstance(value, dict) else value
            inside = list(parts) if isinstance(value, dict | list | tuple) else [value]
            found += [v for v in inside if isinstance(v, keras.optimizers.Optimizer)]
        return list({id(optimizer): optimizer for optimizer in found}.values())

    def _tap_apply(self, optimizer: Any) -> Callable:
        original = optimizer.apply

        def apply(grads: Any, trainable_variables: Any = None) -> Any:
            taken = getattr(self._sink, "taken", None)
            if taken is None or self.failure is not None:
                return original(grads, trainable_variables)
            grads = list(grads)
            if trainable_variables is not None:
                trainable_variables = list(trainable_variables)
            update = self._ours(lambda: _Update(optimizer, grads, trainable_variables))
            result = original(grads, trainable_variables)
            sums = update and self._ours(update.sums)
            if sums is not None:
                order = f"{len(taken):03d}"
                taken[f"sums{order}"], taken[f"bins{order}"] = sums
                self._sink.variables.extend(update.variables)
            return result

        return apply

    def _tap_loss(self) -> Callable:
        original = self._model.compute_loss

        def compute_loss(*args: Any, **kwargs: Any) -> Any:
            loss = original(*args, **kwargs)
            taken = getattr(self._sink, "taken", None)
            if taken is not None and loss is not None:
                kept = self._ours(lambda: tf.cast(loss, tf.float32))
                if kept is not None:
                    taken["loss"] = kept
            return loss

        return compute_loss

    def _ours(self, work: Callable[[], Any]) -> Any:
        """Returns what `work` returns, or None if it fails: the user's step goes on."""
        try:
            return work()
        except Exception as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self.failure = f"the training step could not be instrumented: {error}"
        _log.warning(
            "tfdiag cannot measure gradients here and trains on without them: %s: %s",
            type(error).__name__,
            error,
            exc_info=_log.isEnabledFor(logging.DEBUG),
        )


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Callable) -> Iterator[None]:
    # Through __dict__, since Keras tracks what is set as an attribute.
    missing = object()
    previous = vars(owner).get(name, missing)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if previous is missing:
            del vars(owner)[name]
        else:
            vars(owner)[name] = previous


class _Update:
    """One call of an optimizer's `apply`, seen from before and from after it."""

    def __init__(self, optimizer: Any, grads: list[Any], variables: list[Any] | None):
        if variables is None:
            variables = list(optimizer._trainable_variables)
        elif not optimizer.built:
            with keras.name_scope(optimizer.name):
                optimizer.build(variables)  # a loss scale does not exist before
        scale = _loss_scale(optimizer)  # the update may change it
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        self.variables = [v for _, v in pairs]
        self._gradients = [tf.reshape(_unscaled(g, scale), v.shape) for g, v in pairs]
        self._before = [tf.identity(v.value) for v in self.variables]

    def sums(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `float32[W, 9]` sums and `int32[W, BINS]` histograms; call after `apply`."""
        after = [tf.convert_to_tensor(v.value) for v in self.variables]
        return (
            _weight_sums(self._gradients, self._before, after),
            _histograms(self._gradients),
        )


def _loss_scale(optimizer: Any) -> Any:
    """Returns what the loss was multiplied by, so that gradients can be divided by it."""
    dynamic = getattr(optimizer, "dynamic_scale", None)
    if dynamic is not None:
        return tf.identity(dynamic.value)
    return getattr(optimizer, "loss_scale_factor", None)


def _unscaled(gradient: Any, scale: Any) -> tf.Tensor:
    gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
    return gradient if scale is None else gradient / scale


def _weight_sums(
    gradients: list[tf.Tensor], before: list[tf.Tensor], after: list[tf.Tensor]
) -> tf.Tensor:
    """Returns `float32[W, 9]`, columns as in `tfdiag.statistics.WEIGHT_SUMS`."""
    rows = []
    for gradient, old, new in zip(gradients, before, after, strict=True):
        old, new = tf.cast(old, tf.float32), tf.cast(new, tf.float32)
        rows.append(
            tf.stack(
                [
                    tf.cast(tf.size(gradient), tf.float32),
                    2 * tf.nn.l2_loss(gradient),
                    tf.reduce_max(tf.abs(gradient)),
                    _count(tf.equal(gradient, 0)),
                    _count(~tf.math.is_finite(gradient)),
                    2 * tf.nn.l2_loss(old),
                    2 * tf.nn.l2_loss(new),
                    2 * tf.nn.l2_loss(new - old),
                    _count(~tf.math.is_finite(new)),
                ]
            )
        )
    return tf.stack(rows)


def _count(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.math.count_nonzero(condition), tf.float32)


def _histograms(gradients: list[tf.Tensor]) -> tf.Tensor:
    """Returns `float32[W, BINS]`: entries per power of two, per weight."""
    bins = [
        _bins(tf.reshape(gradient, [-1])[:: _stride(gradient.shape)]) + BINS * row
        for row, gradient in enumerate(gradients)
    ]
    size = BINS * len(gradients)  # a Python number: XLA needs it while tracing
    counts = tf.raw_ops.DenseBincount(
        input=tf.concat(bins, axis=0),
        size=tf.constant(size, tf.int32),
        weights=tf.zeros([0], tf.float32),
        binary_output=False,
    )
    return tf.reshape(counts, [len(gradients), BINS])


def _bins(values: tf.Tensor) -> tf.Tensor:
    """Returns the histogram bin of each value, `int32[N]`, from its float32 exponent."""
    bits = tf.bitcast(values, tf.int32)
    exponent = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 23), 0xFF) - 127
    octave = tf.clip_by_value(exponent - LOWEST_EXPONENT, 0, OCTAVES - 1)
    bins = tf.where(values > 0, octave + OCTAVES, octave)
    bins = tf.where(tf.equal(values, 0), ZERO_BIN, bins)
    bins = tf.where(tf.math.is_inf(values), INF_BIN, bins)
    return tf.where(tf.math.is_nan(values), NAN_BIN, bins)


def _stride(shape: Any) -> int:
    """Returns the stride that leaves at most `HISTOGRAM_ENTRIES` entries of a weight.

    It shares no factor with the last axis, so that no unit is left out.
    """
    size = math.prod(shape)
    stride = max(1, math.ceil(size / HISTOGRAM_ENTRIES))
    while stride > 1 and math.gcd(stride, int(shape[-1])) > 1:
        stride += 1
    return stride
