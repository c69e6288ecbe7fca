"""What a user wants done about findings, and what is told of them outside of the recording."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from tfdiag.alerts import checked_url
from tfdiag.metrics import METRICS
from tfdiag.report import headline
from tfdiag.rules import ALL_RULES, Report
from tfdiag.rules.outcome import finding_json
from tfdiag.trace import SEVERITIES, Finding, Trace

LAST_HEALTHY = "last-healthy"
#: Severities that training can be stopped at. What is only to be watched is no reason.
_STOPPING = ("critical", "warn")
_NONFINITE = {metric.name: metric.nonfinite for metric in METRICS}
#: Names in an epoch's logs begin with this.
HEALTH = "health/"


@dataclass(frozen=True)
class Context:
    """Where and when something was found.

    Attributes:
        log_dir: folder of the run.
        step: training steps made when it was found; the trouble may have begun before.
    """

    log_dir: str
    step: int


#: Is told of each new finding.
OnFinding = Callable[[Finding, Context], Any]


@dataclass(frozen=True)
class Actions:
    """What one callback wants done about findings.

    Attributes:
        on_finding: called with each new finding, and when it has become worse; or None.
        stop_on: "critical" or "warn": severity that training is stopped at; or None.
        restore: "last-healthy", or None.
        restore_bytes: memory that the last healthy state may take.
        alert: address that new findings are posted to; or None.

    Raises:
        ValueError: if one of them is wrong.
    """

    on_finding: OnFinding | None = None
    stop_on: str | None = None
    restore: str | None = None
    restore_bytes: int = 2**30
    alert: str | None = None

    def __post_init__(self) -> None:
        if self.on_finding is not None and not callable(self.on_finding):
            raise ValueError(
                f"`on_finding` must be a function on_finding(finding, context), but got "
                f"{self.on_finding!r}."
            )
        if self.stop_on is not None and self.stop_on not in _STOPPING:
            raise ValueError(
                f"`stop_on` is the severity that training is stopped at, so it must be one of "
                f"{list(_STOPPING)} or None, but got {self.stop_on!r}."
            )
        if self.restore is not None and self.restore != LAST_HEALTHY:
            raise ValueError(
                f"`restore` must be {LAST_HEALTHY!r} or None, but got {self.restore!r}."
            )
        size = self.restore_bytes
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"`restore_bytes` is the memory that the last healthy weights and optimizer state "
                f"may take, so it must be an integer of at least 1, but got {size!r}. Use "
                "restore_bytes=2**30 for 1 GiB."
            )
        if self.alert is not None:
            checked_url(self.alert)

    def __bool__(self) -> bool:
        """Returns whether there is anything to do."""
        return any((self.on_finding, self.stop_on, self.restore, self.alert))


def stopping(report: Report, stop_on: Iterable[str]) -> list[Finding]:
    """Returns the findings of a severity at which training is to be stopped, or worse."""
    ranks = [SEVERITIES.index(severity) for severity in stop_on]
    return [f for f in report.findings if ranks and SEVERITIES.index(f.severity) >= min(ranks)]


def is_healthy(report: Report | None) -> bool:
    """Returns whether no critical finding is open."""
    return report is None or not stopping(report, ["critical"])


def alert(finding: Finding, report: Report, context: Context) -> dict[str, Any]:
    """Returns what is posted of a finding, JSON without NaN; "text" is what chats show."""
    run = os.path.basename(os.path.normpath(context.log_dir)) or context.log_dir
    catalogue = {rule.id: rule for rule in ALL_RULES}
    title = headline(finding, catalogue.get(finding.rule), report.facts)
    return {
        "text": f"{run}: {finding.severity}: {title}. {finding.message}",
        "run": run,
        "step": context.step,
        "headline": title,
        "finding": {"rule": finding.rule, **finding_json(finding)},
    }


def health(report: Report | None, trace: Trace | None, since: int = -1) -> dict[str, float]:
    """Returns what an epoch's logs say of health: always the same names.

    Args:
        report: the last one; None if nothing was judged.
        trace: what was measured; None if nothing was.
        since: only what was measured after this step counts, as the one at which the epoch began.

    Returns:
        Numbers of open findings; and of each measure the last one, the largest over the layers
        if it has layers. nan is "not measured", or not finite.
    """
    return {
        **{f"{HEALTH}{severity}": _open(report, severity) for severity in _STOPPING},
        f"{HEALTH}dead_fraction_max": _largest(trace, "dead_fraction", since),
        f"{HEALTH}update_ratio_max": _largest(trace, "update_ratio", since),
        f"{HEALTH}gradient_norm": _norm(trace, since),
    }


def _open(report: Report | None, severity: str) -> float:
    if report is None:
        return math.nan
    return float(sum(finding.severity == severity for finding in report.findings))


def _largest(trace: Trace | None, metric: str, since: int) -> float:
    row = _last(trace, metric, since)
    if trace is None or row is None:
        return math.nan
    values = trace.columns[metric][row]
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else math.nan


def _norm(trace: Trace | None, since: int) -> float:
    row = _last(trace, "gradient_rms", since)
    if trace is None or row is None or "gradient_norm" not in trace.series:
        return math.nan
    return float(trace.series["gradient_norm"][row])


def _last(trace: Trace | None, metric: str, since: int) -> int | None:
    """Returns the last row where a measure was taken, finite or not: its count says so."""
    counts = None if trace is None else trace.columns.get(_NONFINITE[metric])
    if trace is None or counts is None:
        return None
    (rows,) = np.nonzero(np.isfinite(counts).any(axis=1) & (trace.steps > since))
    return int(rows[-1]) if rows.size else None
