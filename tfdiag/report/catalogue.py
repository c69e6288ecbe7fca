"""The rules as a list: what each finds, its thresholds, where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tfdiag.report.markdown import escaped
from tfdiag.report.worst import worst
from tfdiag.rules import Rule
from tfdiag.rules.thresholds import smallest
from tfdiag.trace import Trace

#: What the rules of a family look at, in the words and the order of a list of rules.
_GROUPS = {
    "last_layer": "Model",
    "hidden_layers": "Model",
    "freezing": "Model",
    "batches": "Model",
    "inputs": "Data and predictions",
    "labels": "Data and predictions",
    "predictions": "Data and predictions",
    "numerics": "NaN and Inf",
    "gradients": "Gradients",
    "flow": "Gradients",
    "activations": "Activations",
    "outputs": "Activations",
    "weights": "Weights and updates",
    "updates": "Weights and updates",
    "beginning": "Weights and updates",
    "loss": "Loss and metrics",
    "guess": "Loss and metrics",
    "generalization": "Loss and metrics",
    "length": "Loss and metrics",
}
_INTRODUCTION = (
    "What `tfdiag rules --format markdown` prints: what each rule finds and why that matters, what "
    "to do about it, its thresholds and where it comes from. Thresholds are changed by "
    "`HealthMonitor(..., thresholds={rule: {name: value}})`, in `tfdiag.toml`, by `--set` and in "
    "the tab."
)
#: The group of rules that none of these families has.
OTHERS = "Others"


def group(rule: Rule) -> str:
    """Returns what a rule looks at, in a word or two."""
    return _GROUPS.get(rule.family, OTHERS)


def as_json(
    rules: Iterable[Rule], thresholds: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Returns the rules with what is known of each, and the thresholds that hold.

    Args:
        rules: the rules, in their order.
        thresholds: rule's id to all of its thresholds.
    """
    return [
        {
            "id": rule.id,
            "title": rule.title,
            "why": rule.why,
            "thresholds": {
                name: {"value": thresholds[rule.id][name], "default": default}
                for name, default in rule.thresholds.items()
            },
            "needs": [[need] if isinstance(need, str) else list(need) for need in rule.needs],
            "advice": list(rule.advice),
            "source": rule.source,
        }
        for rule in rules
    ]


def adjustable(
    rules: Iterable[Rule],
    thresholds: Mapping[str, Mapping[str, Any]],
    trace: Trace,
    exempt: Mapping[str, Mapping[str, str]],
) -> list[dict[str, Any]]:
    """Returns the rules that have thresholds, with all that it takes to change them.

    Args:
        rules: the rules, in their order.
        thresholds: rule's id to all of its thresholds.
        trace: the run that they are changed for.
        exempt: rule's id to the layers that it leaves out.
    """
    return [
        {
            "id": rule.id,
            "title": rule.title,
            "thresholds": [
                {
                    **_threshold(rule, name, thresholds[rule.id][name]),
                    "worst": worst(rule, name, trace, exempt.get(rule.id, {})),
                }
                for name in rule.thresholds
            ],
        }
        for rule in rules
        if rule.thresholds
    ]


def _threshold(rule: Rule, name: str, value: float) -> dict[str, Any]:
    default = rule.thresholds[name]
    about, _, source = rule.meanings.get(name, "").partition("Source: ")
    severities = {limit.argument: limit.severity for limit in rule.limits}
    return {
        "name": name,
        "about": about.strip().rstrip("."),
        "source": source.rstrip("."),
        "value": value,
        "default": default,
        "sign": rule.sign(name),
        "severity": severities.get(name),
        "measure": rule.measure(name),
        "whole": isinstance(default, int),
        "least": smallest(name),
        "most": 1 if name in rule.shares else None,
    }


def text(rules: Iterable[Rule], thresholds: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the rules in plain words, without a final newline."""
    blocks = []
    for rule in as_json(rules, thresholds):
        numbers = ", ".join(map(_number, rule["thresholds"], rule["thresholds"].values()))
        blocks.append(
            f"{rule['id']}: {rule['title']}\n"
            f"  {rule['why']}\n"
            f"  thresholds: {numbers or 'none'}\n"
            f"  source: {rule['source']}"
        )
    return "\n\n".join(blocks)


def markdown(rules: Iterable[Rule], thresholds: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the rules in their groups as a page of Markdown, without a final newline."""
    rules = tuple(rules)
    blocks = ["# The rules", _INTRODUCTION]
    for title in dict.fromkeys(map(group, rules)):
        blocks.append(f"## {title}")
        for rule in rules:
            if group(rule) == title:
                blocks.append(_described(rule, thresholds[rule.id]))
    return "\n\n".join(blocks)


def _described(rule: Rule, thresholds: Mapping[str, Any]) -> str:
    found = [f"### {rule.title} (`{rule.id}`)", f"{escaped(rule.finds)} {escaped(rule.why)}"]
    told = [_threshold(rule, name, thresholds[name]) for name in rule.thresholds]
    numbers = [f"- {_meaning(one)}" for one in told]
    return "\n\n".join(
        [
            *found,
            "\n".join(f"- {escaped(advice)}" for advice in rule.advice),
            *(["Thresholds:", "\n".join(numbers)] if numbers else []),
            f"Source: {_linked(rule.source)}",
        ]
    )


def _meaning(threshold: Mapping[str, Any]) -> str:
    values = {"value": threshold["value"], "default": threshold["default"]}
    told = [f"`{_number(threshold['name'], values)}`"]
    told += [escaped(threshold["about"])] if threshold["about"] else []
    source = f" Source: {_linked(threshold['source'])}." if threshold["source"] else ""
    return f"{': '.join(told)}.{source}"


def _linked(source: str) -> str:
    """Returns a source as Markdown, with its addresses as links."""
    parts = re.split(r"(https?://[^\s,;]+[^\s,;:.])", source)
    return "".join(f"<{part}>" if i % 2 else escaped(part) for i, part in enumerate(parts))


def _number(name: str, values: Mapping[str, Any]) -> str:
    value, default = values["value"], values["default"]
    return f"{name} {value!r}" + (f" (default {default!r})" if value != default else "")
