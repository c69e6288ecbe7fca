"""Findings as one story: the most likely cause, what it led to, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tfdiag.rules.causes import Graph, explanation
from tfdiag.rules.loss import loss_not_decreasing
from tfdiag.rules.outcome import Report
from tfdiag.rules.wording import count
from tfdiag.trace import SEVERITIES, Finding

#: Findings of a rule that are asked what they led to; a deep model may have a thousand.
_ASKED = 8
#: Links of a chain that are told.
_TOLD = 5
#: Share by which a loss must have fallen for it not to suffer. Source: heuristic, no source.
_FELL = 0.1
SURENESS = ("possible", "likely", "very likely")


@dataclass(frozen=True)
class Event:
    """A link of the chain: what one rule found, or a clue.

    Attributes:
        findings: of one rule, at least one.
    """

    findings: tuple[Finding, ...]

    @property
    def rule(self) -> str:
        """The rule's id."""
        return self.findings[0].rule

    @property
    def step(self) -> int:
        """The first step of it."""
        return min(finding.step for finding in self.findings)


@dataclass(frozen=True)
class Diagnosis:
    """The most likely cause of a run's troubles.

    Attributes:
        cause: a finding of the report, or a clue.
        text: a clause that names it; None if it has none of its own.
        chain: from the cause to the last consequence; the cause alone if it led to nothing.
        explained: the report's findings that the cause accounts for, itself among them; also those
            that are only watched.
        others: those that do harm and that it does not account for.
        sureness: one of `SURENESS`.
        reason: why that word: a clause.
    """

    cause: Finding
    text: str | None
    chain: tuple[Event, ...]
    explained: tuple[Finding, ...]
    others: tuple[Finding, ...]
    sureness: str
    reason: str


def diagnose(report: Report) -> Diagnosis | None:
    """Returns the most likely cause of the report's troubles; None if there are none.

    Of several causes, the one that accounts for the worst finding, then for most kinds of trouble.
    """
    troubles = [finding for finding in report.findings if finding.severity != "watch"]
    if not troubles:
        return None
    told = explanation(report)
    candidates = [told[0]] if told else []
    for found in _by_rule(report.findings).values():
        candidates += [found[0]] if not any(found[0] is one for one in candidates) else []
    graph = Graph(report)
    stories = {id(one): _story(one, troubles, report, graph) for one in candidates}

    def rank(cause: Finding) -> tuple[bool, bool, int, int, int]:
        explained = stories[id(cause)]
        return (
            any(finding is troubles[0] for finding in explained),
            told is not None and cause is told[0],
            len({finding.rule for finding in explained}),
            SEVERITIES.index(cause.severity),
            -cause.step,
        )

    cause = _origin(max(candidates, key=rank), candidates, stories, graph)
    story = {id(finding) for finding in stories[id(cause)]}
    does_harm = tuple(finding for finding in report.findings if id(finding) in story)
    others = tuple(finding for finding in troubles if id(finding) not in story)
    watched = {
        id(f) for f in _story(cause, report.findings, report, graph) if f.severity == "watch"
    }
    return Diagnosis(
        cause,
        told[1] if told and cause is told[0] else None,
        _chain(cause, does_harm, report, graph),
        tuple(finding for finding in report.findings if id(finding) in story | watched),
        others,
        *_sureness(cause, does_harm, others, report),
    )


def _story(cause: Finding, among: Sequence[Finding], report: Report, graph: Graph) -> list[Finding]:
    """Returns what the cause accounts for: itself, its like in other layers, all that follows."""
    reached = _alike(cause, among, report)
    seen = {id(finding) for finding in reached}
    news = reached or [cause]
    while news:
        asked = [one for alike in _by_rule(news).values() for one in _some(alike, graph)]
        news = [
            effect
            for effect in among
            if id(effect) not in seen and any(graph.joins(one, effect) for one in asked)
        ]
        seen |= {id(finding) for finding in news}
        reached += news
    return reached


def _some(findings: Sequence[Finding], graph: Graph) -> list[Finding]:
    """Returns a few that speak for all: the first to happen, the lowest and the highest."""
    if len(findings) <= _ASKED:
        return list(findings)
    placed = sorted(findings, key=lambda one: graph.depths.get(one.layer or "", -1))
    dated = sorted(findings, key=lambda one: one.step)
    return [*dated[: _ASKED // 2], *placed[: _ASKED // 4], *placed[-_ASKED // 4 :]]


def _alike(cause: Finding, among: Iterable[Finding], report: Report) -> list[Finding]:
    """Returns the cause and what the same rule found on the same side of its limit.

    Nothing if the cause is a clue.
    """
    if not any(cause is one for one in report.findings):
        return []
    alike = [
        one
        for one in among
        if one is not cause
        and (one.rule, one.metric) == (cause.rule, cause.metric)
        and (one.value < one.limit) == (cause.value < cause.limit)
    ]
    return [cause, *alike]


def _origin(
    cause: Finding,
    candidates: list[Finding],
    stories: Mapping[int, list[Finding]],
    graph: Graph,
) -> Finding:
    """Returns what lies furthest behind `cause`, and accounts for all that it does."""
    for _ in candidates:
        behind = [
            one
            for one in candidates
            if one.rule != cause.rule
            and one.step <= cause.step
            and graph.joins(one, cause)
            and not graph.joins(cause, one)
            and len(stories[id(one)]) >= len(stories[id(cause)])
        ]
        if not behind:
            return cause
        cause = min(behind, key=lambda one: (one.step, -SEVERITIES.index(one.severity)))
    return cause


def _by_rule(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule, []).append(finding)
    return groups


def _chain(
    cause: Finding, explained: tuple[Finding, ...], report: Report, graph: Graph
) -> tuple[Event, ...]:
    """Returns the longest way from the cause over the worst finding, one rule after another."""
    root = Event(tuple(_alike(cause, explained, report)) or (cause,))
    rest = [f for f in explained if not any(f is one for one in root.findings)]
    groups = _by_rule(sorted(rest, key=lambda finding: finding.step)).values()
    events = [Event(tuple(found)) for found in groups]
    worst = report.findings[0]

    def rank(way: tuple[Event, ...]) -> tuple[bool, int]:
        return any(one is worst for event in way for one in event.findings), len(way)

    ways: list[tuple[Event, ...]] = [(root,)]
    for event in sorted(events, key=lambda event: _when(event, events, graph)):
        before = [way for way in ways if _leads(way[-1], event, graph)]
        if before:
            ways.append((*max(before, key=rank), event))
    longest = max(ways, key=rank)
    return longest if len(longest) <= _TOLD else (*longest[: _TOLD - 1], longest[-1])


def _when(event: Event, among: list[Event], graph: Graph) -> tuple[bool, int, int]:
    """Returns the place in time: when the loss got stuck is uncertain, so that comes last."""
    effects = sum(_leads(event, other, graph) for other in among if other is not event)
    return event.rule == loss_not_decreasing.id, event.step, -effects


def _leads(event: Event, other: Event, graph: Graph) -> bool:
    effects = _some(other.findings, graph)
    return any(
        graph.joins(cause, effect) for cause in _some(event.findings, graph) for effect in effects
    )


def _sureness(
    cause: Finding, explained: tuple[Finding, ...], others: tuple[Finding, ...], report: Report
) -> tuple[str, str]:
    """Returns the word and its reason: what agrees, how bad it is, what is left unexplained."""
    kinds = {_kind(finding) for finding in (cause, *explained)}
    suffers = any(is_of_loss(finding) for finding in explained)
    critical = any(finding.severity == "critical" for finding in explained)
    single = len(kinds) == 1
    points = min(len(kinds) - 1, 2) + (single and critical)
    rules = len({finding.rule for finding in explained})
    reasons = [f"{count(rules, 'finding')} {'fits' if rules == 1 else 'fit'} this cause"]
    if single:
        reasons = ["a single sign, but a critical one" if critical else "a single sign"]
    if suffers:
        reasons.append("the loss suffers")
    else:
        points = min(points, 1)
        if _fell(report):
            reasons.append("the loss falls all the same")
            points -= 1
    if others:
        apart = len({finding.rule for finding in others})
        reasons.append(f"{count(apart, 'rule')} found what this does not explain")
        points -= 1
    return SURENESS[max(points, 0)], "; ".join(reasons)


def _kind(finding: Finding) -> str:
    """Returns what a finding is a sign of: NaN in a tensor and in the loss are one sign."""
    return "nonfinite" if finding.rule.startswith("nonfinite") else finding.metric or finding.rule


def is_of_loss(finding: Finding) -> bool:
    """Returns whether a finding is about a loss: in training, on the probe set, in validation."""
    return finding.metric in ("loss", "probe_loss", "val_loss")


def _fell(report: Report) -> bool:
    first, last = (report.facts.get(name) for name in ("loss_first", "loss_last"))
    return (
        isinstance(first, float)
        and isinstance(last, float)
        and first - last > _FELL * max(abs(first), abs(last))
    )
