"""What a request wants to try: thresholds and suppressions, as a `tfdiag.toml` would say them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tensorboard import errors

from tfdiag import config
from tfdiag.errors import TfdiagError

#: Characters of a parameter: all thresholds there are, changed, are half of it.
LONGEST = 6000
#: Characters of an error that repeats what was sent.
_SHOWN = 800

_EXAMPLES = {
    "thresholds": '{"dead-relu": {"warn": 0.4}}',
    "suppress": '[{"rule": "dead-relu", "layer": "conv_*", "reason": "by design"}]',
}


def choice_of(parameters: Mapping[str, str]) -> config.Config:
    """Returns what the parameters `thresholds` and `suppress` say; both may be left out.

    Raises:
        InvalidArgumentError: if they make no sense: what was wrong, what is known.
    """
    content = {name: _content(name, parameters[name]) for name in _EXAMPLES if parameters.get(name)}
    try:
        return config.read(content, "The request")
    except TfdiagError as error:
        raise errors.InvalidArgumentError(_cut(str(error))) from error


def _content(name: str, text: str) -> Any:
    if len(text) > LONGEST:
        raise errors.InvalidArgumentError(
            f"`{name}` has {len(text):,} characters, but at most {LONGEST:,} are read. Take some "
            "changes back, or save what you have as tfdiag.toml and use `tfdiag check`."
        )
    try:
        content = json.loads(text)
        json.dumps(content, ensure_ascii=False).encode()  # half of a character is no text
    except (ValueError, RecursionError) as error:
        raise errors.InvalidArgumentError(
            _cut(f"`{name}` must be JSON such as {_EXAMPLES[name]}, but cannot be read: {error}.")
        ) from error
    return content


def _cut(message: str) -> str:
    return message if len(message) <= _SHOWN else message[:_SHOWN] + "…"
