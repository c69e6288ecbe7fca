from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.weights import weight_explosion


def outcome(run):
    return check(run, [weight_explosion]).outcomes[0]


def grown(run, size=5.0, since=300, layers=("dense_1",)):
    return traces.changed(run, "weight_rms", size, layers, since)


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


def test_growth_near_the_limit_does_not_come_and_go():
    run = grown(traces.changed(traces.stuck(), "weight_rms", 1.0, ("dense_1",)), 11.0)
    assert outcome(grown(run, 9.0, since=580)).outcome == "found"
    assert outcome(grown(run, 7.0, since=580)).outcome == "healthy"


def test_a_kernel_before_a_normalization_may_grow():
    run = grown(traces.stuck())
    layers = list(run.architecture.layers)
    layers[2] = replace(layers[2], role="normalization")
    model = replace(run.architecture, layers=tuple(layers))
    assert outcome(replace(run, architecture=model)).outcome == "healthy"


def test_too_little_data_and_nan():
    assert "too few" in outcome(traces.trace(records=2)).reason
    run = traces.trace()
    nan = {name: np.full_like(values, np.nan) for name, values in run.columns.items()}
    assert "no finite" in outcome(replace(run, columns=nan)).reason
    assert "was not measured" in outcome(replace(run, columns={})).reason
