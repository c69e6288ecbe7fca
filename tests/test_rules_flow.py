from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.flow import gradient_flow_ratio, zero_gradient


def outcome(run, rule, **thresholds):
    return check(run, [rule], {rule.id: thresholds}).outcomes[0]


def flow(run, first):
    """Returns `run` with gradients of this RMS in the first layer and of 1 in the last."""
    run = traces.changed(run, "gradient_rms", 1.0, ("output",))
    return traces.changed(run, "gradient_rms", first, ("dense",))


def test_a_first_kernel_that_starves_is_named():
    (finding,) = outcome(flow(traces.stuck(), 5e-4), gradient_flow_ratio).findings
    assert (finding.layer, finding.severity, finding.limit) == ("dense", "warn", 1e-3)


def test_a_first_kernel_with_most_of_the_gradient_is_watched():
    (finding,) = outcome(flow(traces.stuck(), 300.0), gradient_flow_ratio).findings
    assert (finding.severity, finding.limit) == ("watch", 100.0)


def test_a_ratio_near_its_limit_does_not_come_and_go():
    run = flow(traces.stuck(), 300.0)
    lower = traces.changed(run, "gradient_rms", 90.0, ("dense",), since=560)
    assert outcome(lower, gradient_flow_ratio).outcome == "found"
    over = traces.changed(run, "gradient_rms", 70.0, ("dense",), since=560)
    assert outcome(over, gradient_flow_ratio).outcome == "healthy"


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        flow(traces.trace(), 5e-4),  # it learns
        flow(traces.stuck(), 5e-6),  # vanishing-gradient says so
        flow(traces.stuck(), 0.0),  # a residual branch at zero; or zero-gradient
        flow(traces.stuck(), 5e-3),
    ],
)
def test_other_ratios_are_no_finding(run):
    assert outcome(run, gradient_flow_ratio).outcome == "healthy"


def test_without_a_chain_there_is_no_first_kernel():
    run = flow(traces.stuck(), 5e-4)
    layers = list(run.architecture.layers)
    layers[2] = replace(layers[2], inputs=())  # an input of its own
    layers[3] = replace(layers[3], inputs=("dense_1", "dense_2"))
    two = replace(run, architecture=replace(run.architecture, layers=tuple(layers)))
    assert "no first layer" in outcome(two, gradient_flow_ratio).reason
    unknown = tuple(replace(one, inputs=()) for one in layers)
    lost = replace(run, architecture=replace(run.architecture, layers=unknown))
    told = outcome(lost, gradient_flow_ratio)
    assert "not known which layer" in told.reason and len(told.exempt) < len(run.layers)
    short = traces.stuck(traces.trace(traces.architecture(1)))
    assert "not two kernels" in outcome(short, gradient_flow_ratio).reason


def unreached(run, *layers):
    """Returns `run` with layers that Keras gives no gradient."""
    for metric in ("gradient_rms", "gradient_zeros", "gradient_max", "gradient_nonfinite"):
        run = traces.changed(run, metric, np.nan, layers)
    return traces.changed(run, "update_ratio", 0.0, layers)


@pytest.mark.parametrize("run", [traces.trace(), traces.stuck()])
def test_a_layer_without_any_gradient_is_named_whatever_the_loss(run):
    (finding,) = outcome(unreached(run, "dense_1"), zero_gradient).findings
    assert (finding.layer, finding.severity, finding.evidence) == ("dense_1", "warn", "no gradient")


def test_a_gradient_of_zero_below_a_living_layer_is_named():
    run = traces.changed(traces.trace(), "gradient_rms", 0.0, ("dense", "dense_1"), since=40)
    found = outcome(run, zero_gradient).findings
    assert [(f.layer, f.step, f.severity) for f in found] == [
        ("dense", 40, "warn"),
        ("dense_1", 40, "warn"),
    ]


def test_a_share_of_zeros_is_watched_with_a_poor_loss():
    run = traces.changed(traces.stuck(), "gradient_zeros", 0.9, ("dense", "dense_1"))
    (finding,) = outcome(run, zero_gradient).findings  # inputs may be zero: not the first layer
    assert (finding.layer, finding.severity) == ("dense_1", "watch")
    healthy = traces.changed(traces.trace(), "gradient_zeros", 0.9, ("dense_1",))
    assert outcome(healthy, zero_gradient).outcome == "healthy"


def test_a_loss_of_zero_has_no_gradient_anywhere():
    run = traces.changed(traces.trace(), "gradient_rms", 0.0, traces.trace().layers, since=300)
    assert outcome(run, zero_gradient).outcome == "healthy"


def test_a_gradient_that_was_never_finite_is_not_missing():
    run = traces.changed(traces.trace(), "gradient_rms", np.nan, ("dense_1",))
    run = traces.changed(run, "gradient_nonfinite", 9.0, ("dense_1",))
    assert not outcome(run, zero_gradient).findings


@pytest.mark.parametrize("change", [{"role": "embedding"}, {"trainable": False}])
def test_rows_and_frozen_layers_are_exempt(change):
    run = unreached(traces.trace(), "dense")
    layers = run.architecture.layers
    model = replace(run.architecture, layers=(replace(layers[0], **change), *layers[1:]))
    judged = outcome(replace(run, architecture=model), zero_gradient)
    assert not judged.findings and "dense" in judged.exempt


@pytest.mark.parametrize("rule", [gradient_flow_ratio, zero_gradient])
def test_too_little_data_and_nan(rule):
    assert outcome(traces.trace(), rule).outcome == "healthy"
    assert "too few records" in outcome(traces.trace(records=2), rule).reason
    run = traces.trace()
    nan = {name: np.full_like(values, np.nan) for name, values in run.columns.items()}
    assert "no finite value" in outcome(replace(run, columns=nan), rule).reason
    assert "was not measured" in outcome(replace(run, columns={}), rule).reason
