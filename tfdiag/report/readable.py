"""Texts of a recording, made harmless: no name of a run or a layer moves a terminal's cursor."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tfdiag.rules import Outcome, Report
from tfdiag.trace import Finding

#: Facts that are several texts, one a line.
_LINES = ("input_layers", "layer_order")


def readable(text: str) -> str:
    r"""Returns `text` with what cannot be seen, or turns what can, in escaped form.

    >>> readable("dense\x1b[2J\n\u202e")
    'dense\\x1b[2J\\n\\u202e'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029":
        return character.encode("unicode_escape").decode("ascii")
    return character


def report(found: Report) -> Report:
    """Returns a report all of whose texts are readable."""
    return replace(
        found,
        outcomes=tuple(map(_outcome, found.outcomes)),
        facts=_facts(found.facts),
        clues=tuple(map(finding, found.clues)),
        suppressed=tuple(
            replace(one, finding=finding(one.finding), reason=readable(one.reason))
            for one in found.suppressed
        ),
    )


def _outcome(outcome: Outcome) -> Outcome:
    return replace(
        outcome,
        rule=readable(outcome.rule),
        reason=None if outcome.reason is None else readable(outcome.reason),
        exempt={readable(layer): readable(why) for layer, why in outcome.exempt.items()},
        findings=tuple(map(finding, outcome.findings)),
    )


def finding(found: Finding) -> Finding:
    """Returns a finding all of whose texts are readable."""
    return replace(
        found,
        rule=readable(found.rule),
        message=readable(found.message),
        evidence=readable(found.evidence),
        layer=None if found.layer is None else readable(found.layer),
        metric=None if found.metric is None else readable(found.metric),
    )


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    clean = {}
    for name, value in facts.items():
        if isinstance(value, str):
            lines = value.split("\n") if name in _LINES else [value]
            value = "\n".join(map(readable, lines))
        clean[readable(name)] = value
    return clean


def json_text(text: str) -> str:
    r"""Returns JSON in which what `readable` escapes is escaped as JSON does it.

    >>> json_text('"\u202e\x9b"')
    '"\\u202e\\u009b"'
    """
    return re.sub(r"[^\n -~]", _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if _visible(character) == character:
        return character
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
