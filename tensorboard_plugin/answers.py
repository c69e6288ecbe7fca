"""The answers of docs/http.md, made of recordings. Pure: no request, no TensorBoard."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from tensorboard_plugin.experiment import Listed, newest_stats
from tfdiag import export
from tfdiag import report as reports
from tfdiag.architecture import Architecture, counterparts
from tfdiag.comparison import partings
from tfdiag.config import Config
from tfdiag.errors import TfdiagError
from tfdiag.metrics import METRICS
from tfdiag.report import catalogue
from tfdiag.report.baseline import beside, numbers
from tfdiag.report.markdown import markdown as as_markdown
from tfdiag.report.runs import Run
from tfdiag.rules import (
    ALL_RULES,
    Outcome,
    Report,
    known_thresholds,
    resolve_thresholds,
)
from tfdiag.rules.outcome import NOT_EVALUATED
from tfdiag.settings import Settings, compared, settings
from tfdiag.storage import schema
from tfdiag.storage.decoder import (
    Recording,
    Tag,
    damaged,
    decode_report,
    ended,
    read_report,
    report_text,
)
from tfdiag.storage.decoder import Report as StoredReport
from tfdiag.storage.snapshots import Cams, Predictions
from tfdiag.trace import Trace

T = TypeVar("T")


def as_json(answer: Mapping[str, Any]) -> str:
    """Returns `answer` as JSON without NaN: that is null."""
    try:
        return json.dumps(answer, allow_nan=False, default=_plain)
    except ValueError:  # a NaN that is in no array
        return json.dumps(schema.plain(answer), allow_nan=False)


def _plain(value: Any) -> Any:
    """Returns what JSON itself does not know as `schema.plain` does, a long array at once."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        numbers = value.astype(object)  # of Python's own floats
        numbers[~np.isfinite(value)] = None
        return numbers.tolist()
    return schema.plain(value)


def run_summary(
    name: str, start_time: float | None, tags: Mapping[str, Listed], report: Tag | None
) -> dict[str, Any]:
    """Returns one entry of `api/runs`.

    Args:
        start_time: seconds since the Unix epoch.
        tags: the run's tags; empty if it has no recording.
        report: the tag of the reports, if there are any.
    """
    empty = ("start_time", "last_time", "last_step", "finished", "verdict", "counts", "error")
    summary: dict[str, Any] = {"run": name, "recorded": False, **dict.fromkeys(empty)}
    stats = newest_stats(tags)
    if stats is None:
        return summary
    summary["recorded"] = True
    summary["start_time"] = start_time
    series = [tag for name, tag in tags.items() if name.startswith(schema.SERIES)]
    latest = max((stats, *series), key=lambda tag: tag.last_time)
    summary["last_time"] = latest.last_time
    summary["last_step"] = latest.last_step
    try:
        check_version(stats.content)
        standing = _standing(report_text(report))
        newest = report is not None and report.records[-1].wall_time >= stats.last_time
        summary.update(standing, finished=standing["finished"] and newest)
    except TfdiagError as error:
        summary["error"] = str(error)
    return summary


@lru_cache(maxsize=256)
def check_version(content: bytes) -> None:
    """Raises TfdiagError if a manifest is none, or of a newer schema."""
    schema.decode(content)


@lru_cache(maxsize=1024)  # the tab asks for all runs every few seconds, and few have changed
def _standing(text: bytes | None) -> dict[str, Any]:
    """Returns what a stored report says in short: verdict, counts, whether training has ended."""
    stored = None if text is None else read_report(text)
    judged = _judged(stored and stored.json)
    finished = stored is not None and stored.finished
    return {"verdict": judged["verdict"], "counts": judged["counts"], "finished": finished}


def run(
    name: str,
    recording: Recording,
    report: Tag | None,
    since: int | None = None,
) -> dict[str, Any]:
    """Returns the answer of `api/run`.

    Args:
        report: the tag of the reports, if there are any.
        since: only what was recorded from this step on, of all that grows; None for all.

    Raises:
        TfdiagError: if the report or the thresholds are damaged.
    """
    trace = recording.trace
    new = _from(trace, since)
    stored, words = _told(report_text(report))
    return {
        "run": name,
        "recording": recording.id,
        "start_time": trace.wall_times[0],
        "last_time": trace.wall_times[-1],
        "last_step": trace.steps[-1],
        "finished": ended(stored, report, recording.last_measured),
        **words,
        "model": _model(trace.architecture),
        "metrics": _metrics(recording),
        "steps": trace.steps[new],
        "wall_times": trace.wall_times[new],
        "series": {series: values[new] for series, values in trace.series.items()},
        "probe_samples": trace.probe_samples,
        "versions": recording.versions,
        "monitor": recording.monitor,
        "cost": stored and stored.cost,
    }


@lru_cache(maxsize=16)  # to find what led to what takes longer than all the rest of the answer
def _told(text: bytes | None) -> tuple[StoredReport | None, dict[str, Any]]:
    """Returns a stored report, and verdict, counts, findings and rules in words."""
    stored = None if text is None else read_report(text)
    return stored, _judged(stored and stored.json)


def judged(name: str, recording: Recording, report: Tag | None, choice: Config) -> dict[str, Any]:
    """Returns the answer of `api/judge`: the run, judged anew with the user's choice.

    Args:
        report: the tag of the reports, if there are any: what was switched off in the run's own
            configuration stays so.

    Raises:
        TfdiagError: if the report or the recorded thresholds are damaged.
    """
    stored = decode_report(report)
    chosen = choice.added_to(Report.from_json(stored.json)) if stored else choice
    found = chosen.check_again(recording.trace, recording.thresholds)
    recorded = resolve_thresholds(known_thresholds(recording.thresholds))
    exempt = {outcome.rule: outcome.exempt for outcome in found.outcomes}
    return {
        "run": name,
        "recording": recording.id,
        **reports.as_json(found),
        "thresholds": catalogue.adjustable(ALL_RULES, recorded, recording.trace, exempt),
        "toml": export.as_toml(choice),
        "callback": export.as_callback(choice.thresholds),
    }


def metric(recording: Recording, name: str, since: int | None = None) -> bytes:
    """Returns the answer of `api/metric`.

    Args:
        since: only what was recorded from this step on; None for all.

    Raises:
        KeyError: if this run has none of it.
    """
    trace = recording.trace
    new = _from(trace, since)
    values = trace.columns[name][new]
    return (
        np.array([*values.shape, zlib.crc32(recording.id.encode()), 0], "<u4").tobytes()
        + trace.steps[new].astype("<f8").tobytes()
        + trace.wall_times[new].astype("<f8").tobytes()
        + values.astype("<f4").tobytes()
    )


def layer(recording: Recording, name: str) -> bytes:
    """Returns the answer of `api/layer`; a metric that this run has none of is nan throughout."""
    trace = recording.trace
    at, missing = trace.layers.index(name), np.full(len(trace.steps), np.nan)
    values = [
        trace.columns[metric.name][:, at] if metric.name in trace.columns else missing
        for metric in METRICS
    ]
    return (
        np.array([len(trace.steps), len(METRICS)], "<u4").tobytes()
        + trace.steps.astype("<f8").tobytes()
        + np.array(values, "<f4").tobytes()
    )


def _from(trace: Trace, since: int | None) -> slice:
    return slice(0 if since is None else int(np.searchsorted(trace.steps, since)), None)


def markdown(name: str, report_json: Mapping[str, Any]) -> str:
    """Returns the answer of `api/report`: what `tfdiag check --format markdown` writes.

    Raises:
        TfdiagError: if the report is damaged.
    """
    return _worded(lambda: as_markdown([Run("", name, Report.from_json(report_json))])) + "\n"


def histograms(
    layer: str, kind: str, steps: np.ndarray, buckets: list[np.ndarray]
) -> dict[str, Any]:
    """Returns the answer of `api/histograms`.

    Args:
        kind: "gradients" or "weights".
        steps: `int[S]`.
        buckets: for each step `float64[K, 3]`: left, right, count.
    """
    return {"layer": layer, "kind": kind, "steps": steps, "buckets": buckets}


def predictions(found: Predictions) -> dict[str, Any]:
    """Returns the answer of `api/predictions`."""
    first = found.predictions[:, :, 0]
    of_classes = found.kind == "classes"
    return {
        "kind": found.kind,
        "steps": found.steps,
        "samples": found.samples,
        "predicted": _classes(first) if of_classes else first,
        "confidence": found.predictions[:, :, 1] if of_classes else None,
        "true_confidence": found.predictions[:, :, 2] if of_classes else None,
    }


def none(reason: str) -> dict[str, Any]:
    """Returns the answer where a run has none of what was asked for, and nothing is wrong."""
    return {"reason": reason}


def cams(found: Cams) -> dict[str, Any]:
    """Returns the answer of `api/cams`."""
    return {
        "steps": found.steps,
        "layer": found.layer,
        "method": found.method,
        "samples": found.samples,
        "predicted": _classes(found.predictions[:, :, 0]),
        "confidence": found.predictions[:, :, 1],
        "true_confidence": found.predictions[:, :, 2],
        "map_size": found.maps.shape[3:],
        "image_size": found.images.shape[1:],
    }


def cam_maps(found: Cams) -> bytes:
    """Returns the answer of `api/cams/maps`."""
    header = np.array([*found.maps.shape, 0], "<u4")
    return header.tobytes() + found.maps.astype("<f4").tobytes()


def cam_images(found: Cams) -> bytes:
    """Returns the answer of `api/cams/images`."""
    return np.array(found.images.shape, "<u4").tobytes() + found.images.tobytes()


def _classes(numbers: np.ndarray) -> list[list[int | None]]:
    return [[int(c) if math.isfinite(c) else None for c in row] for row in numbers]


def losses(found: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, Any]:
    """Returns the answer of `api/losses`.

    Args:
        found: some steps of each run with their loss.
    """
    return {
        "runs": {
            run: {
                "steps": [step for step, _ in points],
                "loss": np.array([loss for _, loss in points]),
            }
            for run, points in found.items()
        }
    }


def unjudged() -> Report:
    """Returns the report of a run whose rules have not said anything yet."""
    reason = "the rules have not judged this run yet"
    outcomes = tuple(Outcome(rule.id, NOT_EVALUATED, reason) for rule in ALL_RULES)
    return Report(step=0, outcomes=outcomes)


def compare(run: str, ours: Recording, baseline: str, theirs: Recording) -> dict[str, Any]:
    """Returns the answer of `api/compare`.

    Raises:
        TfdiagError: if a report is damaged.
    """
    layers = counterparts(theirs.trace.architecture, ours.trace.architecture)
    told = compared(_settings(ours, {}), _settings(theirs, layers))
    return {
        "run": run,
        "baseline": baseline,
        "partings": [asdict(one) for one in partings(ours.trace, theirs.trace, _found_in(ours))],
        "settings": [asdict(one) for one in told],
        "findings": _findings_beside(ours, theirs),
        "numbers": [asdict(one) for one in numbers(ours.trace, theirs.trace)],
    }


def _settings(recording: Recording, names: Mapping[str, str]) -> Settings:
    return settings(
        recording.trace,
        thresholds=recording.thresholds,
        versions=recording.versions,
        monitor=recording.monitor,
        names=names,
    )


def _found_in(recording: Recording) -> dict[str, int]:
    """Returns the layers in which something was found, each with the first step of it."""
    first: dict[str, int] = {}
    report = recording.report_json and Report.from_json(recording.report_json)
    for finding in report.findings if report else ():
        if finding.layer is not None:
            first[finding.layer] = min(finding.step, first.get(finding.layer, finding.step))
    return first


def _findings_beside(ours: Recording, theirs: Recording) -> dict[str, Any] | None:
    """Returns the findings of two runs beside each other; None before both were judged."""
    if ours.report_json is None or theirs.report_json is None:
        return None
    reports_of = [Report.from_json(one) for one in (ours.report_json, theirs.report_json)]
    found = beside(reports_of[0], ours.trace, reports_of[1], theirs.trace)
    run, baseline = (_findings_in_words(report) for report in reports_of)
    return {
        "both": [{"run": run[id(a)], "baseline": baseline[id(b)]} for a, b in found.both],
        "run": [run[id(one)] for one in found.run],
        "baseline": [baseline[id(one)] for one in found.baseline],
    }


def _findings_in_words(report: Report) -> dict[int, dict[str, Any]]:
    """Returns each finding of a report, suppressed or not, by its identity."""
    words = _worded(lambda: reports.as_json(report))
    found = (*report.findings, *(one.finding for one in report.suppressed))
    told = (*words["findings"], *words["suppressed"])
    return {id(one): json for one, json in zip(found, told, strict=True)}


def _model(architecture: Architecture) -> dict[str, Any]:
    """Returns what the tab shows of a model: all but the options, which only rules read."""
    return {
        "layers": [
            {name: value for name, value in vars(layer).items() if name != "options"}
            for layer in architecture.layers
        ],
        "loss": architecture.loss,
        "optimizer": architecture.optimizer,
        "settings": architecture.settings,
    }


def _judged(report_json: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns verdict, counts, findings and rules."""
    if report_json is None:
        return reports.as_json(unjudged())
    return _worded(lambda: reports.as_json(Report.from_json(report_json)))


def _worded(words: Callable[[], T]) -> T:
    """Returns what `words` makes of a stored report; says so if that is damaged."""
    try:
        return words()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise damaged(f"its report cannot be put in words ({error})") from error


def _metrics(recording: Recording) -> list[dict[str, Any]]:
    """Returns the catalogue of the metrics with what this run adds: its limits and its gaps."""
    trace = recording.trace
    limits = _limits(recording.thresholds)
    return [
        {
            **asdict(metric),
            "not_measured": trace.not_measured.get(metric.name)
            or (None if metric.name in trace.columns else "this recording does not have it"),
            "limits": limits.get(metric.name, []),
        }
        for metric in METRICS
    ]


def _limits(thresholds: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    try:
        return reports.limits(known_thresholds(thresholds))
    except ValueError as error:
        raise damaged(str(error)) from error
