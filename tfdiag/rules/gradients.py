"""Gradients that explode or vanish, in the real training step, before clipping."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.rules.patience import last_measured, streak_start
from tfdiag.rules.progress import progress
from tfdiag.rules.roles import no_kernel, untrained
from tfdiag.rules.rule import CannotJudge, Case, Limit, rule
from tfdiag.rules.wording import count, number
from tfdiag.trace import Finding, Trace


@rule(
    id="exploding-gradient",
    title="Exploding gradient",
    needs=("gradient_rms", "gradient_norm"),
    uses=("gradient_nonfinite",),
    advice=(
        "Clip gradients: clipnorm=1.0 in the optimizer.",
        "Lower the learning rate.",
        "Scale the targets of a regression to deviation 1, and average the loss over the batch.",
        "In recurrent layers, use shorter sequences or a gated cell.",
    ),
    why="Steps of that size throw the weights far away, and soon overflow to NaN.",
    source="Pascanu et al. (2013), https://proceedings.mlr.press/v28/pascanu13.html; the "
    "limits are heuristics",
    verdict="{layer} exploded, step {step}",
    reads={"norm": "gradient_norm", "extreme": "gradient_norm"},
    cases=(
        Case(
            lambda finding, facts: (
                finding.step <= 1
            ),  # the first gradient is that of the initial weights
            "Huge gradient in {layer}",
            (
                "Scale inputs, and the targets of a regression, to mean 0 and deviation 1.",
                "Average the loss over the batch instead of summing it.",
                "Clip gradients: clipnorm=1.0 in the optimizer.",
            ),
            "y = (y - y_train.mean(axis=0)) / y_train.std(axis=0)",
        ),
    ),
    exempt=untrained,
    absent="no gradient",
)
def exploding_gradient(
    trace: Trace,
    *,
    norm: float = 100.0,
    growth: float = 10.0,
    extreme: float = 1000.0,
    doubling: float = 2.0,
    checks: int = 5,
    patience: int = 3,
    warm_up: int = 0,
) -> Iterator[Finding]:
    """Finds a run whose gradient is far too large, and the layer that has the most of it.

    A large norm alone proves nothing: sum-reduced losses, large batches and raw targets have
    it and train well. So it is only watched unless it also grew since the start or is
    extreme, and the loss is poor. What is extreme from the first step on did not explode: it
    is a matter of scale. A run that turned NaN needs no patience: nothing finite is
    left to count.

    Args:
        norm: global L2 norm that is trouble for a gradient that grew. Source: torch-audit, 100.
        growth: times the median of the first records. Source: heuristic, no source.
        extreme: global L2 norm that needs no growth. Source: heuristic, no source.
        doubling: times the record before, `checks` times in a row, that is an explosion at any
            size once the loss is poor. Source: TheDeepChecker, 2.
        checks: records in a row for `doubling`. Source: TheDeepChecker, window 5.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    total = trace.series["gradient_norm"].astype(np.float64)
    measured, late = np.isfinite(total), trace.steps > warm_up
    if not measured.any():
        return
    start_level = float(np.median(total[measured][:patience]))
    grown_limit = max(norm, growth * start_level)
    grown = total > grown_limit
    lost = _lost(trace)
    loss = progress(trace)
    large = (total > extreme) & loss.poor
    always = large[measured].all()
    for condition, limit in ((grown & ~always, grown_limit), (large, extreme)):
        wanted = 1 if lost else patience
        row = streak_start(condition[:, None], measured[:, None], wanted, late)[0]
        if row >= 0:
            yield _explosion(trace, int(row), total[measured][-1], limit, loss.poor or lost, lost)
            return
    rows = np.flatnonzero(measured & (trace.steps > 10))[-checks - 1 :]
    if len(rows) > checks and loss.poor and (total[rows[1:]] > doubling * total[rows[:-1]]).all():
        limit = doubling**checks * total[rows[0]]
        yield _explosion(trace, int(rows[0]), total[rows[-1]], limit, True, lost)


def _lost(trace: Trace) -> bool:
    """Returns True if the last gradients are not finite."""
    counts = trace.columns.get("gradient_nonfinite")
    return counts is not None and bool((last_measured(counts) > 0).any())


def _explosion(
    trace: Trace, row: int, norm: float, limit: float, harmful: bool, lost: bool
) -> Finding:
    step = int(trace.steps[row])
    sizes = np.array([layer.parameters for layer in trace.architecture.layers], dtype=np.float64)
    rms = trace.columns["gradient_rms"][row].astype(np.float64)  # the square overflows float32
    energy = rms**2 * np.maximum(sizes, 1)
    layer = trace.layers[int(np.nanargmax(energy))] if np.isfinite(energy).any() else None
    end = ", then NaN" if lost else ""
    since = "from the start" if step <= 1 else f"since step {step}"
    return Finding(
        severity="warn" if harmful else "watch",
        step=step,
        message=f"The gradient's norm is {number(norm)}{end}, above {number(limit)} {since}; "
        f"most of it is in {layer or 'no single layer'}.",
        evidence=f"{number(norm)} > {number(limit)}",
        layer=layer,
        value=float(norm),
        limit=float(limit),
        metric="gradient_norm",
    )


@rule(
    id="vanishing-gradient",
    title="Vanishing gradient",
    needs=("gradient_rms",),
    uses=("update_ratio",),
    advice=(
        "Use ReLU with kernel_initializer='he_normal' instead of sigmoid or tanh.",
        "Add BatchNormalization or skip connections between the layers.",
        "Use fewer layers, or train the last ones first.",
    ),
    why="Layers near the input get almost no signal and stay as they were initialised.",
    source="Glorot & Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html; "
    "AUTOTRAINER, https://doi.org/10.1109/ICSE43902.2021.00043",
    verdict="{layer} starves, step {step}",
    cases=(
        Case(
            lambda finding, facts: finding.value == 0,
            "{layer} gets no gradient",
            (
                "Look above this layer, towards the loss: dead units, a stopped gradient or a "
                "missing connection let nothing through.",
                "Check that the loss depends on this layer: tf.stop_gradient, argmax, rounding.",
            ),
        ),
    ),
    exempt=no_kernel,
    absent="no gradient",
    limits=(Limit("gradient_rms", "floor", "warn", above=False, instead=("zero-gradient",)),),
    below=("ratio", "small", "update"),
)
def vanishing_gradient(
    trace: Trace,
    *,
    floor: float = 1e-7,
    ratio: float = 1e-3,
    small: float = 1e-4,
    update: float = 1e-5,
    patience: int = 5,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers that get almost no gradient while the loss does not fall.

    Two ways to starve: below `floor` with weights that hardly move, or below `small` and below
    `ratio` times the last layer. A size alone proves nothing: Adam is blind to scale, a
    mean or a sum changes it, a converged model has tiny gradients; so nothing is said while
    the loss falls or is low, and below `floor` it is only watched until the loss is known. Layers
    in a residual block that starts at zero get their gradient later: patience. Behind dead
    units the gradient is exactly 0, in the last layers too.

    Args:
        floor: gradient RMS. Source: SageMaker Debugger, VanishingGradient, 1e-7.
        ratio: times the gradient RMS of the last layer. Source: AUTOTRAINER, 1e-3.
        small: gradient RMS that `ratio` also needs. Source: AUTOTRAINER, 1e-4.
        update: update ratio per step that still counts as moving. Source: torchmortem, 1e-5.
        patience: records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    loss = progress(trace)
    if loss.state in ("improving", "learned"):
        return
    rms = trace.columns["gradient_rms"]
    ratios = trace.columns.get("update_ratio", np.full_like(rms, np.nan))
    measured, late = np.isfinite(rms), trace.steps > warm_up
    frozen = (rms < floor) & ~(ratios >= update)
    last = _reference(trace, rms)
    starved = (rms < ratio * last[:, np.newaxis]) & (rms < small) & loss.poor
    start = streak_start(frozen | starved, measured, patience, late)
    now, moves, reference = last_measured(rms), last_measured(ratios), last[np.isfinite(last)]
    for i in np.flatnonzero(start >= 0):
        absolute = now[i] < floor and not moves[i] >= update
        limit = floor if absolute else ratio * float(reference[-1])
        step = int(trace.steps[start[i]])
        value = "exactly 0" if now[i] == 0 else number(now[i])
        compared = number(limit) if absolute else f"{ratio:g} of the last layer's"
        yield Finding(
            severity="warn" if loss.poor else "watch",
            step=step,
            message=f"The gradient RMS of {trace.layers[i]} is {value}, below {compared} since "
            f"step {step}; {loss.text}.",
            evidence=f"{number(now[i])} < {number(limit)}",
            layer=trace.layers[i],
            value=float(now[i]),
            limit=float(limit),
            metric="gradient_rms",
        )


def _reference(trace: Trace, rms: np.ndarray) -> np.ndarray:
    """Returns `float[S]`, the gradient RMS of the output layer, or of the last that has one."""
    measured = np.flatnonzero(np.isfinite(rms).any(axis=0))
    outputs = [i for i in measured if trace.architecture.layers[i].role == "output"]
    return rms[:, (outputs or list(measured))[-1]]


@rule(
    id="gradient-spike",
    title="Gradient spike",
    needs=("gradient_norm",),
    advice=(
        "Clip gradients: clipnorm=1.0 in the optimizer.",
        "Look at the batches of these steps for outliers and wrong labels.",
        "Lower the learning rate.",
    ),
    why="One step of that size can undo what hundreds of steps have learned.",
    source="trainproof, spike factor 10; Pascanu et al. (2013), "
    "https://proceedings.mlr.press/v28/pascanu13.html",
    verdict="Gradient spike, step {step}",
    watch="Let it run; look again if the loss jumps with it.",
)
def gradient_spike(
    trace: Trace, *, times: float = 10.0, window: int = 20, recurring: int = 3, warm_up: int = 100
) -> Iterator[Finding]:
    """Finds single steps with a gradient far above those around them.

    Alone only watched: a spike that the optimizer survived did no harm. Spikes that come again
    and again with a poor loss are a warning. A gradient that stays large is no spike but an
    explosion, and one that returns from almost nothing to its usual size is no spike either. A
    model that has learned has gradients near zero, times ten of which is nothing.

    Args:
        times: the median of the `window` records before. Source: trainproof, 10.
        window: last records that are judged, and those that each is compared with. Source:
            heuristic, no source.
        recurring: spikes in the window from which they are a warning. Source: heuristic.
        warm_up: optimizer steps before which a spike is one of the first, large steps.

    Raises:
        CannotJudge: if there are too few records.
    """
    total = trace.series["gradient_norm"].astype(np.float64)
    rows = np.flatnonzero(np.isfinite(total))
    values = total[rows]
    if len(values) < window + 2:
        raise CannotJudge(f"too few records: {len(values)} of {window + 2}")
    before = np.lib.stride_tricks.sliding_window_view(values, window)[:-2]
    usual = np.maximum(np.median(before, axis=1), np.median(values))
    here, after = values[window:-1], values[window + 1 :]
    limit = times * usual
    spikes = (here > limit) & (after <= limit) & (trace.steps[rows[window:-1]] > warm_up)
    found = np.flatnonzero(spikes[-window:]) + max(0, len(spikes) - window)
    loss = progress(trace)
    if not len(found) or loss.state == "learned":
        return
    least = np.finfo(np.float64).tiny  # a norm that was 0 has no multiple
    worst = found[np.argmax(here[found] / np.maximum(usual[found], least))]
    usually = max(usual[worst], least)
    step = int(trace.steps[rows[window + worst]])
    yield Finding(
        severity="warn" if loss.poor and len(found) >= recurring else "watch",
        step=int(trace.steps[rows[window + found[0]]]),
        message=f"The gradient's norm was {number(here[worst])} at step {step}, "
        f"{number(here[worst] / usually)} times the usual {number(usual[worst])} (limit "
        f"{times:g}), {count(len(found), 'time')} in the last {window} records; {loss.text}.",
        evidence=f"{number(here[worst])} > {number(limit[worst])}",
        value=float(here[worst]),
        limit=float(limit[worst]),
        metric="gradient_norm",
    )
