"""Runs that were judged, as every format takes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tfdiag.report import readable
from tfdiag.report.baseline import Comparison
from tfdiag.report.diagnoses import chain
from tfdiag.report.titles import named
from tfdiag.report.verdicts import Verdict, applies, verdict_of
from tfdiag.rules import ALL_RULES, Report, Rule
from tfdiag.rules.causes import sources
from tfdiag.rules.diagnosis import Diagnosis, diagnose
from tfdiag.rules.outcome import EXEMPT, NOT_EVALUATED
from tfdiag.rules.wording import count
from tfdiag.trace import Finding


@dataclass(frozen=True)
class Run:
    """A run that was judged.

    Attributes:
        logdir: where it was looked for; empty if that is not known.
        name: its folder in there.
        report: what was found.
        comparison: with a good run; None if there is none.
    """

    logdir: str
    name: str
    report: Report
    comparison: Comparison | None = None

    @property
    def title(self) -> str:
        """What people call it: a run in the log folder itself by that folder's name."""
        if self.name != "." or not self.logdir:
            return self.name
        return os.path.basename(os.path.abspath(self.logdir)) or "(log folder)"


@dataclass(frozen=True)
class Group:
    """Findings of one rule, severity and cause.

    Attributes:
        findings: at least one.
        source: what they follow from, or None.
    """

    findings: tuple[Finding, ...]
    source: Finding | None


class Page:
    """What every format for people shows of a run, with its texts made readable.

    Args:
        run: the run.
        rules: where texts come from.

    Attributes:
        name: the run's title.
        report: what was found.
        verdict: the headline, and what to try first.
        diagnosis: None if there is no trouble.
        chain: its links in words, if there is more than the cause.
        comparison: with a good run, or None.
    """

    def __init__(self, run: Run, rules: Iterable[Rule] = ALL_RULES):
        rules = tuple(rules)
        self.catalogue = {rule.id: rule for rule in rules}
        self.name: str = readable.readable(run.title)
        self.report: Report = readable.report(run.report)
        self.diagnosis: Diagnosis | None = diagnose(self.report)
        self.verdict: Verdict = verdict_of(self.diagnosis, self.report, rules)
        links = chain(self.diagnosis, self.report, self.catalogue) if self.diagnosis else []
        self.chain: list[str] = links if len(links) > 1 else []
        self.comparison: Comparison | None = run.comparison and _readable(run.comparison)
        self._groups = list(groups(self.report, self.report.findings))

    @property
    def sections(self) -> Iterator[tuple[str, list[Group]]]:
        """The findings below a title each: those that the diagnosis explains, and the others."""
        explained = self.diagnosis.explained if self.diagnosis else ()
        ids = {id(finding) for finding in explained}
        below = [one for one in self._groups if id(one.findings[0]) in ids]
        beside = [one for one in self._groups if id(one.findings[0]) not in ids]
        if below:
            yield "Explained by this", below
        if beside:
            yield ("Not explained by this" if below else "Found"), beside

    @property
    def silent(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """What became of the rules without a verdict: each reason, with the rules' ids.

        First those that could not be evaluated, then those that do not concern this run.
        """
        silent = [one for one in self.report.outcomes if one.outcome == NOT_EVALUATED]
        for word, concerned in (("not evaluated", True), ("exempt", False)):
            rules: dict[str, list[str]] = {}
            for outcome in silent:
                if applies(outcome, self.report) == concerned:
                    reason = (outcome.reason or "no reason given").removeprefix(EXEMPT)
                    rules.setdefault(reason, []).append(outcome.rule)
            if rules:
                yield word, [(reason, ", ".join(ids)) for reason, ids in rules.items()]


def groups(report: Report, wanted: Iterable[Finding]) -> Iterator[Group]:
    """Yields findings of one severity, rule and cause together, and that cause."""
    ids = {id(finding) for finding in wanted}
    found: dict[tuple[str, str, str], tuple[list[Finding], Finding | None]] = {}
    for finding, source in zip(report.findings, sources(report), strict=True):
        if id(finding) in ids:
            place = f"{source.rule} {source.layer}" if source else ""
            key = (finding.severity, finding.rule, place)
            found.setdefault(key, ([], source))[0].append(finding)
    for findings, source in found.values():
        yield Group(tuple(findings), source)


def briefly(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Returns severity and text, one of each rule and severity: "dead-relu in dense (97 %)"."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.severity, finding.rule), []).append(finding)
    texts = []
    for (severity, _), alike in found.items():
        more = f" and {count(len(alike) - 1, 'more layer')}" if len(alike) > 1 else ""
        texts.append((severity, f"{named(alike[0])}{more} ({alike[0].evidence})"))
    return texts


def _readable(comparison: Comparison) -> Comparison:
    return replace(
        comparison,
        name=readable.readable(comparison.name),
        new=tuple(map(readable.finding, comparison.new)),
        gone=tuple(map(readable.finding, comparison.gone)),
    )
