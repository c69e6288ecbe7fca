"""Thresholds and the choice of rules, as a user edits them in a file.

The file is `tfdiag.toml`, or `pyproject.toml` with everything below `[tool.tfdiag]`:

    disable = ["saturated-activation"]    # above the first [table], as TOML wants it

    [thresholds]
    "dead-relu".warn = 0.4

    [[suppress]]
    rule = "dead-relu"
    layer = "conv_*"                      # without it, all layers
    reason = "sparse codes by design"
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfdiag.errors import TfdiagError
from tfdiag.rules import (
    ALL_RULES,
    Report,
    Rule,
    check,
    known_thresholds,
    resolve_thresholds,
)
from tfdiag.rules.suppression import Suppression, disabled, is_disabled, suppress
from tfdiag.trace import Trace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_OWN, _SHARED = "tfdiag.toml", "pyproject.toml"
_KEYS = ("thresholds", "disable", "suppress")


@dataclass(frozen=True)
class Config:
    """What the user chose.

    Attributes:
        path: the file it comes from; None if there is none.
        thresholds: rule's id to threshold's name to number, only what differs from the defaults.
        disable: ids of rules that do not run.
        suppress: findings that count for nothing.
    """

    path: Path | None = None
    thresholds: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)
    disable: tuple[str, ...] = ()
    suppress: tuple[Suppression, ...] = ()

    def check(
        self,
        trace: Trace,
        rules: Iterable[Rule] = ALL_RULES,
        thresholds: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Report:
        """Judges a trace as `tfdiag.check` does, with what the user chose.

        Args:
            rules: the rules to run, but for those that are disabled.
            thresholds: others that take precedence over those of the file.

        Raises:
            ValueError: as `tfdiag.check`.
        """
        rules = tuple(rules)
        merged = merge(self.thresholds, thresholds or {})
        running = [rule for rule in rules if rule.id not in self.disable]
        report = check(trace, running, merged)
        outcomes = {outcome.rule: outcome for outcome in report.outcomes}
        ordered = tuple(outcomes.get(rule.id) or disabled(rule.id) for rule in rules)
        return self.apply(replace(report, outcomes=ordered))

    def check_again(
        self,
        trace: Trace,
        recorded: Mapping[str, Mapping[str, Any]],
        rules: Iterable[Rule] = ALL_RULES,
        thresholds: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Report:
        """Judges a recorded trace anew: recorded thresholds, then the user's, then `thresholds`.

        Args:
            recorded: rule's id to threshold's name to number, of any version of tfdiag.
            rules: as for `check`.
            thresholds: as for `check`.

        Raises:
            TfdiagError: if the recorded thresholds are damaged.
            ValueError: as `tfdiag.check`.
        """
        known = known_thresholds(recorded)
        try:
            resolve_thresholds(known)
        except ValueError as error:
            raise TfdiagError(f"The recorded thresholds are damaged: {error}") from error
        return self.check(trace, rules, merge(known, self.thresholds, thresholds or {}))

    def added_to(self, report: Report) -> Config:
        """Returns this choice, and what was switched off already when `report` was made.

        Of a suppression the report knows the findings that it covered, not the pattern.
        """
        covered = (
            Suppression(one.finding.rule, one.reason, one.finding.layer)
            for one in report.suppressed
        )
        off = tuple(outcome.rule for outcome in report.outcomes if is_disabled(outcome))
        return replace(self, disable=(*self.disable, *off), suppress=(*self.suppress, *covered))

    def apply(self, report: Report) -> Report:
        """Returns a report that was made without this choice, with it: no rule runs again."""
        outcomes = tuple(
            disabled(outcome.rule) if outcome.rule in self.disable else outcome
            for outcome in report.outcomes
        )
        clues = tuple(clue for clue in report.clues if clue.rule not in self.disable)
        return suppress(replace(report, outcomes=outcomes, clues=clues), self.suppress)


def merge(*thresholds: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns all thresholds together; of two with one name, the later.

    >>> merge({"dead-relu": {"warn": 0.4, "patience": 2}}, {"dead-relu": {"warn": 0.6}})
    {'dead-relu': {'warn': 0.6, 'patience': 2}}
    """
    merged: dict[str, dict[str, Any]] = {}
    for one in thresholds:
        for rule, values in one.items():
            merged.setdefault(rule, {}).update(values)
    return merged


def load(path: str | os.PathLike[str] | None = None, rules: Iterable[Rule] = ALL_RULES) -> Config:
    """Returns what the user chose.

    Args:
        path: a file; None for `tfdiag.toml`, or `pyproject.toml` with a table `tool.tfdiag`, in
            the current folder or the nearest one above it.
        rules: the rules that are known.

    Returns:
        An empty choice if `path` is None and there is no such file.

    Raises:
        TfdiagError: if the file cannot be read, or says what makes no sense: which file, which
            key, what was expected.
    """
    rules = tuple(rules)
    if path is not None:
        file = Path(path)
        content = _content(file)
        if file.name == _SHARED:
            content = _table(file, content)
            if content is None:
                raise TfdiagError(f"{file} has no table [tool.tfdiag]. Add it, or name another.")
        return _Reader(file, rules).config(content)
    for folder in (Path.cwd(), *Path.cwd().parents):
        if os.path.isfile(folder / _OWN):
            return _Reader(folder / _OWN, rules).config(_content(folder / _OWN))
        if _speaks_of_us(folder / _SHARED):
            content = _table(folder / _SHARED, _content(folder / _SHARED))
            if content is not None:
                return _Reader(folder / _SHARED, rules).config(content)
    return Config()


def read(content: Mapping[str, Any], source: str, rules: Iterable[Rule] = ALL_RULES) -> Config:
    """Returns the choice that `content` says, as a file would.

    Args:
        content: what the TOML of a file would give.
        source: what errors call it.
        rules: the rules that are known.

    Raises:
        TfdiagError: as `load`.
    """
    return replace(_Reader(Path(source), tuple(rules)).config(content), path=None)


def _speaks_of_us(file: Path) -> bool:
    """Returns True if it is worth reading: another's broken file is none of our business."""
    try:
        return b"tfdiag" in file.read_bytes()
    except OSError:
        return False


def _content(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TfdiagError(f"{file} cannot be read: {reason}. Name another file.") from error
    except UnicodeDecodeError as error:
        raise TfdiagError(f"{file} is not UTF-8 text, as TOML must be. Save it as such.") from error
    except tomllib.TOMLDecodeError as error:
        raise TfdiagError(f"{file} is not valid TOML: {error}. Correct it.") from error


def _table(file: Path, content: Any) -> Any:
    """Returns the table `tool.tfdiag`; None if there is none."""
    for name in ("tool", "tfdiag"):
        content = content.get(name) if isinstance(content, dict) else None
    if content is not None and not isinstance(content, dict):
        raise TfdiagError(f"{file}, tool.tfdiag: a table was expected, but got {content!r}.")
    return content


class _Reader:
    """Reads one file's choice, and says precisely what is wrong with it."""

    def __init__(self, file: Path, rules: tuple[Rule, ...]):
        self._file = file
        self._rules = rules
        self._prefix = "tool.tfdiag." if file.name == _SHARED else ""

    def config(self, content: Mapping[str, Any]) -> Config:
        self._known(content, _KEYS, "")
        return Config(
            self._file,
            self._thresholds(self._typed(content.get("thresholds", {}), dict, "thresholds")),
            tuple(
                self._rule(rule, f"disable[{i}]")
                for i, rule in enumerate(self._typed(content.get("disable", []), list, "disable"))
            ),
            tuple(
                self._suppression(item, f"suppress[{i}]")
                for i, item in enumerate(self._typed(content.get("suppress", []), list, "suppress"))
            ),
        )

    def _thresholds(self, content: Mapping[str, Any]) -> dict[str, dict[str, int | float]]:
        for id, values in content.items():
            self._rule(id, f"thresholds.{id}")
            for name, value in self._typed(values, dict, f"thresholds.{id}").items():
                try:
                    resolve_thresholds({id: {name: value}}, self._rules)
                except ValueError as error:
                    raise self._error(f"thresholds.{id}.{name}", str(error)) from error
        return {id: dict(values) for id, values in content.items()}

    def _suppression(self, item: Any, key: str) -> Suppression:
        item = self._typed(item, dict, key)
        self._known(item, ("rule", "layer", "reason"), key)
        for name in ("rule", "reason"):
            if name not in item:
                raise self._error(key, f"`{name}` is missing. Say which rule, and why.")
        reason = self._typed(item["reason"], str, f"{key}.reason")
        if not reason.strip():
            raise self._error(f"{key}.reason", "a reason was expected, but it is empty.")
        layer = item.get("layer")
        if layer is not None:
            self._typed(layer, str, f"{key}.layer")
        return Suppression(self._rule(item["rule"], f"{key}.rule"), reason, layer)

    def _rule(self, id: Any, key: str) -> str:
        known = [rule.id for rule in self._rules]
        if self._typed(id, str, key) not in known:
            raise self._error(key, f"there is no rule {id!r}. {_did_you_mean(id, known)}")
        return id

    def _known(self, content: Mapping[str, Any], keys: tuple[str, ...], key: str) -> None:
        for name in content:
            if name in keys:
                continue
            where = f"{key}.{name}" if key else name
            if key and name in _KEYS:
                hint = f"`{name}` belongs above the first [table] of the file."
            else:
                hint = _did_you_mean(name, keys)
            raise self._error(where, f"there is no such key. {hint}")

    def _typed(self, value: Any, kind: type, key: str) -> Any:
        if isinstance(value, kind):
            return value
        names: dict[Any, str] = {dict: "a table", list: "a list", str: "a text"}
        raise self._error(key, f"{names[kind]} was expected, but got {value!r}.")

    def _error(self, key: str, text: str) -> TfdiagError:
        return TfdiagError(f"{self._file}, {self._prefix}{key}: {text}")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}."
