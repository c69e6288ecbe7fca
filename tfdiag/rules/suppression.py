"""What the user does not want to hear of: never silently dropped, but it counts for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tfdiag.rules.outcome import FOUND, NOT_EVALUATED, Outcome, Report, Suppressed
from tfdiag.trace import Finding

_DISABLED = "disabled in the configuration"
_SUPPRESSED = "suppressed: "


@dataclass(frozen=True)
class Suppression:
    """Findings that are as they should be.

    Attributes:
        rule: the rule's id.
        reason: why.
        layer: the layer's name, `*` and `?` stand for anything; None for all findings of the rule.
    """

    rule: str
    reason: str
    layer: str | None = None

    def covers(self, finding: Finding) -> bool:
        """Returns True if it speaks of `finding`."""
        named = self.layer is None or (
            finding.layer is not None
            and (finding.layer == self.layer or fnmatchcase(finding.layer, self.layer))
        )
        return finding.rule == self.rule and named


def suppress(report: Report, suppressions: Iterable[Suppression]) -> Report:
    """Returns `report` with the findings that `suppressions` cover set apart.

    A rule that has no other finding was not evaluated, in the user's own words. What is covered is
    no clue to other findings either.
    """
    suppressions = tuple(suppressions)
    if not suppressions:
        return report
    outcomes, apart = [], list(report.suppressed)
    for outcome in report.outcomes:
        covered = {id(f): s for f in outcome.findings if (s := _cover(f, suppressions))}
        kept = tuple(f for f in outcome.findings if id(f) not in covered)
        apart += [
            Suppressed(f, covered[id(f)].reason) for f in outcome.findings if id(f) in covered
        ]
        if outcome.outcome == FOUND and not kept:
            reason = next(iter(covered.values())).reason
            outcome = replace(outcome, outcome=NOT_EVALUATED, reason=_SUPPRESSED + reason)
        outcomes.append(replace(outcome, findings=kept))
    clues = tuple(clue for clue in report.clues if not _cover(clue, suppressions))
    return replace(report, outcomes=tuple(outcomes), clues=clues, suppressed=tuple(apart))


def _cover(finding: Finding, suppressions: Iterable[Suppression]) -> Suppression | None:
    return next((one for one in suppressions if one.covers(finding)), None)


def disabled(rule: str) -> Outcome:
    """Returns the outcome of a rule that the user switched off."""
    return Outcome(rule, NOT_EVALUATED, _DISABLED)


def is_disabled(outcome: Outcome) -> bool:
    """Returns True if the user switched the rule off."""
    return outcome.outcome == NOT_EVALUATED and outcome.reason == _DISABLED


def unwanted(outcome: Outcome) -> bool:
    """Returns True if a rule is silent because the user said so: no gap in what is known."""
    suppressed = (outcome.reason or "").startswith(_SUPPRESSED)
    return is_disabled(outcome) or (outcome.outcome == NOT_EVALUATED and suppressed)
