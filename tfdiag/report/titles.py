"""What rules and findings are called in texts."""

from __future__ import annotations

from collections.abc import Mapping

from tfdiag.rules import Rule
from tfdiag.trace import Finding


def named(finding: Finding) -> str:
    """Returns a finding's rule and place: "dead-relu in dense", "nonfinite-loss"."""
    return f"{finding.rule} in {finding.layer}" if finding.layer else finding.rule


def title(id: str, catalogue: Mapping[str, Rule]) -> str:
    """Returns a rule's title; its id if the rule is not known."""
    return catalogue[id].title if id in catalogue else id


def inner(title: str) -> str:
    """Returns a title for the middle of a sentence: "dead ReLU", but "NaN loss"."""
    usual = title[:1].isupper() and title.split(" ")[0][1:].islower()
    return title[:1].lower() + title[1:] if usual else title
