"""A run beside a good one: what the good one does not have, and key numbers of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfdiag.architecture import counterparts
from tfdiag.metrics import METRICS
from tfdiag.rules import Report
from tfdiag.rules.patience import last_measured
from tfdiag.rules.wording import number, share
from tfdiag.trace import SEVERITIES, Finding, Trace


@dataclass(frozen=True)
class KeyNumber:
    """A finite number of a run and of its baseline.

    Attributes:
        title: what it is.
        scale: as in `Metric`.
        run: that of the run.
        baseline: that of the baseline.
    """

    title: str
    scale: str
    run: float
    baseline: float

    @property
    def told(self) -> tuple[str, str]:
        """That of the run and that of the baseline as people read them."""
        write = _share if self.scale == "share" else number
        return write(self.run), write(self.baseline)


def _share(value: float) -> str:
    """Returns a share as the tab writes it: below 10 % with a decimal, which tells two runs apart.

    >>> _share(0.0146), _share(0.0112), _share(0.02), _share(0.0997), _share(0.0004)
    ('1.5 %', '1.1 %', '2 %', '10 %', '0.04 %')
    """
    percent = 100 * value
    tells_more = 0.1 <= percent < 9.95 and not percent.is_integer()
    return f"{percent:.1f} %" if tells_more else share(value)


@dataclass(frozen=True)
class Comparison:
    """What a run has that its baseline has not.

    Attributes:
        name: of the baseline.
        new: findings that the baseline does not have, or has milder.
        gone: findings of the baseline that this run does not have.
        numbers: of both, where both have them.
    """

    name: str
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    numbers: tuple[KeyNumber, ...]


@dataclass(frozen=True)
class Beside:
    """The findings of a run and of its baseline, paired by rule and layer; worst first.

    Attributes:
        both: the run's and the baseline's, of which one may be suppressed.
        run: what only the run has.
        baseline: what only the baseline has.
    """

    both: tuple[tuple[Finding, Finding], ...]
    run: tuple[Finding, ...]
    baseline: tuple[Finding, ...]


def compare(report: Report, trace: Trace, baseline: Report, other: Trace, name: str) -> Comparison:
    """Compares a run with a good one.

    Args:
        report: what was found in the run.
        trace: the run.
        baseline: what was found in the good run.
        other: the good run.
        name: its name.
    """
    pairs = _pairs(report, trace, baseline, other)
    back = _pairs(baseline, other, report, trace)
    return Comparison(
        name=name,
        new=tuple(ours for ours, theirs in pairs if _is_worse(ours, theirs)),
        gone=tuple(theirs for theirs, ours in back if _is_worse(theirs, ours)),
        numbers=numbers(trace, other),
    )


def beside(report: Report, trace: Trace, baseline: Report, other: Trace) -> Beside:
    """Returns which findings a run and its baseline share; arguments as those of `compare`."""
    pairs = _pairs(report, trace, baseline, other)
    back = _pairs(baseline, other, report, trace)
    suppressed = [one.finding for one in report.suppressed]
    return Beside(
        both=(
            *((ours, theirs) for ours, theirs in pairs if theirs),
            *((ours, theirs) for theirs, ours in back if ours in suppressed),
        ),
        run=tuple(ours for ours, theirs in pairs if theirs is None),
        baseline=tuple(theirs for theirs, ours in back if ours is None),
    )


def _pairs(
    report: Report, trace: Trace, other_report: Report, other: Trace
) -> list[tuple[Finding, Finding | None]]:
    """Returns each finding with the other run's worst of the same rule and layer, or None."""
    layers = counterparts(trace.architecture, other.architecture)
    worst: dict[tuple[str, str | None], Finding] = {}
    for finding in (*other_report.findings, *(one.finding for one in other_report.suppressed)):
        place = finding.rule, finding.layer
        if _is_worse(finding, worst.get(place)):
            worst[place] = finding
    return [
        (one, worst.get((one.rule, one.layer and layers.get(one.layer, one.layer))))
        for one in report.findings
    ]


def _is_worse(finding: Finding, other: Finding | None) -> bool:
    if other is None:
        return True
    return SEVERITIES.index(finding.severity) > SEVERITIES.index(other.severity)


def numbers(trace: Trace, other: Trace) -> tuple[KeyNumber, ...]:
    """Returns the key numbers that both runs have."""
    ours, theirs = key_numbers(trace), key_numbers(other)
    return tuple(
        KeyNumber(title, _scale(scale, value, theirs[title, scale]), value, theirs[title, scale])
        for (title, scale), value in ours.items()
        if not math.isnan(value + theirs.get((title, scale), math.nan))
    )


def _scale(usual: str, *values: float) -> str:
    return "linear" if usual == "log" and min(values) < 0 else usual


def key_numbers(trace: Trace) -> dict[tuple[str, str], float]:
    """Returns a run's key numbers by title and usual scale; nan where it has none."""
    worst: list[tuple[str, str, Callable[[Any], Any]]] = [
        ("smallest gradient RMS of a layer", "gradient_rms", np.min),
        ("median update ratio", "update_ratio", np.median),
        ("most dead units of a layer", "dead_fraction", np.max),
        ("most saturated units of a layer", "saturated_fraction", np.max),
    ]
    scales = {metric.name: metric.scale for metric in METRICS} | {"probe_accuracy": "share"}
    series = {name: _finite(values) for name, values in trace.series.items()}
    of_loss = [name for name in ("loss", "probe_loss") if name in series]
    shown = ("loss", "probe_loss", "probe_accuracy", "gradient_norm", "learning_rate")
    return {
        ("last step", "count"): float(trace.steps[-1]) if len(trace.steps) else math.nan,
        **{(f"lowest {_words(name)}", "log"): _of(np.min, series[name]) for name in of_loss},
        **{
            (f"last {_words(name)}", scales.get(name, "log")): _last(series[name])
            for name in shown
            if name in series
        },
        **{
            (title, scales[name]): _of(reduce, _finite(last_measured(trace.columns[name])))
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
