"""Appends a run's measurements to an event file, from a thread of its own."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from tfdiag.storage import event, histograms, schema, values
from tfdiag.storage.event import Value

#: Longest time for which a record waits in memory before it is on disk, in seconds, and
#: `GATHER_SECONDS`.
FLUSH_SECONDS = 2.0
#: Longest time for which a full queue, or `close`, keeps the caller waiting, in seconds.
PATIENCE_SECONDS = 30.0
#: Records gather for this time before they are packed, in seconds: a thread that wakes for each one
#: finds nothing of its own in the processor's caches, and takes three times as long.
GATHER_SECONDS = 0.25
#: Records that may wait for a slow disk before the caller has to wait too.
WAITING_RECORDS = 1000

Job = Callable[[], None]
Build = Callable[[], list[Value]]

_log = logging.getLogger(__name__)
_file_numbers = itertools.count()
_TOO_SLOW = TimeoutError(f"the disk did not take a record within {PATIENCE_SECONDS:g} seconds")


class Records(Protocol):
    """A file of records, such as `tf.io.TFRecordWriter`."""

    def write(self, record: bytes) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class RunWriter:
    """Appends what is measured in one run to one event file.

    A call costs its caller a queue entry: packing and writing happen in a thread of the
    writer's own. So arrays and mappings that are passed must not be changed afterwards. The
    file is opened at the first record. Everything recorded is on disk some `FLUSH_SECONDS`
    later, and before the process ends, even by Ctrl-C.

    Methods never raise. A failure, such as a full disk, is logged once; recording stops.

    Each tag has one record per step. Where a tag is recorded at the step that it recorded last,
    the first record stays; but of layers' measures and reports the last one is taken by readers.
    A smaller step is a restart: readers drop what was recorded from that step on.

    Attributes:
        log_dir: folder of the run.
        error: why recording stopped, or None.
    """

    def __init__(self, log_dir: str | os.PathLike[str], open_records: Callable[[str], Records]):
        """Prepares a writer; nothing is on disk yet.

        Args:
            log_dir: folder of the run, made when it is missing. An address such as
                "gs://bucket/run" is passed on to `open_records` as it is.
            open_records: opens a new file of records at a path.
        """
        self.log_dir = os.fspath(log_dir)
        self.error: str | None = None
        self._open_records = open_records
        self._queue: queue.Queue[Job | None] = queue.Queue(WAITING_RECORDS)
        self._hurry = threading.Event()  # set where no more is to gather
        self._thread: threading.Thread | None = None
        self._closed = False
        self._records: Records | None = None
        self._unflushed_since: float | None = None
        self._last_steps: dict[str, int] = {}
        self._histogram_numbers = {kind: itertools.count() for kind in histograms.KINDS}
        self._manifest: tuple[Mapping[str, Any], bytes] = ({}, b"")

    def step(
        self,
        step: int,
        *,
        manifest: Mapping[str, Any],
        stats: np.ndarray | None,
        series: Mapping[str, float],
        histograms: Mapping[str, np.ndarray] | None = None,
        scalars: Mapping[str, float] | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Records what was measured at one step.

        Args:
            step: optimizer step.
            manifest: what `schema.manifest` returned. The same object in each call is cheapest:
                it is encoded anew only when another one is passed.
            stats: `float32[M, L]`, the manifest's metrics and layers; nan means "not measured".
                None if this step only has series.
            series: name to a number for the whole model. Series that are measured together are
                stored together.
            histograms: names of `tfdiag.storage.histograms.KINDS`, of those that were taken, to
                `float64[L, BINS]`: entries of each layer per bin, all zero where it has none.
            scalars: name to a number that TensorBoard's own tabs show as "tfdiag/<name>".
            wall_time: seconds since the Unix epoch; now if it is None.
        """

        def build() -> list[Value]:
            content = b"" if stats is None else self._encode(manifest)
            found = values.measurements(content, stats, series, scalars or {})
            for kind, counts in (histograms or {}).items():
                found += self._histograms(kind, manifest, counts)
            return found

        self._record(step, wall_time, build)

    def cams(
        self,
        step: int,
        *,
        content: Mapping[str, Any],
        maps: np.ndarray,
        predictions: np.ndarray,
        images: np.ndarray,
        pngs: Mapping[str, tuple[int, int, bytes]] | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Records what the model looks at in `N` probe samples.

        Args:
            step: optimizer step.
            content: {"layer": name, "method": name, "samples": [{"name": str, "true": int}]}.
            maps: `float16[N, 2, h, w]`, raw maps of the true and of the predicted class.
            predictions: `float32[N, 3]`: predicted class, its probability, the probability of
                the true class.
            images: `uint8[N, H, W, C]`, the samples; stored once.
            pngs: sample's name to the width and height in pixels and the bytes of a PNG that
                TensorBoard's own tabs show as "tfdiag/gradcam/<name>".
            wall_time: seconds since the Unix epoch; now if it is None.
        """
        build = partial(values.cams, content, maps, predictions, images, pngs or {})
        self._record(step, wall_time, build)

    def predictions(
        self,
        step: int,
        *,
        content: Mapping[str, Any],
        predictions: np.ndarray,
        wall_time: float | None = None,
    ) -> None:
        """Records what the model predicts for `N` probe samples.

        Args:
            step: optimizer step.
            content: {"kind": "classes" or "values", "rows": `N` numbers of samples, "true": `N`
                classes or values, "features": `N` rows of numbers, or None}.
            predictions: of classes `float32[N, 3]`: predicted class, its probability, the
                probability of the true class; of values `float32[N, 1]`. nan where the output is
                not finite.
            wall_time: seconds since the Unix epoch; now if it is None.
        """
        self._record(step, wall_time, partial(values.predictions, content, predictions))

    def report(
        self,
        step: int,
        report_json: Mapping[str, Any],
        *,
        finished: bool,
        cost: Mapping[str, float] | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Records what the rules say.

        Args:
            step: optimizer step of the last record that the rules have seen.
            report_json: the report, as JSON without NaN.
            finished: True if training has ended.
            cost: what monitoring has cost: {"seconds": float, "share": float in [0, 1]}.
            wall_time: seconds since the Unix epoch; now if it is None.
        """
        self._record(step, wall_time, partial(values.report, report_json, finished, cost))

    def flush(self) -> None:
        """Asks the thread to bring what was recorded to disk; does not wait for it."""
        self._submit(self._flush)
        self._hurry.set()

    def close(self) -> None:
        """Brings everything to disk and closes the file; waits `PATIENCE_SECONDS` at most."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        if self._thread is None or not self._thread.is_alive():
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=PATIENCE_SECONDS)
        self._hurry.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._fail(_TOO_SLOW)

    def _record(self, step: int, wall_time: float | None, build: Build) -> None:
        when = time.time() if wall_time is None else wall_time
        self._submit(partial(self._write, step, when, build))

    def _submit(self, job: Job) -> None:
        if self._closed or self.error:
            return
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tfdiag-writer", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            if self._queue.qsize() > WAITING_RECORDS // 2:
                self._hurry.set()
            self._queue.put(job, timeout=PATIENCE_SECONDS)
        except queue.Full:
            self._fail(_TOO_SLOW)
        except RuntimeError as error:  # no thread can be started any more: Python is ending
            self._fail(error)

    def _run(self) -> None:
        """Does the jobs of the queue; the rest of the class below runs in this thread only."""
        while (job := self._next()) is not None:
            self._attempt(job)
            if self._until_flush() == 0:
                self._attempt(self._flush)
        self._attempt(self._close_records)

    def _next(self) -> Job | None:
        """Returns the next job, None at the end; lets several gather where none waits yet."""
        if self._queue.empty():
            self._hurry.wait(GATHER_SECONDS)
            self._hurry.clear()
        try:
            return self._queue.get(timeout=self._until_flush())
        except queue.Empty:
            return self._flush

    def _attempt(self, job: Job) -> None:
        if self.error:
            return
        try:
            job()
        except Exception as error:  # whatever it is, training must go on
            self._fail(error)
            with contextlib.suppress(Exception):
                self._close_records()  # what was recorded before stays

    def _fail(self, error: Exception) -> None:
        if self.error:
            return
        self.error = f"{type(error).__name__}: {error}"
        _log.error(
            "tfdiag stopped recording to %s, and training goes on without it: %s. Check that the "
            "folder can be written and that the disk has space, then start the run again.",
            self.log_dir,
            self.error,
        )

    def _write(self, step: int, wall_time: float, build: Build) -> None:
        new = [value for value in build() if self._is_new(value.tag, int(step))]
        if not new:
            return
        packed = event.pack(int(step), wall_time, new, known=self._last_steps)
        if self._records is None:
            self._records = _open(self.log_dir, self._open_records, wall_time)
        self._records.write(packed)
        self._last_steps.update({value.tag: int(step) for value in new})
        if self._unflushed_since is None:
            self._unflushed_since = time.monotonic()

    def _is_new(self, tag: str, step: int) -> bool:
        if tag == schema.IMAGES:
            return tag not in self._last_steps
        replaced = tag == schema.REPORT or tag.startswith(schema.STATS)
        return replaced or self._last_steps.get(tag) != step

    def _until_flush(self) -> float:
        if self._unflushed_since is None or self.error:
            return FLUSH_SECONDS
        return max(0.0, self._unflushed_since + FLUSH_SECONDS - time.monotonic())

    def _flush(self) -> None:
        if self._records is not None and self._unflushed_since is not None:
            self._records.flush()
            self._unflushed_since = None

    def _close_records(self) -> None:
        records, self._records = self._records, None
        if records is not None:
            records.close()

    def _histograms(
        self, name: str, manifest: Mapping[str, Any], counts: np.ndarray
    ) -> list[Value]:
        if not counts.any():
            return []
        kind = histograms.KINDS[name]
        layers = tuple(layer["name"] for layer in manifest["architecture"]["layers"])
        counts = histograms.whole(layers, counts)
        shown = next(self._histogram_numbers[name]) % histograms.NATIVE_EVERY == 0
        native = histograms.native(kind, layers, counts) if shown else []
        return [histograms.packed(kind, layers, counts), *native]

    def _encode(self, manifest: Mapping[str, Any]) -> bytes:
        if manifest is not self._manifest[0]:
            self._manifest = (manifest, schema.encode(manifest))
        return self._manifest[1]


def is_recorded(log_dir: str) -> bool:
    """Returns whether a folder on this machine holds a recording already."""
    return os.path.isdir(log_dir) and any(n.endswith(schema.SUFFIX) for n in os.listdir(log_dir))


def _open(log_dir: str, open_records: Callable[[str], Records], wall_time: float) -> Records:
    """Opens a new event file in `log_dir`; names sort in the order of their start."""
    name = (
        f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}."
        f"{next(_file_numbers):04d}{schema.SUFFIX}"
    )
    if "://" in log_dir:
        path = f"{log_dir.rstrip('/')}/{name}"
    else:
        os.makedirs(log_dir, exist_ok=True)
        path = os.path.join(log_dir, name)
    records = open_records(path)
    records.write(event.header(wall_time))
    return records
