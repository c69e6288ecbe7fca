"""What a rule is: a pure function of a trace, and the facts that users read about it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tfdiag.architecture import Layer
from tfdiag.trace import SEVERITIES, Finding, Trace

#: Code to try first: a text, or a function of the finding and of `Report.facts`.
Code = str | Callable[[Finding, Mapping[str, Any]], str | None]
#: A metric's or series' name, or several of which one is enough.
Need = str | tuple[str, ...]


class CannotJudge(Exception):
    """Raised by a rule that finds, while it reads, that it cannot tell. Its text says why."""


class NotApplicable(CannotJudge):
    """Raised by a rule that has nothing to judge in this model or training, however long it runs.

    Then every layer is exempt: a report does not count that as a gap in what is known.
    """


@dataclass(frozen=True)
class Limit:
    """Says which threshold of a rule is a line in the chart of which metric.

    Attributes:
        metric: name of the metric in `Trace.columns`.
        argument: name of the rule's threshold.
        severity: one of `tfdiag.trace.SEVERITIES`, the worst it can lead to.
        above: True if values above the line are trouble.
        instead: ids of the rules one of which speaks of a layer in place of this one.
        once: True if one finding, in the first layer from the input side, tells of all layers.
    """

    metric: str
    argument: str
    severity: str
    above: bool = True
    instead: tuple[str, ...] = ()
    once: bool = False


@dataclass(frozen=True)
class Case:
    """What a rule says of some of its findings, where its usual texts would mislead.

    Attributes:
        when: tells these findings. It reads nothing but the finding and `Report.facts`, so that a
            recorded one is told alike.
        verdict: as in `Rule`.
        advice: as in `Rule`.
        code: as in `Rule`.
    """

    when: Callable[[Finding, Mapping[str, Any]], bool]
    verdict: str
    advice: tuple[str, ...]
    code: Code | None = None


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule, as `rule` declares it.

    Two thresholds mean the same in every rule that has them, and the engine reads them:
    `warm_up`, optimizer steps before which nothing is judged, and `patience`, measured
    records that a rule needs after them.

    Attributes:
        id: unique, in the words of the catalogue ("dead-relu").
        title: what a user reads ("Dead ReLU").
        judge: takes a trace and keyword-only thresholds, yields findings without `rule`.
        needs: metrics and series that it cannot do without; none of a rule that reads only what
            the model and the data are.
        uses: further metrics that it reads if they are there.
        advice: what to do, one sentence each; the first is the first thing to try. `{layer}`
            stands for the finding's layer.
        why: what the trouble does to training, in one sentence.
        source: where the definition comes from.
        verdict: headline with `{layer}` and `{step}`, at most 28 characters when filled in.
        code: code to try first, if there is any.
        remedy: what its code sets. A cause takes advice and code from its consequence of another
            rule with the same remedy, which knows a number from what was measured.
        cases: other texts for some findings; the first that fits is told.
        exempt: says why the rule leaves a layer out, or None if it does not.
        unfit: says why the rule has nothing to judge in a run, or None if it has.
        absent: why a layer has none of the needed metrics, if no other reason is known.
        limits: lines in the charts.
        shares: thresholds that are shares: at most 1.
        below: thresholds below which values are trouble, but for those of `limits`, which say it
            themselves.
        reached: thresholds that are trouble once they are reached; the others have to be passed.
        reads: thresholds that are compared with a series or a metric just as it was recorded, and
            its name; those of `limits` say it themselves.
        keeps: thresholds that its cases compare with: like those of `limits`, they are in
            `Report.facts` as "dead-relu warn".
        at_end: whether a training that was complete is judged however few records there are: by
            those after the warm-up, or else by those before, at least one. It has `patience` and
            `warm_up`.
        watch: what to do about findings that are only watched. `{layer}` stands for the finding's
            layer, another threshold's name for its value, if that is a line in a chart.
    """

    id: str
    title: str
    judge: Callable[..., Iterable[Finding]]
    needs: tuple[Need, ...]
    advice: tuple[str, ...]
    why: str
    source: str
    verdict: str
    uses: tuple[str, ...] = ()
    code: Code | None = None
    remedy: str | None = None
    cases: tuple[Case, ...] = ()
    exempt: Callable[[Layer], str | None] | None = None
    unfit: Callable[[Trace], str | None] | None = None
    absent: str = "not measured"
    limits: tuple[Limit, ...] = ()
    shares: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    keeps: tuple[str, ...] = ()
    at_end: bool = False
    watch: str = "Let it run; look again if the loss does not fall."

    @cached_property
    def thresholds(self) -> dict[str, int | float]:
        """The thresholds' names and defaults."""
        parameters = inspect.signature(self.judge).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What each threshold is and where its default comes from, as the docstring says it."""
        text = inspect.cleandoc(self.judge.__doc__ or "").partition("\nArgs:\n")[2]
        told = re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", text, re.MULTILINE)
        return {name: " ".join(words.split()) for name, words in told if name in self.thresholds}

    def above(self, name: str) -> bool | None:
        """Returns True if values above a threshold are trouble, False if those below it are.

        Returns:
            None of a threshold that counts records, steps or samples to judge by.
        """
        limits = {limit.argument: limit.above for limit in self.limits}
        if name in limits or name in self.below:
            return limits.get(name, False)
        return None if isinstance(self.thresholds[name], int) else True

    def sign(self, name: str) -> str | None:
        """Returns how a value in trouble compares with a threshold, as the evidence writes it.

        Returns:
            ">", "≥", "<" or "≤"; None where `above` is.
        """
        above = self.above(name)
        if above is None:
            return None
        passed, reached = (">", "≥") if above else ("<", "≤")
        return reached if name in self.reached else passed

    def measure(self, name: str) -> str | None:
        """Returns the metric or series that a threshold is compared with, just as it is recorded.

        Returns:
            None where the rule works out a number of its own.
        """
        return {limit.argument: limit.metric for limit in self.limits}.get(
            name, self.reads.get(name)
        )

    @property
    def finds(self) -> str:
        """What it finds: the first line of its own documentation."""
        return (inspect.getdoc(self.judge) or self.why).partition("\n")[0]

    @property
    def family(self) -> str:
        """The name of the file that it stands in."""
        return self.judge.__module__.rpartition(".")[2]

    def case(self, finding: Finding, facts: Mapping[str, Any]) -> Case:
        """Returns verdict, advice and code for one of this rule's findings.

        Args:
            facts: `Report.facts`.
        """
        usual = Case(lambda finding, facts: True, self.verdict, self.advice, self.code)
        case = next((case for case in self.cases if case.when(finding, facts)), usual)
        layer = finding.layer or "the model"
        return replace(case, advice=tuple(text.replace("{layer}", layer) for text in case.advice))

    def __call__(self, trace: Trace, **thresholds: float) -> list[Finding]:
        """Judges `trace` without the engine: no exemptions, no states, errors pass."""
        return list(self.judge(trace, **thresholds))


def rule(id: str, **facts: Any) -> Callable[[Callable[..., Iterable[Finding]]], Rule]:
    """Returns a decorator that makes a `Rule` of a generator. It registers nothing.

    Args:
        id: the rule's id.
        facts: the other attributes of `Rule`.

    Raises:
        TypeError: if a fact is missing or unknown, if a threshold is positional or has no
            number as its default, or if a limit, a share or what is to be below names no fitting
            threshold of the rule.
    """

    def decorate(judge: Callable[..., Iterable[Finding]]) -> Rule:
        made = Rule(id=id, judge=judge, **facts)
        if len(inspect.signature(judge).parameters) != 1 + len(made.thresholds):
            raise TypeError(f"rule {id!r} must take the trace and keyword-only thresholds.")
        for name, default in made.thresholds.items():
            if isinstance(default, bool) or not isinstance(default, (int, float)):
                raise TypeError(f"`{name}` of rule {id!r} needs a number as its default.")
        for limit in made.limits:
            if limit.argument not in made.thresholds or limit.severity not in SEVERITIES:
                raise TypeError(f"rule {id!r} has no threshold for {limit!r}.")
        for name in made.shares:
            if not 0 <= made.thresholds.get(name, -1) <= 1:
                raise TypeError(f"rule {id!r} has no share `{name}`.")
        for name in (*made.below, *made.reached, *made.reads, *made.keeps):
            if name not in made.thresholds:
                raise TypeError(f"rule {id!r} has no threshold `{name}` to compare with.")
        return made

    return decorate
