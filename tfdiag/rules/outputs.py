"""The size and spread of what layers put out, on the probe set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.rules.patience import CLEAR, first_measured, last_measured, streak_start
from tfdiag.rules.progress import Progress, judged_from, progress
from tfdiag.rules.roles import cuts, hidden_kernel, no_scale, not_constant
from tfdiag.rules.rule import CannotJudge, Case, Limit, rule
from tfdiag.rules.wording import count, number, since
from tfdiag.trace import Finding, Trace


@rule(
    id="activation-scale",
    title="Activation scale",
    needs=("output_rms",),
    advice=(
        "Scale the inputs to mean 0 and deviation 1.",
        "Add BatchNormalization or LayerNormalization after {layer}.",
        "Initialise with kernel_initializer='he_normal' for ReLU, 'glorot_uniform' for tanh.",
    ),
    why="Outputs far from 1 make gradients as large or small, and one learning rate fits no more.",
    source="TheDeepChecker, https://doi.org/10.1145/3529318; AUTOTRAINER; the limits are "
    "heuristics",
    verdict="{layer} off scale, step {step}",
    exempt=no_scale,
    absent="no output was measured",
    limits=(
        Limit("output_rms", "high", "warn", once=True),
        Limit(
            *("output_rms", "low", "warn"),
            above=False,
            instead=("dead-relu", "constant-output"),
            once=True,
        ),
    ),
)
def activation_scale(
    trace: Trace,
    *,
    high: float = 1e3,
    low: float = 1e-3,
    jump: float = 10.0,
    drift: float = 10.0,
    patience: int = 3,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers whose outputs are huge or tiny, or far from those before them or at the start.

    One finding each for huge, tiny and either of the others, with the first layer from the input
    side. What the targets,
    a table or a mean decide is exempt: outputs, embeddings, attention, softmax. A jump counts
    where a layer with weights reads one layer only: normalization and rescaling jump on purpose,
    and sums of residual branches grow. Jump and drift take a poor loss: of a model that learns they
    are how it learned.
    Outputs of exactly 0 are dead-relu's or constant-output's finding.

    Args:
        high: RMS of the output. Source: heuristic, no source; AUTOTRAINER has a mean of 10, which
            unscaled inputs of healthy models exceed.
        low: the same. Source: heuristic, no source.
        jump: times the RMS of the layer that feeds it, or that fraction. Source: heuristic;
            SageMaker Debugger, PoorWeightInitialization, has 10 for variances.
        drift: times the layer's own first RMS. Source: heuristic, no source.
        patience: probe records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    rms = trace.columns["output_rms"]
    size = np.where(rms > 0, rms, np.nan)
    measured, late = np.isfinite(size), trace.steps > warm_up
    loss = progress(trace)

    def found(values: np.ndarray, limit: float) -> np.ndarray:
        loose = values > (CLEAR * limit if limit > 1 else limit)
        return streak_start(loose, np.isfinite(values), patience, late, values > limit)

    large = found(size, high)
    small = streak_start(CLEAR * size < low, measured, patience, late, size < low)
    last = last_measured(size)
    if (large >= 0).any():
        yield _scale(trace, large, last, high, ">", "RMS of its output", loss, "warn")
    if (small >= 0).any():
        yield _scale(trace, small, last, low, "<", "RMS of its output", loss, "warn")
    if not loss.poor:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = size / size[:, _before(trace.architecture)]
        change = size / np.where(first_measured(rms) >= low, first_measured(rms), np.nan)
    for ratio, limit, what in (
        (apart, jump, "output over that of the layer before"),
        (change, drift, "output over its own at the start"),
    ):
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(_fed(trace.architecture), np.maximum(ratio, 1 / ratio), np.nan)
        starts = found(far, limit)
        if (starts >= 0).any():
            yield _scale(trace, starts, last_measured(ratio), limit, "×", what, loss, "watch")
            return


def _scale(
    trace: Trace,
    starts: np.ndarray,
    values: np.ndarray,
    limit: float,
    sign: str,
    what: str,
    loss: Progress,
    worst: str,
) -> Finding:
    """Returns one finding for all layers with a start, at the first from the input side."""
    ill = np.flatnonzero(starts >= 0)
    i, step = int(ill[0]), int(trace.steps[starts[ill[0]]])
    more = f", as in {count(len(ill) - 1, 'more layer')}" if len(ill) > 1 else ""
    return Finding(
        severity=worst if loss.poor else "watch",
        step=step,
        message=f"{trace.layers[i]}: {what} is {number(values[i])}, {since(step)} (limit "
        f"{f'{number(1 / limit)} to ' if sign == '×' else ''}{number(limit)}){more}; {loss.text}.",
        evidence=_evidence(float(values[i]), sign, limit),
        layer=trace.layers[i],
        value=float(values[i]),
        limit=limit,
        metric="output_rms",
    )


def _evidence(value: float, sign: str, limit: float) -> str:
    """Returns a value beside its limit; "×" is for a ratio that is far from 1 either way."""
    if sign != "×":
        return f"{number(value)} {sign} {number(limit)}"
    return (
        f"{number(value)}× > {number(limit)}×"
        if value > 1
        else f"{number(value)}× < {number(1 / limit)}×"
    )


def _before(architecture: Architecture) -> np.ndarray:
    """Returns `int[L]`, the place of the one layer that feeds each; its own if that is not so."""
    place = {name: i for i, name in enumerate(architecture.names)}
    return np.array(
        [
            place.get(one.inputs[0], i) if len(one.inputs) == 1 else i
            for i, one in enumerate(architecture.layers)
        ],
        dtype=np.int64,
    )


def _fed(architecture: Architecture) -> np.ndarray:
    """Returns `bool[L]`, the layers with a kernel and one input."""
    return np.array(
        [hidden_kernel(one) is None and len(one.inputs) <= 1 for one in architecture.layers],
        dtype=bool,
    )


@rule(
    id="constant-output",
    title="Constant output",
    needs=("output_std", "output_rms"),
    advice=(
        "Lower the learning rate: one large step can push all units to their flat side.",
        "Scale inputs, and the targets of a regression, to mean 0 and deviation 1.",
        "Check that the layers before {layer} are not dead or saturated.",
    ),
    why="What is the same for all samples says nothing about any of them.",
    source="TheDeepChecker, https://doi.org/10.1145/3529318, coefficient of variation 0.001",
    verdict="{layer} constant, step {step}",
    cases=(
        Case(
            lambda finding, facts: finding.step == 0,
            "{layer} constant at start",
            (
                "Initialise {layer} and the layers before it: kernel_initializer='he_normal'.",
                "Scale the inputs to mean 0 and deviation 1.",
                "Check that the samples of the probe set differ.",
            ),
        ),
    ),
    exempt=not_constant,
    absent="no output was measured",
    below=("spread",),
    reached=("spread",),
)
def constant_output(
    trace: Trace, *, spread: float = 1e-3, patience: int = 3, warm_up: int = 10
) -> Iterator[Finding]:
    """Finds layers all of whose outputs are the same number for all samples.

    A layer's deviation is over units and samples together. So only an output with one unit shows
    that a model predicts a constant; elsewhere it means that all units agree too. Nothing is said
    of a model that learns: targets such as years hardly vary. Some models guess for long and learn
    then: it is only watched for as long as loss-not-decreasing waits. ReLUs are dead-relu's
    finding.

    Args:
        spread: deviation over RMS. Source: TheDeepChecker, 0.001. Sums in float32 tell no smaller
            one.
        patience: probe records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    loss = progress(trace)
    if loss.state in ("improving", "learned"):
        return
    early = trace.planned_steps and trace.steps[-1] < judged_from(trace)
    harmful = loss.poor and not early
    std, rms = trace.columns["output_std"], trace.columns["output_rms"]
    measured, late = np.isfinite(std), trace.steps > warm_up
    start = streak_start(CLEAR * std <= spread * rms, measured, patience, late, std <= spread * rms)
    for i in np.flatnonzero(start >= 0):
        layer, step = trace.architecture.layers[i], int(trace.steps[start[i]])
        deviation, size = last_measured(std[:, [i]])[0], last_measured(rms[:, [i]])[0]
        total = layer.role == "output" or cuts(trace.architecture, layer.name)
        yield Finding(
            severity="critical" if harmful and total else "warn" if harmful else "watch",
            step=step,
            message=f"The outputs of {layer.name} have a deviation of {number(deviation)} and an "
            f"RMS of {number(size)}, {since(step)} (limit {spread:g} of it); {loss.text}.",
            evidence=f"deviation {number(deviation)}",
            layer=layer.name,
            value=float(deviation),
            limit=float(spread * size),
            metric="output_std",
        )


@rule(
    id="poor-init",
    title="Poor initialization",
    needs=("output_std",),
    uses=("output_rms",),
    advice=(
        "Use kernel_initializer='he_normal' with ReLU, 'glorot_uniform' with tanh.",
        "Add BatchNormalization or skip connections between the layers.",
        "Do not initialise kernels with zeros or a constant.",
    ),
    why="What is lost on the way through an untrained model cannot be learned from.",
    source="Glorot & Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html; He et al. "
    "(2015), https://arxiv.org/abs/1502.01852; the limits are heuristics",
    verdict="Signal lost in {layer}",
    cases=(
        Case(
            lambda finding, facts: finding.value > finding.limit,
            "Signal grows to {layer}",
            (
                "Use kernel_initializer='he_normal' with ReLU, 'glorot_uniform' with tanh.",
                "Add BatchNormalization between the layers.",
            ),
        ),
    ),
    exempt=hidden_kernel,
    absent="no output was measured",
)
def poor_init(trace: Trace, *, change: float = 1e3) -> Iterator[Finding]:
    """Finds untrained models in which the signal dies out or grows from layer to layer.

    At step 0 only, from the first hidden layer with a kernel to the others: inputs of any scale
    cancel out. Only layers that all data passes count, for a residual branch may start at zero;
    so may an output. Not while the model learns all the same, as pretrained ones do.

    Args:
        change: deviation of the outputs over that of the first layer, or the reverse. Source:
            heuristic, no source: a factor of 2 in each of ten layers.

    Raises:
        CannotJudge: if step 0 was not recorded.
    """
    if trace.steps[0] != 0 or not np.isfinite(trace.columns["output_std"][0]).any():
        raise CannotJudge("the untrained model was not measured")
    loss = progress(trace)
    if loss.state in ("improving", "learned"):
        return
    std = trace.columns["output_std"][0].astype(np.float64)
    known = [i for i in range(len(std)) if np.isfinite(std[i])]
    begin = next((i for i in known if cuts(trace.architecture, trace.layers[i])), None)
    if begin is None or not std[begin] > 0:
        return
    ratio = std / std[begin]
    for bad, limit, sign in (
        (ratio * change < 1, 1 / change, "<"),
        (ratio > change, change, ">"),
    ):
        lost = (i for i in np.flatnonzero(bad) if cuts(trace.architecture, trace.layers[i]))
        first = next(lost, None)
        if first is None:
            continue
        name = trace.layers[first]
        times = f"{number(ratio[first])} times as much as" if ratio[first] else "by 0, unlike"
        yield Finding(
            severity="warn" if loss.poor else "watch",
            step=0,
            message=f"Before training, the outputs of {name} deviate {times} those of "
            f"{trace.layers[begin]} (limit {number(limit)}); {loss.text}.",
            evidence=f"{number(ratio[first])} {sign} {number(limit)}",
            layer=name,
            value=float(ratio[first]),
            limit=limit,
            metric="output_std",
        )
