"""Losses of the answers alone, where it was recorded what regularization adds to them.

A penalty that falls with the weights looks like learning, and one that stays hides how good the
answers are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfdiag.rules.curves import measured
from tfdiag.rules.outcome import Outcome
from tfdiag.rules.wording import number
from tfdiag.trace import Finding, Trace

#: What regularizers and `add_loss` add to the probe loss.
PENALTY = "probe_regularization"
#: Losses that contain it.
LOSSES = ("probe_loss", "loss", "val_loss", "epoch_loss")
#: Share of what is left of a loss within which the penalty must be known. Source: heuristic.
_WITHIN = 0.1


def without_penalty(trace: Trace) -> Trace:
    """Returns the trace with losses of the answers alone, as if nothing were added to them.

    Each look at the probe set measures the penalty. Between two looks it is taken to move evenly;
    where it moves by more than a tenth of what is left of a loss, that is nan: not measured. Of a
    loss whose beginning is not known that way nothing is left: a fall would begin too late.

    The same object where no penalty was recorded, or just once; and where no kernel's regularizer
    is known: what a layer's `add_loss` adds may be another number for each size of a batch.
    """
    options = trace.architecture.loss_options or {}
    steps, penalty = measured(trace, PENALTY)
    if len(steps) < 2 or not options.get("regularized") or not _has_regularizer(trace):
        return trace
    series = dict(trace.series)
    for name in filter(series.__contains__, LOSSES):
        ends = trace.steps[: len(series[name])]
        begins = _epoch_begins(trace)[: len(ends)] if name == "epoch_loss" else ends
        added = (np.interp(begins, steps, penalty) + np.interp(ends, steps, penalty)) / 2
        left = series[name] - added
        known = _moved(begins, ends, steps, penalty) <= _WITHIN * left
        first = np.flatnonzero(np.isfinite(left))[:1]
        series[name] = np.where(known & known[first].all(), left, np.nan)
    alone = replace(trace.architecture, loss_options={**options, "regularized": False})
    return replace(trace, architecture=alone, series=series)


def _has_regularizer(trace: Trace) -> bool:
    layers = trace.architecture.layers
    return any("kernel_regularizer" in (layer.options or {}) for layer in layers)


def _epoch_begins(trace: Trace) -> np.ndarray:
    """Returns the step at which the epoch of each record began."""
    ends = measured(trace, "epoch")[0]
    epoch = np.searchsorted(ends, trace.steps)
    return np.concatenate([[trace.steps[0]], ends])[epoch]


def _moved(
    begins: np.ndarray, ends: np.ndarray, steps: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Returns how far the penalty moved between the looks around each span; 0 at a look itself."""
    before = np.clip(np.searchsorted(steps, begins, side="right") - 1, 0, len(steps) - 1)
    after = np.searchsorted(steps, ends)
    late = after == len(steps)  # after the last look it may move on as before
    before, after = np.where(late, len(steps) - 2, before), np.where(late, len(steps) - 1, after)
    return np.abs(penalty[after] - penalty[before])


def said_without_penalty(outcome: Outcome, trace: Trace) -> Outcome:
    """Returns what came of a rule on `without_penalty(trace)`; its words say what is left out."""
    added = number(float(measured(trace, PENALTY)[1][-1]))

    def told(finding: Finding) -> Finding:
        if finding.metric not in LOSSES:
            return finding
        text = f"{finding.message} What regularization adds to it, {added} now, is left out."
        return replace(finding, message=text)

    return replace(outcome, findings=tuple(map(told, outcome.findings)))
