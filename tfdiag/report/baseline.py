"""A run beside a good one: what the good one does not have, and key numbers of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfdiag.rules import Report
from tfdiag.rules.patience import last_measured
from tfdiag.trace import SEVERITIES, Finding, Trace


@dataclass(frozen=True)
class Comparison:
    """What a run has that its baseline has not.

    Attributes:
        name: of the baseline.
        new: findings that the baseline does not have, or has milder.
        gone: findings of the baseline that this run does not have.
        numbers: title to the number of this run and of the baseline, where both have one.
    """

    name: str
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    numbers: dict[str, tuple[float, float]]


def compare(report: Report, trace: Trace, baseline: Report, other: Trace, name: str) -> Comparison:
    """Compares a run with a good one.

    Args:
        report: what was found in the run.
        trace: the run.
        baseline: what was found in the good run.
        other: the good run.
        name: its name.
    """
    ours, theirs = key_numbers(trace), key_numbers(other)
    return Comparison(
        name=name,
        new=_without(report, baseline),
        gone=_without(baseline, report),
        numbers={
            title: (ours.get(title, math.nan), theirs.get(title, math.nan))
            for title in {**ours, **theirs}
            if not math.isnan(ours.get(title, math.nan) * theirs.get(title, math.nan))
        },
    )


def _without(report: Report, other: Report) -> tuple[Finding, ...]:
    """Returns the findings of `report` that `other` does not have, or has milder."""
    known: dict[tuple[str, str | None], int] = {}
    for finding in (*other.findings, *(one.finding for one in other.suppressed)):
        place = finding.rule, finding.layer
        known[place] = max(known.get(place, -1), SEVERITIES.index(finding.severity))
    return tuple(
        finding
        for finding in report.findings
        if known.get((finding.rule, finding.layer), -1) < SEVERITIES.index(finding.severity)
    )


def key_numbers(trace: Trace) -> dict[str, float]:
    """Returns a run's key numbers; nan where it has none."""
    worst: list[tuple[str, str, Callable[[Any], Any]]] = [
        ("smallest gradient RMS of a layer", "gradient_rms", np.min),
        ("median update ratio", "update_ratio", np.median),
        ("most dead units of a layer", "dead_fraction", np.max),
        ("most saturated units of a layer", "saturated_fraction", np.max),
    ]
    series = {name: _finite(values) for name, values in trace.series.items()}
    of_loss = [name for name in ("loss", "probe_loss") if name in series]
    best = {f"lowest {_words(name)}": _of(np.min, series[name]) for name in of_loss}
    shown = ("loss", "probe_loss", "probe_accuracy", "gradient_norm", "learning_rate")
    last = {f"last {_words(name)}": _last(series[name]) for name in shown if name in series}
    return {
        "last step": float(trace.steps[-1]) if len(trace.steps) else math.nan,
        **best,
        **last,
        **{
            title: _of(reduce, _finite(last_measured(trace.columns[name])))
            for title, name, reduce in worst
            if name in trace.columns
        },
    }


def _words(name: str) -> str:
    return name.replace("_", " ")


def _finite(values: Any) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def _last(values: np.ndarray) -> float:
    return float(values[-1]) if len(values) else math.nan


def _of(reduce: Callable[[Any], Any], values: np.ndarray) -> float:
    return float(reduce(values)) if len(values) else math.nan
