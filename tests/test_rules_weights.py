from dataclasses import replace

import numpy as np
import pytest

from tests import static, traces
from tfdiag.rules import check
from tfdiag.rules.diagnosis import diagnose
from tfdiag.rules.weights import dead_weights, weight_explosion


def outcome(run):
    return check(run, [weight_explosion]).outcomes[0]


def grown(run, size=5.0, since=300, layers=("dense_1",)):
    return traces.changed(run, "weight_rms", size, layers, since)


def before_normalization(run):
    """Returns `run` with a normalization behind dense_1."""
    layers = list(run.architecture.layers)
    layers[2] = replace(layers[2], role="normalization")
    return replace(run, architecture=replace(run.architecture, layers=tuple(layers)))


def test_weights_that_grow_are_named():
    (finding,) = outcome(grown(traces.stuck())).findings
    assert (finding.layer, finding.step, finding.severity) == ("dense_1", 300, "warn")
    assert "at first" in finding.message


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        traces.stuck(),
        grown(traces.trace()),  # it learns
        grown(traces.stuck(), since=540),  # four records
        traces.changed(grown(traces.stuck(), 0.5), "weight_rms", 1e-3, ("dense_1",), 580),
        grown(traces.stuck(), 5.0, since=0),  # large from the start
        grown(traces.changed(traces.stuck(), "weight_rms", 1e-4, ("dense_1",)), 0.5),
    ],
)
def test_other_weights_are_well(run):
    assert outcome(run).outcome == "healthy"


def shrunk(run, size=1e-3, since=300, layers=("dense", "dense_1")):
    return traces.changed(run, "weight_rms", size, layers, since)


def away(run):
    return check(run, [dead_weights]).outcomes[0]


def test_weights_that_shrink_away_are_told_once():
    (finding,) = away(shrunk(traces.stuck())).findings
    assert (finding.layer, finding.step, finding.severity) == ("dense", 300, "warn")
    assert "1 more layer" in finding.message
    told = check(shrunk(traces.changed(traces.stuck(), "output_std", 1e-9, since=320)))
    assert diagnose(told).cause.rule == "dead-weights"


def test_a_penalty_that_falls_hides_no_weights_that_shrink_away():
    answers = traces.labels("real", shape=(1,), std=1.0)
    head = static.ending(None, "mean_squared_error", width=1, y=answers)
    options = {**head.architecture.loss_options, "regularized": True}
    model = replace(head.architecture, loss="mse", loss_options=options)
    for end, outcome in ((1.1, "found"), (0.5, "healthy")):
        curve = end + 100 * np.exp(-np.arange(31) / 3)
        run = traces.with_series(traces.trace(model), loss=curve, probe_loss=curve)
        run = replace(run, data=head.data, planned_steps=600)
        assert away(shrunk(run, layers=("dense",))).outcome == outcome


@pytest.mark.parametrize(("right", "outcome"), [(0.1, "found"), (0.97, "healthy")])
def test_answers_that_are_right_are_told_from_the_penalty_on_top(right, outcome):
    model = traces.architecture()
    model = replace(model, loss_options={**model.loss_options, "regularized": True})
    curve = 3 + 20 * np.exp(-np.arange(31) / 6)
    run = replace(traces.trace(model), planned_steps=600)
    run = traces.with_series(run, loss=curve, probe_loss=curve, probe_accuracy=right)
    assert away(shrunk(run)).outcome == outcome


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"learning_rate": 0.01}, "not-evaluated"),  # labels without a cause: unlearned
        ({"learning_rate": 0.01, "weight_decay": 0.5}, "found"),
        ({"inner_optimizer": "AdamW"}, "found"),
        ({}, "found"),
    ],
)
def test_weights_shrink_by_themselves_where_nothing_pulls_at_them(settings, outcome):
    run = shrunk(traces.stuck(traces.trace(traces.architecture(settings=settings))))
    assert away(run).outcome == outcome


@pytest.mark.parametrize(
    "run",
    [
        shrunk(traces.trace()),  # pruned, or by a penalty, and it learns
        shrunk(traces.stuck(), since=540),  # four records
        shrunk(traces.stuck(), 0.03),
        shrunk(traces.stuck(), since=0),  # small from the start
        before_normalization(shrunk(traces.stuck(), layers=("dense_1",))),
    ],
)
def test_weights_that_shrink_less_or_without_harm_are_well(run):
    assert away(run).outcome == "healthy"


def test_growth_near_the_limit_does_not_come_and_go():
    run = grown(traces.changed(traces.stuck(), "weight_rms", 1.0, ("dense_1",)), 11.0)
    assert outcome(grown(run, 9.0, since=580)).outcome == "found"
    assert outcome(grown(run, 7.0, since=580)).outcome == "healthy"


def test_a_kernel_before_a_normalization_may_grow():
    assert outcome(before_normalization(grown(traces.stuck()))).outcome == "healthy"


def test_too_little_data_and_nan():
    assert "too few" in outcome(traces.trace(records=2)).reason
    run = traces.trace()
    nan = {name: np.full_like(values, np.nan) for name, values in run.columns.items()}
    assert "no finite" in outcome(replace(run, columns=nan)).reason
    assert "was not measured" in outcome(replace(run, columns={})).reason
