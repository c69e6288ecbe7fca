"""How an untrained model begins: its weights and its first answers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tfdiag.architecture import Layer
from tfdiag.rules.constant import guessing, is_comparable
from tfdiag.rules.curves import finite
from tfdiag.rules.ending import KERNELS, options_of
from tfdiag.rules.patience import first_measured
from tfdiag.rules.progress import progress
from tfdiag.rules.roles import no_kernel
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.wording import count, number
from tfdiag.trace import Finding, Trace

#: Measures that `errs_surely` reads: a rule that asks it declares them.
FIRST_ANSWERS = ("output_rms", "output_mean")


def errs_surely(trace: Trace, *, times: float = 2.0, sure: float = 0.5, records: int = 5) -> bool:
    """Returns True if an untrained classifier is sure of wrong answers and has not unlearned them.

    Its answers name one class, and `times` a guess's loss means that it is mostly the wrong one.
    False of a loss that is summed, weighted or regularized, and of one that is not Keras' own:
    those may be high at the end still.

    Args:
        times: the loss of a guess. Source: TheDeepChecker, whose deviation of 1.0 is twice it.
        sure: the answers' impurity (Gini's, the chance that a class drawn from an answer is not
            the one that it names), over that of equally likely classes. Source: heuristic.
        records: of the training loss that must still be above a guess's, as must the last probe
            loss be. Source: heuristic.
    """
    guess = guessing(trace.architecture)
    outputs = [i for i, one in enumerate(trace.architecture.layers) if one.role == "output"]
    probe, loss = (finite(trace, name) for name in ("probe_loss", "loss"))
    if guess is None or len(outputs) != 1 or len(probe) < 2 or len(loss) < records:
        return False
    if trace.steps[0] != 0 or not is_comparable(trace) or not _impurity(trace, outputs[0]) < sure:
        return False
    return bool(probe[0] > times * guess and min(probe[-1], loss[-records:].mean()) > guess)


def _impurity(trace: Trace, output: int) -> float:
    """Returns how undecided the untrained model's answers are: 1 as all alike, 0 as one class.

    nan if they are no probabilities.
    """
    layer = trace.architecture.layers[output]
    classes = layer.shape[-1] if layer.shape else None
    known = [trace.columns.get(name) for name in ("output_rms", "output_mean")]
    if known[0] is None or known[1] is None or not classes:
        return math.nan
    square, mean = float(known[0][0, output]) ** 2, float(known[1][0, output])
    if layer.activation == "softmax" and classes > 1:
        return (1 - classes * square) / (1 - 1 / classes)
    return 4 * (mean - square) if layer.activation == "sigmoid" else math.nan


@rule(
    id="initial-weights",
    title="Large initial weights",
    needs=("weight_rms",),
    uses=(*FIRST_ANSWERS, "update_ratio"),
    advice=(
        "Initialise {layer} with kernel_initializer='he_normal' (ReLU) or 'glorot_uniform'.",
        "Give a RandomNormal a stddev near 1 / sqrt(number of inputs), not a fixed one.",
    ),
    why="Each such layer multiplies its inputs, so that outputs and gradients are huge and steps "
    "too small for the weights.",
    source="He et al. (2015), https://arxiv.org/abs/1502.01852; NeuroScope, deviation over that "
    "of He; the limit is a heuristic",
    verdict="{layer} starts too large",
    code='kernel_initializer="he_normal"',
    exempt=lambda layer: _no_fan(layer) or no_kernel(layer),
    absent="no weights were measured",
    watch="Let it run; use smaller initial weights if the loss does not fall.",
)
def initial_weights(trace: Trace, *, times: float = 10.0, moved: float = 0.1) -> Iterator[Finding]:
    """Finds layers that begin with weights far larger than their number of inputs allows.

    Only watched, for a table of vectors that is written as a dense layer begins so, and loaded
    weights may be of any size. A warning if the model is sure of wrong answers from the start, or
    the loss suffers. One finding, with the first layer from the input side. Weights are measured
    after the first step: where that moved them far, they say nothing of the start.

    Args:
        moved: update ratio of the first step above which it decided the weights. Source: heuristic.
        times: the deviation of He's rule, sqrt(2 / inputs). Source: heuristic; TheDeepChecker
            tests for any difference.

    Raises:
        CannotJudge: if the first weights were not measured.
    """
    if trace.steps[0] > 1:
        raise CannotJudge("the untrained model was not measured")
    options_of(trace)
    layers = trace.architecture.layers
    weights = first_measured(trace.columns["weight_rms"][trace.steps <= 1])
    steps = trace.columns.get("update_ratio", np.zeros((1, len(layers))))[trace.steps <= 1]
    usual = np.sqrt(2 / np.maximum([_fan_in(layer) for layer in layers], 1))
    large = np.flatnonzero((weights > times * usual) & ~(first_measured(steps) > moved))
    if not len(large):
        return
    loss, i = progress(trace), int(large[0])
    found, limit = float(weights[i]), float(times * usual[i])
    more = f", as in {count(len(large) - 1, 'more layer')}" if len(large) > 1 else ""
    yield Finding(
        severity="warn" if loss.poor or errs_surely(trace) else "watch",
        step=0,
        message=f"The weights of {layers[i].name} have an RMS of {number(found)} at the start; for "
        f"{_fan_in(layers[i])} inputs {number(float(usual[i]))} is usual (limit {number(times)} "
        f"times that){more}; {loss.text}.",
        evidence=f"{number(found)} > {number(limit)}",
        layer=layers[i].name,
        value=found,
        limit=limit,
        metric="weight_rms",
    )


def _no_fan(layer: Layer) -> str | None:
    """Exempts layers whose number of inputs is not known."""
    return None if layer.type in KERNELS and _fan_in(layer) else "no dense layer or convolution"


def _fan_in(layer: Layer) -> int:
    """Returns the number of products that a unit adds up; 0 if it is not known."""
    options = layer.options or {}
    units = options.get("units") or options.get("filters")
    if not isinstance(units, int) or not units:
        return 0
    return layer.parameters // units - bool(options.get("use_bias"))
