"""How bad something odd is, given how training goes, and how to say so."""

from __future__ import annotations

from tfdiag.rules.curves import is_untrained
from tfdiag.rules.progress import Progress, progress
from tfdiag.trace import Trace


def gate(severity: str, loss: Progress) -> str:
    """Returns the severity of something odd, given how training goes.

    A model that has learned is only watched. What may be healthy (a watch) becomes a warning once
    the loss does not fall; what can hardly work stays at least a warning.
    """
    if loss.state == "learned":
        return "watch"
    if loss.state == "improving":
        return "warn" if severity == "critical" else severity
    return "warn" if severity == "watch" and loss.poor else severity


def so_far(trace: Trace) -> str:
    """Returns how the loss does, as the end of a message; nothing where no training was begun."""
    return "" if is_untrained(trace) else f"; {progress(trace).text}"
