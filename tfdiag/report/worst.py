"""How near a run is to a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdiag.rules import Rule
from tfdiag.rules.patience import last_measured
from tfdiag.trace import Trace


def worst(rule: Rule, name: str, trace: Trace, exempt: Mapping[str, str]) -> dict[str, Any] | None:
    """Returns of what was measured last the value that is the worst for a threshold.

    It may lie beyond the threshold without a finding: a rule asks for more, as for patience.

    Args:
        rule: the rule that has the threshold.
        name: the threshold's name.
        trace: what was measured.
        exempt: the layers that the rule leaves out.

    Returns:
        `value` and `layer`, null for the whole model; None if nothing finite was measured, or if
        the rule works out a number of its own.
    """
    measure = rule.measure(name) or ""
    if measure in trace.columns:
        last = last_measured(trace.columns[measure])
        last[[layer in exempt for layer in trace.layers]] = np.nan
    else:
        last = last_measured(trace.series.get(measure, np.full(1, np.nan))[:, np.newaxis])
    if not np.isfinite(last).any():
        return None
    at = int(np.nanargmax(last) if rule.above(name) else np.nanargmin(last))
    layer = trace.layers[at] if measure in trace.columns else None
    return {"value": float(last[at]), "layer": layer}
