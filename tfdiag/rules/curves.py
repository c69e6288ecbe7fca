"""Curves over epochs, from series that are recorded more often or once per epoch."""

from __future__ import annotations

import numpy as np

from tfdiag.rules.patience import streak_start
from tfdiag.rules.rule import CannotJudge
from tfdiag.trace import Trace

#: A loss to the series that says whether it, or what it is computed from, is not finite.
_NONFINITE = {"loss": "loss_nonfinite", "probe_loss": "probe_nonfinite"}


def finite(trace: Trace, name: str) -> np.ndarray:
    """Returns `float64[N]`, what was measured of a series, oldest first."""
    return measured(trace, name)[1]


def measured(trace: Trace, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps at which a series was measured, and its values there."""
    values = np.asarray(trace.series.get(name, ()), dtype=np.float64)
    known = np.isfinite(values)
    return trace.steps[: len(values)][known], values[known]


def lost_since(trace: Trace, loss: str) -> int | None:
    """Returns the step from which on a loss, "loss" or "probe_loss", is not finite any more.

    None if it is finite at its last record, or was never recorded.
    """
    steps, lost = measured(trace, _NONFINITE[loss])
    if loss in trace.series:  # may overflow where all that it is computed from is finite
        values = trace.series[loss][np.isin(trace.steps, steps)]
        lost = np.where(np.isfinite(values), lost, 1.0)
    bad = lost[:, np.newaxis] > 0
    start = streak_start(bad, np.ones_like(bad), 1)[0]
    return None if start < 0 else int(steps[start])


def late(values: np.ndarray) -> float:
    """Returns the mean of the last quarter, of three values at least.

    >>> late(np.array([9.0, 9, 9, 9, 1, 2, 3]))
    2.0
    """
    return float(values[-max(3, len(values) // 4) :].mean())


def fit_epochs(trace: Trace) -> int:
    """Returns how many epochs the `fit` that ended one last has had: each counts anew, from 0.

    A `fit` of one epoch is often one of many, in a loop of the user's own.
    """
    numbers = finite(trace, "epoch")
    return int(numbers[-1]) + 1 if len(numbers) else 0


def came_to_its_end(trace: Trace) -> bool:
    """Returns whether all planned steps were made; False where none are planned."""
    planned = trace.planned_steps
    return bool(planned and len(trace.steps) and trace.steps[-1] >= planned)


def is_over(trace: Trace) -> bool:
    """Returns whether training came to its planned end, after more than one epoch.

    False where nothing is planned.
    """
    return came_to_its_end(trace) and fit_epochs(trace) > 1


def is_whole(trace: Trace) -> bool:
    """Returns whether this was the first `fit` and no other followed: then its end was the end.

    Each `fit` counts its epochs anew. The last one must have ended too: before, its number is not
    known.
    """
    epochs = np.asarray(trace.series.get("epoch", trace.steps * np.nan))
    rows = np.flatnonzero(np.isfinite(epochs))
    over = not len(rows) or trace.steps[rows[-1]] == trace.steps[-1]
    return bool(trace.steps[0] == 0 and over and (np.diff(epochs[rows]) > 0).all())


def is_complete(trace: Trace) -> bool:
    """Returns whether all that was planned was done, in one `fit`: no record will follow."""
    return came_to_its_end(trace) and is_whole(trace)


def is_untrained(trace: Trace) -> bool:
    """Returns whether a model and its data are judged alone: no training was begun."""
    return not trace.series


def epoch_ends(trace: Trace) -> np.ndarray:
    """Returns the rows at which an epoch ended.

    Raises:
        CannotJudge: if there is none.
    """
    rows = np.flatnonzero(np.isfinite(trace.series.get("epoch", trace.steps * np.nan)))
    if not len(rows):
        raise CannotJudge("no epoch has ended")
    return rows


def per_epoch(trace: Trace, name: str, ends: np.ndarray) -> np.ndarray:
    """Returns `float[E]`, the mean of a series' finite values in each epoch; nan where none is.

    >>> from tfdiag.architecture import Architecture
    >>> run = Trace(np.arange(4), Architecture(()), {}, {"loss": np.array([1.0, 3, np.nan, 4])})
    >>> per_epoch(run, "loss", np.array([1, 3]))
    array([2., 4.])
    """
    values = np.asarray(trace.series.get(name, trace.steps * np.nan), dtype=np.float64)
    values = values[: ends[-1] + 1]
    starts = np.concatenate([[0], ends[:-1] + 1])
    finite = np.isfinite(values)
    count = np.add.reduceat(finite.astype(np.float64), starts)
    total = np.add.reduceat(np.where(finite, values, 0.0), starts)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
