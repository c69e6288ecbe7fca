from dataclasses import replace

import numpy as np

from tests import traces
from tests.static import ending, outcome, severities
from tfdiag.rules.predictions import prediction_collapse, probe_too_small


def test_a_small_probe_set_is_watched():
    run = traces.trace()
    assert severities(run, probe_too_small) == {}
    assert severities(replace(run, probe_samples=20), probe_too_small) == {None: "watch"}


def collapsed(run, said=0.97, right=0.1):
    return traces.with_series(run, probe_top_class_share=said, probe_top_class_true_share=right)


def test_one_answer_for_all_is_found():
    run = collapsed(traces.stuck())
    assert severities(run, prediction_collapse) == {None: "warn"}
    finding = outcome(run, prediction_collapse).findings[0]
    assert (finding.metric, finding.step) == ("probe_top_class_share", 0)
    assert severities(collapsed(traces.trace()), prediction_collapse) == {None: "warn"}
    slow = 2.3 - 0.001 * traces.trace().steps
    falling = traces.with_series(traces.trace(), probe_loss=slow, loss=slow)
    assert severities(collapsed(falling), prediction_collapse) == {None: "watch"}
    two = collapsed(traces.stuck(), right=0.52)
    assert severities(two, prediction_collapse) == {None: "warn"}


def test_one_answer_may_be_a_fair_guess():
    assert severities(collapsed(traces.stuck(), right=0.95), prediction_collapse) == {}
    assert severities(collapsed(traces.stuck(), said=0.8), prediction_collapse) == {}
    assert severities(traces.trace(), prediction_collapse) == {}


def test_one_answer_at_the_start_is_waited_for():
    early = collapsed(traces.stuck(traces.trace(records=12)))
    assert "too few records after step 200: 2 of 3" in outcome(early, prediction_collapse).reason
    run = traces.stuck()
    said = np.where(run.steps < 400, 0.97, 0.5)
    assert severities(collapsed(run, said), prediction_collapse) == {}


def test_what_has_no_classes_is_exempt():
    run = ending(None, "mean_squared_error", width=1, y=traces.labels("real"))
    found = outcome(run, prediction_collapse)
    assert found.outcome == "not-evaluated" and set(found.exempt) == set(run.layers)
