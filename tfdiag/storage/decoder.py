"""What a recording says once its tags are read: the one decoder of command line and TensorBoard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.errors import TfdiagError
from tfdiag.storage import schema
from tfdiag.trace import Trace

#: Most numbers that one recording may fill in memory: 1 GiB of float32.
MAX_NUMBERS = 2**28


class Record(NamedTuple):
    """One array of a tag: at which optimizer step, when (seconds since the Unix epoch), what."""

    step: int
    wall_time: float
    array: np.ndarray


class Tag(NamedTuple):
    """A tag's content, as its first record has it, and its records in the order of writing."""

    content: bytes
    records: list[Record]


@dataclass(frozen=True, eq=False)
class Recording:
    """One recorded run.

    Attributes:
        id: changes with the model or the settings of the monitor.
        trace: what was measured.
        last_measured: when its layers were last measured, in seconds since the Unix epoch.
        thresholds: rule's id to the thresholds that the run was recorded with.
        versions: package's name to its version.
        monitor: the monitor's own settings.
        report_json: the newest report of the rules; None if there is none.
        finished: True if training ended after the newest measurement.
        cost: {"seconds": float, "share": float} of the monitoring, and {"every": int,
            "probe_every": int}, its cadence at the end, 0 for "at the beginning and the end";
            None if it is not known.
        other_models: number of recordings of other models in the same folder; left aside.
    """

    id: str
    trace: Trace
    last_measured: float
    thresholds: dict[str, dict[str, Any]]
    versions: dict[str, str]
    monitor: dict[str, Any]
    report_json: dict[str, Any] | None
    finished: bool
    cost: dict[str, float] | None
    other_models: int


class Report(NamedTuple):
    """A stored report: its JSON, whether training had ended, and what monitoring had cost."""

    json: dict[str, Any]
    finished: bool
    cost: dict[str, float] | None


class Head(NamedTuple):
    """A tag's content, and the time of its last record in seconds since the Unix epoch."""

    content: bytes
    last_time: float


def decode(tags: Mapping[str, Tag]) -> Recording:
    """Returns the recording that `tags` hold.

    Where several models were recorded, the newest one counts, with all that was recorded of the
    same layers before other settings of the monitor, or of its plan, changed the manifest. Series
    are laid over the union of all steps, with nan where a step has none.

    Raises:
        TfdiagError: if there is no recording, or it is damaged, or of a newer schema.
    """
    stats = {
        name: tag for name, tag in tags.items() if name.startswith(schema.STATS) and tag.records
    }
    last_times = {name: in_order(tag.records)[-1].wall_time for name, tag in stats.items()}
    model = _newest_model(
        {name: Head(tag.content, last_times[name]) for name, tag in stats.items()}
    )
    records = _joined(stats[name] for name in model.tags)
    recording = _recording(model, _series_tags(tags), records, partial(_columns, records))
    return with_report(recording, tags.get(schema.REPORT))


def decode_in_parts(
    heads: Mapping[str, Head],
    tags: Mapping[str, Tag],
    read: Callable[[tuple[str, ...]], Mapping[str, Tag]],
) -> Recording:
    """Returns what `decode` does, but reads the measures of layers when one is first looked at.

    They are nearly all of a recording's bytes. Without them its steps are those of the series,
    which come with every matrix; so all series must be there, none left out by sampling.

    Args:
        heads: the tags of `schema.STATS`; their records are not needed yet.
        tags: those of `schema.SERIES`.
        read: returns the tags that it is given the names of, with their records. Steps that
            were added meanwhile are left aside.

    Raises:
        TfdiagError: as `decode`; for a damaged matrix when a measure is looked at.
    """
    model = _newest_model(heads)

    def later(metrics: list[str], *grid: Any) -> Mapping[str, np.ndarray]:
        return _Later(metrics, lambda: _columns(_matrices(read(model.tags)), metrics, *grid))

    return _recording(model, _series_tags(tags), [], later)


def _matrices(tags: Mapping[str, Tag]) -> list[Record]:
    if not any(tag.records for tag in tags.values()):
        raise TfdiagError(
            "The measures of this run's layers are gone: it was removed, or is being recorded "
            "anew. Reload the page."
        )
    return _joined(tags.values())


class _Model(NamedTuple):
    """The model that was recorded last: the names of its tags, newest first, and its manifest."""

    tags: tuple[str, ...]
    manifest: dict[str, Any]
    last_measured: float
    others: int


def _newest_model(heads: Mapping[str, Head]) -> _Model:
    if not heads:
        raise TfdiagError(
            "No tfdiag recording is here: nothing was measured yet, or the run was trained without "
            "HealthMonitor. Pass callbacks=[tfdiag.HealthMonitor(log_dir)] to model.fit."
        )
    newest = max(heads, key=lambda name: heads[name].last_time)
    manifest = schema.decode_manifest(heads[newest].content)
    shown = _rows_and_columns(manifest)
    same = [
        name
        for name, head in heads.items()
        if name != newest and _rows_and_columns(schema.decode_manifest(head.content)) == shown
    ]
    others = len(heads) - len(same) - 1
    return _Model((newest, *same), manifest, heads[newest].last_time, others)


#: Makes `Trace.columns` of names of measures, steps, their times and a number of layers.
_MakeColumns = Callable[[list[str], np.ndarray, np.ndarray, int], Mapping[str, np.ndarray]]


def _recording(
    model: _Model, series: list[Tag], stats: list[Record], columns: _MakeColumns
) -> Recording:
    """Returns a recording without its report.

    Args:
        series: the tags of `schema.SERIES`.
        stats: the matrices, as far as they are read.
        columns: makes the trace's.
    """
    manifest = model.manifest
    return Recording(
        id=model.tags[0].removeprefix(schema.STATS),
        trace=_trace(manifest, series, stats, columns),
        last_measured=model.last_measured,
        thresholds=manifest["thresholds"],
        versions=manifest["versions"],
        monitor=manifest["monitor"],
        report_json=None,
        finished=False,
        cost=None,
        other_models=model.others,
    )


def _series_tags(tags: Mapping[str, Tag]) -> list[Tag]:
    return [tag for name, tag in tags.items() if name.startswith(schema.SERIES)]


def _joined(tags: Iterable[Tag]) -> list[Record]:
    """Returns the records of several tags as one sequence, oldest first."""
    records = chain.from_iterable(tag.records for tag in tags)
    return sorted(records, key=lambda record: record.wall_time)


def with_report(recording: Recording, tag: Tag | None) -> Recording:
    """Returns the recording with what its newest report says.

    Args:
        tag: that of `schema.REPORT`.

    Raises:
        TfdiagError: if the report is damaged, or of a newer schema.
    """
    report = decode_report(tag)
    return replace(
        recording,
        report_json=report and report.json,
        finished=ended(report, tag, recording.last_measured),
        cost=report and report.cost,
    )


def _rows_and_columns(manifest: dict[str, Any]) -> tuple[list[str], tuple[str, ...]]:
    """Returns what the numbers in the matrix of a manifest are of."""
    return manifest["metrics"], manifest["architecture"].names


def in_order(records: Iterable[Record]) -> list[Record]:
    """Returns the records that count, with strictly increasing steps.

    After a restart from a checkpoint, steps come again: a record replaces all earlier ones from
    its step on. (TensorBoard's Rust server does the same, its Python server does not.)

    >>> [r.wall_time for r in in_order([Record(s, t, None) for t, s in enumerate([1, 2, 3, 2])])]
    [0, 3]
    """
    kept: list[Record] = []
    for record in records:
        while kept and kept[-1].step >= record.step:
            kept.pop()
        kept.append(record)
    return kept


def current(records: Iterable[Record], steps: np.ndarray, wall_times: np.ndarray) -> list[Record]:
    """Returns the records in order, without those from before a restart.

    Args:
        records: those of one tag.
        steps: `int[S]`, increasing, of measurements that count.
        wall_times: `float[S]`, their times. Where a smaller step has a later time, training
            started again from there, so what is older and further was undone.
    """
    latest = np.maximum.accumulate(np.append(-np.inf, wall_times))
    ordered = in_order(records)
    earlier = latest[_positions(ordered, steps)]  # the latest time at which a step was smaller
    return [
        record
        for record, last in zip(ordered, earlier.tolist(), strict=True)
        if not last > record.wall_time
    ]


def decode_report(tag: Tag | None) -> Report | None:
    """Returns the newest report of `schema.REPORT`; None if there is none.

    Raises:
        TfdiagError: if it is damaged, or of a newer schema.
    """
    text = report_text(tag)
    return None if text is None else read_report(text)


def report_text(tag: Tag | None) -> bytes | None:
    """Returns the newest report of `schema.REPORT` as it is stored; None if there is none.

    Raises:
        TfdiagError: if it is not one text.
    """
    if tag is None or not tag.records:
        return None
    array = tag.records[-1].array
    if array.shape != (1,) or not isinstance(array[0], (bytes, str)):
        raise damaged("the report is not one text")
    return array[0].encode() if isinstance(array[0], str) else array[0]


def read_report(text: bytes) -> Report:
    """Returns the report that `text` holds.

    Raises:
        TfdiagError: if it is damaged, or of a newer schema.
    """
    content = schema.decode(text)
    report, finished, cost = (content.get(key) for key in ("report", "finished", "cost"))
    if not isinstance(report, dict) or not isinstance(finished, bool):
        raise damaged("the report has no `report` or `finished`")
    if cost is not None and not _is_cost(cost):
        raise damaged("the report's `cost` is not {seconds, share, every, probe_every}")
    return Report(report, finished, cost)


def ended(report: Report | None, tag: Tag | None, last_time: float) -> bool:
    """Returns True if the newest report says that training ended, and nothing came after it.

    Args:
        report: what `tag` says.
        tag: that of `schema.REPORT`.
        last_time: when the matrix was last recorded, in seconds since the Unix epoch.
    """
    return bool(tag and report and report.finished and tag.records[-1].wall_time >= last_time)


def damaged(what: str) -> TfdiagError:
    """Returns the error for a recording that no `RunWriter` can have written."""
    return TfdiagError(
        f"The recording is damaged: {what}. Remove its event file, or record the run again."
    )


def array_of(record: Record, dtype: type, shape: Sequence[int | None]) -> np.ndarray:
    """Returns the record's array.

    Raises:
        TfdiagError: if it is not of this dtype and shape; None in `shape` is any size.
    """
    array = record.array
    fits = array.shape == shape or (
        len(array.shape) == len(shape)
        and all(wanted in (None, size) for size, wanted in zip(array.shape, shape, strict=True))
    )
    if array.dtype != dtype or not fits:
        raise damaged(
            f"step {record.step} has {array.dtype}{list(array.shape)} where "
            f"{np.dtype(dtype)}{list(shape)} was expected"
        )
    return array


def _is_cost(cost: Any) -> bool:
    return (
        isinstance(cost, dict)
        and {"seconds", "share"} <= set(cost) <= {"seconds", "share", "every", "probe_every"}
        and all(isinstance(value, (int, float)) for value in cost.values())
    )


def _trace(
    manifest: dict[str, Any], tags: list[Tag], stats: list[Record], columns: _MakeColumns
) -> Trace:
    architecture: Architecture = manifest["architecture"]
    records = sorted([*_joined(tags), *stats], key=lambda record: record.wall_time)
    counting = in_order(records)
    steps = np.array([record.step for record in counting], np.int64)
    wall_times = np.array([record.wall_time for record in counting], np.float64)
    series = [
        (schema.decode_series(tag.content), current(tag.records, steps, wall_times)) for tag in tags
    ]
    check_size(len(manifest["metrics"]) * len(steps) * len(architecture.layers))
    return Trace(
        steps=steps,
        architecture=architecture,
        columns=columns(manifest["metrics"], steps, wall_times, len(architecture.layers)),
        series=_series(series, steps),
        wall_times=wall_times,
        not_measured=manifest["not_measured"],
        probe_samples=manifest["probe_samples"],
        planned_steps=manifest["planned_steps"],
        data=manifest["data"],
    )


def _columns(
    stats: list[Record],
    metrics: list[str],
    steps: np.ndarray,
    wall_times: np.ndarray,
    layers: int,
) -> dict[str, np.ndarray]:
    """Returns `Trace.columns`; matrices of other steps are left aside."""
    matrix = np.full((len(steps), len(metrics), layers), np.nan, np.float32)  # copied row by row
    rows = {step: row for row, step in enumerate(steps.tolist())}
    for record in current(stats, steps, wall_times):
        if record.step in rows:
            matrix[rows[record.step]] = array_of(record, np.float32, (len(metrics), layers))
    return {name: matrix[:, row] for row, name in enumerate(metrics)}


class _Later(Mapping[str, np.ndarray]):
    """Measures by name, all of them made when the first one is asked for."""

    def __init__(self, names: list[str], make: Callable[[], dict[str, np.ndarray]]):
        self._names = names
        self._make: Callable[[], dict[str, np.ndarray]] | None = make
        self._columns: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        with self._lock:
            if self._make is not None:
                self._columns, self._make = self._make(), None
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _series(
    series: list[tuple[list[str], list[Record]]], steps: np.ndarray
) -> dict[str, np.ndarray]:
    check_size(sum(len(names) for names, _ in series) * len(steps))
    columns: dict[str, np.ndarray] = {}
    for names, records in series:
        values = [array_of(record, np.float32, (len(names),)) for record in records]
        positions = _positions(records, steps)
        for name, column in zip(names, _transposed(values, len(names)), strict=True):
            columns.setdefault(name, np.full(len(steps), np.nan, np.float32))
            columns[name][positions] = column
    return columns


def _transposed(rows: list[np.ndarray], width: int) -> np.ndarray:
    return np.array(rows, np.float32).reshape(len(rows), width).T


def _positions(records: list[Record], steps: np.ndarray) -> np.ndarray:
    return np.searchsorted(steps, [record.step for record in records])


def check_size(numbers: int) -> None:
    """Raises TfdiagError if so many numbers are more than one recording may fill in memory."""
    if numbers > MAX_NUMBERS:
        raise TfdiagError(
            f"The recording would fill {numbers:,} numbers, but at most {MAX_NUMBERS:,} are read. "
            "Record less often, with HealthMonitor(every=...) of a larger number."
        )
