from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.activations import dead_relu, saturated_activation


def found(run, rule=dead_relu, **thresholds):
    return check(run, [rule], {rule.id: thresholds}).findings


def model(**changes):
    """Returns the usual model with changes to the layer dense_1."""
    layers = traces.architecture().layers
    return replace(
        traces.architecture(), layers=(layers[0], replace(layers[1], **changes), *layers[2:])
    )


def test_a_dead_layer_is_named_with_its_first_step():
    (finding,) = found(traces.dying(40, 0.97, "dense_1"))
    assert (finding.layer, finding.step, finding.severity) == ("dense_1", 40, "critical")
    assert finding.evidence == "97 % ≥ 95 %"
    assert finding.message.endswith(
        "With 256 samples, 8 % of the units that fire on 1 % of the data would look dead."
    )
    large = found(replace(traces.dying(40), probe_samples=2048))
    assert "would look dead" not in large[0].message


@pytest.mark.parametrize(
    ("share", "poor", "good"),
    [
        (0.2, None, None),
        (0.3, "watch", "watch"),
        (0.6, "warn", "watch"),
        (0.97, "critical", "watch"),
    ],
)
def test_severity_depends_on_the_loss(share, poor, good):
    severities = [f.severity for f in found(traces.dying(40, share))]
    assert severities == ([poor] if poor else [])
    run = traces.changed(traces.trace(), "dead_fraction", share)
    assert [f.severity for f in found(run)] == ([good] if good else [])


def test_a_layer_that_all_data_passes_may_not_die_whatever_the_loss():
    run = traces.changed(traces.trace(), "dead_fraction", 1.0, ("dense_1",))
    assert found(run)[0].severity == "critical"
    layers = list(run.architecture.layers)
    layers[2] = replace(layers[2], inputs=("dense", "dense_1"))  # a path around dense_1
    around = replace(run.architecture, layers=tuple(layers))
    assert found(replace(run, architecture=around))[0].severity == "watch"


def test_patience_counts_probe_records_only():
    run = traces.trace(records=30, probe_every=5)
    run = traces.changed(traces.stuck(run), "dead_fraction", 0.97, since=400)
    assert [f.step for f in found(run)] == [400]  # measured at 400, 500, 600
    assert not found(run, patience=4)


def test_zero_outputs_are_never_dead_units():
    run = traces.changed(traces.stuck(), "output_zeros", 0.95)
    assert not found(run)


@pytest.mark.parametrize("role", ["recurrent", "attention", "gate"])
def test_gates_are_exempt(role):
    run = traces.changed(traces.stuck(traces.trace(model(role=role))), "dead_fraction", 1.0)
    run = traces.changed(run, "dead_fraction", 1.0, ("dense_1",))
    report = check(run, [dead_relu])
    assert [f.layer for f in report.findings] == ["dense"]
    assert role in report.outcomes[0].exempt["dense_1"]


def test_a_frozen_layer_is_exempt():
    run = traces.trace(model(trainable=False))
    run = traces.changed(run, "dead_fraction", 0.99, ("dense_1",))
    assert check(run, [dead_relu]).outcomes[0].exempt["dense_1"] == "frozen"


def test_an_output_is_dead_only_when_all_of_it_is():
    layers = traces.architecture().layers
    output = replace(layers[-1], activation="relu")
    run = traces.trace(replace(traces.architecture(), layers=(*layers[:-1], output)))
    half = traces.changed(traces.stuck(run), "dead_fraction", 0.96, ("output",))
    assert not found(half)
    whole = traces.changed(traces.stuck(run), "dead_fraction", 1.0, ("output",))
    assert found(whole)[0].severity == "critical"


def test_a_layer_that_died_and_became_nan_stays_found():
    run = traces.dying(40)
    lost = run.columns["dead_fraction"].copy()
    lost[run.steps > 200] = np.nan
    run = replace(run, columns={**run.columns, "dead_fraction": lost})
    assert found(run)[0].step == 40


def test_too_few_records_are_not_evaluated():
    run = traces.trace(records=1)
    assert "too few records" in check(run, [dead_relu]).outcomes[0].reason


def test_saturation_is_named():
    (finding,) = found(traces.saturated(60, 0.7, "dense_2"), saturated_activation)
    assert (finding.layer, finding.step, finding.severity) == ("dense_2", 60, "warn")
    (finding,) = found(traces.saturated(60, 0.96), saturated_activation)
    assert finding.severity == "critical"
    assert not found(traces.saturated(60, 0.4), saturated_activation)


def test_saturation_needs_patience():
    assert found(traces.saturated(560), saturated_activation)
    assert not found(traces.saturated(580), saturated_activation)


def test_a_sure_classifier_is_not_saturated():
    layers = traces.architecture(activation="tanh").layers
    output = replace(layers[-1], activation="sigmoid")
    run = traces.trace(replace(traces.architecture(), layers=(*layers[:-1], output)))
    run = traces.changed(traces.stuck(run), "saturated_fraction", 1.0, ("output",))
    report = check(run, [saturated_activation])
    assert not report.findings
    assert report.outcomes[0].exempt["output"] == "output: saturation is confidence"


def test_trouble_is_dated_back_into_the_warm_up():
    assert found(traces.dying(0))[0].step == 0
    assert "from the start" in found(traces.dying(0))[0].message
    assert found(traces.saturated(0), saturated_activation)[0].step == 0
    assert not found(traces.dying(0), warm_up=580)  # one record after it


def test_a_layer_is_exempt_by_its_activation_even_if_nothing_was_ever_finite():
    run = traces.not_finite(0, "dense")
    outcomes = {o.rule: o for o in check(run, [dead_relu, saturated_activation]).outcomes}
    assert outcomes["saturated-activation"].reason == "every layer is exempt: no tanh or sigmoid"
    assert outcomes["dead-relu"].exempt["output"] == "no ReLU"
    assert outcomes["dead-relu"].exempt["dense"] != "no ReLU"


def test_healthy_tanh_is_healthy():
    run = traces.trace(traces.architecture(activation="tanh"))
    assert check(run, [saturated_activation]).outcomes[0].outcome == "healthy"
