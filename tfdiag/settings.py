"""What a run was set to: model, training, data, thresholds, versions. And where two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfdiag.data import Data
from tfdiag.trace import Trace

#: A value as it is told: tuples are texts, None means "none".
Value = str | float | int | bool | None
#: Group to name to a value, or to several by their own names.
Settings = dict[str, dict[str, Value | dict[str, Value]]]


@dataclass(frozen=True)
class Setting:
    """One setting of two runs.

    Attributes:
        group: such as "layers" or "training".
        name: such as "learning_rate", or "dense: activation".
        run: the run's value; None if it has none.
        baseline: the baseline's value.
        only: "run" or "baseline" if the other one does not have this setting at all, or None.
        same: whether both are equal.
    """

    group: str
    name: str
    run: Value
    baseline: Value
    only: str | None
    same: bool


def settings(
    trace: Trace,
    *,
    thresholds: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    monitor: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
) -> Settings:
    """Returns what a run was set to, as far as it was recorded.

    Args:
        thresholds: rule's id to its thresholds.
        versions: package's name to its version.
        monitor: the monitor's own settings.
        names: other names for layers, so that those of two runs agree.
    """
    names = names or {}
    model = trace.architecture
    batch = trace.series.get("batch_size", np.array([]))
    batch = batch[np.isfinite(batch)]
    return {
        "training": {
            "optimizer": model.optimizer,
            **({"batch_size": int(batch.max())} if len(batch) else {}),
            "loss": model.loss,
            **{f"loss {name}": value for name, value in (model.loss_options or {}).items()},
            **({"planned steps": trace.planned_steps} if trace.planned_steps else {}),
            **model.settings,
        },
        "layers": {
            names.get(layer.name, layer.name): {
                "type": layer.type,
                "shape": _told(layer.shape),
                "parameters": layer.parameters,
                "trainable": layer.trainable,
                "activation": layer.activation,
                "role": layer.role,
                "inputs": ", ".join(names.get(name, name) for name in layer.inputs),
                **(layer.options or {}),
            }
            for layer in model.layers
        },
        "data": {"probe samples": trace.probe_samples, **_data(trace.data)},
        "thresholds": {rule: dict(values) for rule, values in thresholds.items()},
        "monitor": dict(monitor),
        "versions": dict(versions),
    }


def _data(data: Data | None) -> dict[str, dict[str, Value]]:
    if data is None:
        return {}
    inputs = _named("input", [one.name for one in data.inputs])
    labels = _named("labels", [str(i) for i in range(len(data.labels))])
    found = dict(zip(inputs, map(asdict, data.inputs), strict=True))
    for name, wanted in zip(labels, data.labels, strict=True):
        facts = asdict(wanted)
        found[name] = facts if wanted.classes else _without_classes(facts)
    return {
        name: {key: _told(value) for key, value in facts.items() if key not in ("name", "shares")}
        for name, facts in found.items()
    }


def _named(word: str, names: list[str]) -> list[str]:
    """Returns what users call each: "input", or "input age" of several; nested ones by number."""
    if len(names) == 1:
        return [word]
    unique = len(set(names)) == len(names)
    return [f"{word} {name if unique else i}" for i, name in enumerate(names)]


def _without_classes(facts: dict[str, Any]) -> dict[str, Any]:
    """Returns the facts of labels that are no classes, or of how many it is not known."""
    of_classes = ("classes", "largest", "smallest")
    return {name: value for name, value in facts.items() if name not in of_classes}


def _told(value: Any) -> Value:
    """Returns a shape as "8 × 8 × 16" and a measured number with three digits."""
    if isinstance(value, tuple):
        return " × ".join("?" if size is None else str(size) for size in value)
    if isinstance(value, float):
        return float(f"{value:.3g}") if np.isfinite(value) else None
    return value


def compared(run: Settings, baseline: Settings) -> list[Setting]:
    """Returns all settings of both; of what has several values only those that differ, or itself.

    >>> run = {"layers": {"dense": {"units": 8, "rate": 0.1}, "head": {"units": 1}}}
    >>> good = {"layers": {"dense": {"units": 9, "rate": 0.1}, "head": {"units": 1}}}
    >>> [(one.name, one.same) for one in compared(run, good)]
    [('dense: units', False), ('head', True)]
    """
    return [
        one
        for group in run
        for name, (ours, theirs) in _beside(run[group], baseline[group]).items()
        for one in _settings(group, name, ours, theirs)
    ]


#: Stands where one run does not have a setting.
_NONE = object()


def _beside(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (ours.get(name, _NONE), theirs.get(name, _NONE)) for name in {**ours, **theirs}}


def _settings(group: str, name: str, ours: Any, theirs: Any) -> Iterator[Setting]:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours != theirs:
        for inner, values in _beside(ours, theirs).items():
            if values[0] != values[1]:
                yield from _settings(group, f"{name}: {inner}", *values)
        return
    only = "run" if theirs is _NONE else "baseline" if ours is _NONE else None
    yield Setting(group, name, _short(ours), _short(theirs), only, ours == theirs)


def _short(value: Any) -> Value:
    """Returns a value as it is; of several, as a layer has them, what they are at heart."""
    if value is _NONE:
        return None
    if not isinstance(value, dict):
        return value
    known = (value.get(name) for name in ("type", "shape", "activation", "kind"))
    return " ".join(str(one) for one in known if one) or ", ".join(
        f"{name} {one}" for name, one in value.items()
    )
