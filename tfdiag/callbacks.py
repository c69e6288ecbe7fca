"""What users pass to `model.fit`: one callback for everything, or one for each part."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from numbers import Integral
from typing import Any, ClassVar

import keras

from tfdiag import backend, config
from tfdiag.actions import Actions, OnFinding
from tfdiag.errors import TfdiagError
from tfdiag.gallery import METHODS
from tfdiag.loop import Loop
from tfdiag.metrics import METRICS, PROBE
from tfdiag.probe import probe_set
from tfdiag.recording import Recording
from tfdiag.request import Request
from tfdiag.rules import resolve_thresholds
from tfdiag.trainer import Fit

_ALL = frozenset(metric.name for metric in METRICS)
_OUTPUTS = frozenset(metric.name for metric in METRICS if metric.source == PROBE)
_GRADIENTS = _ALL - _OUTPUTS


class _Part(keras.callbacks.Callback):
    """A callback that asks the recording of its folder for something."""

    def __init__(self, log_dir: str | os.PathLike[str], request: Request):
        super().__init__()
        _check_backend()
        self.log_dir = _checked_log_dir(log_dir)
        self._request = request
        self._recording: Recording  # of the log_dir, from set_model on

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or one that is sent to another process, joins a recording of its own.
        return {k: v for k, v in backend.without_model(self).items() if k != "_recording"}

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._recording = Recording.of(self.log_dir)
        self._recording.join(self, self._request, Fit(model))

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        params = self.params or {}
        self._recording.begin(self, params.get("epochs"), params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recording.epoch_begin(self, epoch)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recording.batch_begin(self, batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recording.batch_end(self, logs or {})

    def on_epoch_end(self, epoch: int, logs: MutableMapping[str, Any] | None = None) -> None:
        self._recording.epoch_end(self, logs or {})

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._recording.end(self)


class HealthMonitor(_Part):
    """Records the health of a training run and says what is wrong while it trains.

    Gradients and updates come from the real training step, on sampled steps; outputs, dead
    units and Grad-CAM from a held-out probe set. Nothing of the training changes: weights are
    bit for bit those of a run without it, unless the model draws from `tf.random`, whose
    stream is one per compiled function; `keras.random` and Keras' layers do not.

    Args:
        log_dir: folder of this run, below the one that TensorBoard is started on.
        probe: held-out samples (x, y): arrays, dicts of arrays, or a `tf.data.Dataset` of
            batches. Without it everything about outputs is "not measured".
        budget: share of the training's time that monitoring may take, 0.02 for 2 %. The
            monitor measures its own time and records less often to stay within: at most every
            20 steps gradients and updates, at most every 100 steps the probe set, and always the
            beginning and the end.
        every: training steps between two samples of gradients and updates, whatever they cost.
        probe_every: training steps between two looks at the probe set, whatever they cost; by
            default five times `every` if that is given.
        probe_samples: at most this many samples of the probe set are used.
        gradcam: number of probe images with Grad-CAM at each look; 0 for none.
        gradcam_layer: name of the layer it looks at; by default the last spatial one.
        thresholds: a rule's id to the thresholds to change, such as
            `{"dead-relu": {"watch": 0.2}}`. They hold before those of a `tfdiag.toml` or
            `[tool.tfdiag]` in the current folder or above it, which is read here too.
        announce: whether findings are printed while training.
        on_finding: function that is called with each new `Finding` that is to be warned of or
            critical, again when it becomes worse, and at the end with what is to be watched. Its
            second argument has `log_dir` and `step`. An exception in it is logged once.
        stop_on: "critical" or "warn": training stops at the first finding of that severity or
            worse. In a loop of your own look at `loop.should_stop`.
        restore: "last-healthy": at the end, if a critical finding is open, weights, seeds and
            optimizer state (with its learning rate and its count of steps) go back to the last
            ones kept while none was. They are kept in memory, within `budget`.
        restore_bytes: memory that they may take; a model that needs more is not restored.
        alert: address, http or https, that each new finding is posted to as JSON, in the
            background. Where that fails it is logged once.
        epoch_logs: whether Keras' logs of an epoch get "health/critical" and "health/warn" (the
            numbers of open findings), "health/dead_fraction_max", "health/update_ratio_max" and
            "health/gradient_norm", for callbacks that come after this one. nan where not measured.

    Raises:
        ValueError: if an argument is wrong; if the probe set does not fit the model,
            before the first step.
        TfdiagError: if Keras does not run on TensorFlow, or the project's file is wrong.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        probe: Any = None,
        *,
        budget: float = 0.02,
        every: int | None = None,
        probe_every: int | None = None,
        probe_samples: int = 256,
        gradcam: int = 8,
        gradcam_layer: str | None = None,
        thresholds: Mapping[str, Mapping[str, float]] | None = None,
        announce: bool = True,
        on_finding: OnFinding | None = None,
        stop_on: str | None = None,
        restore: str | None = None,
        restore_bytes: int = 2**30,
        alert: str | None = None,
        epoch_logs: bool = True,
    ):
        self.budget = _checked_budget(budget)
        self.every = None if every is None else _checked_cadence("every", every)
        if probe_every is None and self.every is not None:
            probe_every = 5 * self.every
        self.probe_every = (
            None if probe_every is None else _checked_cadence("probe_every", probe_every)
        )
        resolve_thresholds(thresholds)
        if not isinstance(epoch_logs, bool):
            raise ValueError(f"`epoch_logs` must be True or False, but got {epoch_logs!r}.")
        self.epoch_logs = epoch_logs
        actions = Actions(on_finding, stop_on, restore, restore_bytes, alert)
        super().__init__(
            log_dir,
            Request(
                metrics=_ALL,
                every=self.every,
                probe_every=self.probe_every if probe is not None else 0,
                budget=self.budget,
                probe=None if probe is None else probe_set(probe, probe_samples),
                histograms=True,
                images=_checked_images("gradcam", gradcam),
                layer=gradcam_layer,
                thresholds=thresholds or {},
                config=config.load(),
                announce=announce,
                actions=actions,
            ),
        )

    def on_epoch_end(self, epoch: int, logs: MutableMapping[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if logs is not None and self.epoch_logs:
            logs.update(self._recording.health())

    def loop(
        self,
        model: keras.Model,
        optimizer: Any,
        *,
        loss: Callable[[Any, Any], Any] | None = None,
        epochs: int | None = None,
        steps: int | None = None,
    ) -> Loop:
        """Records a training without `fit`, in a `with` block around it.

        Recording begins with `wrap` and ends with the block, also where an exception leaves it.

        >>> monitor = HealthMonitor("logs/run1", probe=(x_val, y_val))  # doctest: +SKIP
        >>> with monitor.loop(model, optimizer, loss=loss_fn) as loop:  # doctest: +SKIP
        ...     step = loop.wrap(train_step)  # your function, with @tf.function or without
        ...     for epoch in range(10):
        ...         for x, y in dataset:
        ...             loss = step(x, y)
        ...         loop.end_epoch({"val_loss": validate(model)})  # optional

        Args:
            model: a Keras model; it need not be compiled.
            optimizer: the Keras optimizer that the step calls, or a list of several.
            loss: a Keras loss or a function `loss(y, outputs)` for the probe set. Without it the
                loss on the probe set is "not measured".
            epochs: how many epochs are planned, if that is known; one by default.
            steps: how many steps an epoch has, if that is known.

        Raises:
            ValueError: if an argument is wrong.
        """
        self._recording = Recording.of(self.log_dir)
        return Loop(
            self._recording,
            self,
            self._request,
            model=model,
            optimizer=optimizer,
            loss=loss,
            epochs=epochs,
            steps=steps,
        )


class GradientHistograms(_Part):
    """Records gradients only: per layer histogram, size, zeros, and how far weights move.

    Every fifth sample has histograms of the weights too.

    Args:
        log_dir: folder of this run.
        every: training steps between two samples.

    Raises:
        ValueError: if an argument is wrong.
    """

    def __init__(self, log_dir: str | os.PathLike[str], *, every: int = 20):
        self.every = _checked_cadence("every", every)
        super().__init__(log_dir, Request(metrics=_GRADIENTS, every=self.every, histograms=True))


class _OutputPart(_Part):
    """A callback that looks at layer outputs on a probe set, and at nothing else."""

    _metrics: ClassVar[frozenset[str]]

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        probe: Any,
        *,
        every: int = 100,
        probe_samples: int = 256,
    ):
        self.every = _checked_cadence("every", every)
        super().__init__(
            log_dir,
            Request(
                metrics=self._metrics,
                probe_every=self.every,
                probe=probe_set(probe, probe_samples),
            ),
        )


class LayerOutputs(_OutputPart):
    """Records the magnitudes of the layers' outputs on a probe set only.

    Args:
        log_dir: folder of this run.
        probe: held-out samples, as for `HealthMonitor`.
        every: training steps between two looks at the probe set.
        probe_samples: at most this many samples are used.

    Raises:
        ValueError: if an argument is wrong; if the probe set does not fit the model, before
            the first step.
    """

    _metrics = _OUTPUTS - {"dead_fraction"}


class DeadReLU(_OutputPart):
    """Records the share of dead units of each layer with a ReLU only.

    A unit is dead if it is not above zero anywhere on the whole probe set.

    Args:
        log_dir: folder of this run.
        probe: held-out samples, as for `HealthMonitor`.
        every: training steps between two looks at the probe set.
        probe_samples: at most this many samples are used.

    Raises:
        ValueError: if an argument is wrong; if the probe set does not fit the model, before
            the first step.
    """

    _metrics = frozenset({"dead_fraction", "output_zeros", "output_nonfinite"})


class GradCAM(_Part):
    """Records Grad-CAM of some probe images only.

    Args:
        log_dir: folder of this run.
        probe: held-out images and their classes, as for `HealthMonitor`.
        every: training steps between two snapshots.
        images: number of images, one of each class first.
        layer: name of the layer to look at; by default the last spatial one.
        method: "gradcam", or "gradcam++" (by tf-keras-vis; Sequential and Functional models).
        probe_samples: the images are chosen among this many samples.

    Raises:
        ValueError: if an argument is wrong; if the probe set does not fit the model or it has no
            such layer, before the first step.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        probe: Any,
        *,
        every: int = 100,
        images: int = 8,
        layer: str | None = None,
        method: str = "gradcam",
        probe_samples: int = 256,
    ):
        if method not in METHODS:
            raise ValueError(f"`method` must be one of {list(METHODS)}, but got {method!r}.")
        self.every = _checked_cadence("every", every)
        super().__init__(
            log_dir,
            Request(
                metrics=frozenset(),
                probe_every=self.every,
                probe=probe_set(probe, probe_samples),
                images=_checked_images("images", images),
                layer=layer,
                method=method,
            ),
        )


def _check_backend() -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise TfdiagError(
            f"tfdiag measures Keras models that run on TensorFlow, but Keras runs on {backend!r}. "
            "Set KERAS_BACKEND=tensorflow before Keras is imported."
        )


def _checked_log_dir(log_dir: Any) -> str:
    if not isinstance(log_dir, str | os.PathLike) or not os.fspath(log_dir):
        raise ValueError(
            f"`log_dir` is the folder that this run is recorded in, but got {log_dir!r}. "
            'Use one folder per run, such as log_dir="logs/run1".'
        )
    if os.path.isfile(log_dir):
        raise ValueError(
            f"`log_dir` must be a folder, but {os.fspath(log_dir)!r} is a file. "
            'Use one folder per run, such as log_dir="logs/run1".'
        )
    return os.fspath(log_dir)


def _checked_cadence(name: str, steps: Any) -> int:
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise ValueError(
            f"`{name}` is the number of steps between two recordings, so it must be an integer "
            f"of at least 1, but got {steps!r}. Use {name}=1 to record each step, or "
            f"{name}=100 to keep the cost low."
        )
    return int(steps)


def _checked_budget(budget: Any) -> float:
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget <= 1:
        raise ValueError(
            f"`budget` is the share of the training's time that monitoring may take, so it must be "
            f"a number above 0 and at most 1, but got {budget!r}. Use budget=0.02 for 2 %, or "
            "every=20 to record at fixed steps whatever it costs."
        )
    return float(budget)


def _checked_images(name: str, images: Any) -> int:
    if isinstance(images, bool) or not isinstance(images, Integral) or images < 0:
        raise ValueError(
            f"`{name}` is the number of probe images with Grad-CAM, so it must be an integer of "
            f"at least 0, but got {images!r}. Use {name}=8, or {name}=0 for none."
        )
    return int(images)
