"""What is wrong with hidden layers before the first step: activations, first weights, dropout."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tfdiag.architecture import DYING, Architecture, Layer
from tfdiag.rules.ending import KERNELS, has_graph, options_of
from tfdiag.rules.gate import gate, so_far
from tfdiag.rules.progress import progress
from tfdiag.rules.roles import cuts
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.wording import number
from tfdiag.trace import Finding, Trace


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
    feeds (a bottleneck, an embedding of lower rank), 1x1 and 1x3, depthwise and separable
    convolutions, patches, layers in a residual or attention block, recurrent layers, and all that
    an operation or a normalization over features stands behind.

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
            f"{fed[0].type} too: together they can do what one can{so_far(trace)}.",
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
    one = "1" in str(options.get("kernel_size", "3")).split("x")  # 1x3 before 3x1 is a 3x3 in two
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
    width, beyond = _features_out(layer), _features_out(fed)
    got = _features_in(layer)
    return width is None or beyond is None or got is None or width < min(got, beyond)


def _features_out(layer: Layer) -> int | None:
    """Returns how many features a layer gives; a model from a file may not tell its shapes."""
    options = layer.options or {}
    told = layer.shape[-1] if layer.shape else options.get("units", options.get("filters"))
    return told if isinstance(told, int) else None


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
            message=f"All units of {layer.name} begin with the same weights, {why}{so_far(trace)}.",
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
            f"{number(100 * limit)} %){so_far(trace)}.",
            evidence=f"{rate:g} {'≥' if rate >= warn else '>'} {limit:g}",
            layer=layer.name,
            value=float(rate),
            limit=limit,
        )
