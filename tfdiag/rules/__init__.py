"""The rules, from causes to consequences: the order in which users see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tfdiag.rules import engine, penalty, thresholds, validation
from tfdiag.rules.activations import dead_relu, saturated_activation
from tfdiag.rules.batches import batch_of_one, batchnorm_small_batch
from tfdiag.rules.beginning import initial_weights
from tfdiag.rules.clues import clues
from tfdiag.rules.facts import facts
from tfdiag.rules.flow import gradient_flow_ratio, zero_gradient
from tfdiag.rules.freezing import frozen_output, nothing_trainable
from tfdiag.rules.generalization import (
    held_out_fails,
    overfitting,
    overtraining,
    too_good_validation,
)
from tfdiag.rules.gradients import exploding_gradient, gradient_spike, vanishing_gradient
from tfdiag.rules.guess import no_better_than_constant
from tfdiag.rules.hidden_layers import dead_on_arrival, dropout_high, missing_nonlinearity
from tfdiag.rules.inputs import input_flat, input_nonfinite, input_range
from tfdiag.rules.labels import class_imbalance, label_mismatch, target_range
from tfdiag.rules.last_layer import loss_activation_mismatch
from tfdiag.rules.length import stopped_early
from tfdiag.rules.loss import (
    initial_loss,
    loss_blowup,
    loss_not_decreasing,
    loss_oscillation,
    no_better_than_guess,
)
from tfdiag.rules.numerics import nonfinite_loss, nonfinite_tensor
from tfdiag.rules.outcome import Outcome, Report
from tfdiag.rules.outputs import activation_scale, constant_output, poor_init
from tfdiag.rules.predictions import prediction_collapse, probe_too_small
from tfdiag.rules.rule import Limit, Rule, rule
from tfdiag.rules.updates import learning_rate_range, unchanged_weights, update_ratio
from tfdiag.rules.weights import dead_weights, weight_explosion
from tfdiag.trace import Trace

__all__ = [
    "ALL_RULES",
    "STATIC_RULES",
    "Limit",
    "Outcome",
    "Report",
    "Rule",
    "check",
    "known_thresholds",
    "resolve_thresholds",
    "rule",
]

#: What can be told before the first step, from the model and the data alone.
STATIC_RULES: tuple[Rule, ...] = (
    input_nonfinite,
    label_mismatch,
    loss_activation_mismatch,
    nothing_trainable,
    frozen_output,
    dead_on_arrival,
    input_flat,
    input_range,
    target_range,
    missing_nonlinearity,
    dropout_high,
    batchnorm_small_batch,
    batch_of_one,
    class_imbalance,
    probe_too_small,
)

ALL_RULES: tuple[Rule, ...] = (
    *STATIC_RULES,
    nonfinite_loss,
    nonfinite_tensor,
    learning_rate_range,
    initial_weights,
    poor_init,
    initial_loss,
    exploding_gradient,
    gradient_spike,
    update_ratio,
    unchanged_weights,
    weight_explosion,
    dead_weights,
    activation_scale,
    dead_relu,
    saturated_activation,
    constant_output,
    zero_gradient,
    vanishing_gradient,
    gradient_flow_ratio,
    prediction_collapse,
    loss_blowup,
    loss_not_decreasing,
    no_better_than_guess,
    no_better_than_constant,
    loss_oscillation,
    overfitting,
    held_out_fails,
    overtraining,
    too_good_validation,
    stopped_early,
)


def check(
    trace: Trace,
    rules: Iterable[Rule] = ALL_RULES,
    thresholds: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:
    """Judges a trace.

    Args:
        rules: the rules to run, in the order in which they are reported.
        thresholds: rule's id to threshold's name to number; None for the defaults. It may
            speak of rules that do not run.

    Raises:
        ValueError: if `thresholds` are wrong or two rules have one id. A rule that fails
            raises nothing: it is reported as not evaluated.
    """
    rules = tuple(rules)
    if len({rule.id for rule in rules}) != len(rules):
        ids = [rule.id for rule in rules]
        raise ValueError(f"`rules` must have different ids, but got {ids!r}. Rename one.")
    resolved = resolve_thresholds(thresholds, (*ALL_RULES, *rules))
    # What rules share of it is kept as long as this one.
    alone = penalty.without_penalty(trace)
    judged = replace(validation.standing_in(alone))
    outcomes = tuple(engine.outcome(rule, judged, resolved[rule.id]) for rule in rules)
    if judged.series is not alone.series:
        outcomes = tuple(validation.said_of_validation(outcome, trace) for outcome in outcomes)
    if alone is not trace:
        outcomes = tuple(penalty.said_without_penalty(outcome, trace) for outcome in outcomes)
    report = Report(
        step=int(trace.steps[-1]) if len(trace.steps) else 0,
        outcomes=outcomes,
        facts={**facts(trace), **_limits(rules, resolved)},
    )
    hints = clues(trace, report.findings, resolved[update_ratio.id]["high"])
    told = {finding.layer for finding in (*report.findings, *hints)}
    order = "\n".join(name for name in trace.layers if name in told)
    return replace(report, clues=hints, facts={**report.facts, "layer_order": order})


def _limits(rules: Iterable[Rule], resolved: thresholds.Thresholds) -> dict[str, float]:
    """Returns what a reader compares with as facts: "dead-relu warn" is a threshold's value."""
    return {
        f"{rule.id} {name}": float(resolved[rule.id][name])
        for rule in rules
        for name in (*(limit.argument for limit in rule.limits), *rule.keeps)
    }


def resolve_thresholds(
    overrides: Mapping[str, Mapping[str, Any]] | None, rules: Iterable[Rule] = ALL_RULES
) -> thresholds.Thresholds:
    """Returns every rule's thresholds: the defaults, with `overrides` in their place.

    Raises:
        ValueError: if a rule or a threshold is unknown, or a value is no fitting number.
    """
    return thresholds.resolve(overrides, rules)


def known_thresholds(
    recorded: Mapping[str, Mapping[str, Any]], rules: Iterable[Rule] = ALL_RULES
) -> thresholds.Thresholds:
    """Returns of recorded thresholds those that `rules` have; their values are not checked."""
    return thresholds.known(recorded, rules)
