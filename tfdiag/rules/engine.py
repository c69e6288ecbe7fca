"""Runs rules on a trace. A rule may fail, training may not."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tfdiag.metrics import METRICS
from tfdiag.rules.curves import is_complete, lost_since
from tfdiag.rules.outcome import EXEMPT, FOUND, HEALTHY, NEVER_FINITE, NOT_EVALUATED, Outcome
from tfdiag.rules.patience import streak_start
from tfdiag.rules.progress import progress, share, warmed_up
from tfdiag.rules.rule import CannotJudge, Need, NotApplicable, Rule
from tfdiag.trace import Finding, Trace

_COUNTS = {metric.name: metric.nonfinite for metric in METRICS}
_log = logging.getLogger(__name__)


def outcome(rule: Rule, trace: Trace, thresholds: Mapping[str, Any]) -> Outcome:
    """Returns what comes of `rule`, whatever happens inside it.

    Args:
        thresholds: all of the rule's thresholds, as `thresholds.resolve` gives them. A warm-up is
            cut short in a short training: see `warmed_up`.
    """
    if "warm_up" in thresholds:
        thresholds = {**thresholds, "warm_up": warmed_up(trace, thresholds["warm_up"])}
    if rule.at_end and is_complete(trace):
        thresholds = _without_waiting(rule, trace, thresholds)
    exempt: dict[str, str] = {}
    try:
        unfit = rule.unfit(trace) if rule.unfit else None
        if unfit is not None:
            return Outcome(rule.id, NOT_EVALUATED, unfit, dict.fromkeys(trace.layers, unfit))
        exempt = _exempt(rule, trace)
        reason = _why_not(rule, trace, exempt, thresholds)
        if reason is not None:
            return Outcome(rule.id, NOT_EVALUATED, reason, exempt)
        found = [
            replace(finding, rule=rule.id) for finding in _judge(rule, trace, exempt, thresholds)
        ]
    except NotApplicable as error:
        exempt = dict.fromkeys(trace.layers, str(error))
        return Outcome(rule.id, NOT_EVALUATED, str(error), exempt)
    except CannotJudge as error:
        return Outcome(rule.id, NOT_EVALUATED, str(error), exempt)
    except Exception as error:
        _log.exception("rule %s failed", rule.id)
        return Outcome(rule.id, NOT_EVALUATED, f"the rule failed: {error}", exempt)
    if not found and "patience" in thresholds:  # it judges what lasts up to the end
        reason = _unseen_end(rule, trace, exempt)
        if reason is not None:
            return Outcome(rule.id, NOT_EVALUATED, reason, exempt)
    depth = {name: i for i, name in enumerate(trace.layers)}
    found.sort(key=lambda f: (f.step, depth.get(f.layer or "", -1)))
    return Outcome(rule.id, FOUND if found else HEALTHY, None, exempt, tuple(found))


def _without_waiting(rule: Rule, trace: Trace, thresholds: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the thresholds with as much patience as there are records, if these are too few."""
    rows = np.all([_rows(need, trace, {}) for need in rule.needs], axis=0)
    for warm_up in (thresholds["warm_up"], 0):
        records = int((rows & (trace.steps > warm_up)).sum())
        if records:
            patience = min(records, thresholds["patience"])
            return {**thresholds, "warm_up": warm_up, "patience": patience}
    return thresholds


def _judge(
    rule: Rule, trace: Trace, exempt: Mapping[str, str], thresholds: Mapping[str, Any]
) -> Iterable[Finding]:
    """Calls the rule with the columns that it declared, exempt layers masked with nan."""
    hidden = np.array([name in exempt for name in trace.layers], dtype=bool)
    declared = [name for need in rule.needs for name in _names(need)] + list(rule.uses)
    columns = {name: trace.columns[name] for name in declared if name in trace.columns}
    if hidden.any():
        columns = {name: _masked(values, hidden) for name, values in columns.items()}
    view = replace(trace, columns=columns)
    share(view, trace)
    return rule.judge(view, **thresholds)


def _masked(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[:, hidden] = np.nan
    return values


def _names(need: Need) -> tuple[str, ...]:
    return (need,) if isinstance(need, str) else need


def _columns(rule: Rule, trace: Trace) -> list[str]:
    """Returns the needed per-layer metrics that were recorded."""
    return [name for need in rule.needs for name in _names(need) if name in trace.columns]


def _exempt(rule: Rule, trace: Trace) -> dict[str, str]:
    columns = _columns(rule, trace)
    if not columns:
        reasons = {x.name: rule.exempt(x) for x in trace.architecture.layers if rule.exempt}
        return {name: reason for name, reason in reasons.items() if reason is not None}
    seen = np.any([np.isfinite(trace.columns[name]).any(axis=0) for name in columns], axis=0)
    nothing = np.full_like(trace.columns[columns[0]], np.nan)
    counts = [trace.columns.get(_COUNTS.get(name, name), nothing) for name in columns]
    ruined = np.any([(count > 0).any(axis=0) for count in counts], axis=0)
    visited = seen.any() or np.isfinite(counts).any()
    exempt = {}
    for i, layer in enumerate(trace.architecture.layers):
        reason = rule.exempt(layer) if rule.exempt else None
        if reason is None and visited and not seen[i]:
            reason = NEVER_FINITE if ruined[i] else rule.absent
        if reason is not None:
            exempt[layer.name] = reason
    return exempt


def _why_not(
    rule: Rule, trace: Trace, exempt: Mapping[str, str], thresholds: Mapping[str, Any]
) -> str | None:
    """Returns why the rule cannot be evaluated, or None if it can."""
    if not len(trace.steps):
        return "nothing was recorded yet"
    if _columns(rule, trace) and len(exempt) == len(trace.layers):
        if NEVER_FINITE not in exempt.values():
            common = Counter(exempt.values()).most_common(1)
            return f"{EXEMPT}{common[0][0]}" if common else "the model has no layers"
    for need in rule.needs:
        reasons = [_missing(name, trace) for name in _names(need)]
        if None not in reasons:
            return reasons[0]
    wanted, warm_up = thresholds.get("patience", 1), thresholds.get("warm_up", -1)
    late = trace.steps > warm_up
    records = (
        min(int((_rows(need, trace, exempt) & late).sum()) for need in rule.needs)
        if rule.needs
        else wanted
    )
    if records >= wanted:
        return None
    loss = progress(trace)
    if loss.state == "worse" and math.isnan(loss.last):
        return f"the loss is not finite since step {loss.since}"
    after = f" after step {warm_up}" if warm_up > 0 else ""
    return f"too few records{after}: {records} of {wanted}"


def _unseen_end(rule: Rule, trace: Trace, exempt: Mapping[str, str]) -> str | None:
    """Returns why a rule has not seen the end of a run: what it reads is not finite any more."""
    kept = [i for i, name in enumerate(trace.layers) if name not in exempt]
    for need in rule.needs:
        names = [name for name in _names(need) if _missing(name, trace) is None]
        since = [_lost_since(name, trace, kept) for name in names]
        lost = [step for step in since if step is not None]
        if lost and len(lost) == len(names):
            return f"what it reads is NaN or infinite since step {max(lost)}"
    return None


def _lost_since(name: str, trace: Trace, layers: list[int]) -> int | None:
    """Returns the step from which on a measure of all these layers, or a loss, is not finite."""
    if name in ("loss", "probe_loss"):
        return lost_since(trace, name)
    counts = trace.columns.get(_COUNTS.get(name, name))
    if counts is None or _COUNTS.get(name) == name or not layers:
        return None
    counts = counts[:, layers]
    measured = np.isfinite(counts).any(axis=1, keepdims=True)
    start = streak_start(~(counts == 0).any(axis=1, keepdims=True), measured, 1)[0]
    return None if start < 0 else int(trace.steps[start])


def _missing(name: str, trace: Trace) -> str | None:
    if name in trace.not_measured:
        return trace.not_measured[name]
    values = trace.columns.get(name, trace.series.get(name))
    if values is None:
        return f"{name} was not measured"
    return None if np.isfinite(values).any() else f"{name} has no finite value"


def _rows(need: Need, trace: Trace, exempt: Mapping[str, str]) -> np.ndarray:
    """Returns `bool[S]`, the records in which `need` was measured for a layer that counts."""
    kept = [i for i, name in enumerate(trace.layers) if name not in exempt]
    rows = np.zeros(len(trace.steps), dtype=bool)
    for name in _names(need):
        if name in trace.columns:
            values = trace.columns[name]
            values = values if len(kept) == len(trace.layers) else values[:, kept]
            rows |= np.isfinite(values).any(axis=1)
        elif name in trace.series:
            rows |= np.isfinite(trace.series[name])
    return rows
