"""How the gradient spreads over the layers: from the output back to the input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.rules.ending import has_graph
from tfdiag.rules.patience import CLEAR, last_measured, streak_start
from tfdiag.rules.progress import progress
from tfdiag.rules.roles import cuts, input_layers, no_kernel
from tfdiag.rules.rule import CannotJudge, Case, NotApplicable, rule
from tfdiag.rules.wording import number, share
from tfdiag.trace import Finding, Trace


@rule(
    id="gradient-flow-ratio",
    title="Gradient flow",
    needs=("gradient_rms",),
    advice=(
        "Use kernel_initializer='he_normal' with ReLU, 'glorot_uniform' with tanh.",
        "Add BatchNormalization or skip connections between the layers.",
        "Use fewer layers.",
    ),
    why="One learning rate cannot fit layers whose gradients differ by orders of magnitude.",
    source="AUTOTRAINER, https://doi.org/10.1109/ICSE43902.2021.00043; torchmortem, layer norms "
    "100 apart",
    verdict="{layer} starves, step {step}",
    cases=(
        Case(
            lambda finding, facts: finding.value > finding.limit,
            "{layer} gets most, {step}",
            (
                "Scale the inputs to mean 0 and deviation 1: a kernel's gradient grows with them.",
                "Use smaller initial weights, or add BatchNormalization between the layers.",
                "Clip gradients: clipnorm=1.0 in the optimizer.",
            ),
        ),
    ),
    exempt=no_kernel,
    absent="no gradient",
    below=("low",),
    reached=("small",),
)
def gradient_flow_ratio(
    trace: Trace,
    *,
    low: float = 1e-3,
    high: float = 100.0,
    small: float = 1e-4,
    patience: int = 5,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Compares the gradient of the first kernel with that of the last.

    Of kernels' RMS, not of norms, which grow with the layer's size. First and last are those of
    the layers' graph: where a path leads around the first, or no graph is known, there is no
    first. A model that learns has its ratio right; and a first layer below `small` too, with a
    poor loss, is the finding of vanishing-gradient. A ratio of 0 is that of zero-gradient.

    Args:
        low: first over last. Source: AUTOTRAINER, 1e-3.
        high: the same. Source: torchmortem, 100; AUTOTRAINER has 70.
        small: gradient RMS below which vanishing-gradient speaks. Source: AUTOTRAINER, 1e-4.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.

    Raises:
        NotApplicable: if the model has no first and last kernel.
        CannotJudge: if it is not known which layer feeds which.
    """
    loss = progress(trace)
    rms = trace.columns["gradient_rms"]
    first, last = _ends(trace.architecture, np.isfinite(rms).any(axis=0))
    if loss.state in ("improving", "learned"):
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (rms[:, [first]] / rms[:, [last]]).astype(np.float64)
    measured, late = np.isfinite(ratio) & (ratio > 0), trace.steps > warm_up
    starves = ratio * CLEAR < low
    if loss.poor:
        starves &= rms[:, [first]] >= small
    under = streak_start(starves, measured, patience, late, ratio < low)[0]
    over = streak_start(ratio > CLEAR * high, measured, patience, late, ratio > high)[0]
    value = last_measured(np.where(measured, ratio, np.nan))[0]
    for row, limit, sign, word in ((under, low, "<", "below"), (over, high, ">", "above")):
        if row < 0:
            continue
        step = int(trace.steps[row])
        yield Finding(
            severity="warn" if loss.poor and sign == "<" else "watch",
            step=step,
            message=f"The gradient RMS of {trace.layers[first]}, the first kernel, is "
            f"{number(value)} times that of {trace.layers[last]}, the last, {word} "
            f"{number(limit)} since step {step}; {loss.text}.",
            evidence=f"{number(value)} {sign} {number(limit)}",
            layer=trace.layers[first],
            value=float(value),
            limit=limit,
            metric="gradient_rms",
        )


def _ends(architecture: Architecture, measured: np.ndarray) -> tuple[int, int]:
    """Returns the places of the first and the last layer with a gradient."""
    places = [i for i in np.flatnonzero(measured) if no_kernel(architecture.layers[i]) is None]
    outputs = [i for i in places if architecture.layers[i].role == "output"]
    if len(outputs) != 1 or len(places) < 3:
        raise NotApplicable("there are not two kernels and one output between them to compare")
    if not has_graph(architecture):
        raise CannotJudge("it is not known which layer feeds which")
    if not cuts(architecture, architecture.names[places[0]]):
        raise NotApplicable("there is no first layer that all data passes")
    return int(places[0]), int(outputs[0])


@rule(
    id="zero-gradient",
    title="Zero gradient",
    needs=(("gradient_rms", "weight_rms"),),
    uses=("gradient_rms", "gradient_nonfinite", "gradient_zeros", "weight_rms"),
    advice=(
        "Check that the loss depends on this layer: tf.stop_gradient, argmax, rounding, an output "
        "that is not used.",
        "Look above this layer, towards the loss: dead or saturated units let nothing through.",
        "If it should not learn, say so: layer.trainable = False.",
    ),
    why="A layer without a gradient stays as it was initialised, whatever the loss does.",
    source="torch-audit, TA103 and TA104; SageMaker Debugger, AllZero",
    verdict="{layer} gets no gradient",
    cases=(
        Case(
            lambda finding, facts: finding.metric == "gradient_zeros",
            "{layer} hardly learns",
            (
                "Look above this layer, towards the loss: dead units let nothing through.",
                "Lower the learning rate: one large step can push units below zero for good.",
                "Use LeakyReLU or GELU, which keep a gradient below zero.",
            ),
        ),
    ),
    exempt=no_kernel,
    shares=("most",),
    reached=("most",),
    reads={"most": "gradient_zeros"},
)
def zero_gradient(
    trace: Trace, *, most: float = 0.7, patience: int = 5, warm_up: int = 10
) -> Iterator[Finding]:
    """Finds trained layers that the gradient does not reach at all, or hardly.

    None at all: Keras gave the layer no gradient. Exactly zero: only while the layers above get
    one, because a loss that is exactly zero has no gradient anywhere; with a loss that does not
    fall it is the finding of vanishing-gradient. A share of zeros is only watched, and only with
    a poor loss: half of the units of a healthy ReLU are at zero, and inputs that are often zero
    do the same to the first layer, which is left out. Rows of an embedding that are not in the
    batch too.

    Args:
        most: share of the gradient's entries. Source: AUTOTRAINER, 0.7.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    unknown = np.full((len(trace.steps), len(trace.layers)), np.nan)
    rms = trace.columns.get("gradient_rms", unknown)
    zeros = trace.columns.get("gradient_zeros", unknown)
    loss, late = progress(trace), trace.steps > warm_up
    none = streak_start(*_without(trace), patience, late)
    zero = np.full(len(trace.layers), -1)
    if loss.state in ("improving", "learned"):
        zero = streak_start((rms == 0) & _reached_above(rms), np.isfinite(rms), patience, late)
    first = np.isin(trace.layers, input_layers(trace.architecture))
    few = np.full(len(trace.layers), -1)
    if loss.poor:
        some = (zeros >= CLEAR * most) & ~first & (rms > 0)
        few = streak_start(some, np.isfinite(zeros), patience, late, zeros >= most)
    shares = last_measured(zeros)
    for i in np.flatnonzero((none >= 0) | (zero >= 0) | (few >= 0)):
        name, whole = trace.layers[i], none[i] >= 0 or zero[i] >= 0
        row = max(none[i], zero[i]) if whole else few[i]
        step = int(trace.steps[row])
        what = "has no gradient" if none[i] >= 0 else "has a gradient of exactly 0"
        text = f"{share(shares[i])} of the gradient's entries of {name} are exactly 0"
        yield Finding(
            severity="warn" if whole else "watch",
            step=step,
            message=f"{name} {what} since step {step}; {loss.text}."
            if whole
            else f"{text} since step {step} (limit {share(most)}); {loss.text}.",
            evidence=("no gradient" if none[i] >= 0 else "gradient is 0")
            if whole
            else f"{share(shares[i])} ≥ {share(most)}",
            layer=name,
            value=0.0 if whole else float(shares[i]),
            limit=0.0 if whole else most,
            metric="gradient_rms" if whole else "gradient_zeros",
        )


def _reached_above(rms: np.ndarray) -> np.ndarray:
    """Returns `bool[S, L]`, where a layer nearer to the output has a gradient above 0."""
    reached = np.logical_or.accumulate(rms[:, ::-1] > 0, axis=1)[:, ::-1]
    return np.concatenate([reached[:, 1:], np.zeros_like(reached[:, :1])], axis=1)


def _without(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Returns `bool[S, L]`: where Keras gave a trained layer no gradient, and where that is known.

    Weights are measured with and without a gradient; non-finite entries are counted wherever there
    is one.
    """
    counted = trace.columns.get("gradient_nonfinite")
    weights = trace.columns.get("weight_rms")
    if counted is None or weights is None:
        return (np.zeros((len(trace.steps), len(trace.layers)), bool),) * 2
    given = np.isfinite(counted)
    known = np.isfinite(weights) & given.any(axis=1, keepdims=True)
    return known & ~given, known
