"""The answer of `api/rules`: what each rule says of each run, in short. Pure, as `answers` is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from tensorboard_plugin.answers import check_version, unjudged
from tensorboard_plugin.experiment import Listed, newest_stats
from tfdiag.errors import TfdiagError
from tfdiag.report.catalogue import OTHERS, group
from tfdiag.rules import ALL_RULES, Outcome, Report
from tfdiag.rules.outcome import NOT_EVALUATED
from tfdiag.storage.decoder import Tag, read_report, report_text

#: Findings of a cell, and layers of a reason, that are named; the others are only counted.
NAMED = 3
#: What is told of a finding.
_TOLD = ("severity", "layer", "step", "evidence", "metric")


def rules(
    recorded: Mapping[str, Mapping[str, Listed]], newest: Mapping[str, Tag]
) -> dict[str, Any]:
    """Returns the answer of `api/rules`.

    Args:
        recorded: each recorded run's tags.
        newest: the tag of the reports, of each run that has some.
    """
    runs = [_run(name, tags, newest.get(name)) for name, tags in recorded.items()]
    return {"rules": _catalogue(rule for run in runs for rule in run["rules"]), "runs": runs}


def _catalogue(judged: Iterable[str]) -> list[dict[str, Any]]:
    """Returns all rules in their order, and after them those that only a newer tfdiag knows."""
    known = [
        {
            "id": rule.id,
            "title": rule.title,
            "group": group(rule),
            "finds": rule.finds,
            "thresholds": rule.thresholds,
            "source": rule.source,
        }
        for rule in ALL_RULES
    ]
    unknown = set(judged) - {rule.id for rule in ALL_RULES}
    texts = {"group": OTHERS, "finds": "", "thresholds": {}, "source": ""}
    return [*known, *({"id": rule, "title": rule, **texts} for rule in sorted(unknown))]


def _run(name: str, tags: Mapping[str, Listed], report: Tag | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"run": name, "step": None, "error": None, "rules": {}}
    stats = newest_stats(tags)
    try:
        if stats is not None:
            check_version(stats.content)  # a newer recording is not half read
        step, cells = _cells(report_text(report))
    except TfdiagError as error:
        return {**answer, "error": str(error)}
    return {**answer, "step": step, "rules": cells}


@lru_cache(maxsize=256)  # the tab asks for all runs every few seconds, and few have changed
def _cells(text: bytes | None) -> tuple[int | None, dict[str, dict[str, Any]]]:
    """Returns the step of a stored report, None if there is none, and a cell for each rule."""
    stored = None if text is None else read_report(text)
    judged = Report.from_json(stored.json) if stored else unjudged()
    worst_first: dict[str, list[dict[str, Any]]] = {}
    for finding in judged.findings:
        told = {name: getattr(finding, name) for name in _TOLD}
        worst_first.setdefault(finding.rule, []).append(told)
    cells = {
        outcome.rule: _cell(outcome, worst_first.get(outcome.rule, []), judged)
        for outcome in judged.outcomes
    }
    return judged.step if stored else None, cells


def _cell(outcome: Outcome, found: list[dict[str, Any]], report: Report) -> dict[str, Any]:
    return {
        "outcome": outcome.outcome,
        "severity": found[0]["severity"] if found else None,
        "count": len(found),
        "findings": found[:NAMED],
        "reason": outcome.reason,
        "exempt": len(outcome.exempt),
        "all_exempt": outcome.outcome == NOT_EVALUATED and report.exempts_all(outcome),
        "exemptions": _exemptions(outcome.exempt),
    }


def _exemptions(exempt: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns for each reason how many layers it holds for, and the first of them."""
    layers: dict[str, list[str]] = {}
    for layer, reason in exempt.items():
        layers.setdefault(reason, []).append(layer)
    return [
        {"reason": reason, "count": len(names), "layers": names[:NAMED]}
        for reason, names in layers.items()
    ]
