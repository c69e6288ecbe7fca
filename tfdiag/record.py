"""What was recorded of one training: rows in memory for the rules, a file for everybody else."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorboard
import tensorflow as tf

import tfdiag
from tfdiag.instruments import Instruments, Measurement
from tfdiag.metrics import METRIC_NAMES
from tfdiag.rules import Report
from tfdiag.storage import schema
from tfdiag.storage.writer import RunWriter
from tfdiag.trace import Trace, TraceRows


class RunRecord:
    """The record of one training.

    Args:
        log_dir: folder that the file is written to.
        instruments: what measures; their model may get more layers.
        rows: what was measured before, in an earlier training of the same model.
        metrics: names of the measures that are asked for.
        thresholds: rule's id to all of its thresholds.
        probe_samples: number of samples in the probe set; 0 if there is none.
        monitor: cadence and budget, as they are to stand in the file.
    """

    def __init__(
        self,
        log_dir: str,
        instruments: Instruments,
        rows: TraceRows,
        *,
        metrics: frozenset[str],
        thresholds: Mapping[str, Mapping[str, Any]],
        probe_samples: int,
        monitor: Mapping[str, Any],
    ):
        self._instruments = instruments
        self._rows = rows
        self._metrics = metrics
        self._thresholds = thresholds
        self._probe_samples = probe_samples
        self._monitor = monitor
        self._manifest: dict[str, Any] | None = None
        self._writer = RunWriter(log_dir, tf.io.TFRecordWriter)

    def measured(self, step: int, found: Measurement, planned: int, *, layers: bool = True) -> None:
        """Records what was measured at a step.

        Args:
            step: training steps made.
            found: what was measured.
            planned: step at which training is to end; 0 if that is not known.
            layers: whether that was a look at the layers, not only numbers of the whole model.
        """
        now = time.time()
        stats = self._matrix(found.columns) if layers else None
        self._writer.step(
            step,
            manifest=self._current_manifest(planned),
            stats=self._rows.add(step, now, stats, found.series),
            series=found.series,
            histograms=found.histograms,
            scalars=found.aggregates(),
            wall_time=now,
        )

    def seen(
        self, step: int, snapshot: Mapping[str, Any] | None, predictions: Mapping[str, Any] | None
    ) -> None:
        """Records the Grad-CAM images and the predictions of a look, where there are some."""
        if snapshot is not None:
            self._writer.cams(step, **snapshot)
        if predictions is not None:
            self._writer.predictions(step, **predictions)

    def judged(
        self, step: int, report: Report, *, cost: Mapping[str, float], finished: bool, urgent: bool
    ) -> None:
        """Records what the rules say; brings it to disk at once if it is urgent."""
        self._writer.report(step, report.to_json(), finished=finished, cost=cost)
        if urgent:
            self._writer.flush()

    def trace(self, planned: int) -> Trace:
        """Returns all that was measured so far; `planned` as for `measured`."""
        return self._rows.trace(
            METRIC_NAMES,
            self._instruments.architecture,
            not_measured=self._not_measured(),
            probe_samples=self._probe_samples,
            planned_steps=planned,
            data=self._instruments.data,
        )

    def flush(self) -> None:
        """Asks for what was recorded to be brought to disk."""
        self._writer.flush()

    def close(self) -> None:
        """Brings everything to disk and closes the file."""
        self._writer.close()

    def _matrix(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        asked = {name: columns[name] for name in columns if name in self._metrics}
        layers = len(self._instruments.architecture.layers)
        unmeasured = np.full(layers, np.nan, np.float32)
        return np.stack([asked.get(name, unmeasured) for name in METRIC_NAMES])

    def _current_manifest(self, planned: int) -> dict[str, Any]:
        not_measured = self._not_measured()
        if self._manifest is None or self._manifest["not_measured"] != not_measured:
            self._manifest = schema.manifest(
                self._instruments.architecture,
                METRIC_NAMES,
                thresholds=self._thresholds,
                versions=_versions(),
                not_measured=not_measured,
                probe_samples=self._probe_samples,
                planned_steps=planned,
                data=self._instruments.data,
                monitor=self._monitor,
            )
        return self._manifest

    def _not_measured(self) -> dict[str, str]:
        unasked = (name for name in METRIC_NAMES if name not in self._metrics)
        reasons = dict.fromkeys(unasked, "no callback of this recording asks for it")
        return {**reasons, **self._instruments.not_measured}


@functools.cache
def _versions() -> dict[str, str]:
    """Returns what is installed; the modules know it, while to ask their packages takes 10 ms."""
    modules = (tfdiag, keras, tf, np, tensorboard)
    return {module.__name__: module.__version__ for module in modules}
