"""A report in words: the verdict, what to try first, for a terminal and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfdiag.rules import ALL_RULES, Outcome, Report, Rule, resolve_thresholds
from tfdiag.rules.causes import explanation
from tfdiag.rules.outcome import finding_json
from tfdiag.rules.wording import count, number
from tfdiag.trace import SEVERITIES, Finding

#: Characters of a headline; the tab and TensorBoard's run list have no room for more.
_HEADLINE = 28
#: Findings of one rule that a terminal shows in full.
_SHOWN = 3
#: A severity's sign, so that colour is never the only one.
SIGNS = {"critical": "×", "warn": "!", "watch": "◇", "ok": "✓", "not-evaluated": "○"}


@dataclass(frozen=True)
class TryFirst:
    """The one thing to try first.

    Attributes:
        text: a sentence.
        code: code that does it, or None.
    """

    text: str
    code: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A run in one headline.

    Attributes:
        severity: "critical", "warn", "ok" (also if something is to watch) or
            "not-evaluated".
        title: subject, event, step; at most 28 characters.
        summary: at most three sentences; "Probably" where a cause is inferred.
        try_first: None if there is nothing to do.
    """

    severity: str
    title: str
    summary: str
    try_first: TryFirst | None = None


def verdict(report: Report, rules: Iterable[Rule] = ALL_RULES) -> Verdict:
    """Returns the headline of a report.

    Args:
        rules: where texts come from; a finding of an unknown rule has its id as headline.
    """
    catalogue = {rule.id: rule for rule in rules}
    troubles = [f for f in report.findings if f.severity != "watch"]
    if not troubles:
        return _without_trouble(report, catalogue)
    worst = troubles[0]
    cause, text = explanation(report.findings) or (None, worst.message.split(". ")[0].rstrip("."))
    others = grouped(f for f in troubles if f.rule != (cause or worst).rule)
    sentences = [f"{text}."]
    if others:
        sentences.append(f"Also found: {', '.join(others)}.")
    if worst.metric not in ("loss", "probe_loss"):
        sentences.append(_loss(report))
    return Verdict(
        severity=worst.severity,
        title=headline(worst, catalogue.get(worst.rule)),
        summary=" ".join(filter(None, sentences)),
        try_first=_try_first(cause or worst, report, catalogue),
    )


def _without_trouble(report: Report, catalogue: Mapping[str, Rule]) -> Verdict:
    judged = [o for o in report.outcomes if o.outcome != "not-evaluated"]
    silent = [o for o in report.outcomes if o.outcome == "not-evaluated"]
    if not judged:
        why = f" {silent[0].rule}: {silent[0].reason}." if silent else ""
        return Verdict("not-evaluated", "Not evaluated", f"No rule could be evaluated.{why}")
    unheard = [outcome for outcome in silent if not _inapplicable(outcome, report)]
    if len(unheard) > len(judged) and not report.findings:
        why = f"{unheard[0].rule}: {unheard[0].reason}"
        summary = f"{count(len(unheard), 'rule')} could not be evaluated yet. {why}."
        return Verdict("not-evaluated", "Too early to tell", summary)
    title = "Healthy"
    if report.findings:
        title = f"Healthy, {len(report.findings)} to watch"
    elif unheard:
        title = f"Healthy, {len(unheard)} not evaluated"
    sentences = [_loss(report)]
    if report.findings:
        sentences.append(f"To watch: {', '.join(grouped(report.findings))}.")
    else:
        sentences.append(f"{count(len(judged), 'rule')} found nothing.")
    if unheard:
        sentences.append(f"Not evaluated: {', '.join(o.rule for o in unheard)}.")
    first = report.findings[0] if report.findings else None
    return Verdict(
        "ok",
        title,
        " ".join(filter(None, sentences)),
        _try_first(first, report, catalogue) if first else None,
    )


def _inapplicable(outcome: Outcome, report: Report) -> bool:
    """Returns True if the rule has nothing to judge in this model: no gap in what we know."""
    layers = report.facts.get("layers")
    return bool(outcome.exempt) and len(outcome.exempt) == layers


def _loss(report: Report) -> str:
    first, last = (_fact(report, name) for name in ("loss_first", "loss_last"))
    if math.isnan(first + last):
        return ""
    of = "probe loss" if report.facts.get("loss") == "probe_loss" else "loss"
    if number(first) == number(last):
        return f"The {of} stayed at {number(last)}."
    verb = "fell" if last < first else "rose"
    return f"The {of} {verb} from {number(first)} to {number(last)}."


def _fact(report: Report, name: str) -> float:
    value = report.facts.get(name)
    return value if isinstance(value, float) and math.isfinite(value) else math.nan


def _try_first(finding: Finding, report: Report, catalogue: Mapping[str, Rule]) -> TryFirst | None:
    rule = catalogue.get(finding.rule)
    if rule is None or not rule.advice:
        return None
    code = rule.code(finding, report.facts) if callable(rule.code) else rule.code
    return TryFirst(rule.advice[0], code)


def headline(finding: Finding, rule: Rule | None) -> str:
    """Returns subject, event and step; a long layer name loses its beginning."""
    template = rule.verdict if rule else finding.rule
    layer = (finding.layer or "the model").split("/")[-1]
    room = _HEADLINE - len(template.format(layer="", step=finding.step))
    if "{layer}" in template and len(layer) > room:
        layer = "…" + layer[len(layer) - max(room - 1, 1) :]
    return template.format(layer=layer, step=finding.step)[:_HEADLINE] if rule else template


def grouped(findings: Iterable[Finding]) -> list[str]:
    """Returns one text per rule: "dead-relu dense", "vanishing-gradient 9 layers"."""
    layers: dict[str, list[str | None]] = {}
    for finding in findings:
        layers.setdefault(finding.rule, []).append(finding.layer)
    return [
        f"{rule} {names[0] or ''}".rstrip() if len(names) == 1 else f"{rule} {len(names)} layers"
        for rule, names in layers.items()
    ]


def counts(report: Report) -> dict[str, int]:
    """Returns the number of findings by severity, and of rules healthy and not evaluated."""
    severities = Counter(finding.severity for finding in report.findings)
    outcomes = Counter(outcome.outcome for outcome in report.outcomes)
    return {
        **{severity: severities[severity] for severity in reversed(SEVERITIES)},
        "healthy": outcomes["healthy"],
        "not_evaluated": outcomes["not-evaluated"],
    }


def as_json(report: Report, rules: Iterable[Rule] = ALL_RULES) -> dict[str, Any]:
    """Returns verdict, counts, findings and rules as docs/http.md describes them.

    The facts of the report are joined with the texts of `rules`. A rule that is not among them
    (a newer tfdiag recorded it) has its id as title and no advice.
    """
    rules = tuple(rules)
    catalogue = {rule.id: rule for rule in rules}
    return {
        "verdict": asdict(verdict(report, rules)),
        "counts": counts(report),
        "findings": [_finding(finding, catalogue) for finding in report.findings],
        "rules": [
            {
                "id": outcome.rule,
                "title": _title(outcome.rule, catalogue),
                "outcome": outcome.outcome,
                "reason": outcome.reason,
                "step": report.step,
                "exempt": dict(outcome.exempt),
            }
            for outcome in report.outcomes
        ],
    }


def _title(id: str, catalogue: Mapping[str, Rule]) -> str:
    return catalogue[id].title if id in catalogue else id


def _finding(finding: Finding, catalogue: Mapping[str, Rule]) -> dict[str, Any]:
    rule = catalogue.get(finding.rule)
    return {
        **finding_json(finding),
        "rule": finding.rule,
        "title": _title(finding.rule, catalogue),
        "why": rule.why if rule else "",
        "advice": list(rule.advice) if rule else [],
        "source": rule.source if rule else "",
    }


def limits(
    thresholds: Mapping[str, Mapping[str, Any]] | None = None, rules: Iterable[Rule] = ALL_RULES
) -> dict[str, list[dict[str, Any]]]:
    """Returns the lines in the charts: metric to `limits` as docs/http.md describes them.

    Args:
        thresholds: what the user set; None for the defaults.

    Raises:
        ValueError: as `resolve_thresholds`.
    """
    rules = tuple(rules)
    resolved = resolve_thresholds(thresholds, rules)
    lines: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        for limit in rule.limits:
            lines.setdefault(limit.metric, []).append(
                {
                    "severity": limit.severity,
                    "rule": rule.id,
                    "value": resolved[rule.id][limit.argument],
                    "above": limit.above,
                }
            )
    return lines


def announcement(finding: Finding, rules: Iterable[Rule] = ALL_RULES) -> str:
    """Returns what is printed once during training: two or three lines without a newline."""
    rule = {rule.id: rule for rule in rules}.get(finding.rule)
    lines = [_line(finding), f"  {finding.message}"]
    if rule and rule.advice and finding.severity != "watch":
        lines.append(f"  Try first: {rule.advice[0]}")
    return "\n".join(lines)


def _line(finding: Finding) -> str:
    where = f" {finding.layer}" if finding.layer else ""
    return (
        f"tfdiag {finding.severity}: {finding.rule}{where}, step {finding.step}: {finding.evidence}"
    )


def text(report: Report, rules: Iterable[Rule] = ALL_RULES) -> str:
    """Returns a report for a terminal, in plain words and without a final newline.

    Findings of one rule and severity are told once, with the first layers by name.
    """
    rules = tuple(rules)
    judged = verdict(report, rules)
    lines = [f"{SIGNS[judged.severity]} {judged.title}", f"  {judged.summary}"]
    if judged.try_first:
        lines.append(f"  Try first: {judged.try_first.text}")
        if judged.try_first.code:
            lines.append(f"    {judged.try_first.code}")
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.severity, finding.rule), []).append(finding)
    for (severity, rule), findings in groups.items():
        lines.append("")
        more = f" {len(findings)} layers" if len(findings) > 1 else ""
        lines.append(f"  {SIGNS[severity]} {severity}: {rule}{more}")
        lines += [f"    {finding.message}" for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            lines.append(f"    ... and {len(findings) - _SHOWN} more layers")
    silent = [o for o in report.outcomes if o.outcome == "not-evaluated"]
    if silent:
        lines.append("")
        lines += [f"  {SIGNS['not-evaluated']} {o.rule} not evaluated: {o.reason}" for o in silent]
    return "\n".join(lines)
