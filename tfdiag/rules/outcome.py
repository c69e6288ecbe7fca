"""What came of the rules: found, healthy or not evaluated; and its form in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tfdiag.errors import TfdiagError
from tfdiag.trace import SEVERITIES, Finding

FOUND = "found"
HEALTHY = "healthy"
NOT_EVALUATED = "not-evaluated"

#: Why a rule leaves a layer out that it would judge if there were a number.
NEVER_FINITE = "never finite"
#: How the reason begins if a rule leaves out every layer.
EXEMPT = "every layer is exempt: "


@dataclass(frozen=True)
class Outcome:
    """What came of one rule.

    Attributes:
        rule: the rule's id.
        outcome: `FOUND`, `HEALTHY` or `NOT_EVALUATED`.
        reason: why it was not evaluated; None otherwise.
        exempt: names of the layers it left out, and why.
        findings: what it found, by step and then from the input side.
    """

    rule: str
    outcome: str
    reason: str | None = None
    exempt: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Suppressed:
    """A finding that the user does not want to hear of.

    Attributes:
        finding: what was found.
        reason: why that is as it should be.
    """

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Report:
    """What all rules say about a trace.

    Attributes:
        step: the last recorded step; 0 if there is none.
        outcomes: one per rule, in the order of the rules: from causes to consequences.
        facts: what a reader of the report alone needs for a sentence: see `facts.py`.
        clues: what is no finding but can be the cause of some: see `clues.py`.
        suppressed: findings that count for nothing: see `suppression.py`.
    """

    step: int
    outcomes: tuple[Outcome, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    clues: tuple[Finding, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings: worst first, then by rule, then by step, then from the input side."""
        found = [finding for outcome in self.outcomes for finding in outcome.findings]
        return tuple(sorted(found, key=lambda f: -SEVERITIES.index(f.severity)))

    def exempts_all(self, outcome: Outcome) -> bool:
        """Returns True if there is no layer that the rule of `outcome` is for."""
        everywhere = bool(outcome.exempt) and len(outcome.exempt) == self.facts.get("layers")
        return everywhere and NEVER_FINITE not in outcome.exempt.values()

    def to_json(self) -> dict[str, Any]:
        """Returns the facts alone, no advice, as JSON without NaN: that becomes null."""
        return {
            "step": self.step,
            "outcomes": [
                {
                    "rule": outcome.rule,
                    "outcome": outcome.outcome,
                    "reason": outcome.reason,
                    "exempt": dict(outcome.exempt),
                    "findings": [finding_json(finding) for finding in outcome.findings],
                }
                for outcome in self.outcomes
            ],
            "facts": {name: _null(value) for name, value in self.facts.items()},
            "clues": [{"rule": clue.rule, **finding_json(clue)} for clue in self.clues],
            "suppressed": [
                {"rule": one.finding.rule, **finding_json(one.finding), "reason": one.reason}
                for one in self.suppressed
            ],
        }

    @staticmethod
    def from_json(content: Any) -> Report:
        """Returns the report that `to_json` wrote. Unknown rules and fields pass.

        Raises:
            TfdiagError: if `content` is not of that form.
        """
        try:
            return Report(
                step=_step(content["step"]),
                outcomes=tuple(_outcome(item) for item in _of(list, content["outcomes"])),
                facts=_facts(content.get("facts", {})),
                clues=tuple(
                    _finding(item, _of(str, item["rule"]))
                    for item in _of(list, content.get("clues", []))
                ),
                suppressed=tuple(
                    Suppressed(_finding(item, _of(str, item["rule"])), _of(str, item["reason"]))
                    for item in _of(list, content.get("suppressed", []))
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TfdiagError(
                f"The recorded report is damaged ({type(error).__name__}: {error}). Run "
                "`tfdiag check` to judge the recording anew, or record the run again."
            ) from error


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def finding_json(finding: Finding) -> dict[str, Any]:
    """Returns a finding's own fields, all but the rule, with null where there is no number."""
    fields = {name: _null(value) for name, value in asdict(finding).items()}
    del fields["rule"]  # the outcome has it
    return fields


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, got {str(value)[:40]!r}")
    return value


def _text(value: Any) -> str | None:
    return None if value is None else _of(str, value)


def _step(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise TypeError(f"step expected, got {str(value)[:40]!r}")
    return value


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"number expected, got {str(value)[:40]!r}")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("number too large") from error


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if _of(str, value) not in choices:
        raise ValueError(f"one of {', '.join(choices)} expected, got {value[:40]!r}")
    return value


def _outcome(item: Any) -> Outcome:
    rule = _of(str, item["rule"])
    exempt = _of(dict, item["exempt"])
    findings = _of(list, item["findings"])
    outcome = _choice(item["outcome"], (FOUND, HEALTHY, NOT_EVALUATED))
    if (outcome == FOUND) != bool(findings):
        raise ValueError(f"outcome {outcome!r} with {len(findings)} findings")
    return Outcome(
        rule=rule,
        outcome=outcome,
        reason=_text(item["reason"]),
        exempt={_of(str, layer): _of(str, why) for layer, why in exempt.items()},
        findings=tuple(_finding(finding, rule) for finding in findings),
    )


def _finding(item: Any, rule: str) -> Finding:
    return Finding(
        severity=_choice(item["severity"], SEVERITIES),
        step=_step(item["step"]),
        message=_of(str, item["message"]),
        evidence=_of(str, item["evidence"]),
        layer=_text(item["layer"]),
        value=_number(item["value"]),
        limit=_number(item["limit"]),
        metric=_text(item["metric"]),
        rule=rule,
    )


def _facts(content: Any) -> dict[str, Any]:
    facts = _of(dict, content)
    return {
        _of(str, name): value if value is None or isinstance(value, str) else _number(value)
        for name, value in facts.items()
    }
