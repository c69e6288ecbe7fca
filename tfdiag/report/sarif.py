"""Reports as SARIF 2.1.0, which code hosts show beside a change.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tfdiag.report.runs import Page, Run
from tfdiag.rules import ALL_RULES, Rule
from tfdiag.trace import Finding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "warn": "warning", "watch": "note"}


def sarif(runs: Iterable[Run], version: str, rules: Iterable[Rule] = ALL_RULES) -> dict[str, Any]:
    """Returns the runs as one SARIF log, to be written as JSON.

    Args:
        runs: each is a run of the log, too.
        version: of tfdiag.
        rules: where texts come from.
    """
    rules = tuple(rules)
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(r, version, rules) for r in runs]}


def _run(run: Run, version: str, rules: tuple[Rule, ...]) -> dict[str, Any]:
    page = Page(run, rules)
    ids = dict.fromkeys(rule.id for rule in rules)
    ids.update(dict.fromkeys(outcome.rule for outcome in page.report.outcomes))
    index = {id: i for i, id in enumerate(ids)}
    catalogue = page.catalogue
    address = _address(run)
    results = [_result(f, page, index, address) for f in page.report.findings]
    for one in page.report.suppressed:
        suppression = {"kind": "external", "justification": _plain(one.reason)}
        result = _result(one.finding, page, index, address)
        results.append({**result, "suppressions": [suppression]})
    told = page.diagnosis
    return {
        "tool": {
            "driver": {
                "name": "tfdiag",
                "version": version,
                "rules": [_descriptor(id, catalogue.get(id)) for id in ids],
            }
        },
        "automationDetails": {"id": f"tfdiag/{_path(page.name)}/"},
        "results": results,
        "properties": {
            "verdict": page.verdict.title,
            "summary": page.verdict.summary,
            "chain": page.chain,
            "sureness": told.sureness if told else None,
            "reason": told.reason if told else None,
            "notEvaluated": {
                outcome.rule: outcome.reason
                for outcome in page.report.outcomes
                if outcome.outcome == "not-evaluated"
            },
        },
    }


def _descriptor(id: str, rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"id": id}
    return {
        "id": id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": "\n".join([*rule.advice, f"Source: {rule.source}"])},
    }


def _result(finding: Finding, page: Page, index: Mapping[str, int], address: str) -> dict[str, Any]:
    rule = page.catalogue.get(finding.rule)
    advice = rule.case(finding, page.report.facts).advice if rule else ()
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": address}}}
    if finding.layer is not None:
        location["logicalLocations"] = [{"name": finding.layer, "kind": "object"}]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain(finding.message)},
        "locations": [location],
        "partialFingerprints": {"place/v1": f"{finding.rule}/{finding.layer or ''}"},
        "properties": {
            "severity": finding.severity,
            "step": finding.step,
            "evidence": finding.evidence,
            "metric": finding.metric,
            "value": finding.value if math.isfinite(finding.value) else None,
            "limit": finding.limit if math.isfinite(finding.limit) else None,
            "advice": list(advice),
        },
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    if page.comparison:
        new = any(finding == one for one in page.comparison.new)
        result["baselineState"] = "new" if new else "unchanged"
    return result


def _plain(text: str) -> str:
    r"""Returns a message's text in which nothing is a link: section 3.11.6.

    >>> print(_plain("[x](http://y)"))
    \[x\](http://y)
    """
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _address(run: Run) -> str:
    """Returns the run's folder as a URI, relative if the log folder is."""
    logdir = run.logdir.replace("\\", "/").rstrip("/")
    path = logdir if run.name in ("", ".") else f"{logdir}/{run.name}"
    return f"file://{_path(path)}" if path.startswith("/") else _path(path)


def _path(path: str) -> str:
    return quote(path, safe="/", errors="backslashreplace")
