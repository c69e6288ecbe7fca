"""What tfdiag says of a recorded run, as its user is told while it trains.

Recordings are judged anew, so other rules and thresholds need no training. Needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.runs import Run
from tfdiag import check, load
from tfdiag.rules.causes import heads
from tfdiag.trace import SEVERITIES, Finding, Trace

Thresholds = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Alarm:
    """A finding at "warn" or above, when it is told first.

    Attributes:
        rule: id of the rule.
        layer: name of the layer; None if it is about the whole model.
        severity: the worst that it comes to.
        told: training step after which it is told.
        lasts: True if it is still found at the end of the training.
        message: the evidence.
    """

    rule: str
    layer: str | None
    severity: str
    told: int
    lasts: bool
    message: str


@dataclass(frozen=True)
class Verdict:
    """What is said of one run.

    Attributes:
        run: the run.
        alarms: in the order in which they are told.
        shown: number of findings at the end, of any severity.
        watched: ids of the rules that only watch something at the end.
        heads: number of rules with a finding at the end that follows from no other rule's: what the
            tab shows at once, up to three of them.
    """

    run: Run
    alarms: tuple[Alarm, ...]
    shown: int
    watched: tuple[str, ...]
    heads: int = 0

    @property
    def told(self) -> float | None:
        """Share of the training after which the first alarm is told; None without one."""
        if not self.alarms:
            return None
        return min(1.0, min(alarm.told for alarm in self.alarms) / max(self.run.steps, 1))


def judge(run: Run, place: Path, thresholds: Thresholds | None = None) -> Verdict:
    """Judges a run whenever the monitor does."""
    trace = load(place)
    ends = moments(trace, run)
    alarms: dict[tuple[str, str | None], Alarm] = {}
    last: tuple[Finding, ...] = ()
    at_once = 0
    for end in ends:
        report = check(until(trace, end), thresholds=thresholds)
        last = report.findings
        at_once = len(heads(report))
        now = {(f.rule, f.layer): f for f in sorted(last, key=_rank) if f.severity != "watch"}
        for place_of, finding in now.items():
            first = alarms.get(place_of)
            worst = max([finding, *([first] if first else [])], key=_rank).severity
            told = first.told if first else end
            alarms[place_of] = Alarm(*place_of, worst, told, end == ends[-1], finding.message)
    loud = {finding.rule for finding in last if finding.severity != "watch"}
    return Verdict(
        run,
        tuple(sorted(alarms.values(), key=lambda alarm: alarm.told)),
        shown=len(last),
        watched=tuple(sorted({finding.rule for finding in last} - loud)),
        heads=at_once,
    )


def moments(trace: Trace, run: Run) -> list[int]:
    """Returns the steps after which a run is judged: at each look and at the end of each epoch.

    The first look is at the untrained model.
    """
    looks = trace.steps[np.isfinite(trace.series.get("probe_loss", trace.steps * np.nan))]
    epochs = range(run.epoch_steps, run.steps, run.epoch_steps)
    return sorted({0, *map(int, looks), *epochs, run.steps})


def _rank(found: Finding | Alarm) -> int:
    return SEVERITIES.index(found.severity)


def until(trace: Trace, step: int) -> Trace:
    """Returns what was known of a run after a training step."""
    rows = int((trace.steps <= step).sum())
    return replace(
        trace,
        steps=trace.steps[:rows],
        columns={name: values[:rows] for name, values in trace.columns.items()},
        series={name: values[:rows] for name, values in trace.series.items()},
        wall_times=trace.wall_times[:rows],
    )
