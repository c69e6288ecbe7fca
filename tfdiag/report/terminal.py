"""A report for a terminal: all of it, and what is printed while training goes on."""

from __future__ import annotations

from collections.abc import Iterable

from tfdiag.report.baseline import Comparison
from tfdiag.report.diagnoses import ARROW
from tfdiag.report.runs import Group, Page, Run, briefly, groups
from tfdiag.report.signs import SIGNS
from tfdiag.report.titles import named
from tfdiag.rules import ALL_RULES, Report, Rule
from tfdiag.rules.causes import sources
from tfdiag.rules.wording import count
from tfdiag.trace import Finding

#: Findings of one rule that are shown in full.
_SHOWN = 3


def text(
    report: Report, rules: Iterable[Rule] = ALL_RULES, comparison: Comparison | None = None
) -> str:
    """Returns a report in plain words, without a final newline.

    Findings of one rule, severity and cause are told once, with the first layers by name.
    """
    page = Page(Run("", "", report, comparison), rules)
    judged = page.verdict
    lines = [f"{SIGNS[judged.severity]} {judged.title}", *_story(page)]
    sections = list(page.sections)
    for title, found in sections:
        if len(sections) > 1:
            lines += ["", f"  {title}:"]
        for group in found:
            lines += _group(group)
    lines += _silent(page)
    return "\n".join(lines + _compared(page.comparison))


def closing(page: Page) -> str:
    """Returns what is printed at the end of a training: the verdict, its cause, what to try."""
    return "\n".join([f"tfdiag: {page.verdict.title}, step {page.report.step}", *_story(page)])


def _story(page: Page) -> list[str]:
    """Returns what is to be known first, below the headline."""
    judged = page.verdict
    lines = [f"  {judged.summary}"]
    if page.chain:
        lines.append(f"  Chain: {ARROW.join(page.chain)}")
    if page.diagnosis:
        lines.append(f"  How sure: {page.diagnosis.sureness}; {page.diagnosis.reason}")
    if judged.try_first:
        code = judged.try_first.code.split("\n") if judged.try_first.code else []
        lines += [f"  Try first: {judged.try_first.text}", *(f"    {line}" for line in code)]
    return lines


def _group(group: Group) -> list[str]:
    first = group.findings[0]
    more = f" {len(group.findings)} layers" if len(group.findings) > 1 else ""
    after = f", follows from {named(group.source)}" if group.source else ""
    lines = ["", f"  {SIGNS[first.severity]} {first.severity}: {first.rule}{more}{after}"]
    lines += [f"    {finding.message}" for finding in group.findings[:_SHOWN]]
    if len(group.findings) > _SHOWN:
        lines.append(f"    ... and {count(len(group.findings) - _SHOWN, 'more layer')}")
    return lines


def _silent(page: Page) -> list[str]:
    """Returns what was suppressed, what could not be evaluated, and what is exempt."""
    lines = [
        f"  {SIGNS['suppressed']} suppressed: {named(one.finding)} ({one.finding.evidence}): "
        f"{one.reason}"
        for one in page.report.suppressed
    ]
    for word, silent in page.silent:
        sign = SIGNS["not-evaluated" if word == "not evaluated" else "suppressed"]
        lines += [f"  {sign} {word}, {reason}: {rules}" for reason, rules in silent]
    return ["", *lines] if lines else []


def _compared(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    lines = ["", f"  Compared with {comparison.name}:"]
    lines += [f"  + {severity}: {told}" for severity, told in briefly(comparison.new)]
    lines += [f"  - {severity}: {told}, only there" for severity, told in briefly(comparison.gone)]
    if not comparison.new:
        lines.append("  no finding that it does not have")
    width = max((len(one.title) for one in comparison.numbers), default=0)
    for one in comparison.numbers:
        ours, theirs = one.told
        lines.append(f"    {one.title:<{width}}  {ours:>8}  there {theirs:>8}")
    return lines


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
    findings = list(findings)
    if not findings:  # at most looks: what follows from what takes long where findings are many
        return []
    catalogue = {rule.id: rule for rule in rules}
    clues = dict(zip(map(id, report.findings), sources(report, report.clues), strict=True))
    texts = []
    for found in sorted(groups(report, findings), key=lambda one: one.source is not None):
        group, source = found.findings, found.source
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
