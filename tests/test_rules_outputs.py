from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.outputs import activation_scale, constant_output, poor_init

ALL = [activation_scale, constant_output, poor_init]


def outcome(run, rule, **thresholds):
    return check(run, [rule], {rule.id: thresholds}).outcomes[0]


def scaled(run, size, *layers, since=0):
    return traces.changed(run, "output_rms", size, layers or ("dense_1",), since)


def with_layer(run, i, **changes):
    """Returns `run` with changes to layer `i`."""
    layers = list(run.architecture.layers)
    layers[i] = replace(layers[i], **changes)
    return replace(run, architecture=replace(run.architecture, layers=tuple(layers)))


@pytest.mark.parametrize("size", [5e3, 1e-4])
def test_huge_and_tiny_outputs_are_named_once(size):
    run = scaled(traces.stuck(), size, "dense_1", "dense_2", since=40)
    first = outcome(run, activation_scale).findings[0]
    assert (first.layer, first.step, first.severity) == ("dense_1", 40, "warn")
    assert "1 more layer" in first.message
    good = outcome(scaled(traces.trace(), size), activation_scale).findings
    assert [f.severity for f in good] == ["watch"]


def test_a_jump_between_neighbours_is_watched():
    run = scaled(scaled(traces.stuck(), 1.0, "dense"), 15.0, "dense_1")
    found = outcome(run, activation_scale).findings
    assert [(f.layer, f.severity) for f in found] == [("dense_1", "watch")]
    assert "the layer before" in found[0].message


def test_a_drift_since_the_start_is_watched():
    run = scaled(traces.stuck(), 20.0, "dense", "dense_1", "dense_2", since=300)
    found = outcome(run, activation_scale).findings
    assert [(f.layer, f.step) for f in found] == [("dense", 300)]
    assert "at the start" in found[0].message


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        traces.stuck(),
        scaled(traces.trace(), 20.0),  # it learned so
        scaled(traces.trace(records=8), 20.0),  # it is too early to know
        scaled(traces.stuck(), 5e3, "output"),  # targets of any scale
        scaled(traces.stuck(), 0.0),  # dead
        scaled(traces.stuck(), 5.0),
        with_layer(scaled(traces.stuck(), 20.0, "dense_1"), 1, role="normalization"),
        with_layer(scaled(traces.stuck(), 5e3, "dense"), 0, role="embedding"),
        scaled(traces.stuck(), 5e3, since=580),  # two records only
    ],
)
def test_other_scales_are_no_finding(run):
    judged = outcome(run, activation_scale)
    assert all(f.layer == "dense_2" for f in judged.findings)  # what comes after a jump


def test_a_scale_near_its_limit_does_not_come_and_go():
    run = scaled(scaled(traces.trace(), 1100.0), 900.0, since=580)
    assert outcome(run, activation_scale).outcome == "found"
    assert outcome(scaled(run, 700.0, since=580), activation_scale).outcome == "healthy"


def test_a_model_that_says_the_same_for_all_samples_is_critical():
    run = traces.regression(traces.stuck(level=6000.0), 0.01)
    (finding,) = outcome(run, constant_output).findings
    assert (finding.layer, finding.severity, finding.step) == ("output", "critical", 0)


def test_a_model_that_still_guesses_early_is_watched():
    run = replace(traces.regression(traces.stuck(level=6000.0), 0.01), planned_steps=3000)
    assert [f.severity for f in outcome(run, constant_output).findings] == ["watch"]


def test_a_hidden_layer_that_is_constant_is_critical_if_all_data_passes_it():
    run = traces.stuck(traces.trace(traces.architecture(activation="tanh")))
    run = traces.changed(run, "output_std", 0.0, ("dense_1",), since=100)
    (finding,) = outcome(run, constant_output).findings
    assert (finding.layer, finding.severity, finding.step) == ("dense_1", "critical", 100)
    around = with_layer(run, 2, inputs=("dense", "dense_1"))
    assert outcome(around, constant_output).findings[0].severity == "warn"


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        traces.stuck(),
        traces.regression(traces.trace(), 2.0, mean=1990.0),  # years: it learns
        traces.regression(traces.stuck(level=6000.0), 20.0),
        traces.changed(traces.stuck(), "output_std", 0.0, ("dense_1",)),  # a dead ReLU
        with_layer(
            traces.changed(traces.stuck(), "output_std", 0.0), 0, role="embedding", activation=None
        ),
    ],
)
def test_what_differs_is_not_constant(run):
    assert outcome(run, constant_output).outcome == "healthy"


def at_start(run, *sizes):
    """Returns `run` with these deviations of the hidden layers' outputs at step 0."""
    std = run.columns["output_std"].copy()
    std[0, : len(sizes)] = sizes
    return replace(run, columns={**run.columns, "output_std": std})


def test_a_signal_that_dies_out_or_grows_is_named():
    (finding,) = outcome(at_start(traces.stuck(), 1, 1e-2, 1e-5), poor_init).findings
    assert (finding.layer, finding.step, finding.severity) == ("dense_2", 0, "warn")
    (finding,) = outcome(at_start(traces.stuck(), 1, 1e4, 1e8), poor_init).findings
    assert (finding.layer, finding.limit) == ("dense_1", 1e3)
    zero = outcome(at_start(traces.stuck(), 1, 0.0, 0.0), poor_init).findings
    assert [f.layer for f in zero] == ["dense_1"]


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        at_start(traces.trace(), 1, 1e-2, 1e-5),  # it learns all the same
        at_start(traces.stuck(), 255.0, 100.0, 30.0),  # inputs that are not scaled
        at_start(traces.stuck(), 1, 0.3, 0.1, 0.0),  # an output that starts at zero
        with_layer(at_start(traces.stuck(), 1, 0.0, 1.0), 2, inputs=("dense", "dense_1")),
    ],
)
def test_a_signal_that_gets_through_is_well(run):
    assert outcome(run, poor_init).outcome == "healthy"


def test_an_untrained_model_that_was_not_seen_is_not_judged():
    run = traces.trace()
    assert "untrained" in outcome(replace(run, steps=run.steps + 500), poor_init).reason


@pytest.mark.parametrize("rule", ALL)
def test_too_little_data_and_nan(rule):
    assert outcome(traces.trace(), rule).outcome == "healthy"
    run = traces.trace()
    nan = {name: np.full_like(values, np.nan) for name, values in run.columns.items()}
    assert "no finite value" in outcome(replace(run, columns=nan), rule).reason
    assert "was not measured" in outcome(replace(run, columns={}), rule).reason
    if rule is not poor_init:
        assert "too few records" in outcome(traces.trace(records=2), rule).reason
