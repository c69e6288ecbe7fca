from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.numerics import nonfinite_loss, nonfinite_tensor


def found(run, rule=nonfinite_tensor):
    return check(run, [rule]).findings


def at(run, row):
    """Returns the trace of one bad record among good ones."""
    return np.where(np.arange(len(run.steps)) == row, 1.0, 0.0)


def test_nan_loss_is_found_at_its_first_step():
    (finding,) = found(traces.not_finite(220), nonfinite_loss)
    assert (finding.severity, finding.step) == ("critical", 220)


@pytest.mark.parametrize(
    ("rate", "first"), [(1e-3, "Look for NaN"), (1e-2, "Lower the learning rate")]
)
def test_a_small_learning_rate_is_not_blamed_first(rate, first):
    report = check(traces.with_series(traces.not_finite(220), learning_rate=rate))
    for rule in (nonfinite_loss, nonfinite_tensor):
        finding = next(one for one in report.findings if one.rule == rule.id)
        assert rule.case(finding, report.facts).advice[0].startswith(first)


def test_a_loss_that_came_back_is_watched():
    run = traces.trace()
    (finding,) = found(traces.with_series(run, loss_nonfinite=at(run, 5)), nonfinite_loss)
    assert (finding.severity, finding.step) == ("watch", 100)


def test_a_negative_loss_is_legal():
    assert not found(traces.with_series(traces.trace(), loss=-5.0), nonfinite_loss)


def test_without_records_of_the_loss_nothing_is_claimed():
    run = traces.trace()
    series = {k: v for k, v in run.series.items() if k != "loss_nonfinite"}
    (outcome,) = check(replace(run, series=series), [nonfinite_loss]).outcomes
    assert outcome.reason == "loss_nonfinite was not measured"


def test_the_first_layer_in_forward_order_is_named_once():
    (finding,) = found(traces.not_finite(220, "dense_1"))
    assert (finding.layer, finding.step, finding.severity) == ("dense_1", 220, "critical")
    assert "2 layers more" in finding.message
    many = found(traces.changed(traces.trace(), "weight_nonfinite", 262144.0, since=20))[0]
    assert many.evidence == "262,144 NaN or Inf"
    assert "262,144 non-finite weights" in many.message


def test_the_earliest_step_decides_before_the_depth():
    run = traces.changed(traces.trace(), "weight_nonfinite", 3.0, ("dense_2",), since=100)
    run = traces.changed(run, "weight_nonfinite", 3.0, ("dense",), since=140)
    (finding,) = found(run)
    assert (finding.layer, finding.step) == ("dense_2", 100)


def test_skipped_steps_of_mixed_precision_are_no_trouble():
    run = traces.changed(traces.trace(), "gradient_nonfinite", 9.0, since=560)
    assert len(run.steps[run.steps >= 560]) == 3
    assert found(run)[0].severity == "critical"
    assert not found(traces.changed(traces.trace(), "gradient_nonfinite", 9.0, since=580))


def test_an_attention_mask_is_only_watched():
    (finding,) = found(traces.changed(traces.trace(), "output_nonfinite", 9.0))
    assert finding.severity == "watch"


def test_a_single_record_with_nan_weights_is_enough():
    run = traces.changed(traces.trace(records=1), "weight_nonfinite", 9.0, since=20)
    assert found(run)[0].step == 20


@pytest.mark.parametrize(("through", "severity"), [(True, "warn"), (False, "watch")])
def test_nan_in_the_probe_set_is_blamed_on_the_inputs(through, severity):
    run = traces.trace()
    layers = run.layers if through else run.layers[:2]
    report = check(traces.changed(run, "output_nonfinite", 9.0, layers))
    (finding,) = (f for f in report.findings if f.rule == "nonfinite-tensor")
    assert (finding.layer, finding.step, finding.severity) == ("dense", 0, severity)
    told = nonfinite_tensor.case(finding, report.facts)
    assert told.verdict == "NaN in the inputs"
    assert "learning rate" not in " ".join(told.advice)


def test_a_loss_that_is_nan_with_the_first_outputs_is_not_blamed_on_the_learning_rate():
    run = traces.changed(
        traces.not_finite(0, "dense"), "output_nonfinite", 9.0
    )  # the loss is first seen at step 20
    report = check(run)
    (loss,) = (f for f in report.findings if f.rule == "nonfinite-loss")
    assert loss.step == 20
    assert nonfinite_loss.case(loss, report.facts).advice[0].startswith("Look for NaN")
    later = check(traces.not_finite(220, "dense"))
    assert "learning rate" in nonfinite_loss.case(later.findings[0], later.facts).advice[0]


def test_a_healthy_run_is_healthy():
    assert [
        o.outcome for o in check(traces.trace(), [nonfinite_loss, nonfinite_tensor]).outcomes
    ] == ["healthy"] * 2
