"""What users set: each rule's thresholds, checked before training starts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tfdiag.rules.rule import Rule

Thresholds = dict[str, dict[str, int | float]]

#: What numpy counts steps with.
_LARGEST_STEP = 2**63 - 1


def resolve(overrides: Mapping[str, Mapping[str, Any]] | None, rules: Iterable[Rule]) -> Thresholds:
    """Returns every rule's thresholds: the defaults, with `overrides` in their place.

    Args:
        overrides: rule's id to threshold's name to number; None for the defaults.
        rules: the rules that are known.

    Raises:
        ValueError: if a rule or a threshold is unknown, or a value is no fitting number.
    """
    known = {rule.id: rule for rule in rules}
    resolved: Thresholds = {id: dict(rule.thresholds) for id, rule in known.items()}
    for id, values in _items(overrides or {}, "thresholds", "{'dead-relu': {'patience': 3}}"):
        if id not in resolved:
            raise ValueError(
                f"`thresholds` names the rule {id!r}, but the rules are {', '.join(resolved)}. "
                "Correct the name or leave it out."
            )
        for name, value in _items(values, f"thresholds[{id!r}]", "{'patience': 3}"):
            if name in resolved[id] and value is resolved[id][name]:  # a default
                continue
            number = _number(id, name, value, resolved[id])
            if name in known[id].shares and number > 1:
                raise ValueError(_no_share(known[id], name, value))
            resolved[id][name] = number
    return resolved


def known(thresholds: Mapping[str, Mapping[str, Any]], rules: Iterable[Rule]) -> Thresholds:
    """Returns of `thresholds` those that `rules` have.

    A newer tfdiag, or its user, may have recorded others.
    """
    names = {rule.id: rule.thresholds for rule in rules}
    return {
        id: {name: value for name, value in values.items() if name in names[id]}
        for id, values in thresholds.items()
        if id in names
    }


def smallest(name: str) -> int:
    """Returns the smallest number that a threshold of this name may be."""
    return 1 if name == "patience" else 0


def _items(mapping: Any, name: str, example: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(mapping, Mapping):
        raise ValueError(
            f"`{name}` must be a dictionary such as {example}, but got {mapping!r}. Pass one."
        )
    return mapping.items()


def _no_share(rule: Rule, name: str, value: float) -> str:
    message = f"`{name}` of rule {rule.id!r} is a share between 0 and 1, but got {value!r}. "
    if value <= 100:
        return message + f"Did you mean {value / 100:g}?"
    return message + f"Its default is {rule.thresholds[name]!r}."


def _number(id: str, name: str, value: Any, known: Mapping[str, int | float]) -> int | float:
    if name not in known:
        raise ValueError(
            f"Rule {id!r} has no threshold {name!r}; it has {', '.join(known) or 'none'}. "
            "Correct the name or leave it out."
        )
    default = known[name]
    number = not isinstance(value, bool) and isinstance(value, (int, float))
    whole, least = isinstance(default, int), smallest(name)
    most = _LARGEST_STEP if whole else sys.float_info.max
    if number and least <= value <= most and (not whole or value == int(value)):
        return int(value) if whole else float(value)
    raise ValueError(
        f"`{name}` of rule {id!r} must be {'an integer' if whole else 'a number'} of at least "
        f"{least}, but got {value!r}. Its default is {default!r}."
    )
