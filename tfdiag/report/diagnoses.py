"""A diagnosis in words: the cause, the chain to its consequences, how sure that is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tfdiag.report.titles import inner, title
from tfdiag.rules import Report, Rule
from tfdiag.rules.diagnosis import Diagnosis, Event, is_of_loss
from tfdiag.rules.wording import number, since
from tfdiag.trace import Finding

ARROW = " → "
#: How sure an inferred cause is, where a sentence begins.
_SURENESS = {"possible": "Possibly", "likely": "Probably", "very likely": "Very likely"}


def cause(told: Diagnosis, report: Report) -> str:
    """Returns a sentence that names the cause and, if it is inferred, how sure that is.

    It is without its full stop.
    """
    sure = _SURENESS[told.sureness]
    if told.text is not None:
        return re.sub("^Probably ", f"{sure} ", told.text)
    first = told.cause.message.split(". ")[0].rstrip(".")
    inferred = len(told.chain) > 1 or not any(told.cause is one for one in report.findings)
    return f"{sure} the cause: {first}" if inferred else first


def cost(report: Report) -> str:
    """Returns a sentence about what became of the loss; empty if the headline is about it."""
    if any(is_of_loss(one) and one.severity != "watch" for one in report.findings[:1]):
        return ""
    first, last = (fact(report, name) for name in ("loss_first", "loss_last"))
    if math.isnan(first):
        return ""
    of = "probe loss" if report.facts.get("loss") == "probe_loss" else "loss"
    if math.isnan(last):
        return f"The {of} is not finite any more."
    if number(first) == number(last):
        return f"The {of} stayed at {number(last)}."
    verb = "fell" if last < first else "rose"
    return f"The {of} {verb} from {number(first)} to {number(last)}."


def fact(report: Report, name: str) -> float:
    """Returns a number that the report keeps; nan if it has none, or none that is finite."""
    value = report.facts.get(name)
    return value if isinstance(value, float) and math.isfinite(value) else math.nan


def chain(told: Diagnosis, report: Report, catalogue: Mapping[str, Rule]) -> list[str]:
    """Returns the links of the chain: "dense saturated, step 40", "loss does not decrease"."""
    texts = []
    for i, one in enumerate(told.chain):
        text = _event(one, report, catalogue)
        if i > 0 and one.step < told.chain[i - 1].step:  # its date is uncertain
            text = inner(title(one.rule, catalogue))
        texts.append(text)
    return texts


def _event(one: Event, report: Report, catalogue: Mapping[str, Rule]) -> str:
    lead = one.findings[0]
    if not any(lead is finding for finding in report.findings):  # a clue has no headline
        return _uncapitalized(lead.message.rstrip("."))
    if len(one.findings) > 1:
        where = f"in {len(one.findings)} layers {since(one.step)}"
        return f"{inner(title(one.rule, catalogue))} {where}"
    return _headline(lead, report, catalogue)


def _headline(finding: Finding, report: Report, catalogue: Mapping[str, Rule]) -> str:
    """Returns a rule's headline for the middle of a sentence, with the whole name of the layer."""
    rule = catalogue.get(finding.rule)
    if rule is None:
        where = f" in {finding.layer}" if finding.layer else ""
        return f"{finding.rule}{where} {since(finding.step)}"
    template = rule.case(finding, report.facts).verdict
    text = template if template.startswith("{") else inner(template)
    return text.format(layer=finding.layer or "the model", step=finding.step)


def _uncapitalized(sentence: str) -> str:
    """Returns a sentence without its capital, if the word is a usual one."""
    usual = sentence.startswith(("The ", "Step ", "A ", "An ", "One "))
    return sentence[:1].lower() + sentence[1:] if usual else sentence


def as_json(
    told: Diagnosis | None, report: Report, rules: Iterable[Rule], try_first: Any
) -> dict[str, Any] | None:
    """Returns a diagnosis as docs/http.md describes it.

    Args:
        try_first: that of the verdict, as JSON.
    """
    if told is None:
        return None
    catalogue = {rule.id: rule for rule in rules}
    return {
        "cause": {
            "rule": told.cause.rule,
            "layer": told.cause.layer,
            "step": told.cause.step,
            "text": f"{cause(told, report)}. {cost(report)}".rstrip(),
        },
        "chain": [
            {
                "rule": one.rule,
                "layers": [finding.layer for finding in one.findings if finding.layer is not None],
                "step": one.step,
                "text": text,
            }
            for one, text in zip(told.chain, chain(told, report, catalogue), strict=True)
        ],
        "sureness": told.sureness,
        "reason": told.reason,
        "try_first": try_first,
        "explains": [
            i
            for i, finding in enumerate(report.findings)
            if any(finding is one for one in told.explained)
        ],
    }
