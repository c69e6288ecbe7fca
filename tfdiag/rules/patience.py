"""Time: since when something has been so, and for how many records."""

from __future__ import annotations

import numpy as np


def streak_start(
    condition: np.ndarray,
    measured: np.ndarray,
    patience: int,
    counted: np.ndarray | None = None,
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

    Returns:
        `int64[L]`, the streak's first measured row; -1 where there is no streak.

    >>> condition = np.array([[True], [False], [True], [False], [True]])
    >>> measured = np.array([[True], [True], [True], [False], [True]])
    >>> streak_start(condition, measured, patience=2)
    array([2])
    """
    rows = np.arange(len(condition))[:, np.newaxis]
    broken = np.where(measured & ~condition, rows, -1).max(axis=0, initial=-1)
    streak = measured & (rows > broken)
    late = streak if counted is None else streak & counted[:, np.newaxis]
    long = late.sum(axis=0) >= patience
    start = np.where(streak, rows, len(condition)).min(axis=0, initial=len(condition))
    return np.where(long, start, -1).astype(np.int64)


def last_measured(values: np.ndarray) -> np.ndarray:
    """Returns each layer's last finite value.

    Args:
        values: `float[S, L]`, nan where not measured.

    Returns:
        `float64[L]`; nan where a layer was never measured.
    """
    finite = np.isfinite(values)
    rows = np.where(finite, np.arange(len(values))[:, np.newaxis], -1).max(axis=0, initial=-1)
    last = np.full(values.shape[1], np.nan)
    seen = np.flatnonzero(rows >= 0)
    last[seen] = values[rows[seen], seen]
    return last
