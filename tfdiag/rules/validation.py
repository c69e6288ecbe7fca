"""Keras' own validation in the place of looks at the probe set that are too rare to be judged.

In a training of seconds the time that the monitor may take is enough for two or three looks, while
Keras measures loss and metrics on held-out data at the end of each epoch, for nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfdiag.rules.curves import finite
from tfdiag.rules.outcome import Outcome
from tfdiag.trace import Finding, Trace

#: Looks from which on the probe set speaks for itself: as many as `progress` asks for.
_ENOUGH = 6


def standing_in(trace: Trace) -> Trace:
    """Returns the trace with validation in the place of the probe set's loss and metrics.

    The same object where there are enough looks, or no more epochs with validation than looks. What
    was measured on the probe set before the first of these epochs stays: so the start is known.
    """
    looks, epochs = (len(finite(trace, name)) for name in ("probe_loss", "val_loss"))
    if not looks or looks >= _ENOUGH or epochs <= looks:
        return trace
    first = int(np.flatnonzero(np.isfinite(trace.series["val_loss"]))[0])
    series = dict(trace.series)
    for name in _measured_on_both(trace):
        values = np.array(series[f"val_{name}"])
        values[:first] = series[f"probe_{name}"][:first]
        series[f"probe_{name}"] = values
    return replace(trace, series=series)


def _measured_on_both(trace: Trace) -> list[str]:
    names = [name.removeprefix("val_") for name in trace.series if name.startswith("val_")]
    return [name for name in names if f"probe_{name}" in trace.series]


def said_of_validation(outcome: Outcome, trace: Trace) -> Outcome:
    """Returns what came of a rule on `standing_in(trace)`, in words that say what was measured."""
    stood_in = {f"probe_{name}" for name in _measured_on_both(trace)}

    def renamed(finding: Finding) -> Finding:
        if finding.metric not in stood_in:
            return finding
        message = finding.message.replace("probe loss", "validation loss")
        return replace(
            finding,
            message=message.replace("probe set", "validation data"),
            metric=f"val_{finding.metric.removeprefix('probe_')}",
        )

    return replace(outcome, findings=tuple(map(renamed, outcome.findings)))
