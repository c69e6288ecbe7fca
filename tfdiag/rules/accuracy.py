"""How many answers are right: the one place that knows what such a series is called."""

from __future__ import annotations

import math

import numpy as np

from tfdiag.trace import Trace


def accuracy_name(trace: Trace, prefix: str = "probe_") -> str | None:
    """Returns the series of the share of right answers, None if there is none.

    That the right one is among several is another matter: "top_k" is left out.
    """
    names = (name for name in trace.series if name.startswith(prefix) and "top_k" not in name)
    return next((name for name in names if name.endswith(("accuracy", "acc"))), None)


def accuracy(trace: Trace) -> float:
    """Returns the last accuracy on the probe set; nan if none is measured, or of NaN."""
    name = accuracy_name(trace)
    known = np.zeros(0) if name is None or answers_nan(trace) else trace.series[name]
    known = known[np.isfinite(known)]
    return float(known[-1]) if len(known) else math.nan


def answers_nan(trace: Trace) -> bool:
    """Returns whether an output was not finite when the probe set was looked at last."""
    lost = np.asarray(trace.series.get("probe_nonfinite", ()))
    known = lost[np.isfinite(lost)]
    return bool(len(known) and known[-1] > 0)


def standard_error(share: float, samples: int) -> float:
    """Returns the standard error of a share of so many samples."""
    return math.sqrt(max(share * (1 - share), 0.0) / max(samples, 1))
