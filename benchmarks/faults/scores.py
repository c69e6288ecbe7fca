"""Sorts judged runs into right and wrong answers, and counts them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.faults.kinds import AT_START, rules
from benchmarks.faults.verdicts import Verdict

#: A fault hurts if it costs more than this, whatever the healthy runs' spread.
MARGIN = 0.03


@dataclass
class Sorted:
    """Verdicts by what they are evidence of.

    Attributes:
        healthy: of healthy runs.
        weak: of runs without a fault that do not reach their program's reference: no evidence.
        hurt: of faults that cost something.
        harmless: of faults that do not: no evidence either.
        bars: program to the score below which a run is hurt.
    """

    healthy: list[Verdict] = field(default_factory=list)
    weak: list[Verdict] = field(default_factory=list)
    hurt: list[Verdict] = field(default_factory=list)
    harmless: list[Verdict] = field(default_factory=list)
    bars: dict[str, float] = field(default_factory=dict)


def bar(healthy: Sequence[float]) -> float:
    """Returns the score below which a run is worse than the spread of the healthy ones.

    >>> round(bar([0.95, 0.97]), 2), round(bar([0.8, 0.9]), 2)
    (0.92, 0.7)
    """
    return min(healthy) - max(MARGIN, max(healthy) - min(healthy))


def sort(verdicts: Iterable[Verdict], references: dict[str, float]) -> Sorted:
    """Sorts verdicts.

    Args:
        references: program to what a healthy run reaches at least.
    """
    result = Sorted()
    faulty = []
    for verdict in verdicts:
        run = verdict.run
        if run.operator:
            faulty.append(verdict)
        elif run.score is not None and run.score >= references[run.program]:
            result.healthy.append(verdict)
        else:
            result.weak.append(verdict)
    scores: dict[str, list[float]] = {}
    for verdict in result.healthy:
        scores.setdefault(verdict.run.program, []).append(verdict.run.score or 0.0)
    result.bars = {program: bar(values) for program, values in scores.items()}
    for verdict in faulty:
        run = verdict.run
        worse = run.score is None or run.score < result.bars.get(run.program, -math.inf)
        (result.hurt if worse else result.harmless).append(verdict)
    return result


def names_kind(verdict: Verdict, kinds: Iterable[str]) -> bool:
    """Returns whether an alarm is of one of these kinds."""
    return bool({alarm.rule for alarm in verdict.alarms} & rules(kinds))


def names_layer(verdict: Verdict, kinds: Iterable[str]) -> bool:
    """Returns whether an alarm of one of these kinds blames a layer that has the fault."""
    right = rules(kinds)
    return any(a.rule in right and a.layer in verdict.run.blamed for a in verdict.alarms)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if not of:
        return 0.0, 1.0
    z = 1.959964
    share, spread = hits / of, z * z / of
    middle = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


@dataclass(frozen=True)
class Share:
    """A share with its counts."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.hits, self.of)

    def __str__(self) -> str:
        if not self.of:
            return "-"
        low, high = self.interval
        share = f"{self.hits / self.of:.1%}".replace("%", " %")
        return f"{self.hits} of {self.of}, {share} [{100 * low:.0f}, {100 * high:.0f}]"


def count(flags: Iterable[bool]) -> Share:
    """Returns how many of `flags` are true."""
    flags = list(flags)
    return Share(sum(flags), len(flags))


def measures(found: Sorted, kinds: dict[str, tuple[str, ...]]) -> dict[str, Share | float | None]:
    """Returns the figures of the table, by what they are called there.

    Args:
        kinds: operator to the kinds of a right answer.
    """
    hurt = found.hurt
    told = [verdict.told for verdict in hurt if verdict.told is not None]
    soon = [v.told for v in hurt if v.told is not None and v.run.operator in AT_START]
    return {
        "healthy runs with an alarm": count(bool(v.alarms) for v in found.healthy),
        "of these, at the end still": count(any(a.lasts for a in v.alarms) for v in found.healthy),
        "healthy runs with something to watch": count(bool(v.watched) for v in found.healthy),
        "faults that hurt and are found": count(bool(v.alarms) for v in hurt),
        "the right kind named": count(names_kind(v, kinds[v.run.operator]) for v in hurt),
        "the right layer named, if one is to blame": count(
            names_layer(v, kinds[v.run.operator]) for v in hurt if v.run.blamed
        ),
        "share of the training until the alarm, median": median(told) if told else None,
        "the same of faults that show from the start": median(soon) if soon else None,
        "findings at the end of a hurt run, median": _median([v.shown for v in hurt]),
        "above the fold of a hurt run, median": _median([v.heads for v in hurt]),
        "above the fold of a hurt run, at most 2": count(v.heads <= 2 for v in hurt),
        "findings at the end of a healthy run, mean": _mean([v.shown for v in found.healthy]),
    }


def _median(values: list[int]) -> float | None:
    return float(median(values)) if values else None


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None
