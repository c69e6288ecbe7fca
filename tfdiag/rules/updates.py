"""How far one step moves the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfdiag.rules.patience import last_measured, streak_start
from tfdiag.rules.progress import progress
from tfdiag.rules.rates import for_ratio, moves, setting
from tfdiag.rules.roles import no_kernel
from tfdiag.rules.rule import Case, Limit, rule
from tfdiag.rules.wording import number
from tfdiag.trace import Finding, Trace


def _code(finding: Finding, facts: Mapping[str, Any]) -> str | None:
    known = facts.get("learning_rate")
    if not isinstance(known, float) or (moves(facts) and not finding.value > finding.limit):
        return None  # the ratio of a rate that moves is that of an unknown one, at most the highest
    rate = for_ratio(known, finding.value)
    return setting(rate, facts) if rate else None


@rule(
    id="update-ratio",
    title="Update ratio",
    needs=("update_ratio",),
    uses=("gradient_rms",),
    advice=(
        "Lower the learning rate until a step moves the weights by about 0.1 %.",
        "Warm the learning rate up over the first hundred steps.",
        "If only one layer stands out, look at its initial weights: they may be too small.",
    ),
    why="Too large steps undo what was learned; too small ones learn nothing in your lifetime.",
    source="CS231n, https://cs231n.github.io/neural-networks-3/#ratio",
    verdict="Steps too large, step {step}",
    code=_code,
    cases=(
        Case(
            lambda finding, facts: finding.metric == "learning_rate",
            "Learning rate rose, {step}",
            ("Keep the learning rate at what it was before it rose.",),
            lambda finding, facts: setting(finding.limit, facts),
        ),
        Case(
            lambda finding, facts: finding.value < finding.limit,
            "Steps too small, step {step}",
            (
                "Raise the learning rate until a step moves the weights by about 0.1 %.",
                "Normalize the inputs, or the layer's, so that its gradient is not that small.",
            ),
            _code,
        ),
    ),
    exempt=no_kernel,
    absent="no update was measured",
    limits=(
        Limit("update_ratio", "high", "warn"),
        Limit("update_ratio", "low", "warn", above=False),
    ),
)
def update_ratio(
    trace: Trace,
    *,
    high: float = 0.1,
    low: float = 1e-5,
    patience: int = 5,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers whose weights move too much or too little per step.

    Alone only watched, because Adam at a large rate and layers that start near zero move
    far and train well; with a poor loss a warning. Too little is only spoken of with a poor
    loss, and not where another layer moves well (a vanishing gradient) or the gradient is
    exactly 0: those are other rules' findings. A learning rate that warms up or has ended
    makes steps small by design: then the loss is not judged and nothing is said.

    Args:
        high: norm of a step over norm of the weights. Source: MindInsight and torchmortem, 1e-1.
        low: the same. Source: torchmortem, 1e-5.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    ratios, loss = trace.columns["update_ratio"], progress(trace)
    measured, late = np.isfinite(ratios), trace.steps > warm_up
    gradient = trace.columns.get("gradient_rms", np.ones_like(ratios))
    large = streak_start(ratios > high, measured, patience, late)
    all_low = ~(ratios >= low).any(axis=1, keepdims=True)
    small = (ratios < low) & (gradient != 0) & all_low
    tiny = streak_start(small, measured, patience, late)
    last = last_measured(ratios)
    for i in np.flatnonzero((large >= 0) | ((tiny >= 0) & loss.poor)):
        over = large[i] >= 0
        limit, sign = (high, ">") if over else (low, "<")
        step = int(trace.steps[(large if over else tiny)[i]])
        yield Finding(
            severity="warn" if loss.poor else "watch",
            step=step,
            message=f"One step moves the weights of {trace.layers[i]} by {number(last[i])} of "
            f"their norm ({'above' if over else 'below'} {number(limit)} since step {step}); "
            f"{loss.text}.{_suggestion(trace, float(last[i]))}",
            evidence=f"{number(last[i])} {sign} {number(limit)}",
            layer=trace.layers[i],
            value=float(last[i]),
            limit=limit,
            metric="update_ratio",
        )


def _suggestion(trace: Trace, ratio: float) -> str:
    rates = np.asarray(trace.series.get("learning_rate", ()), dtype=np.float64)
    rates = rates[np.isfinite(rates)]
    steady = len(rates) and rates.min() == rates.max()  # or it is not known whose ratio this is
    rate = for_ratio(float(rates[-1]), ratio) if steady else None
    return f" A learning rate near {rate:g} would bring it to 0.001." if rate else ""
