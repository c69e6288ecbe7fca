"""How far one step moves the weights, and the learning rate that decides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfdiag.rules.patience import last_measured, streak_start
from tfdiag.rules.progress import knows_nothing, progress
from tfdiag.rules.rates import finite_rates, for_ratio, moves, optimizer_of, setting
from tfdiag.rules.roles import no_kernel
from tfdiag.rules.rule import CannotJudge, Case, Limit, NotApplicable, rule
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
    remedy="learning rate",
    below=("whole",),
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
        Limit(
            *("update_ratio", "low", "warn"),
            above=False,
            instead=("unchanged-weights", "vanishing-gradient", "zero-gradient"),
        ),
    ),
)
def update_ratio(
    trace: Trace,
    *,
    high: float = 0.1,
    low: float = 1e-5,
    whole: float = 0.01,
    patience: int = 5,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers whose weights move too much or too little per step.

    Alone only watched, because Adam at a large rate and layers that start near zero move
    far and train well; with a poor loss a warning. Too little is only spoken of with a poor
    loss, or early on if the loss is that of a guess and all planned steps together would not move
    the weights by `whole`; and not where another layer moves well (a vanishing gradient) or the
    gradient is exactly 0: those are other rules' findings. A learning rate that warms up or has
    ended makes steps small by design: then the loss is not judged and nothing is said.

    Args:
        high: norm of a step over norm of the weights. Source: MindInsight and torchmortem, 1e-1.
        low: the same. Source: torchmortem, 1e-5.
        whole: share of their norm by which the weights would have moved in the end, if all steps
            went one way. Source: heuristic, no source.
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
    rates = finite_rates(trace)
    rises = len(rates) > 0 and rates[-1] > rates.min()
    futile = (last * trace.planned_steps < whole) & (trace.planned_steps > 0)
    futile &= loss.state == "unknown" and not rises and knows_nothing(trace)
    for i in np.flatnonzero((large >= 0) | ((tiny >= 0) & (loss.poor | futile))):
        over = large[i] >= 0
        limit, sign = (high, ">") if over else (low, "<")
        step = int(trace.steps[(large if over else tiny)[i]])
        yield Finding(
            severity="warn" if loss.poor or (not over and futile[i]) else "watch",
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
    rates = finite_rates(trace)
    steady = len(rates) and rates.min() == rates.max()  # or it is not known whose ratio this is
    rate = for_ratio(float(rates[-1]), ratio) if steady else None
    return f" A learning rate near {rate:g} would bring it to 0.001." if rate else ""


@rule(
    id="unchanged-weights",
    title="Unchanged weights",
    needs=("update_ratio",),
    uses=("gradient_rms",),
    advice=(
        "Compile the model again after changing layer.trainable: the optimizer keeps its list.",
        "If the layer should not learn, say so: layer.trainable = False.",
        "In a training loop of your own, pass all of model.trainable_variables to the optimizer.",
    ),
    why="The layer gets a gradient and does not learn from it.",
    source="SageMaker Debugger, UnchangedTensor",
    verdict="{layer} does not change",
    cases=(
        Case(
            lambda finding, facts: finding.layer is None,
            "No weight changes",
            (
                "Set a learning rate above 0.",
                "Look at what sets the learning rate: a schedule or a callback.",
            ),
        ),
    ),
    exempt=no_kernel,
    absent="no update was measured",
)
def unchanged_weights(trace: Trace, *, patience: int = 5, warm_up: int = 10) -> Iterator[Finding]:
    """Finds trained layers whose weights stay the same bit for bit, although they get a gradient.

    Without a gradient it is the finding of zero-gradient or vanishing-gradient. A learning rate
    that has come down to 0 has ended the training by design, as a schedule does; one that was
    never above 0 is a fault. Frozen layers are exempt. In low precision a step may be lost in
    rounding, hence patience.

    Args:
        patience: records in a row, up to the last one. Source: heuristic; SageMaker Debugger
            takes 3 within a tolerance, we none.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    ratios, rates = trace.columns["update_ratio"], finite_rates(trace)
    ended = len(rates) > 0 and rates[-1] == 0 < rates.max()
    gradient = trace.columns.get("gradient_rms", np.full_like(ratios, np.nan))
    same = (ratios == 0) & (gradient > 0)
    start = streak_start(same, np.isfinite(ratios), patience, trace.steps > warm_up)
    found = np.flatnonzero(start >= 0)
    if ended or not len(found):
        return
    zero = len(rates) > 0 and rates.max() == 0
    for i in found[:1] if zero else found:
        step = int(trace.steps[start[i]])
        name = "any layer" if zero else trace.layers[i]
        why = (
            "the learning rate is 0" if zero else f"its gradient RMS is {number(_at(gradient, i))}"
        )
        yield Finding(
            severity="warn",
            step=step,
            message=f"No step has changed the weights of {name} since step {step}; {why}.",
            evidence="learning rate 0" if zero else "update is exactly 0",
            layer=None if zero else name,
            value=0.0,
            limit=0.0,
            metric="learning_rate" if zero else "update_ratio",
        )


def _at(values: np.ndarray, layer: int) -> float:
    return float(last_measured(values[:, [layer]])[0])


#: The highest learning rate that is usual, by the optimizer's class. Source: UMLAUT has 0.01 for
#: all; SGD at 0.1 is standard for residual networks, and 1 is its end with normalization.
_USUAL = {"SGD": 1.0} | dict.fromkeys(("Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Lion"), 1e-2)


def _usual_rate(finding: Finding, facts: Mapping[str, Any]) -> str | None:
    optimizer = facts.get("optimizer")
    if optimizer not in _USUAL:
        return None
    return setting(0.01 if optimizer == "SGD" else 1e-3, facts)


@rule(
    id="learning-rate-range",
    title="Learning rate",
    needs=("learning_rate",),
    advice=(
        "Begin with the optimizer's usual rate: 0.001 for Adam, 0.01 to 0.1 for SGD.",
        "Try rates ten times apart and keep the largest at which the loss falls smoothly.",
    ),
    why="Far from the usual range, most models either diverge or stand still.",
    source="UMLAUT, https://doi.org/10.1145/3411764.3445538",
    verdict="Unusual learning rate",
    code=_usual_rate,
    remedy="learning rate",
    below=("low",),
    watch="Let it run; look again if the loss does not fall.",
)
def learning_rate_range(
    trace: Trace, *, low: float = 1e-7, scale: float = 1.0
) -> Iterator[Finding]:
    """Finds a learning rate outside the range that is usual for its optimizer.

    Only watched, and not while the model learns: then the rate is right. A warning if it was such
    from the start and the loss never fell, rose again or became NaN, or if the model is no better
    than a guess all the same. The highest rate of the run counts, so a warm-up and the end of a
    schedule are not too low. Optimizers that scale their steps by the weights (LARS, LAMB), or
    whose usual rate is 1 (Adadelta), are not judged.

    Args:
        low: learning rate. Source: UMLAUT, 1e-7.
        scale: times the usual limit: 0.01 for Adam and its kin (source: UMLAUT), 1 for SGD
            (source: heuristic).

    Raises:
        NotApplicable: if no range is known for the optimizer.
        CannotJudge: if the optimizer is not known.
    """
    optimizer = optimizer_of(trace.architecture)
    if optimizer is None:
        raise CannotJudge("the optimizer is not known")
    usual = _USUAL.get(optimizer)
    if usual is None:
        raise NotApplicable(f"no usual range is known for {optimizer}")
    rates = np.asarray(trace.series["learning_rate"], dtype=np.float64)
    row, high = int(np.nanargmax(rates)), scale * usual
    rate, over = float(rates[row]), bool(np.nanmax(rates) > high)
    loss = progress(trace)
    if low <= rate <= high or loss.state in ("improving", "learned"):
        return
    limit, sign = (high, ">") if over else (low, "<")
    started = rate <= 2 * rates[np.isfinite(rates)][0]
    suffers = loss.state == "lost" or (started and loss.state in ("stuck", "worse"))
    yield Finding(
        severity="warn" if suffers else "watch",
        step=int(trace.steps[row]),
        message=f"The learning rate is {number(rate)} at most; usual for "
        f"{optimizer} is between {number(low)} and {number(high)}; {loss.text}.",
        evidence=f"rate {number(rate)} {sign} {number(limit)}",
        value=rate,
        limit=limit,
        metric="learning_rate",
    )
