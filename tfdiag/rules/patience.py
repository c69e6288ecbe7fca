"""Time: since when something has been so, and for how many records."""

from __future__ import annotations

import numpy as np

#: Times its limit below which a trouble that was found is over. Source: heuristic, no source.
CLEAR = 0.8


def streak_start(
    condition: np.ndarray,
    measured: np.ndarray,
    patience: int,
    counted: np.ndarray | None = None,
    opens: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the row at which each layer's current streak began.

    A streak is a run of measured rows, all True, up to the layer's last measured row. Rows
    that were not measured neither break it nor count: a layer that exploded and then became
    NaN stays found, and probe metrics are measured less often than gradients.

    Args:
        condition: `bool[S, L]`, True where the trouble is seen.
        measured: `bool[S, L]`, True where `condition` can be trusted.
        patience: measured rows that make a streak, at least 1.
        counted: `bool[S]`, rows after the warm-up; None for all. Only they count towards
            `patience`, but a streak may begin before them: waiting delays what is said, not
            the date.
        opens: `bool[S, L]`, where the trouble is bad enough to count towards `patience`; None
            for all. With it `condition` is the looser bound at which the streak ends, so that
            a value near the limit does not come and go.

    Returns:
        `int64[L]`, the streak's first measured row that opens it; -1 where there is no streak.

    >>> condition = np.array([[True], [False], [True], [False], [True]])
    >>> measured = np.array([[True], [True], [True], [False], [True]])
    >>> streak_start(condition, measured, patience=2)
    array([2])
    """
    start = np.full(condition.shape[1], -1, np.int64)
    # Most layers are well at their last row; only the others are walked through.
    ill = np.flatnonzero(_at_last(condition, measured))
    if not len(ill):
        return start
    condition, measured = condition[:, ill], measured[:, ill]
    rows = np.arange(len(condition))[:, np.newaxis]
    broken = np.where(measured & ~condition, rows, -1).max(axis=0)
    streak = measured & (rows > broken)
    streak = streak if opens is None else streak & opens[:, ill]
    late = streak if counted is None else streak & counted[:, np.newaxis]
    long = late.sum(axis=0) >= patience
    start[ill] = np.where(long, streak.argmax(axis=0), -1)
    return start


def _at_last(condition: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Returns `bool[L]`, whether `condition` held when each layer was measured last."""
    rows, found = _last_rows(measured)
    return found & condition[rows, np.arange(len(found))] if len(condition) else found


def _last_rows(measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each layer's last measured row, and whether it has one.

    The last rows are looked at first: few layers were not measured lately.
    """
    count, layers = measured.shape
    if not count:
        return np.zeros(layers, np.int64), np.zeros(layers, bool)
    tail = measured[-8:]
    if not tail.any(axis=0).all():
        tail = measured
    return count - 1 - tail[::-1].argmax(axis=0), np.asarray(tail.any(axis=0))


def last_measured(values: np.ndarray) -> np.ndarray:
    """Returns each layer's last finite value.

    Args:
        values: `float[S, L]`, nan where not measured.

    Returns:
        `float64[L]`; nan where a layer was never measured.
    """
    rows, found = _last_rows(np.isfinite(values))
    last = np.full(values.shape[1], np.nan)
    last[found] = values[rows[found], np.flatnonzero(found)]
    return last


def first_measured(values: np.ndarray) -> np.ndarray:
    """Returns each layer's first finite value, as `last_measured` does the last.

    >>> first_measured(np.array([[np.nan, np.nan], [2.0, np.nan], [3.0, np.nan]]))
    array([ 2., nan])
    """
    return last_measured(values[::-1])
