"""What no rule reports, because it may do no harm, but explains a trouble that came after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.rules.activations import dead_relu, saturated_activation
from tfdiag.rules.beginning import initial_weights
from tfdiag.rules.gradients import exploding_gradient
from tfdiag.rules.inputs import input_range
from tfdiag.rules.loss import loss_blowup
from tfdiag.rules.numerics import nonfinite_loss, nonfinite_tensor
from tfdiag.rules.outputs import constant_output
from tfdiag.rules.roles import no_kernel
from tfdiag.rules.updates import update_ratio
from tfdiag.rules.weights import weight_explosion
from tfdiag.rules.wording import number
from tfdiag.trace import Finding, Trace

#: Troubles that one large step brings about.
SUDDEN = (
    nonfinite_loss,
    nonfinite_tensor,
    exploding_gradient,
    update_ratio,
    dead_relu,
    saturated_activation,
    weight_explosion,
    constant_output,
    loss_blowup,
)
#: Records up to a trouble that are "shortly before" it. Source: heuristic, no source.
_RECENT = 10
#: Times the highest learning rate so far that is a rise. Source: heuristic, no source.
_RISE = 2.0
#: What a clue about initial biases is measured by: the option of a layer.
BIASES = "bias_initializer"
#: An initial bias from which on it can keep units below zero, where inputs are scaled and weights
#: have their usual size. Source: heuristic, no source.
_SINKS = -1.0


def clues(trace: Trace, findings: Iterable[Finding], high: float) -> tuple[Finding, ...]:
    """Returns what points to initial biases, and to the learning rate before sudden trouble.

    A rate that the run had survived before explains nothing, so a rise counts from the
    highest rate so far. A layer that died moves no more, and nothing of a NaN can be
    measured; so a too large step counts even if the steps were small again.

    Args:
        findings: what the rules found.
        high: update ratio above which a step is too large.

    Returns:
        Biases far below zero of layers that are dead from the start, as findings of
        `initial_weights`; the rise, or else the large step, as one of `update_ratio`: they are not
        reported but told as causes.
    """
    findings = tuple(findings)
    return (*_biases(trace.architecture, findings), *_rate(trace, findings, high))


def _biases(architecture: Architecture, findings: tuple[Finding, ...]) -> Iterator[Finding]:
    if {finding.rule for finding in findings} & {input_range.id, initial_weights.id}:
        return  # then it is these
    layers = {layer.name: layer for layer in architecture.layers}
    for finding in findings:
        layer = layers.get(finding.layer or "")
        if finding.rule != dead_relu.id or finding.severity == "watch" or finding.step or not layer:
            continue
        if not layer.parameters and len(layer.inputs) == 1:  # the activation of another layer
            layer = layers.get(layer.inputs[0], layer)
        start = str((layer.options or {}).get(BIASES))
        constant = re.fullmatch(r"Constant\(value=(-[\d.e+-]+)\)", start)
        if not constant or float(constant[1]) > _SINKS:
            continue
        value = float(constant[1])
        yield Finding(
            severity="watch",
            step=0,
            message=f"The biases of {layer.name} begin at {number(value)}.",
            evidence=start,
            layer=layer.name,
            value=value,
            limit=0.0,
            metric=BIASES,
            rule=initial_weights.id,
        )


def _rate(trace: Trace, findings: Iterable[Finding], high: float) -> tuple[Finding, ...]:
    ids = {rule.id for rule in SUDDEN}
    steps = [f.step for f in findings if f.rule in ids and f.severity != "watch"]
    if not steps:
        return ()
    return tuple(_rise(trace, min(steps))) or tuple(_large_step(trace, min(steps), high))


def _rise(trace: Trace, until: int) -> Iterator[Finding]:
    rates = np.asarray(trace.series.get("learning_rate", ()), dtype=np.float64)
    rows = np.flatnonzero(np.isfinite(rates) & (trace.steps[: len(rates)] <= until))
    if not len(rows):
        return
    highest = np.maximum.accumulate(rates[rows])
    before, now = float(highest[-_RECENT - 1 :][0]), float(highest[-1])
    if not now >= _RISE * before > 0:
        return
    step = int(trace.steps[rows[np.argmax(highest == now)]])
    yield Finding(
        severity="watch",
        step=step,
        message=f"The learning rate rose from {number(before)} to {number(now)} by step {step}.",
        evidence=f"{number(before)} → {number(now)}",
        value=now,
        limit=before,
        metric="learning_rate",
        rule=update_ratio.id,
    )


def _large_step(trace: Trace, until: int, high: float) -> Iterator[Finding]:
    if "update_ratio" not in trace.columns:
        return
    ratios = trace.columns["update_ratio"]
    judged = np.array([no_kernel(layer) is None for layer in trace.architecture.layers], bool)
    ratios = np.where(judged & np.isfinite(ratios), ratios, np.nan)
    rows = np.flatnonzero(np.isfinite(ratios).any(axis=1) & (trace.steps <= until))[-_RECENT:]
    ratios = ratios[rows]
    if not (ratios > high).any():
        return
    row, i = np.unravel_index(np.nanargmax(ratios), ratios.shape)
    ratio, name, step = float(ratios[row, i]), trace.layers[i], int(trace.steps[rows[row]])
    yield Finding(
        severity="watch",
        step=step,
        message=f"Step {step} moved the weights of {name} by {number(ratio)} of their norm.",
        evidence=f"{number(ratio)} > {number(high)}",
        layer=name,
        value=ratio,
        limit=high,
        metric="update_ratio",
        rule=update_ratio.id,
    )
