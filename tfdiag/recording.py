"""What one or several callbacks record into one folder while a model trains.

Callbacks with the same `log_dir` share one recording: one instrumented step, one probe pass,
one file. The first of them drives it. After the first step nothing here raises: training goes
on, and what could not be measured is recorded with its reason.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfdiag import statistics
from tfdiag.capture import StepSums, TrainingTap
from tfdiag.errors import TfdiagError
from tfdiag.forward import ForwardTap, ProbeSums
from tfdiag.gallery import Gallery
from tfdiag.layers import describe, recorded_layers
from tfdiag.metrics import METRIC_NAMES, METRICS, PROBE
from tfdiag.probe import ProbeSet, check_fits
from tfdiag.report import announcement
from tfdiag.rules import check, resolve_thresholds
from tfdiag.storage import schema
from tfdiag.storage.writer import RunWriter
from tfdiag.trace import TraceRows

_log = logging.getLogger("tfdiag")

_PROBE_METRICS = frozenset(metric.name for metric in METRICS if metric.source == PROBE)


@dataclass(frozen=True, eq=False)
class Request:
    """What one callback wants recorded.

    Attributes:
        metrics: names of the measures.
        every: steps between two samples of the training step; 0 for none.
        probe_every: steps between two passes over the probe set; 0 for none.
        probe: the probe set, or None.
        histograms: whether gradient histograms are wanted.
        images: number of probe images with Grad-CAM; 0 for none.
        layer: name of the layer that Grad-CAM looks at; None for the last spatial one.
        thresholds: rule's id to its thresholds, those that differ from the defaults.
        announce: whether findings are printed.
    """

    metrics: frozenset[str]
    every: int = 0
    probe_every: int = 0
    probe: ProbeSet | None = None
    histograms: bool = False
    images: int = 0
    layer: str | None = None
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    announce: bool = False


def _never_raises(method: Callable) -> Callable:
    """Lets training go on if `method` fails, and measures what it costs."""

    @functools.wraps(method)
    def guarded(self: Recording, *args: Any) -> None:
        if self._failed:
            return
        started = time.perf_counter()
        try:
            method(self, *args)
        except Exception as error:
            self._fail(error)
        self._seconds += time.perf_counter() - started

    return guarded


class Recording:
    """The shared recording of one folder."""

    _open: ClassVar[weakref.WeakValueDictionary[str, Recording]] = weakref.WeakValueDictionary()

    @classmethod
    def of(cls, log_dir: str | os.PathLike[str]) -> Recording:
        """Returns the recording of a folder, the same one for all who ask."""
        path = os.fspath(log_dir)
        key = path if "://" in path else os.path.realpath(path)
        recording = cls._open.get(key)
        if recording is None:
            recording = cls._open[key] = cls(path)
        return recording

    def __init__(self, log_dir: str):
        self.log_dir = log_dir
        self._parts: dict[Any, Request] = {}
        self._model: keras.Model | None = None
        self._failed = False
        self._seconds = 0.0
        self._rows = TraceRows()
        self._announced: set[tuple[str, str | None, str]] = set()
        self._gathering = self._running = False
        self._driver: Any = None

    # What the callbacks call.

    def join(self, part: Any, request: Request, model: keras.Model) -> None:
        """Adds a callback's request; call from `set_model`, before training begins.

        Raises:
            ValueError: if another callback of this folder has another probe set.
        """
        known = self._running and part in self._parts and model is self._model
        if not self._gathering and not known:  # the callbacks of an earlier fit have left
            self._parts.clear()
        self._gathering = True
        for other in self._parts.values():
            if request.probe and other.probe and not _same(request.probe, other.probe):
                raise ValueError(
                    f"Callbacks that share a `log_dir` share one probe set, but those of "
                    f"{self.log_dir!r} have different ones. Pass the same `probe` to each."
                )
        self._model = model
        self._parts[part] = request

    def begin(self, part: Any) -> None:
        """Begins to record; looks at the probe set once, so that a wrong one fails here.

        The first callback that calls it drives the recording until training ends.

        Raises:
            ValueError: if the probe set does not fit the model, or there is no such layer.
        """
        if not self._gathering:
            return
        self._gathering, self._running, self._failed = False, True, False
        self._driver = part
        self._started, self._seconds = time.perf_counter(), 0.0
        self._prepare()
        if self._probe is not None:
            sums = self._first_look()
            if not self._rows or self._rows.last_step < self._step:
                self._record_begin(sums)

    @_never_raises
    def epoch_begin(self, part: Any, epoch: int) -> None:
        """Notes where in the training we are."""
        if self._drives(part):
            self._epoch = epoch
            self._batch = -1
            self._step = self._iterations()

    @_never_raises
    def batch_begin(self, part: Any) -> None:
        """Lets the next execution be a sampled one if one is due."""
        if self._drives(part) and self._due("every") and self._tap is not None:
            self._tap.arm()
            self._sampling = True

    @_never_raises
    def batch_end(self, part: Any, batch: int, logs: Mapping[str, Any]) -> None:
        """Records what was due at this step."""
        if not self._drives(part):
            return
        probing = self._due("probe_every", executed=max(1, batch - self._batch))
        self._step += max(1, batch - self._batch)
        self._batch = batch
        alarmed = self._first_nonfinite(logs)
        if not (self._sampling or probing or alarmed):
            return
        self._sampling = False
        self._step = self._iterations() or self._step
        taken = self._tap.take() if self._tap is not None else None
        sums = self._look() if probing or alarmed else None
        self._record(taken, sums, logs)
        if sums is not None:
            self._judge()

    @_never_raises
    def epoch_end(self, part: Any, logs: Mapping[str, Any]) -> None:
        """Records the epoch's loss and metrics, and what the rules say of it."""
        if not self._drives(part):
            return
        self._step = self._iterations() or self._step
        series = {"epoch": float(self._epoch)}
        for name, value in logs.items():
            if isinstance(value, int | float | np.number):
                series[name if name.startswith("val_") else f"epoch_{name}"] = float(value)
        self._write(None, series)
        self._judge()
        self._writer.flush()

    @_never_raises
    def end(self, part: Any) -> None:
        """Ends the recording; the last callback to leave closes the file."""
        if not self._drives(part):
            return
        if self._tap is not None:
            self._tap.detach()
        if self._forward is not None and self._rows.last_step < self._step:
            self._record(None, self._look(), {})
        self._judge(finished=True)
        self._writer.close()
        self._running = False

    def _drives(self, part: Any) -> bool:
        return self._running and part is self._driver

    # Preparation.

    def _prepare(self) -> None:
        model = self._model
        requests = list(self._parts.values())
        self._step = self._iterations()
        self._start = self._step
        self._epoch, self._batch, self._sampling = 0, -1, False
        self._forced = self._alarmed = False
        self._layers = recorded_layers(model)
        architecture = describe(model, self._layers)
        if self._rows and architecture.names != self._architecture.names:
            self._rows = TraceRows()
        self._architecture = architecture
        self._owners = {
            id(variable): index
            for index, layer in enumerate(self._layers.values())
            for variable in layer.trainable_variables
        }
        self._metrics = frozenset().union(*(request.metrics for request in requests))
        self._thresholds = resolve_thresholds(
            {rule: values for r in requests for rule, values in r.thresholds.items()}
        )
        self._probe = next((r.probe for r in requests if r.probe), None)
        self._tap = TrainingTap(model) if any(r.every for r in requests) else None
        if self._tap is not None:
            self._tap.attach()
        self._forward = ForwardTap(model, self._layers) if self._probe else None
        self._not_measured = self._reasons()
        self._gallery = self._prepare_gallery(requests)
        self._manifest: dict[str, Any] | None = None
        self._writer = RunWriter(self.log_dir, tf.io.TFRecordWriter)

    def _reasons(self) -> dict[str, str]:
        reasons = {
            name: "no callback of this recording asks for it"
            for name in METRIC_NAMES
            if name not in self._metrics
        }
        if self._probe is None:
            for name in (*_PROBE_METRICS, "probe_loss", "gradcam"):
                reasons[name] = "no probe set was given: HealthMonitor(log_dir, probe=(x, y))"
        return reasons

    def _prepare_gallery(self, requests: list[Request]) -> Gallery | None:
        request = next((r for r in requests if r.images), None)
        if request is None:
            self._not_measured.setdefault("gradcam", "no callback of this recording asks for it")
            return None
        if self._probe is None:
            return None
        try:
            return Gallery(
                self._model,
                self._layers,
                self._architecture,
                self._probe,
                images=request.images,
                layer=request.layer,
            )
        except TfdiagError as error:
            self._not_measured["gradcam"] = str(error)
            return None

    def _first_look(self) -> ProbeSums:
        check_fits(self._probe, self._model)
        try:
            return self._forward.run(self._probe)
        except Exception as error:
            if self._tap is not None:
                self._tap.detach()
            raise ValueError(
                f"The model cannot be tested on the probe set: {error}\nPrepare `probe` exactly as "
                "the data for `model.fit`: same shapes, dtypes, and labels of the same kind."
            ) from error

    @_never_raises
    def _record_begin(self, sums: ProbeSums) -> None:
        self._record(None, sums, {})

    # Measuring.

    def _iterations(self) -> int:
        optimizer = getattr(self._model, "optimizer", None)
        return 0 if optimizer is None else int(optimizer.iterations)

    def _due(self, cadence: str, executed: int | None = None) -> bool:
        """Returns whether a multiple of some cadence lies in the coming steps."""
        ahead = executed or int(getattr(self._model, "steps_per_execution", 1) or 1)
        cadences = [getattr(request, cadence) for request in self._parts.values()]
        first = cadence == "every" and self._step == self._start
        return any(
            every and (first or self._forced or (self._step + ahead) // every > self._step // every)
            for every in cadences
        )

    def _first_nonfinite(self, logs: Mapping[str, Any]) -> bool:
        """Returns True once, at the first loss that is not finite; the next step is sampled."""
        self._forced = False
        loss = logs.get("loss")
        if self._alarmed or not isinstance(loss, float) or math.isfinite(loss):
            return False
        self._alarmed = self._forced = True
        return True

    def _look(self) -> ProbeSums | None:
        return None if self._forward is None else self._forward.run(self._probe)

    def _record(
        self, taken: StepSums | None, sums: ProbeSums | None, logs: Mapping[str, Any]
    ) -> None:
        measures: dict[str, np.ndarray] = {}
        series: dict[str, float] = {"learning_rate": self._learning_rate()}
        histograms: dict[str, np.ndarray] = {}
        loss = logs.get("loss")
        if taken is not None:
            measures.update(self._gradient_measures(taken))
            series["gradient_norm"] = statistics.global_norm(taken.sums)
            loss = taken.loss if taken.loss is not None else loss
            if any(request.histograms for request in self._parts.values()):
                histograms = self._histograms(taken)
        if isinstance(loss, float):
            series.update(loss=loss, loss_nonfinite=float(not math.isfinite(loss)))
        if sums is not None:
            measures.update(statistics.probe_measures(sums.sums, sums.unit_max, sums.saturated))
            series.update({f"probe_{name}": value for name, value in sums.logs.items()})
        if self._tap is not None and self._tap.failure:
            self._mark_unmeasured(self._tap.failure)
        self._write(measures, series, histograms)
        if sums is not None and self._gallery is not None:
            self._gallery.write(self._writer, self._step)

    def _gradient_measures(self, taken: StepSums) -> dict[str, np.ndarray]:
        owned = [i for i, v in enumerate(taken.variables) if id(v) in self._owners]
        owners = np.array([self._owners[id(taken.variables[i])] for i in owned], int)
        return statistics.gradient_measures(taken.sums[owned], owners, len(self._layers))

    def _histograms(self, taken: StepSums) -> dict[str, np.ndarray]:
        totals: dict[int, np.ndarray] = {}
        for variable, counts in zip(taken.variables, taken.histograms, strict=True):
            owner = self._owners.get(id(variable))
            if owner is not None:
                totals[owner] = totals.get(owner, 0) + counts
        names = list(self._layers)
        return {names[i]: statistics.histogram_buckets(c) for i, c in sorted(totals.items())}

    def _learning_rate(self) -> float:
        optimizer = getattr(self._model, "optimizer", None)
        rate = getattr(optimizer, "learning_rate", None)
        return math.nan if rate is None else float(keras.ops.convert_to_numpy(rate))

    def _mark_unmeasured(self, reason: str) -> None:
        names = [n for n in METRIC_NAMES if n not in _PROBE_METRICS]
        if any(self._not_measured.get(name) != reason for name in names):
            self._not_measured.update(dict.fromkeys(names, reason))
            self._manifest = None

    # Storing and judging.

    def _write(
        self,
        measures: Mapping[str, np.ndarray] | None,
        series: Mapping[str, float],
        histograms: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        stats = None
        if measures:
            stats = np.full((len(METRIC_NAMES), len(self._layers)), np.nan, np.float32)
            for row, name in enumerate(METRIC_NAMES):
                if name in measures and name in self._metrics:
                    stats[row] = measures[name]
        now = time.time()
        if self._manifest is None:
            self._manifest = self._make_manifest()
        self._writer.step(
            self._step,
            manifest=self._manifest,
            stats=stats,
            series=series,
            histograms=histograms,
            scalars=_aggregates(measures or {}, series),
            wall_time=now,
        )
        self._rows.add(self._step, now, stats, series)

    def _make_manifest(self) -> dict[str, Any]:
        cadences = {
            name: min(
                (getattr(r, name) for r in self._parts.values() if getattr(r, name)), default=0
            )
            for name in ("every", "probe_every")
        }
        return schema.manifest(
            self._architecture,
            METRIC_NAMES,
            thresholds=self._thresholds,
            versions={name: metadata.version(name) for name in _PACKAGES if _installed(name)},
            not_measured=self._not_measured,
            probe_samples=self._probe.size if self._probe else 0,
            monitor=cadences,
        )

    def _judge(self, finished: bool = False) -> None:
        if not self._rows:
            return
        trace = self._rows.trace(
            METRIC_NAMES,
            self._architecture,
            not_measured=self._not_measured,
            probe_samples=self._probe.size if self._probe else 0,
        )
        report = check(trace, thresholds=self._thresholds)
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        cost = {"seconds": self._seconds, "share": min(1.0, self._seconds / elapsed)}
        self._writer.report(self._step, report.to_json(), finished=finished, cost=cost)
        new = [f for f in report.findings if (f.rule, f.layer, f.severity) not in self._announced]
        if not new:
            return
        self._announced.update((f.rule, f.layer, f.severity) for f in new)
        self._writer.flush()
        if any(request.announce for request in self._parts.values()):
            for finding in new:
                print(f"\n{announcement(finding)}", flush=True)

    def _fail(self, error: Exception) -> None:
        self._failed = True
        _log.warning(
            "tfdiag stopped recording to %s, and training goes on without it: %s: %s. Please "
            "report this with the traceback below.",
            self.log_dir,
            type(error).__name__,
            error,
            exc_info=error,
        )
        tap = getattr(self, "_tap", None)
        if tap is not None:
            tap.detach()
        writer = getattr(self, "_writer", None)
        if writer is not None:
            writer.close()


_PACKAGES = ("tfdiag", "keras", "tensorflow", "tensorflow-cpu", "numpy", "tensorboard")


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _aggregates(
    measures: Mapping[str, np.ndarray], series: Mapping[str, float]
) -> dict[str, float]:
    """Returns the few numbers that TensorBoard's own tabs show too."""
    shown = {
        name: series[name] for name in ("loss", "probe_loss", "gradient_norm") if name in series
    }
    for name in ("update_ratio", "dead_fraction", "saturated_fraction"):
        values = measures.get(name)
        if values is not None and np.isfinite(values).any():
            shown[f"{name}_max"] = float(np.nanmax(values))
    return shown


def _same(one: ProbeSet, other: ProbeSet) -> bool:
    if one is other:
        return True
    parts = [keras.tree.flatten((probe.x, probe.y)) for probe in (one, other)]
    return len(parts[0]) == len(parts[1]) and all(
        np.array_equal(a, b) for a, b in zip(*parts, strict=True)
    )
