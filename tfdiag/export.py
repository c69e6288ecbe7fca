"""A choice of thresholds and suppressions, written down to be taken along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfdiag.config import Config
from tfdiag.rules.suppression import Suppression


def as_toml(config: Config) -> str:
    """Returns the content of a `tfdiag.toml` that says what `config` says; empty for nothing.

    >>> print(as_toml(Config(thresholds={"dead-relu": {"warn": 0.4}})), end="")
    [thresholds]
    "dead-relu".warn = 0.4
    """
    parts = [
        [f"disable = [{', '.join(map(_text, config.disable))}]"] if config.disable else [],
        _thresholds(config.thresholds),
        *map(_suppression, config.suppress),
    ]
    return "\n".join("".join(f"{line}\n" for line in part) for part in parts if part)


def as_callback(thresholds: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the code of a callback with these thresholds.

    >>> print(as_callback({"dead-relu": {"warn": 0.4, "patience": 5}}))
    HealthMonitor(
        log_dir,
        thresholds={
            "dead-relu": {"warn": 0.4, "patience": 5},
        },
    )
    """
    rules = [
        f"        {_text(rule)}: {{{', '.join(f'{_text(n)}: {v!r}' for n, v in values.items())}}},"
        for rule, values in thresholds.items()
        if values
    ]
    if not rules:
        return "HealthMonitor(log_dir)"
    return "\n".join(["HealthMonitor(", "    log_dir,", "    thresholds={", *rules, "    },", ")"])


def _thresholds(thresholds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        f"{_text(rule)}.{name} = {value!r}"
        for rule, values in thresholds.items()
        for name, value in values.items()
    ]
    return ["[thresholds]", *lines] if lines else []


def _suppression(one: Suppression) -> list[str]:
    fields = {"rule": one.rule, "layer": one.layer, "reason": one.reason}
    lines = [f"{name} = {_text(text)}" for name, text in fields.items() if text is not None]
    return ["[[suppress]]", *lines]


def _text(text: str) -> str:
    """Returns a text in quotation marks: what JSON escapes, TOML does too, and one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
