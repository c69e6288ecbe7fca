"""What is wrong with a model before it has made a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from tfdiag.architecture import DYING, Architecture, Layer
from tfdiag.rules.curves import finite
from tfdiag.rules.ending import (
    BINARY,
    CATEGORICAL,
    KERNELS,
    REGRESSION,
    Ending,
    before,
    ending,
    has_graph,
    options_of,
    values_from,
)
from tfdiag.rules.loss import jumps
from tfdiag.rules.progress import Progress, is_slow, progress
from tfdiag.rules.roles import cuts
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.wording import count, number, share
from tfdiag.trace import Finding, Trace


class _Misfit(NamedTuple):
    """Something that does not fit, and whether its harm depends on how training goes."""

    severity: str
    text: str
    evidence: str
    gated: bool = True


def gate(severity: str, loss: Progress) -> str:
    """Returns the severity of something odd, given how training goes.

    A model that has learned is only watched. What may be healthy (a watch) becomes a warning once
    the loss does not fall; what can hardly work stays at least a warning.
    """
    if loss.state == "learned":
        return "watch"
    if loss.state == "improving":
        return "warn" if severity == "critical" else severity
    return "warn" if severity == "watch" and loss.poor else severity


@rule(
    id="loss-activation-mismatch",
    title="Loss and activation do not fit",
    needs=(),
    advice=(
        "Let the last layer be linear and the loss take logits, from_logits=True: exact and free.",
        "Or end with softmax (one of several classes) or sigmoid (yes or no), from_logits=False.",
        "Give a softmax one unit per class; for two classes a single sigmoid unit will do too.",
    ),
    why="The loss then measures something else than how wrong the answers are.",
    source="UMLAUT (Schoop et al., 2021), https://doi.org/10.1145/3411764.3445538; NeuraLint "
    "(Nikanjam et al., 2021), https://arxiv.org/abs/2105.08095",
    verdict="Wrong end: {layer}",
    watch="Let it run; change the last activation or the loss if the loss does not fall.",
)
def loss_activation_mismatch(trace: Trace) -> Iterator[Finding]:
    """Finds a last activation that its loss cannot use.

    Silent about what works although it looks odd: two softmax units under binary crossentropy,
    sigmoid or softmax under a regression loss with labels to match, several sigmoids for several
    labels. One unit where several are compared is critical whatever the loss does: it may fall to
    0 while the answers stay the same. Keras on TensorFlow takes the logits from before a softmax
    or sigmoid that is called with from_logits=True, so that is watched at most. Sigmoids under a
    categorical loss often learn: they are watched until the loss does not fall.

    Raises:
        CannotJudge: if the model has several outputs, a loss of its own, or the function of its
            output is not known.
    """
    end, loss = ending(trace), progress(trace)
    if end.activation is None:
        raise CannotJudge("the function that the output comes from is not known")
    misfit = next(_misfits(end, trace.architecture), None)
    if misfit is not None:
        yield Finding(
            severity=gate(misfit.severity, loss) if misfit.gated else misfit.severity,
            step=int(trace.steps[0]),
            message=f"{misfit.text}; {loss.text}.",
            evidence=misfit.evidence,
            layer=end.layer.name,
        )
    elif end.loss not in (*CATEGORICAL, *BINARY, *REGRESSION):
        raise CannotJudge(f"the loss {end.loss} is not known to this rule")


def _misfits(end: Ending, architecture: Architecture) -> Iterator[_Misfit]:
    """Yields what does not fit, the worst first."""
    if end.activation == "softmax" and end.width == 1:
        text = f"{end.layer.name} is a softmax of one unit: its output is 1 whatever the input is"
        yield _Misfit("critical", text, "softmax of 1 unit", gated=False)
    if end.loss in CATEGORICAL and end.width == 1:
        text = f"The loss {end.loss} compares classes, but {end.layer.name} has one unit"
        yield _Misfit("critical", text, "1 unit, 1 class", gated=False)
    if end.activation == "softmax" and _is_softmax_twice(end, architecture):
        text = (
            f"A softmax is taken of a softmax before {end.layer.name}: all classes come out alike"
        )
        yield _Misfit("warn", text, "softmax of softmax")
    if end.loss in (*CATEGORICAL, *BINARY):
        yield from _no_probabilities(end)
    if end.loss in REGRESSION and end.activation == "softmax" and _are_classes(end):
        text = f"{end.loss} of softmax outputs has almost no slope where the answer is wrong"
        yield _Misfit("watch", text, f"{end.loss}, softmax")


def _no_probabilities(end: Ending) -> Iterator[_Misfit]:
    """Yields what is wrong with the arguments of a crossentropy."""
    pair = f"{end.activation}, from_logits={end.from_logits}"
    wanted = "softmax" if end.loss in CATEGORICAL else "sigmoid"
    takes = f"The loss {end.loss} takes {{}}, but {end.layer.name} ends with {{}}"
    if end.from_logits and end.activation in ("softmax", "sigmoid"):
        text = takes.format("logits (from_logits=True)", f"a {end.activation}")
        text += ": Keras on TensorFlow takes what comes before it, other backends do not"
        yield _Misfit("watch", text, pair, gated=False)
    elif end.from_logits and end.activation in (*DYING, "tanh"):
        text = takes.format("logits, any numbers,", f"{end.activation}, which bounds them")
        yield _Misfit("watch", text, pair)
    elif not end.from_logits and end.activation == "linear":
        text = takes.format("probabilities", f"numbers without bounds; {wanted} is missing")
        yield _Misfit("critical", text, f"no {wanted}, from_logits=False")
    elif not end.from_logits and end.activation in (*DYING, "tanh", "softplus", "exponential"):
        text = takes.format("probabilities", f"{end.activation}")
        yield _Misfit("warn", text, pair)
    elif end.loss in CATEGORICAL and end.activation == "sigmoid":
        text = takes.format("one distribution over the classes", "one sigmoid for each")
        yield _Misfit("watch", text, pair)


def _is_softmax_twice(end: Ending, architecture: Architecture) -> bool:
    last = values_from(architecture, end.layer)
    source = before(architecture, last)
    if source is None or (last.options or {}).get("operations") or last.type in KERNELS:
        return False
    return values_from(architecture, source).activation == "softmax"


def _are_classes(end: Ending) -> bool:
    return end.labels is not None and end.labels.kind in ("classes", "one-hot")


@rule(
    id="missing-nonlinearity",
    title="Missing activation",
    needs=(),
    advice=(
        "Give {layer} an activation, such as activation='relu': it costs next to nothing.",
        "If it is meant to be linear, leave it out: the next layer can do the same alone.",
    ),
    why="Two linear layers in a row can do no more than one.",
    source="UMLAUT (Schoop et al., 2021), https://doi.org/10.1145/3411764.3445538; NeuraLint "
    "(Nikanjam et al., 2021), https://arxiv.org/abs/2105.08095",
    verdict="{layer} is linear",
    watch="Let it run; give {layer} an activation if the loss does not fall low enough.",
)
def missing_nonlinearity(trace: Trace) -> Iterator[Finding]:
    """Finds dense layers and convolutions without an activation that feed only their like.

    Says nothing of what is linear on purpose: a layer narrower than what it gets and what it
    feeds (a bottleneck, an embedding of lower rank), 1x1, depthwise and separable convolutions,
    patches, layers in a residual or attention block, recurrent layers, and all that an operation
    or a normalization over features stands behind.

    Raises:
        CannotJudge: if it is not known which layer feeds which.
    """
    layers = _layers_of_graph(trace)
    loss = progress(trace)
    for layer in layers:
        fed = _fed_kernels(trace.architecture, layer)
        if not _is_linear(layer) or not fed or any(_is_narrow(layer, other) for other in fed):
            continue
        yield Finding(
            severity=gate("watch", loss),
            step=int(trace.steps[0]),
            message=f"{layer.name} has no activation and feeds {fed[0].name}, which is a "
            f"{fed[0].type} too: together they can do what one can; {loss.text}.",
            evidence=f"{layer.name} → {fed[0].name}",
            layer=layer.name,
        )


#: Layers that are linear themselves, so that nothing is gained by standing between two others.
_LINEAR_BETWEEN = (
    "Flatten",
    "Reshape",
    "Permute",
    "Dropout",
    "BatchNormalization",
    "ZeroPadding2D",
)


def _layers_of_graph(trace: Trace) -> tuple[Layer, ...]:
    """Returns the layers with their options, if it is known which one feeds which.

    Raises:
        CannotJudge: if it is not.
    """
    layers = options_of(trace)
    if not has_graph(trace.architecture):
        raise CannotJudge("it is not known which layer feeds which")
    return layers


def _is_linear(layer: Layer) -> bool:
    options = layer.options or {}
    one = set(str(options.get("kernel_size", "3")).split("x")) == {"1"}
    patches = "strides" in options and options["strides"] == options.get("kernel_size")
    hidden = layer.role == "hidden" and layer.type in KERNELS and layer.activation is None
    return hidden and not one and not patches and options.get("groups", 1) == 1


def _fed_kernels(architecture: Architecture, layer: Layer) -> list[Layer]:
    """Returns the layers with a kernel that a layer feeds; none if it feeds anything else too."""
    found: list[Layer] = []
    waiting = [layer]
    while waiting:
        source = waiting.pop()
        fed = [other for other in architecture.layers if source.name in other.inputs]
        for other in fed:
            is_direct = len(other.inputs) == 1 and not (other.options or {}).get("operations")
            if is_direct and other.type in KERNELS:
                found.append(other)
            elif is_direct and other.type in _LINEAR_BETWEEN and other.activation is None:
                waiting.append(other)
            else:
                return []
        if not fed or (source.options or {}).get("follows"):
            return []
    return found


def _is_narrow(layer: Layer, fed: Layer) -> bool:
    """Returns whether a layer is narrower than what it gets and what it feeds."""
    width = layer.shape[-1] if layer.shape else None
    beyond = fed.shape[-1] if fed.shape else None
    got = _features_in(layer)
    return width is None or beyond is None or got is None or width < min(got, beyond)


def _features_in(layer: Layer) -> int | None:
    """Returns how many features a layer gets, counted from its weights."""
    options = layer.options or {}
    units = options.get("units", options.get("filters"))
    if not isinstance(units, int) or not units:
        return None
    window = math.prod(int(n) for n in str(options.get("kernel_size", "1")).split("x"))
    return int((layer.parameters / units - bool(options.get("use_bias"))) / window)


@rule(
    id="dead-on-arrival",
    title="Units begin alike",
    needs=(),
    advice=(
        "Leave out kernel_initializer for {layer}: the default draws at random, at no cost.",
        "Use 'he_normal' with ReLU, 'glorot_uniform' with tanh or sigmoid.",
    ),
    why="Units that begin alike get the same gradient, so they stay one unit for ever.",
    source="Goodfellow et al. (2016), Deep Learning, section 8.4, "
    "https://www.deeplearningbook.org/contents/optimization.html",
    verdict="{layer}: units all alike",
    watch="Let it run; draw the first weights of {layer} at random if the loss does not fall.",
)
def dead_on_arrival(trace: Trace) -> Iterator[Finding]:
    """Finds hidden layers whose units begin alike, and cannot become different.

    That is certain if what follows weighs them alike too, or if a ReLU begins at zero weights
    without a positive bias. Otherwise the next layer's random weights, or a dropout, make the
    units differ: watched. Only layers that all data must pass are judged, so the last layer of a
    residual branch, which begins at zero on purpose, is not; and no output layer, which may.

    Raises:
        CannotJudge: if it is not known which layer feeds which.
    """
    layers = _layers_of_graph(trace)
    loss = progress(trace)
    for layer in layers:
        options = layer.options or {}
        if not options.get("units_alike") or layer.role != "hidden" or not layer.trainable:
            continue
        if not cuts(trace.architecture, layer.name):
            continue
        severity, why = _symmetry(trace.architecture, layer)
        yield Finding(
            severity=gate(severity, loss),
            step=int(trace.steps[0]),
            message=f"All units of {layer.name} begin with the same weights, {why}; {loss.text}.",
            evidence=f"{options.get('kernel_initializer', 'weights')}: all alike",
            layer=layer.name,
        )


def _symmetry(architecture: Architecture, layer: Layer) -> tuple[str, str]:
    """Returns how bad it is that a layer's units are alike, and why."""
    options = layer.options or {}
    following = _following(architecture, layer)
    activations = {one.activation for one in (layer, *following) if one.type not in KERNELS}
    activations.add(layer.activation)
    if options.get("kernel_is_zero") and not options.get("bias_is_positive"):
        if activations & set(DYING):
            return "critical", "zero, and a ReLU has no slope there"
    kernels = [one for one in following if one.type in KERNELS]
    if any(one.type.endswith("Dropout") for one in following):
        return "watch", "but a dropout makes them differ"
    if kernels and all((one.options or {}).get("inputs_alike") for one in kernels):
        return "critical", f"and {kernels[0].name} weighs them all alike"
    return "watch", "but what follows may make them differ"


def _following(architecture: Architecture, layer: Layer) -> list[Layer]:
    """Returns the layers behind one, up to the first with a kernel on each path."""
    found, waiting = [], [layer.name]
    while waiting:
        name = waiting.pop()
        for other in architecture.layers:
            if name in other.inputs and other not in found:
                found.append(other)
                if other.type not in KERNELS:
                    waiting.append(other.name)
    return found


def _frozen(layer: Layer) -> str | None:
    return "frozen" if layer.parameters and not layer.trainable else None


@rule(
    id="nothing-trainable",
    title="Nothing to train",
    needs=(),
    advice=(
        "Set model.trainable = True, or that of the last layers alone, and compile again.",
        "Add a trainable layer at the end; for a frozen model, that is the cheap way to tune it.",
    ),
    why="Every weight is frozen, so training cannot change the model.",
    source="Keras, Transfer learning & fine-tuning, https://keras.io/guides/transfer_learning/",
    verdict="All weights are frozen",
    exempt=_frozen,
)
def nothing_trainable(trace: Trace) -> Iterator[Finding]:
    """Finds a model of which no weight is trained. Frozen layers are listed as exempt."""
    layers = [layer for layer in trace.architecture.layers if layer.parameters]
    if not layers:
        raise CannotJudge("the model has no weights")
    if any(layer.trainable for layer in layers):
        return
    yield Finding(
        severity="critical",
        step=int(trace.steps[0]),
        message=f"None of the {count(len(layers), 'layer')} with weights is trainable.",
        evidence=f"0 of {len(layers)} layers",
        value=0.0,
        limit=1.0,
    )


@rule(
    id="frozen-output",
    title="Output is frozen",
    needs=(),
    advice=(
        "Train {layer}: layer.trainable = True, and compile again.",
        "To tune a trained model, freeze it from the input side and train the last layers.",
    ),
    why="What the layers below learn has to fit weights that nothing has fitted to the task.",
    source="Keras, Transfer learning & fine-tuning, https://keras.io/guides/transfer_learning/",
    verdict="{layer} is frozen",
    exempt=lambda layer: None if layer.parameters else "no weights",
    watch="Let it run if {layer} is to stay as it is, as a judge that was trained before.",
)
def frozen_output(trace: Trace) -> Iterator[Finding]:
    """Finds a last layer that is frozen while layers below it are trained.

    Only watched: a random last layer that is fixed may do, and a generator is trained below a
    judge that is frozen, to a loss that may rise. A warning if the loss is no better than a guess's
    at the end, or, of several classes, never fell or has not come down to half when `judged_from`
    has come. All frozen is nothing-trainable's finding,
    and nothing is said of a backbone that is frozen below a head.
    """
    layers = [layer for layer in trace.architecture.layers if layer.parameters]
    outputs = [layer for layer in layers if layer.role == "output" and layer.type in KERNELS]
    if not outputs or any(layer.trainable for layer in outputs):
        return
    trained = sum(layer.trainable for layer in layers)
    if trained:
        loss = progress(trace)
        kind = (trace.architecture.loss_options or {}).get("kind")
        poor = loss.state == "stuck" or is_slow(trace)
        suffers = loss.state == "lost" or (poor and kind in CATEGORICAL)
        yield Finding(
            severity="warn" if suffers else "watch",
            step=int(trace.steps[0]),
            message=f"{outputs[0].name} is frozen, while {count(trained, 'layer')} below it "
            f"{'is' if trained == 1 else 'are'} trained; {loss.text}.",
            evidence=f"{outputs[0].name} frozen",
            layer=outputs[0].name,
        )


_DROPOUTS = (
    *("Dropout", "AlphaDropout", "GaussianDropout"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)


@rule(
    id="dropout-high",
    title="High dropout",
    needs=(),
    advice=(
        "Lower the rate of {layer} to 0.5 or less; the model may overfit sooner.",
        "Keras' rate is the share that is dropped, not the share that is kept.",
    ),
    why="So little of the signal comes through that training is slow and noisy.",
    source="Srivastava et al. (2014), https://jmlr.org/papers/v15/srivastava14a.html (0.5 for "
    "hidden units); UMLAUT",
    verdict="{layer} drops too much",
    shares=("watch", "warn"),
    reached=("warn",),
    watch="Let it run; lower the rate of {layer} if the loss does not fall.",
)
def dropout_high(trace: Trace, *, watch: float = 0.5, warn: float = 0.9) -> Iterator[Finding]:
    """Finds layers that drop more than they keep.

    Args:
        watch: rate above which it is watched. Source: UMLAUT.
        warn: rate from which it is a warning, unless the loss falls. Source: heuristic.
    """
    loss = progress(trace)
    for layer in options_of(trace):
        rate = (layer.options or {}).get("rate")
        if layer.type not in _DROPOUTS or not isinstance(rate, (int, float)) or rate <= watch:
            continue
        severity = "warn" if rate >= warn and loss.state != "improving" else "watch"
        limit = warn if rate >= warn else watch
        yield Finding(
            severity=gate(severity, loss),
            step=int(trace.steps[0]),
            message=f"{layer.name} drops {number(100 * rate)} % of its inputs in training (limit "
            f"{number(100 * limit)} %); {loss.text}.",
            evidence=f"{rate:g} {'≥' if rate >= warn else '>'} {limit:g}",
            layer=layer.name,
            value=float(rate),
            limit=limit,
        )


@rule(
    id="batchnorm-small-batch",
    title="BatchNormalization, small batch",
    needs=("batch_size",),
    advice=(
        "Use larger batches: 16 or more; each costs more memory.",
        "Use GroupNormalization or LayerNormalization, which do not depend on the batch.",
    ),
    why="Mean and deviation of so few samples are noise, and differ from those of inference.",
    source="Wu & He (2018), Group Normalization, https://arxiv.org/abs/1803.08494",
    verdict="Batch too small to normalize",
    below=("least",),
    watch="Let it run; use larger batches or GroupNormalization if the probe loss stays high.",
)
def batchnorm_small_batch(trace: Trace, *, least: int = 8) -> Iterator[Finding]:
    """Finds trained batch normalization with few samples in each batch. Watched at most.

    Args:
        least: samples in a batch. Source: torch-audit TA304.
    """
    size = _batch_size(trace)
    layers = [
        layer
        for layer in trace.architecture.layers
        if layer.type == "BatchNormalization" and layer.trainable
    ]
    if layers and size < least:
        yield Finding(
            severity="watch",
            step=int(trace.steps[0]),
            message=f"{count(len(layers), 'layer')} of BatchNormalization see {size} samples at a "
            f"time (limit {least}), {layers[0].name} first.",
            evidence=f"{size} < {least}",
            layer=layers[0].name,
            value=float(size),
            limit=float(least),
            metric="batch_size",
        )


@rule(
    id="batch-of-one",
    title="Batches of one sample",
    needs=("batch_size",),
    uses=("probe_loss",),
    advice=(
        "Use batches of 16 to 32 samples; an epoch takes a fraction of the time too.",
        "If only one sample fits into memory: gradient_accumulation_steps=16 in the optimizer.",
        "Keep the batch and lower the learning rate by a factor of ten.",
    ),
    why="The gradient of one sample is mostly noise, and each step follows it.",
    source="Masters & Luschi (2018), https://arxiv.org/abs/1804.07612: 2 to 32 is best",
    verdict="Batches of one sample",
    shares=("far",),
    watch="Let it run; use larger batches if the probe loss jumps.",
)
def batch_of_one(trace: Trace, *, far: float = 0.1) -> Iterator[Finding]:
    """Finds training on one sample at a time. Watched, unless the loss suffers.

    That is, if it does not fall, rises, or jumps up and down as in loss-oscillation, far above 0,
    whether it falls meanwhile or not: then each step undoes what that before has learned. That it
    fell and falls no more is no sign: any training comes to its end. Large pictures leave no
    choice, and a rate that is low enough makes up for it. Gradients that are accumulated over
    several batches are left out.

    Args:
        far: share of its start above which a loss is far above 0. Source: heuristic, no source.
    """
    size = _batch_size(trace)
    accumulated = trace.architecture.settings.get("gradient_accumulation_steps")
    if size > 1 or accumulated:
        return
    loss, swing = progress(trace), jumps(trace)
    swings = swing is not None and swing.level > far * finite(trace, "probe_loss")[0]
    suffers = loss.state in ("stuck", "lost", "worse") or swings
    text = f", the probe loss moves by {share(swing.size)} from look to look" if swing else ""
    yield Finding(
        severity="warn" if suffers else "watch",
        step=int(trace.steps[0]),
        message=f"Each step sees 1 sample (usual are 2 to 32 at least); {loss.text}{text}.",
        evidence="1 sample a step",
        value=float(size),
        limit=2.0,
        metric="batch_size",
    )


def _batch_size(trace: Trace) -> int:
    """Returns the samples of a training step; an epoch's last batch may be smaller."""
    sizes = trace.series["batch_size"]
    return int(max(sizes[sizes == sizes]))
