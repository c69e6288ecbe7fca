"""Learning rates to suggest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.rules.curves import finite
from tfdiag.trace import Finding, Trace


def finite_rates(trace: Trace) -> np.ndarray:
    """Returns `float64[R]`, the learning rates that were recorded; none if that is nothing."""
    return finite(trace, "learning_rate")


def optimizer_of(architecture: Architecture) -> str | None:
    """Returns the class of the optimizer that makes the steps; None if it is not known.

    Mixed precision wraps it in another one, which scales the loss.
    """
    inner = architecture.settings.get("inner_optimizer")
    return inner if isinstance(inner, str) else architecture.optimizer


def for_ratio(rate: float, ratio: float) -> float | None:
    """Returns the learning rate that would make the update ratio 1e-3.

    Returns:
        None if a number is not known, or if the answer is above 1: then it is not the rate.

    Source: CS231n, https://cs231n.github.io/neural-networks-3/#ratio

    >>> for_ratio(0.1, 0.5)
    0.0002
    >>> for_ratio(100.0, 25.0)
    0.004
    """
    if not (0 < rate < math.inf and 0 < ratio < math.inf and rate * 1e-3 <= ratio):
        return None
    return float(f"{rate * 1e-3 / ratio:.1g}")


def tenth(finding: Finding | None, facts: Mapping[str, Any]) -> str | None:
    """Returns code that divides the learning rate by ten.

    Returns:
        None if the rate is not known, or is above 1: then a tenth of it may still be far too much.

    >>> tenth(None, {"learning_rate_lowest": 0.1, "learning_rate": 0.1})
    'model.optimizer.learning_rate = 0.01'
    """
    rate = facts.get("learning_rate")
    return setting(rate / 10, facts) if isinstance(rate, float) and 0 < rate <= 1 else None


def moves(facts: Mapping[str, Any]) -> bool:
    """Returns True if the run's learning rate did not stay the same."""
    return facts.get("learning_rate_lowest") != facts.get("learning_rate")


def setting(rate: float, facts: Mapping[str, Any]) -> str:
    """Returns the code that sets a learning rate.

    Keras refuses to assign a rate that follows a schedule, and a callback would overwrite it:
    a rate that moved is set where the optimizer is made.

    >>> setting(0.001, {"learning_rate_lowest": 0.1, "learning_rate": 0.1})
    'model.optimizer.learning_rate = 0.001'
    >>> setting(0.1, {"learning_rate_lowest": 0.1, "learning_rate": 30.0, "optimizer": "SGD"})
    'SGD(learning_rate=0.1)'
    """
    if not moves(facts):
        return f"model.optimizer.learning_rate = {rate:.3g}"
    return f"{facts.get('optimizer') or 'optimizer'}(learning_rate={rate:.3g})"
