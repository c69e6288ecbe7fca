"""How an untrained model begins: its weights and its first answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tfdiag.architecture import Layer
from tfdiag.rules.constant import guessing, is_comparable
from tfdiag.rules.curves import finite
from tfdiag.rules.ending import KERNELS, options_of
from tfdiag.rules.patience import first_measured
from tfdiag.rules.progress import is_slow, progress
from tfdiag.rules.roles import cuts, hidden_kernel, no_kernel
from tfdiag.rules.rule import CannotJudge, Case, rule
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


_USUAL_SIZE = (
    "Initialise {layer} with kernel_initializer='he_normal' (ReLU) or 'glorot_uniform'.",
    "Give a RandomNormal a stddev near 1 / sqrt(number of inputs), not a fixed one.",
)
_HE = 'kernel_initializer="he_normal"'


@rule(
    id="initial-weights",
    title="Size of initial weights",
    needs=("weight_rms",),
    uses=(*FIRST_ANSWERS, "update_ratio"),
    advice=_USUAL_SIZE,
    why="Each such layer multiplies its inputs: outputs and gradients are huge and steps too small "
    "for the weights, or nothing gets through until the weights have grown.",
    source="He et al. (2015), https://arxiv.org/abs/1502.01852; NeuroScope, deviation over that "
    "of He; the limits are heuristics",
    verdict="{layer} starts too large",
    cases=(
        Case(  # a clue, see `clues.py`: this rule judges kernels
            lambda finding, facts: finding.metric == "bias_initializer",
            "{layer}: biases below zero",
            ("Start the biases of {layer} at 0.",),
            'bias_initializer="zeros"',
        ),
        Case(
            lambda finding, facts: finding.value < finding.limit,
            "{layer} starts too small",
            _USUAL_SIZE,
            _HE,
        ),
    ),
    code=_HE,
    exempt=lambda layer: _no_fan(layer) or no_kernel(layer),
    absent="no weights were measured",
    below=("small",),
    watch="Let it run; use initial weights of the usual size if the loss does not fall.",
)
def initial_weights(
    trace: Trace, *, times: float = 10.0, small: float = 1e-3, moved: float = 0.1
) -> Iterator[Finding]:
    """Finds layers that begin with weights of another size than their number of inputs asks for.

    Only watched, for a table of vectors that is written as a dense layer begins large, and loaded
    weights may be of any size. A warning if the model is sure of wrong answers from the start, or
    the loss suffers. One finding, with the first layer from the input side.

    Of tiny ones, only hidden layers that all data passes: an output may start near 0, and the end
    of a residual branch. Zeros are dead-on-arrival's. They harm by a slow start: so it is a warning
    too if the loss has not come down to half when `judged_from` has come.

    Weights are measured after the first step, whose update ratio tells how small they were before
    it. It is not finite if they were zeros.

    Args:
        times: the deviation of He's rule, sqrt(2 / inputs), above which they are large. Source:
            heuristic; TheDeepChecker tests for any difference.
        small: the same, below which they are tiny. Source: heuristic, no source; the 0.02 that is
            usual in transformers is more than a third of He's for 768 inputs.
        moved: update ratio of the first step above which it decided the weights. Source: heuristic.

    Raises:
        CannotJudge: if the first weights were not measured.
    """
    if trace.steps[0] > 1:
        raise CannotJudge("the untrained model was not measured")
    options_of(trace)
    layers, loss = trace.architecture.layers, progress(trace)
    weights = first_measured(trace.columns["weight_rms"][trace.steps <= 1])
    steps = trace.columns.get("update_ratio", np.zeros((1, len(layers))))[trace.steps <= 1]
    ratio = first_measured(steps)
    usual = np.sqrt(2 / np.maximum([_fan_in(layer) for layer in layers], 1))
    large = np.flatnonzero((weights > times * usual) & ~(ratio > moved))
    start = weights / np.maximum(ratio, 1)
    tiny = [
        int(i)
        for i in np.flatnonzero((start > 0) & (start < small * usual))
        if hidden_kernel(layers[i]) is None and cuts(trace.architecture, layers[i].name)
    ]
    poor = loss.poor or errs_surely(trace)
    if len(large):
        yield _unusual(trace, large.tolist(), weights, usual, times, "warn" if poor else "watch")
    if tiny:
        slow = loss.poor or is_slow(trace)
        yield _unusual(trace, tiny, start, usual, small, "warn" if slow else "watch")


def _unusual(
    trace: Trace,
    found: Sequence[int],
    weights: np.ndarray,
    usual: np.ndarray,
    times: float,
    severity: str,
) -> Finding:
    """Returns one finding for all layers whose weights begin with another size, at the first."""
    i = found[0]
    name, value, limit = trace.layers[i], float(weights[i]), float(times * usual[i])
    more = f", as in {count(len(found) - 1, 'more layer')}" if len(found) > 1 else ""
    return Finding(
        severity=severity,
        step=0,
        message=f"The weights of {name} have an RMS of {number(value)} at the start; for "
        f"{_fan_in(trace.architecture.layers[i])} inputs {number(float(usual[i]))} is usual (limit "
        f"{number(times)} times that){more}; {progress(trace).text}.",
        evidence=f"{number(value)} {'>' if value > limit else '<'} {number(limit)}",
        layer=name,
        value=value,
        limit=limit,
        metric="weight_rms",
    )


def _no_fan(layer: Layer) -> str | None:
    """Exempts layers whose inputs cannot be counted; what lacks its options is asked for them."""
    if layer.type not in KERNELS:
        return "no dense layer or convolution"
    return None if layer.options is None or _fan_in(layer) else "its inputs cannot be counted"


def _fan_in(layer: Layer) -> int:
    """Returns the number of products that a unit adds up; 0 if it is not known."""
    options = layer.options or {}
    units = options.get("units") or options.get("filters")
    if not isinstance(units, int) or not units:
        return 0
    return layer.parameters // units - bool(options.get("use_bias"))
