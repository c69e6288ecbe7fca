"""What is wrong with the inputs, as far as the probe set shows it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.architecture import SATURATING
from tfdiag.data import Data, Input
from tfdiag.rules.beginning import FIRST_ANSWERS, errs_surely
from tfdiag.rules.ending import data_of, options_of
from tfdiag.rules.gate import gate, so_far
from tfdiag.rules.progress import is_slow, progress
from tfdiag.rules.rule import rule
from tfdiag.rules.wording import number, share
from tfdiag.trace import Finding, Trace

#: Code that scales inputs; a pixel that is always black has no deviation.
_SCALED = "x = (x - x_train.mean(axis=0)) / (x_train.std(axis=0) + 1e-7)"


@rule(
    id="input-nonfinite",
    title="NaN in the inputs",
    needs=(),
    advice=(
        "Remove the samples with NaN or Inf, or fill the gaps with the mean of their feature.",
        "Look for a division by a deviation of 0, or log(0), where inputs are prepared.",
    ),
    why="One NaN in a batch makes the loss NaN, and the next update every weight.",
    source="torch-audit TA302; the severity is a heuristic",
    verdict="NaN in the inputs",
    code="np.isfinite(x_train).all(axis=0)",
    watch="Let it run if the model expects gaps; else remove them.",
)
def input_nonfinite(trace: Trace) -> Iterator[Finding]:
    """Finds inputs with NaN or Inf. Only watched if the probe loss is finite all the same."""
    survives = np.isfinite(trace.series.get("probe_loss", np.zeros(0))).any()
    but = ", but the probe loss is finite" if survives else ""
    data = data_of(trace)
    for one in data.inputs:
        if one.nonfinite > 0:
            yield Finding(
                severity="watch" if survives else "critical",
                step=int(trace.steps[0]),
                message=f"{share(one.nonfinite)} of the entries of {_called(one, data)} are NaN "
                f"or infinite in the probe set{but}.",
                evidence=f"{share(one.nonfinite)} not finite",
                value=one.nonfinite,
                limit=0.0,
            )


@rule(
    id="input-flat",
    title="Inputs all alike",
    needs=(),
    advice=(
        "Look at some samples as the model gets them: something before it may erase them.",
        "Check that inputs were not divided twice (by 255 * 255) or cast to integers.",
    ),
    why="If all samples are the same number, nothing can be learned from them.",
    source="torch-audit TA305",
    verdict="Inputs are all alike",
    code="x_train.std()",
    below=("spread",),
    watch="Let it run if this input is to be constant, such as a mask.",
)
def input_flat(trace: Trace, *, spread: float = 1e-5) -> Iterator[Finding]:
    """Finds an input whose entries are all the same, over samples and features.

    One of several inputs may be constant, as a mask of ones is: that is watched.

    Args:
        spread: deviation of the entries. Source: torch-audit.
    """
    data = data_of(trace)
    loss = progress(trace)
    for one in data.inputs:
        if data.samples > 1 and one.std < spread and one.maximum - one.minimum < 10 * spread:
            yield Finding(
                severity="watch" if len(data.inputs) > 1 else gate("warn", loss),
                step=int(trace.steps[0]),
                message=f"All entries of {_called(one, data)} are about {number(one.mean)} in the "
                f"probe set: their deviation is {number(one.std)} (limit {number(spread)})"
                f"{so_far(trace)}.",
                evidence=f"{number(one.std)} < {number(spread)}",
                value=one.std,
                limit=spread,
            )


#: Layers that prepare inputs of any scale, or make no use of their size.
_PREPARING = (
    *("Rescaling", "Normalization", "BatchNormalization", "LayerNormalization", "Lambda"),
    *("GroupNormalization", "UnitNormalization", "RMSNormalization", "Embedding"),
    *("Discretization", "Hashing", "CategoryEncoding", "IntegerLookup", "StringLookup"),
)


@rule(
    id="input-range",
    title="Inputs not scaled",
    needs=(),
    uses=FIRST_ANSWERS,
    advice=(
        "Scale the inputs to mean 0 and deviation 1, with numbers of the training set.",
        "Let the model do it: a Normalization or Rescaling(1 / 255) layer first, almost free.",
    ),
    why="Large inputs make large outputs and gradients, so that only tiny learning rates work.",
    source="torch-audit (maximum above 50); LeCun et al. (1998), Efficient BackProp, "
    "http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf",
    verdict="Inputs are not scaled",
    code=_SCALED,
    watch="Let it run; scale the inputs if the loss does not fall.",
)
def input_range(trace: Trace, *, largest: float = 50.0, typical: float = 5.0) -> Iterator[Finding]:
    """Finds inputs far from 0 that no layer scales. A warning only if the loss suffers.

    That is, if it does not fall, if it has not come down to half when `judged_from` has come, as
    it does for inputs that are not centred either and where the first layer is recurrent or ends in
    a tanh or sigmoid, whose flat ends large sums reach, if not just a few entries are large; or if
    the model is sure of wrong answers from the start. Slowness counts for nothing where the first
    layer is frozen: its inputs are as they were when it was trained.

    Values beyond 1, or beyond 10, are no sign of trouble: standardised data has them. Whole
    numbers that an Embedding looks up, and inputs whose first layers scale them, are left out.

    Args:
        largest: magnitude. Source: torch-audit.
        typical: RMS of the entries above which a sum of them reaches the flat ends. Source:
            heuristic; a unit of Glorot's adds up to about that RMS, and tanh is flat from 3 on.
    """
    data = data_of(trace)
    if _is_prepared(trace):
        return
    loss = progress(trace)
    first = next((layer for layer in trace.architecture.layers if layer.parameters), None)
    slow = is_slow(trace) and first is not None and first.trainable
    flat = first is not None and (first.role == "recurrent" or first.activation in SATURATING)
    for one in data.inputs:
        magnitude = max(abs(one.minimum), abs(one.maximum))
        if magnitude > largest:
            hard = (flat and np.hypot(one.mean, one.std) > typical) or abs(one.mean) > one.std
            suffers = (slow and hard) or errs_surely(trace)
            yield Finding(
                severity="warn" if suffers else gate("watch", loss),
                step=int(trace.steps[0]),
                message=f"{_called(one, data, at_start=True)} reaches from {number(one.minimum)} "
                f"to {number(one.maximum)} in the probe set (limit {number(largest)})"
                f"{so_far(trace)}.",
                evidence=f"{number(magnitude)} > {number(largest)}",
                value=magnitude,
                limit=largest,
            )


def _called(one: Input, data: Data, *, at_start: bool = False) -> str:
    """Returns what users call an input, at the start of a sentence or within."""
    article, noun = ("The", "Input") if at_start else ("the", "input")
    return f"{article} input" if len(data.inputs) == 1 else f"{noun} {one.name}"


def _is_prepared(trace: Trace) -> bool:
    """Returns whether a layer or an operation at the input makes its scale harmless."""
    layers = options_of(trace)
    weighted = [i for i, layer in enumerate(layers) if layer.parameters]
    first = layers[: weighted[0] + 1] if weighted else layers
    if len(weighted) and len(layers) > weighted[0] + 1:
        following = layers[weighted[0] + 1]  # a normalization right behind undoes the scale
        first = (*first, following) if following.role == "normalization" else first
    known = any(layer.inputs for layer in layers) or len(layers) < 2
    prepares = any(
        layer.type in _PREPARING or layer.role in ("normalization", "embedding")
        for layer in (first if known else layers)
    )
    return prepares or any((layer.options or {}).get("operations") for layer in first)
