"""What is wrong with the data, as far as the probe set shows it, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.architecture import SATURATING
from tfdiag.data import Data, Labels
from tfdiag.rules.beginning import FIRST_ANSWERS, errs_surely
from tfdiag.rules.ending import (
    BINARY,
    CATEGORICAL,
    RANGES,
    REGRESSION,
    Ending,
    data_of,
    ending,
    options_of,
)
from tfdiag.rules.patience import last_measured, streak_start
from tfdiag.rules.progress import is_slow, progress
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.static import gate
from tfdiag.rules.wording import count, number, share, since
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
    for one in data_of(trace).inputs:
        if one.nonfinite > 0:
            yield Finding(
                severity="watch" if survives else "critical",
                step=int(trace.steps[0]),
                message=f"{share(one.nonfinite)} of the entries of input {one.name} are NaN or "
                f"infinite in the probe set{', but the probe loss is finite' if survives else ''}.",
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
                message=f"All entries of input {one.name} are about {number(one.mean)} in the "
                f"probe set: their deviation is {number(one.std)} (limit {number(spread)}); "
                f"{loss.text}.",
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
                message=f"Input {one.name} reaches from {number(one.minimum)} to "
                f"{number(one.maximum)} in the probe set (limit {number(largest)}); {loss.text}.",
                evidence=f"{number(magnitude)} > {number(largest)}",
                value=magnitude,
                limit=largest,
            )


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
            message=f"The labels do not fit {end.loss} and {end.layer.name}: {text}; {loss.text}.",
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


def _no_classes(trace: Trace) -> str | None:
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
    unfit=_no_classes,
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


@rule(
    id="probe-too-small",
    title="Small probe set",
    needs=(),
    advice=("Hold back more samples: 256 cost about four times what 64 do.",),
    why="A unit that fires on few samples looks dead, and a loss of few samples is noisy.",
    source="heuristic: a unit that fires on a share p of the data is silent on n samples with "
    "probability (1 - p)^n",
    verdict="Probe set is small",
    below=("samples",),
    watch="Let it run; take what is said about outputs with caution.",
)
def probe_too_small(trace: Trace, *, samples: int = 64) -> Iterator[Finding]:
    """Finds a probe set of few samples. Watched at most.

    Args:
        samples: in the probe set. Source: heuristic; a unit that fires on 5 % of the data is
            silent on 64 samples with a probability of 4 %.
    """
    if not trace.probe_samples:
        data_of(trace)
    if trace.probe_samples < samples:
        yield Finding(
            severity="watch",
            step=int(trace.steps[0]),
            message=f"The probe set has {count(trace.probe_samples, 'sample')} (limit {samples}): "
            f"{share(0.95**trace.probe_samples)} of the units that fire on 5 % of the data look "
            "dead.",
            evidence=f"{trace.probe_samples} < {samples}",
            value=float(trace.probe_samples),
            limit=float(samples),
        )


@rule(
    id="prediction-collapse",
    title="One answer for all",
    needs=("probe_top_class_share", "probe_top_class_true_share"),
    advice=(
        "Check that the last activation fits the loss, and that labels belong to their samples.",
        "Lower the learning rate by a factor of ten: a large step may have emptied the model.",
        "Look for dead or saturated layers: then nothing of the input gets through.",
    ),
    why="The model gives the same answer whatever it sees: it has learned at most how often each "
    "class occurs.",
    source="SageMaker Debugger, and TheDeepChecker (Ben Braiek & Khomh, 2023), for the idea; the "
    "limits are heuristics",
    verdict="One answer for all",
    shares=("top", "true"),
    unfit=_no_classes,
    below=("true",),
    reads={"top": "probe_top_class_share", "true": "probe_top_class_true_share"},
    watch="Let it run; look again when the loss falls no more.",
)
def prediction_collapse(
    trace: Trace, *, top: float = 0.9, true: float = 0.6, patience: int = 3, warm_up: int = 200
) -> Iterator[Finding]:
    """Finds a model that answers the same class for nearly all of the probe set.

    Watched only while the loss still falls: many models begin so. That the loss is low is no
    excuse: it also falls from a bad start to that of a guess.

    Args:
        top: share of the samples that get this answer. Source: heuristic, no source.
        true: share of the samples for which it may be right: with unequal classes one answer
            for all is a fair guess. With two equal classes it is right for about half. Source:
            heuristic, no source.
        patience: looks in a row, up to the last one.
        warm_up: optimizer steps before the first look that counts.
    """
    shares = trace.series["probe_top_class_share"][:, np.newaxis]
    truth = trace.series["probe_top_class_true_share"][:, np.newaxis]
    bad = (shares > top) & (truth < true)
    start = streak_start(bad, np.isfinite(shares), patience, trace.steps > warm_up)[0]
    if start < 0:
        return
    step, loss = int(trace.steps[start]), progress(trace)
    said, right = float(last_measured(shares)[0]), float(last_measured(truth)[0])
    yield Finding(
        severity="watch" if loss.state == "improving" else "warn",
        step=step,
        message=f"{share(said)} of the probe set get the same answer, {since(step)}, which is "
        f"right for {share(right)} (limits {share(top)} and {share(true)}); {loss.text}.",
        evidence=f"{share(said)} > {share(top)}",
        value=said,
        limit=top,
        metric="probe_top_class_share",
    )
