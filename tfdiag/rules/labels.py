"""What is wrong with the labels, as far as the probe set shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tfdiag.data import Data, Labels, Output
from tfdiag.rules.ending import BINARY, CATEGORICAL, RANGES, REGRESSION, Ending, data_of, ending
from tfdiag.rules.gate import gate, so_far
from tfdiag.rules.progress import is_slow, progress
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.wording import number, share
from tfdiag.trace import Finding, Trace


@rule(
    id="label-mismatch",
    title="Labels do not fit",
    needs=(),
    advice=(
        "Whole numbers: sparse_categorical_crossentropy; one-hot: categorical_crossentropy.",
        "Give the last layer one unit per class, and count classes from 0.",
        "Numbers: a linear last layer and mse; or scale them into the activation's range.",
    ),
    why="The model is asked for something that it cannot say, or that the loss reads wrongly.",
    source="DeepDiagnosis (Wardat et al., 2022), https://arxiv.org/abs/2112.04036; NeuraLint "
    "(Nikanjam et al., 2021), https://arxiv.org/abs/2105.08095",
    verdict="Labels do not fit",
    code="np.unique(y_train)",
    watch="Let it run; look at the labels again if the loss does not fall.",
)
def label_mismatch(trace: Trace, *, beyond: float = 0.05) -> Iterator[Finding]:
    """Finds labels that the loss or the last layer cannot take.

    How the loss does is no witness here: it falls to what is least wrong. Several labels at once,
    smoothed labels, ignored classes and a few targets just outside of an activation's range are
    no fault.

    Args:
        beyond: share of their range by which targets may lie outside of the activation's.
            Beyond five times as much, training cannot succeed. Source: heuristic, no source.
    """
    data_of(trace)
    end, loss = ending(trace), progress(trace)
    labels = end.labels
    assert labels is not None  # there is data
    judge = {**dict.fromkeys(BINARY, _binary), **dict.fromkeys(REGRESSION, _regression)}
    judge.update(dict.fromkeys(CATEGORICAL, _categorical))
    judge["sparse_categorical_crossentropy"] = _sparse
    ignored = (trace.architecture.loss_options or {}).get("ignore_class")
    if end.loss not in judge:
        raise CannotJudge(f"the loss {end.loss} is not known to this rule")
    if ignored is not None:
        raise CannotJudge(f"the loss ignores the class {ignored}")
    text, severity = judge[end.loss](end, labels, beyond), "critical"
    if labels.nonfinite:
        text = "they hold NaN or Inf"
    elif text is None and end.loss in REGRESSION:
        severity, text = _out_of_range(end, labels, beyond)
    if text:
        yield Finding(
            severity=severity if severity == "critical" else gate(severity, loss),
            step=int(trace.steps[0]),
            message=f"The labels do not fit {end.loss} and {end.layer.name}: {text}"
            f"{so_far(trace)}.",
            evidence=f"{labels.kind}, {number(labels.minimum)} to {number(labels.maximum)}",
            layer=end.layer.name,
        )


def _sparse(end: Ending, labels: Labels, beyond: float) -> str | None:
    if labels.kind == "soft" or labels.kind == "real":
        return "they are no whole numbers from 0 on"
    places = _places(end)
    if labels.kind in ("one-hot", "multi-hot") and places is not None and labels.shape != places:
        return "they are one-hot, but class numbers are expected"
    if 1 < end.width <= labels.maximum:
        return f"they go up to {number(labels.maximum)}, but {end.width} units count from 0"
    return None


def _categorical(end: Ending, labels: Labels, beyond: float) -> str | None:
    width = labels.shape[-1] if labels.shape else 1
    if labels.kind == "classes" and end.width > 1:
        return "they are class numbers, but one-hot labels are expected"
    if 1 < end.width != width:
        return f"they have {width} columns, but the output has {end.width}"
    if labels.minimum < -beyond or labels.maximum > 1 + beyond:
        return "they are no shares between 0 and 1"
    return None


def _binary(end: Ending, labels: Labels, beyond: float) -> str | None:
    width = labels.shape[-1] if labels.shape else 1
    if labels.minimum < -beyond or labels.maximum > 1 + beyond:
        return "they are not between 0 and 1"
    if end.width > 1 == width:
        return f"they have one number per sample, but the output has {end.width}"
    return None


def _regression(end: Ending, labels: Labels, beyond: float) -> str | None:
    shape = tuple(size for size in end.shape if size != 1)
    mine = tuple(size for size in labels.shape if size != 1)
    if None not in shape and end.shape and shape != mine:
        return f"a sample's have the shape {labels.shape}, its outputs {end.shape}"
    return None


def _out_of_range(end: Ending, labels: Labels, beyond: float) -> tuple[str, str | None]:
    """Returns how bad it is that targets lie where the activation cannot get, and what is so."""
    low, high = RANGES.get(end.activation or "", (-np.inf, np.inf))
    spread = max(labels.maximum - labels.minimum, 1e-9)
    excess = max(low - labels.minimum, labels.maximum - high) / spread
    text = (
        f"they reach from {number(labels.minimum)} to {number(labels.maximum)}, but "
        f"{end.activation} gives {number(low)} to {number(high)}"
    )
    return "critical" if excess > 5 * beyond else "warn", text if excess > beyond else None


def _places(end: Ending) -> tuple[int | None, ...] | None:
    """Returns the shape of one sample's class numbers, if it is known."""
    return end.shape[:-1] if end.shape and None not in end.shape else None


#: Losses that are as large as the targets are, and activations that can get there.
_AS_LARGE = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")
_GETS_THERE = ("linear", "relu", "leaky_relu", "elu", "softplus")


def _no_numbers(trace: Trace) -> str | None:
    kind = (trace.architecture.loss_options or {}).get("kind")
    return None if kind is None or kind in _AS_LARGE else "the loss does not grow with the targets"


@rule(
    id="target-range",
    title="Targets not scaled",
    needs=(),
    advice=(
        "Standardise the targets with numbers of the training set, and turn the answers back.",
        "To keep them: let the last bias begin at their mean; try larger rates with Adam, smaller "
        "ones with SGD.",
    ),
    why="The outputs have to grow that far first: Adam's steps, which are as small as ever, take "
    "long, and those of SGD grow with the error until they may be too large.",
    source="Bishop (1995), Neural Networks for Pattern Recognition, section 8.2; the limit is a "
    "heuristic",
    verdict="Targets are not scaled",
    code="y = (y - y_train.mean(axis=0)) / y_train.std(axis=0)",
    unfit=_no_numbers,
    watch="Let it run; standardise the targets, or try another learning rate, if the loss falls "
    "slowly or becomes NaN.",
)
def target_range(trace: Trace, *, size: float = 10.0, near: float = 0.5) -> Iterator[Finding]:
    """Finds targets of a regression that are far larger than what the model says at first.

    Watched at most, for with a learning rate to match they train well; and not once the loss is
    low, or falls before it could be slow. Nothing is said if the untrained model gets `near`, as
    with a bias that begins at the mean or weights that were trained before.

    Args:
        size: RMS of the targets, at least: their deviation and distance from 0 together. Source:
            heuristic; standardised numbers have an RMS of 1.
        near: share of that size from which the first outputs are near. Source: heuristic.

    Raises:
        CannotJudge: if it is not known how the model ends, or what its targets are like.
    """
    data_of(trace)
    end, loss = ending(trace), progress(trace)
    labels = end.labels
    assert labels is not None  # there is data
    if end.activation is None:
        raise CannotJudge("the function that the output comes from is not known")
    if end.activation not in _GETS_THERE:
        return
    if not math.isfinite(labels.std):
        raise CannotJudge("the spread of the targets is not known")
    large = math.hypot(labels.std, max(labels.minimum, -labels.maximum, 0.0))
    said = next(iter(data_of(trace).outputs), None)
    gets_near = said is not None and max(-said.minimum, said.maximum) >= near * large
    fine = loss.state == "learned" or (loss.state == "improving" and not is_slow(trace))
    if large > size and not gets_near and not fine:
        yield Finding(
            severity="watch",
            step=int(trace.steps[0]),
            message=f"The targets reach from {number(labels.minimum)} to {number(labels.maximum)}, "
            f"an RMS of {number(large)} at least (limit {number(size)}){_said(said)}"
            f"{so_far(trace)}.",
            evidence=f"{number(large)} > {number(size)}",
            layer=end.layer.name,
            value=large,
            limit=size,
        )


def _said(output: Output | None) -> str:
    if output is None or not output.is_finite:
        return ""
    return f", the untrained model says {number(output.minimum)} to {number(output.maximum)}"


def no_classes(trace: Trace) -> str | None:
    """Returns why a run's answers are no classes, or None if they are, or if that is not known."""
    options = trace.architecture.loss_options
    if trace.data is None or options is None:
        return None
    if _single(trace.data) is None or options.get("kind") not in (*CATEGORICAL, *BINARY):
        return "the labels are not one class per sample, or the loss is not for classes"
    return None


@rule(
    id="class-imbalance",
    title="Unequal classes",
    needs=(),
    advice=(
        "Pass class_weight to model.fit: free, but the loss is another one then.",
        "Watch recall per class or the area under the curve instead of accuracy.",
    ),
    why="A model that never names the rare classes looks accurate.",
    source="SageMaker Debugger, ClassImbalance: 10 times",
    unfit=no_classes,
    verdict="Classes are unequal",
    reached=("ratio",),
    watch="Let it run; look at the accuracy of each class, not at that of all.",
)
def class_imbalance(trace: Trace, *, ratio: float = 10.0, samples: int = 100) -> Iterator[Finding]:
    """Finds classes of very different size among single labels. Watched at most.

    Args:
        ratio: of the most frequent to the least frequent class. Source: SageMaker Debugger.
        samples: fewest samples to judge by. Source: heuristic; SageMaker Debugger has 500.
    """
    data = data_of(trace)
    labels = _single(data)
    if labels is None:
        raise CannotJudge("the labels are not one class per sample")
    if data.samples < samples:
        raise CannotJudge(f"the probe set has {data.samples} samples of {samples}")
    if labels.classes > 1 and labels.largest >= ratio * labels.smallest:
        times = labels.largest / labels.smallest
        yield Finding(
            severity="watch",
            step=int(trace.steps[0]),
            message=f"In the probe set the largest of {labels.classes} classes has "
            f"{share(labels.largest)} of the samples, the smallest {share(labels.smallest)}: "
            f"{number(times)} times fewer (limit {number(ratio)}).",
            evidence=f"{number(times)} ≥ {number(ratio)}",
            value=times,
            limit=ratio,
        )


def _single(data: Data) -> Labels | None:
    """Returns the labels if they are one class per sample."""
    if len(data.labels) != 1 or data.labels[0].kind not in ("classes", "one-hot"):
        return None
    one = data.labels[0]
    width = 1 if one.kind == "one-hot" else int(np.prod(one.shape))
    return one if width == 1 and len(one.shape) < 2 else None
