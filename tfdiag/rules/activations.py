"""Units that say nothing: dead ReLUs and saturated activations, on the probe set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.rules import wording
from tfdiag.rules.patience import last_measured, streak_start
from tfdiag.rules.progress import Progress, progress
from tfdiag.rules.rates import tenth
from tfdiag.rules.roles import at_input, cuts, no_flat_ends, no_relu
from tfdiag.rules.rule import Case, Limit, rule
from tfdiag.trace import Finding, Trace

#: Code that scales inputs; a pixel that is always black has no deviation.
SCALED = "x = (x - x_train.mean(axis=0)) / (x_train.std(axis=0) + 1e-7)"


@rule(
    id="dead-relu",
    title="Dead ReLU",
    needs=("dead_fraction",),
    advice=(
        "Lower the learning rate: one large step can push a unit below zero for good.",
        "Initialise with kernel_initializer='he_normal' and biases at 0.",
        "Use LeakyReLU or GELU, which keep a gradient below zero.",
        "Put BatchNormalization before the activation.",
    ),
    why="A dead unit has no gradient, so it cannot recover, and the layer loses capacity.",
    source="Lu et al. (2019), Dying ReLU and Initialization, https://arxiv.org/abs/1903.06733",
    verdict="{layer} died at step {step}",
    code=tenth,
    cases=(
        Case(
            lambda finding, facts: finding.step == 0 and at_input(finding, facts),
            "{layer} dead from the start",
            (
                "Scale the inputs to mean 0 and deviation 1.",
                "Set the biases of {layer} to 0, its kernel_initializer to 'he_normal'.",
                "Use LeakyReLU or GELU, which keep a gradient below zero.",
                "Put BatchNormalization before the activation.",
            ),
            SCALED,
        ),
        Case(
            lambda finding, facts: finding.step == 0,
            "{layer} dead from the start",
            (
                "Set the biases of {layer} to 0, its kernel_initializer to 'he_normal'.",
                "Scale the inputs to mean 0 and deviation 1.",
                "Use LeakyReLU or GELU, which keep a gradient below zero.",
                "Put BatchNormalization before the activation.",
            ),
            'kernel_initializer="he_normal", bias_initializer="zeros"',
        ),
    ),
    exempt=no_relu,
    limits=(
        Limit("dead_fraction", "watch", "watch"),
        Limit("dead_fraction", "warn", "warn"),
        Limit("dead_fraction", "critical", "critical"),
    ),
    shares=("watch", "warn", "critical"),
    reached=("watch", "warn", "critical"),
    watch="Let it run; look again if {warn} of {layer} are dead and the loss does not fall.",
)
def dead_relu(
    trace: Trace,
    *,
    watch: float = 0.25,
    warn: float = 0.5,
    critical: float = 0.95,
    patience: int = 2,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers whose ReLU units are not above zero for any probe sample.

    Per unit, never per element: half of a healthy ReLU's outputs are zero. Dead units alone
    are only watched, because healthy networks have many; with a poor loss they are a
    warning; nearly all is critical. Where the loss is low, even nearly all is only watched
    (a wide layer on an easy task), unless all are dead and no path leads around the layer. An
    output layer is judged only when all its units are dead. A small probe set
    overstates: the message carries the bound.

    Args:
        watch: share of units. Source: heuristic; keras-contrib DeadReluDetector warns at 0.1,
            which healthy networks exceed.
        warn: share of units. Source: SageMaker Debugger, DeadRelu, threshold_layer.
        critical: share of units. Source: heuristic, no source.
        patience: probe records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    dead = trace.columns["dead_fraction"].copy()
    output = [layer.role == "output" for layer in trace.architecture.layers]
    dead[:, output] = np.where(dead[:, output] >= 1, dead[:, output], dead[:, output] * 0)
    limits = {"critical": critical, "warn": warn, "watch": watch}
    loss = progress(trace)
    for i, severity, start, value in _judged(trace, dead, limits, patience, warm_up):
        name, limit = trace.layers[i], limits[severity]
        if value >= 1 and cuts(trace.architecture, name):
            judged = "critical"
        else:
            judged = _gate(severity, loss)
        message = (
            f"{wording.share(value)} of the units in {name} are not above 0 for any probe sample, "
            f"{wording.since(start)} (limit {wording.share(limit)}); {loss.text}."
        )
        yield Finding(
            severity=judged,
            step=start,
            message=f"{message} {_bound(trace.probe_samples)}".rstrip(),
            evidence=f"{wording.share(value)} ≥ {wording.share(limit)}",
            layer=name,
            value=value,
            limit=limit,
            metric="dead_fraction",
        )


def _bound(samples: int) -> str:
    """Returns how far a probe set of this size overstates; empty if that is little or unknown."""
    missed = 0.99**samples
    if samples < 1 or missed < 0.01:
        return ""
    return (
        f"With {wording.count(samples, 'sample')}, {wording.share(missed)} of the units that fire "
        "on 1 % of the data would look dead."
    )


@rule(
    id="saturated-activation",
    title="Saturated activation",
    needs=("saturated_fraction",),
    advice=(
        "Lower the learning rate: large steps push units into the flat ends.",
        "Scale the inputs to mean 0 and deviation 1.",
        "Use ReLU in hidden layers.",
        "Put BatchNormalization before the activation.",
    ),
    why="The flat ends of tanh and sigmoid have no slope, so layers below get no gradient.",
    source="Glorot & Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html",
    verdict="{layer} saturated, step {step}",
    code=tenth,
    cases=(
        Case(
            lambda finding, facts: finding.step == 0 and at_input(finding, facts),
            "{layer} starts saturated",
            (
                "Scale the inputs to mean 0 and deviation 1.",
                "Initialise {layer} with kernel_initializer='glorot_uniform' and biases at 0.",
                "Use ReLU in hidden layers.",
                "Put BatchNormalization before the activation.",
            ),
            SCALED,
        ),
        Case(
            lambda finding, facts: finding.step == 0,
            "{layer} starts saturated",
            (
                "Initialise {layer} with kernel_initializer='glorot_uniform' and biases at 0.",
                "Scale the inputs to mean 0 and deviation 1.",
                "Use ReLU in hidden layers.",
                "Put BatchNormalization before the activation.",
            ),
            'kernel_initializer="glorot_uniform", bias_initializer="zeros"',
        ),
    ),
    exempt=no_flat_ends,
    limits=(
        Limit("saturated_fraction", "share", "warn"),
        Limit("saturated_fraction", "critical", "critical"),
    ),
    shares=("share", "critical"),
    reached=("share", "critical"),
)
def saturated_activation(
    trace: Trace,
    *,
    share: float = 0.5,
    critical: float = 0.95,
    patience: int = 3,
    warm_up: int = 10,
) -> Iterator[Finding]:
    """Finds layers whose tanh or sigmoid units sit in the flat end of the curve.

    Gates of recurrent and attention layers saturate by design and the output of a sure
    classifier should: both are exempt. Alone it is only watched, with a poor loss a warning,
    nearly total is critical unless the loss is low.

    Args:
        share: share of units. Source: SageMaker Debugger, SaturatedActivation.
        critical: share of units. Source: heuristic, no source.
        patience: probe records in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
    """
    saturated = trace.columns["saturated_fraction"]
    limits = {"critical": critical, "warn": share}
    loss = progress(trace)
    for i, severity, start, value in _judged(trace, saturated, limits, patience, warm_up):
        limit = limits[severity]
        yield Finding(
            severity=_gate(severity, loss),
            step=start,
            message=f"{wording.share(value)} of the units in {trace.layers[i]} are at the flat end "
            f"for 95 % of the probe set or more, {wording.since(start)} (limit "
            f"{wording.share(limit)}); {loss.text}.",
            evidence=f"{wording.share(value)} ≥ {wording.share(limit)}",
            layer=trace.layers[i],
            value=value,
            limit=limit,
            metric="saturated_fraction",
        )


def _judged(
    trace: Trace, values: np.ndarray, limits: dict[str, float], patience: int, warm_up: int
) -> Iterator[tuple[int, str, int, float]]:
    """Yields layer, worst severity whose limit is passed, since which step, and last value.

    Args:
        values: `float[S, L]`, shares; nan where not measured.
        limits: severity to share, the worst first.
    """
    measured, late = np.isfinite(values), trace.steps > warm_up
    last = last_measured(values)
    starts = {
        severity: streak_start(values >= limit, measured, patience, late)
        for severity, limit in limits.items()
    }
    for i in range(len(trace.layers)):
        for severity, rows in starts.items():
            if rows[i] >= 0:
                yield i, severity, int(trace.steps[rows[i]]), float(last[i])
                break


def _gate(severity: str, loss: Progress) -> str:
    """Returns the severity that a share of units deserves, given the loss."""
    if loss.state == "learned":
        return "watch"
    if severity == "critical":
        return "warn" if loss.state == "improving" else "critical"
    return severity if loss.poor else "watch"
