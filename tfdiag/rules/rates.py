"""Learning rates to suggest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfdiag.trace import Finding


def for_ratio(rate: float, ratio: float) -> float | None:
    """Returns the learning rate that would make the update ratio 1e-3.

    Returns:
        None if a number is not known, or if the answer is above 1: then it is not the rate.

    Source: CS231n, https://cs231n.github.io/neural-networks-3/#ratio

    >>> for_ratio(0.1, 0.5)
    0.0002
    """
    if not (rate > 0 and ratio > 0 and rate * 1e-3 <= ratio):
        return None
    return float(f"{rate * 1e-3 / ratio:.1g}")


def tenth(finding: Finding, facts: Mapping[str, Any]) -> str | None:
    """Returns code that divides the learning rate by ten; None if the rate is not known."""
    rate = facts.get("learning_rate")
    return assignment(rate / 10) if isinstance(rate, float) and rate > 0 else None


def assignment(rate: float) -> str:
    """Returns the code that sets a learning rate.

    >>> assignment(0.001)
    'model.optimizer.learning_rate = 0.001'
    """
    return f"model.optimizer.learning_rate = {rate:.3g}"
