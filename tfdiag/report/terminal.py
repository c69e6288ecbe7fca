"""A report for a terminal: all of it, and what is printed while training goes on."""

from __future__ import annotations

from collections.abc import Iterable

from tfdiag.report.titles import named
from tfdiag.report.verdicts import verdict
from tfdiag.rules import ALL_RULES, Report, Rule
from tfdiag.rules.causes import sources
from tfdiag.rules.wording import count
from tfdiag.trace import Finding

#: Findings of one rule that are shown in full.
_SHOWN = 3
#: A severity's sign, so that colour is never the only one.
SIGNS = {"critical": "×", "warn": "!", "watch": "◇", "ok": "✓", "not-evaluated": "○"}


def text(report: Report, rules: Iterable[Rule] = ALL_RULES) -> str:
    """Returns a report in plain words, without a final newline.

    Findings of one rule, severity and cause are told once, with the first layers by name.
    """
    judged = verdict(report, rules)
    lines = [f"{SIGNS[judged.severity]} {judged.title}", f"  {judged.summary}"]
    if judged.try_first:
        lines.append(f"  Try first: {judged.try_first.text}")
        if judged.try_first.code:
            lines.append(f"    {judged.try_first.code}")
    for findings, source in _groups(report, report.findings):
        first = findings[0]
        more = f" {len(findings)} layers" if len(findings) > 1 else ""
        after = f", follows from {named(source)}" if source else ""
        lines += ["", f"  {SIGNS[first.severity]} {first.severity}: {first.rule}{more}{after}"]
        lines += [f"    {finding.message}" for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            lines.append(f"    ... and {count(len(findings) - _SHOWN, 'more layer')}")
    silent = [o for o in report.outcomes if o.outcome == "not-evaluated"]
    if silent:
        lines.append("")
        lines += [f"  {SIGNS['not-evaluated']} {o.rule} not evaluated: {o.reason}" for o in silent]
    return "\n".join(lines)


def announcements(
    findings: Iterable[Finding], report: Report, rules: Iterable[Rule] = ALL_RULES
) -> list[str]:
    """Returns what is printed of new findings during training: causes, then consequences.

    Args:
        findings: those of the report's findings that are new.
        report: where they come from; what they follow from may be old.

    Returns:
        Texts of two to four lines, without a final newline. What follows from another
        finding has no advice of its own: treat the other first.
    """
    catalogue = {rule.id: rule for rule in rules}
    clues = dict(zip(map(id, report.findings), sources(report, report.clues), strict=True))
    texts = []
    groups = _groups(report, list(findings))
    for group, source in sorted(groups, key=lambda group: group[1] is not None):
        first = group[0]
        where = f" {first.layer}" if first.layer else ""
        more = f" and {count(len(group) - 1, 'more layer')}" if len(group) > 1 else ""
        lines = [
            f"tfdiag {first.severity}: {first.rule}{where}{more}, step {first.step}: "
            f"{first.evidence}"
        ]
        clue = clues[id(first)]
        told = clue or first
        rule = catalogue.get(told.rule)
        if source:
            lines.append(f"  Follows from {named(source)}.")
        else:
            lines.append(f"  {first.message}")
            if clue:
                lines.append(f"  {clue.message.rstrip('.')}: probably the cause.")
            if rule and first.severity != "watch":
                lines.append(f"  Try first: {rule.case(told, report.facts).advice[0]}")
        texts.append("\n".join(lines))
    return texts


def _groups(
    report: Report, wanted: Iterable[Finding]
) -> list[tuple[list[Finding], Finding | None]]:
    """Returns findings of one severity, rule and cause together, and that cause."""
    groups: dict[tuple[str, str, str], tuple[list[Finding], Finding | None]] = {}
    for finding, source in zip(report.findings, sources(report), strict=True):
        if any(finding is one for one in wanted):
            key = (finding.severity, finding.rule, named(source) if source else "")
            groups.setdefault(key, ([], source))[0].append(finding)
    return list(groups.values())
