"""Writes what the benchmark found: Markdown to read and JSON to compare. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.faults.scores import (
    Share,
    Sorted,
    count,
    measures,
    names_kind,
)
from benchmarks.faults.verdicts import Verdict

#: What others report on the AUTOTRAINER models, as published by DeepDiagnosis: Wardat et al.
#: (2022), "DeepDiagnosis: Automatically Diagnosing Faults and Recommending Actionable Fixes in
#: Deep Learning Programs", https://doi.org/10.1145/3510003.3510071, and its result files.
PUBLISHED = """\
| tool, on the AUTOTRAINER models | faulty programs found | healthy programs with an alarm |
|---|---|---|
| DeepDiagnosis | 135 of 200, 67.5 % | 68 of 188, 36.2 % |
| DeepLocalize | | 71.5 % |
| UMLAUT | | all that are listed |

These are other programs, each with its own share of hard ones: the figures say of which size such
figures are, not who wins. Source: Wardat et al. (2022), https://doi.org/10.1145/3510003.3510071.
"""


@dataclass(frozen=True)
class Results:
    """All that was found.

    Attributes:
        folds: "A" and "B" to the verdicts of their programs; "A and B" to all.
        kinds: operator to the kinds of a right answer.
        failed: runs without a recording, and why.
        stale: number of runs that another monitor recorded.
        seconds: what the training of all runs took.
    """

    folds: dict[str, Sorted]
    kinds: dict[str, tuple[str, ...]]
    failed: list[str]
    stale: int
    seconds: float

    @property
    def all(self) -> Sorted:
        """The verdicts of both folds."""
        return self.folds["A and B"]


def markdown(results: Results) -> str:
    """Returns the report."""
    parts = [_table(results), PUBLISHED, _by_operator(results)]
    found = results.all
    parts += [
        _lines("False alarms", [_alarmed(v) for v in found.healthy if v.alarms]),
        _lines("Misses", [_missed(v, found) for v in found.hurt if not v.alarms]),
        _lines("Found, but not as what it is", _misnamed(results)),
        _lines("Set aside: the fault does no harm", [_harmless(v, found) for v in found.harmless]),
        _lines("Set aside: healthy, but below the reference", [_name(v) for v in found.weak]),
        _lines("Not recorded", results.failed),
    ]
    if results.stale:
        parts.append(
            f"{results.stale} runs were recorded by another version of the monitor: what it did "
            "not record, no rule can judge. Train them again with `--retrain`.\n"
        )
    parts.append(f"Training took {results.seconds / 60:.0f} minutes of one core in all.\n")
    return "\n".join(part for part in parts if part)


def _table(results: Results) -> str:
    columns = {name: measures(fold, results.kinds) for name, fold in results.folds.items()}
    lines = [f"| | {' | '.join(f'fold {name}' for name in columns)} |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for row in next(iter(columns.values())):
        cells = (_cell(values[row]) for values in columns.values())
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: Share | float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, Share) else f"{value:.2g}"


def _by_operator(results: Results) -> str:
    lines = ["| fault | hurts | found | right kind |", "|---|---|---|---|"]
    for name, kinds in results.kinds.items():
        hurt = [v for v in results.all.hurt if v.run.operator == name]
        seeded = len(hurt) + sum(v.run.operator == name for v in results.all.harmless)
        if seeded:
            right = count(names_kind(v, kinds) for v in hurt).hits
            told = count(bool(v.alarms) for v in hurt).hits
            lines.append(f"| {name} | {len(hurt)} of {seeded} | {told} | {right} |")
    return "\n".join(lines) + "\n"


def _lines(title: str, lines: list[str]) -> str:
    if not lines:
        return f"**{title}**: none.\n"
    return f"**{title}**\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def _name(verdict: Verdict) -> str:
    run = verdict.run
    score = "not finite" if run.score is None else f"{run.score:.3f}"
    return f"{run.program}, {run.operator or 'healthy'}, seed {run.seed}: score {score}"


def _alarmed(verdict: Verdict) -> str:
    return f"{_name(verdict)}. {_said(verdict)}"


def _said(verdict: Verdict) -> str:
    """Returns the first alarm of each rule, in one line."""
    first = {alarm.rule: alarm for alarm in reversed(verdict.alarms)}
    return "; ".join(
        f"{alarm.rule} ({alarm.severity}) at {alarm.layer or 'the model'} after step {alarm.told}"
        f"{'' if alarm.lasts else ', gone at the end'}: {alarm.message}"
        for alarm in first.values()
    )


def _missed(verdict: Verdict, found: Sorted) -> str:
    healthy = found.bars.get(verdict.run.program)
    limit = "" if healthy is None else f", hurt below {healthy:.3f}"
    watched = ", ".join(verdict.watched)
    return f"{_name(verdict)}{limit}. " + (f"Only watched: {watched}." if watched else "Nothing.")


def _misnamed(results: Results) -> list[str]:
    return [
        f"{_name(v)}. Named: {', '.join(sorted({alarm.rule for alarm in v.alarms}))}."
        for v in results.all.hurt
        if v.alarms and not names_kind(v, results.kinds[v.run.operator])
    ]


def _harmless(verdict: Verdict, found: Sorted) -> str:
    alarms = ", ".join(sorted({alarm.rule for alarm in verdict.alarms}))
    return _name(verdict) + (f". Alarms: {alarms}." if alarms else ".")


def to_json(results: Results) -> dict[str, Any]:
    """Returns the figures, and each run with its verdict."""
    found = results.all
    groups = {
        "healthy": found.healthy,
        "below reference": found.weak,
        "hurt": found.hurt,
        "harmless": found.harmless,
    }
    return {
        "folds": {
            name: {row: _json(value) for row, value in measures(fold, results.kinds).items()}
            for name, fold in results.folds.items()
        },
        "runs": [
            {"group": group, "told": verdict.told, **asdict(verdict)}
            for group, verdicts in groups.items()
            for verdict in verdicts
        ],
        "bars": found.bars,
        "failed": results.failed,
        "stale": results.stale,
        "seconds": results.seconds,
    }


def _json(value: Share | float | None) -> Any:
    if isinstance(value, Share):
        return {"hits": value.hits, "of": value.of, "interval": value.interval}
    return value
