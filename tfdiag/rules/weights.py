"""The size of the weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.rules.constant import is_regularized
from tfdiag.rules.patience import CLEAR, first_measured, last_measured, streak_start
from tfdiag.rules.penalty import PENALTY
from tfdiag.rules.progress import judged_from, knows_nothing, progress
from tfdiag.rules.rates import tenth
from tfdiag.rules.roles import no_kernel
from tfdiag.rules.rule import NotApplicable, rule
from tfdiag.rules.wording import count, number
from tfdiag.trace import Finding, Trace


@rule(
    id="weight-explosion",
    title="Weight explosion",
    needs=("weight_rms",),
    advice=(
        "Lower the learning rate by a factor of ten.",
        "Add weight decay, or kernel_constraint='max_norm'.",
        "Clip gradients: clipnorm=1.0 in the optimizer.",
    ),
    why="Large weights make large outputs and gradients, until something overflows.",
    source="torchmortem, weight norm 10 times that at the start; TheDeepChecker, "
    "https://doi.org/10.1145/3529318",
    verdict="{layer} grew, step {step}",
    code=tenth,
    exempt=no_kernel,
    absent="no weights were measured",
)
def weight_explosion(
    trace: Trace,
    *,
    growth: float = 10.0,
    size: float = 1.0,
    patience: int = 5,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers whose weights have grown far beyond those of the first record.

    Alone only watched, and not while the model learns: targets of any scale need weights of
    theirs. Weights below `size` may have started near zero, as a last layer or a residual branch
    does. A kernel that only a normalization reads may grow without harm and is left out: its
    scale cancels out.

    Args:
        growth: RMS of the weights over that of their first record. Source: torchmortem, 10.
        size: RMS that they must also have. Source: heuristic, no source.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    rms, loss = trace.columns["weight_rms"], progress(trace)
    if loss.state in ("improving", "learned"):
        return
    first, last = first_measured(rms), last_measured(rms)
    limits = np.where(_normalized(trace.architecture), np.inf, np.maximum(growth * first, size))
    start = streak_start(
        rms > CLEAR * limits, np.isfinite(rms), patience, trace.steps > warm_up, rms > limits
    )
    for i in np.flatnonzero(start >= 0):
        step = int(trace.steps[start[i]])
        yield Finding(
            severity="warn" if loss.poor else "watch",
            step=step,
            message=f"The weight RMS of {trace.layers[i]} is {number(last[i])}, was "
            f"{number(first[i])} at first, above {number(limits[i])} since step {step}; "
            f"{loss.text}.",
            evidence=f"{number(last[i])} > {number(limits[i])}",
            layer=trace.layers[i],
            value=float(last[i]),
            limit=float(limits[i]),
            metric="weight_rms",
        )


@rule(
    id="dead-weights",
    title="Weights shrink away",
    needs=("weight_rms",),
    advice=(
        "Lower the penalty of the regularizer, or weight_decay in the optimizer, by a factor of "
        "ten.",
        "Leave biases and normalizations out of it.",
        "If it is weak already, look at data and loss: nothing in them speaks against it.",
    ),
    why="What pulls the weights to 0 outweighs all that the data says, so that outputs lose their "
    "differences.",
    source="TheDeepChecker, https://doi.org/10.1145/3529318, for weights near 0; a tenth mirrors "
    "the growth of weight-explosion",
    verdict="{layer} shrank, step {step}",
    exempt=no_kernel,
    absent="no weights were measured",
    shares=("left",),
    below=("left",),
)
def dead_weights(
    trace: Trace, *, left: float = 0.1, patience: int = 5, warm_up: int = 10
) -> Iterator[Finding]:
    """Finds layers whose weights have shrunk to a small part of those of the first record.

    Only where the loss suffers: a penalty that removes what is of no use does its work. As a
    penalty that falls hides what the answers are worth, also where the sum of both is no better
    than a guess when `judged_from` has come, unless the answers are. Only where a regularizer or
    weight decay may have the upper hand: a linear model of labels that follow from nothing unlearns
    its initial weights by itself. A kernel that only a normalization reads is left out: its scale
    cancels out. One finding, with the first layer from the input side.

    Args:
        left: RMS of the weights over that of their first record. Source: heuristic; torchmortem
            has 10 for the reverse.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.

    Raises:
        NotApplicable: if nothing but the data moves the weights.
    """
    if not _may_decay(trace):
        raise NotApplicable("there is neither a regularizer nor weight decay")
    rms, loss = trace.columns["weight_rms"], progress(trace)
    late = trace.steps[-1] >= judged_from(trace)
    if not loss.poor and not (late and knows_nothing(trace, penalty=True)):
        return
    first, last = first_measured(rms), last_measured(rms)
    limits = np.where(_normalized(trace.architecture), -np.inf, left * first)
    start = streak_start(
        CLEAR * rms < limits, np.isfinite(rms), patience, trace.steps > warm_up, rms < limits
    )
    shrunk = np.flatnonzero(start >= 0)
    for i in shrunk[:1]:
        more = f", as in {count(len(shrunk) - 1, 'more layer')}" if len(shrunk) > 1 else ""
        step = int(trace.steps[start[i]])
        yield Finding(
            severity="warn",
            step=step,
            message=f"The weight RMS of {trace.layers[i]} is {number(last[i])}, was "
            f"{number(first[i])} at first, below {number(limits[i])} since step {step}{more}; "
            f"{loss.text}.",
            evidence=f"{number(last[i])} < {number(limits[i])}",
            layer=trace.layers[i],
            value=float(last[i]),
            limit=float(limits[i]),
            metric="weight_rms",
        )


def _may_decay(trace: Trace) -> bool:
    """Returns whether something may pull the weights to 0; True if that was not recorded.

    Of an optimizer inside of another one, only the class is.
    """
    settings = trace.architecture.settings
    known = "learning_rate" in settings and "inner_optimizer" not in settings
    regularized = is_regularized(trace) is not False or PENALTY in trace.series
    return regularized or not known or bool(settings.get("weight_decay"))


def _normalized(architecture: Architecture) -> np.ndarray:
    """Returns `bool[L]`, the layers that only normalizations read."""
    readers: dict[str, list[str]] = {}
    for layer in architecture.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer.role)
    return np.array(
        [set(readers.get(name, [""])) == {"normalization"} for name in architecture.names],
        dtype=bool,
    )
