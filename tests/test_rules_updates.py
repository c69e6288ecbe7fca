from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.updates import learning_rate_range, unchanged_weights, update_ratio


def outcome(run, rule, **thresholds):
    return check(run, [rule], {rule.id: thresholds}).outcomes[0]


def still(run, *layers, since=0):
    return traces.changed(run, "update_ratio", 0.0, layers or run.layers, since)


def test_a_layer_that_the_optimizer_forgot_is_named():
    (finding,) = outcome(still(traces.trace(), "dense_1"), unchanged_weights).findings
    assert (finding.layer, finding.severity, finding.step) == ("dense_1", "warn", 20)


def test_a_learning_rate_of_zero_is_one_finding():
    run = traces.with_series(still(traces.stuck()), learning_rate=0.0)
    report = check(run, [unchanged_weights])
    (finding,) = report.findings
    assert finding.layer is None and finding.evidence == "learning rate 0"
    assert unchanged_weights.case(finding, report.facts).verdict == "No weight changes"


def test_the_end_of_a_schedule_is_no_fault():
    rate = np.maximum(0.1 - traces.trace().steps / 4000, 0)
    run = traces.with_series(still(traces.trace(), since=400), learning_rate=rate)
    assert outcome(run, unchanged_weights).outcome == "healthy"


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        still(traces.trace(), "dense", since=540),  # four records
        traces.changed(still(traces.trace(), "dense"), "gradient_rms", 0.0),  # zero-gradient
        traces.changed(still(traces.trace(), "dense"), "gradient_rms", np.nan),
        traces.changed(traces.trace(), "update_ratio", 1e-9),  # little is not nothing
    ],
)
def test_other_layers_change(run):
    assert outcome(run, unchanged_weights).outcome == "healthy"


def test_a_frozen_layer_is_exempt():
    run = still(traces.trace(), "dense")
    layers = run.architecture.layers
    frozen = replace(run.architecture, layers=(replace(layers[0], trainable=False), *layers[1:]))
    judged = outcome(replace(run, architecture=frozen), unchanged_weights)
    assert judged.exempt["dense"] == "frozen" and not judged.findings


def rated(run, rate, optimizer="Adam"):
    model = replace(run.architecture, optimizer=optimizer)
    return traces.with_series(replace(run, architecture=model), learning_rate=rate)


@pytest.mark.parametrize(
    ("rate", "optimizer", "limit"), [(0.1, "Adam", 1e-2), (5.0, "SGD", 1.0), (1e-9, "Adam", 1e-7)]
)
def test_an_unusual_rate_is_watched_until_the_loss_suffers(rate, optimizer, limit):
    (finding,) = outcome(rated(traces.stuck(), rate, optimizer), learning_rate_range).findings
    assert (finding.severity, finding.limit) == ("warn", limit)
    settled = 1.6 + 0.7 * np.exp(-np.arange(31) / 1.5) + 0.01 * (-1.0) ** np.arange(31)
    over = traces.with_series(traces.trace(), loss=settled, probe_loss=settled)
    (finding,) = outcome(rated(over, rate, optimizer), learning_rate_range).findings
    assert (finding.severity, finding.limit) == ("watch", limit)


def test_the_optimizer_inside_of_a_loss_scale_is_judged():
    run = rated(traces.stuck(), 0.1, "LossScaleOptimizer")
    assert "LossScaleOptimizer" in outcome(run, learning_rate_range).reason
    model = replace(run.architecture, settings={"inner_optimizer": "Adam"})
    judged = check(replace(run, architecture=model), [learning_rate_range])
    assert "usual for Adam" in judged.findings[0].message
    assert judged.facts["optimizer"] == "Adam"
    plain = replace(run, architecture=replace(model, settings={"inner_optimizer": "SGD"}))
    assert outcome(plain, learning_rate_range).outcome == "healthy"


def test_a_rate_that_rose_is_the_business_of_what_raised_it():
    rates = np.where(np.arange(31) < 10, 1e-3, 0.1)
    (finding,) = outcome(rated(traces.not_finite(), rates), learning_rate_range).findings
    assert finding.severity == "watch"
    (finding,) = outcome(rated(traces.not_finite(), 0.1), learning_rate_range).findings
    assert finding.severity == "warn"


@pytest.mark.parametrize(
    "run",
    [
        rated(traces.stuck(), 0.1, "SGD"),  # residual networks
        rated(traces.stuck(), 0.01),
        rated(traces.trace(), 0.1),  # it learns
        rated(traces.stuck(), np.linspace(0.01, 0, 31)),  # the end of a schedule
        rated(traces.stuck(), np.minimum(1e-3, 1e-9 + 1e-4 * np.arange(31))),  # a warm-up
    ],
)
def test_other_rates_are_usual(run):
    assert outcome(run, learning_rate_range).outcome == "healthy"


@pytest.mark.parametrize("optimizer", ["Adadelta", "LAMB"])
def test_optimizers_without_a_usual_rate_are_not_judged(optimizer):
    judged = outcome(rated(traces.stuck(), 1.0, optimizer), learning_rate_range)
    assert "no usual range" in judged.reason and len(judged.exempt) == 4


def test_an_unknown_optimizer_is_a_gap():
    judged = outcome(rated(traces.stuck(), 1.0, None), learning_rate_range)
    assert judged.reason == "the optimizer is not known" and not judged.exempt


def test_too_little_data_and_nan():
    assert "too few" in outcome(traces.trace(records=2), unchanged_weights).reason
    run = traces.trace()
    nan = {name: np.full_like(values, np.nan) for name, values in run.columns.items()}
    assert "no finite" in outcome(replace(run, columns=nan), unchanged_weights).reason
    assert "was not measured" in outcome(replace(run, series={}), learning_rate_range).reason
    none = traces.with_series(run, learning_rate=np.nan)
    assert "no finite" in outcome(none, learning_rate_range).reason


def slow(ratio=1e-6, loss=2.4, planned=1000, records=8, **series):
    """Returns the beginning of a run whose layers hardly move."""
    run = traces.with_series(traces.trace(records=records), probe_loss=loss, loss=loss, **series)
    run = traces.changed(run, "update_ratio", ratio, run.layers)
    return replace(run, planned_steps=planned)


def test_steps_that_cannot_get_anywhere_are_told_early():
    found = outcome(slow(records=6), update_ratio).findings
    assert {one.severity for one in found} == {"warn"} and found[0].value < found[0].limit


@pytest.mark.parametrize(
    "run",
    [
        slow(planned=10**6),  # so many steps may get somewhere
        slow(planned=0),
        slow(loss=0.4),  # it was trained before: fine-tuning
        slow(learning_rate=np.linspace(0, 0.01, 9)),  # a warm-up
    ],
)
def test_small_steps_with_a_reason_are_not_told_early(run):
    early = traces.trace(records=6)
    short = {name: values[: len(early.steps)] for name, values in run.series.items()}
    columns = {name: values[: len(early.steps)] for name, values in run.columns.items()}
    assert not outcome(
        replace(run, steps=early.steps, series=short, columns=columns), update_ratio
    ).findings
