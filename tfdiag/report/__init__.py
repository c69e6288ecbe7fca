"""A report in words: the verdict, what to try first, for a terminal and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tfdiag.report import diagnoses
from tfdiag.report.runs import Run
from tfdiag.report.signs import SIGNS
from tfdiag.report.terminal import announcements, closing, text
from tfdiag.report.titles import title
from tfdiag.report.verdicts import TryFirst, Verdict, applies, headline, verdict, verdict_of
from tfdiag.rules import ALL_RULES, Report, Rule, resolve_thresholds
from tfdiag.rules.causes import sources
from tfdiag.rules.diagnosis import diagnose
from tfdiag.rules.outcome import HEALTHY, NOT_EVALUATED, finding_json
from tfdiag.trace import SEVERITIES, Finding

__all__ = [
    "SIGNS",
    "TryFirst",
    "Verdict",
    "announcements",
    "as_json",
    "closing",
    "counts",
    "headline",
    "limits",
    "run_as_json",
    "text",
    "verdict",
]


def counts(report: Report) -> dict[str, int]:
    """Returns the number of findings by severity, and of rules by what else came of them."""
    severities = Counter(finding.severity for finding in report.findings)
    outcomes = Counter((one.outcome, applies(one, report)) for one in report.outcomes)
    return {
        **{severity: severities[severity] for severity in reversed(SEVERITIES)},
        "healthy": outcomes[HEALTHY, True],
        "not_evaluated": outcomes[NOT_EVALUATED, True],
        "not_applicable": outcomes[NOT_EVALUATED, False],
    }


def as_json(report: Report, rules: Iterable[Rule] = ALL_RULES) -> dict[str, Any]:
    """Returns verdict, diagnosis, counts, findings, rules and what is suppressed: see docs/http.md.

    The facts of the report are joined with the texts of `rules`. A rule that is not among them
    (a newer tfdiag recorded it) has its id as title and no advice.
    """
    rules = tuple(rules)
    catalogue = {rule.id: rule for rule in rules}
    told = diagnose(report)
    judged = asdict(verdict_of(told, report, rules))
    return {
        "verdict": judged,
        "diagnosis": diagnoses.as_json(told, report, rules, judged["try_first"]),
        "counts": counts(report),
        "findings": [
            _finding(finding, source, catalogue, report.facts)
            for finding, source in zip(report.findings, sources(report), strict=True)
        ],
        "rules": [
            {
                "id": outcome.rule,
                "title": title(outcome.rule, catalogue),
                "outcome": outcome.outcome,
                "applies": applies(outcome, report),
                "reason": outcome.reason,
                "step": report.step,
                "exempt": dict(outcome.exempt),
            }
            for outcome in report.outcomes
        ],
        "suppressed": [
            {**_finding(one.finding, None, catalogue, report.facts), "reason": one.reason}
            for one in report.suppressed
        ],
    }


def run_as_json(run: Run, rules: Iterable[Rule] = ALL_RULES) -> dict[str, Any]:
    """Returns a run as `tfdiag check --format json` shows it; `comparison` may be null."""
    told = run.comparison
    rules = tuple(rules)
    return {
        "logdir": run.logdir,
        "run": run.name,
        "step": run.report.step,
        **as_json(run.report, rules),
        "comparison": told
        and {
            "baseline": told.name,
            "new": [{"rule": one.rule, **finding_json(one)} for one in told.new],
            "gone": [{"rule": one.rule, **finding_json(one)} for one in told.gone],
            "numbers": [asdict(one) for one in told.numbers],
        },
    }


def _finding(
    finding: Finding,
    source: Finding | None,
    catalogue: Mapping[str, Rule],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    rule = catalogue.get(finding.rule)
    return {
        **finding_json(finding),
        "rule": finding.rule,
        "title": title(finding.rule, catalogue),
        "why": rule.why if rule else "",
        "advice": list(rule.case(finding, facts).advice) if rule else [],
        "follows": {"rule": source.rule, "layer": source.layer} if source else None,
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
                    "patience": resolved[rule.id].get("patience"),
                    "instead": limit.instead,
                    "once": limit.once,
                }
            )
    return lines
