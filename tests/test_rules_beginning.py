from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.beginning import initial_weights
from tfdiag.rules.inputs import input_range
from tfdiag.rules.loss import initial_loss


def outcome(run, rule=initial_weights):
    return check(run, [rule]).outcomes[0]


def begun(size=5.0, layers=("dense_1",), run=None, first_step=1):
    """Returns `run` with a record at step 1, whose layers' weights have this RMS there."""
    run = traces.changed(run or traces.trace(), "weight_rms", size, layers)
    steps = run.steps.copy()
    steps[1] = first_step
    return replace(run, steps=steps)


def sure(level=9.0, rms=0.3, **changes):
    """Returns a run whose answers name one class from the start, and whose loss is high."""
    run = traces.changed(traces.trace(**changes), "output_rms", rms, ("output",))
    run = traces.changed(run, "output_mean", 0.1, ("output",))
    return traces.with_series(run, loss=level, probe_loss=level)


def test_large_weights_are_told_once():
    run = begun(layers=("dense_1", "dense_2"), run=sure(np.linspace(900, 300, 31)))
    (finding,) = outcome(run).findings
    assert (finding.layer, finding.step, finding.severity) == ("dense_1", 0, "warn")
    assert "64 inputs" in finding.message and "1 more layer" in finding.message
    assert finding.limit == pytest.approx(10 * np.sqrt(2 / 64))


def test_large_weights_of_a_model_that_learns_are_watched():
    assert [one.severity for one in outcome(begun()).findings] == ["watch"]
    assert [one.severity for one in outcome(begun(run=traces.stuck())).findings] == ["warn"]


SLOW = traces.with_series(
    traces.trace(), loss=np.linspace(2.3, 1.6, 31), probe_loss=np.linspace(2.3, 1.6, 31)
)


def test_tiny_weights_are_a_warning_if_the_loss_falls_late():
    for run, severity in ((SLOW, "warn"), (traces.trace(), "watch"), (traces.stuck(), "warn")):
        tiny = begun(1e-6, ("dense", "dense_1"), replace(run, planned_steps=600))
        (finding,) = outcome(tiny).findings
        assert (finding.layer, finding.severity, finding.step) == ("dense", severity, 0)
        assert "1 more layer" in finding.message and finding.evidence == "1e-6 < 1.8e-4"
        told = initial_weights.case(finding, {})
        assert told.verdict == "{layer} starts too small" and "'he_normal'" in told.advice[0]


def test_the_first_step_tells_how_small_weights_were_before_it():
    run = traces.changed(begun(0.01, run=SLOW), "update_ratio", 5e3, ("dense_1",))
    (finding,) = outcome(run).findings
    assert finding.value == pytest.approx(2e-6)
    assert outcome(begun(0.01, run=SLOW)).outcome == "healthy"


def test_weights_that_may_be_tiny():
    branch = traces.trace()
    layers = list(branch.architecture.layers)
    layers[2] = replace(layers[2], inputs=("dense",))  # dense_1 is beside the way
    beside = replace(branch, architecture=replace(branch.architecture, layers=tuple(layers)))
    zeros = traces.changed(begun(1e-6), "update_ratio", np.inf, ("dense_1",))
    for run in (begun(1e-6, ("output",)), begun(1e-6, run=beside), zeros):
        assert outcome(run).outcome == "healthy"


@pytest.mark.parametrize(
    "run",
    [
        begun(0.25),
        begun(1.0),  # a few times as large
        begun(0.0),  # zeros are dead-on-arrival's
        begun(np.nan),
        traces.changed(begun(), "update_ratio", 0.9, ("dense_1",)),  # the first step did it
    ],
)
def test_other_weights_are_well(run):
    assert outcome(run).outcome == "healthy"


def test_weights_of_a_frozen_or_unknown_layer_are_left_out():
    run = begun()
    layers = list(run.architecture.layers)
    layers[1] = replace(layers[1], trainable=False)
    frozen = replace(run, architecture=replace(run.architecture, layers=tuple(layers)))
    assert outcome(frozen).exempt["dense_1"] == "frozen"
    layers[1] = replace(layers[1], type="LSTM", trainable=True)
    other = replace(run, architecture=replace(run.architecture, layers=tuple(layers)))
    assert "no dense layer" in outcome(other).exempt["dense_1"]


def test_a_recording_without_options_does_not_deny_that_there_are_dense_layers():
    run = begun()
    layers = tuple(replace(layer, options=None) for layer in run.architecture.layers)
    judged = outcome(replace(run, architecture=replace(run.architecture, layers=layers)))
    assert "older" in judged.reason and not judged.exempt
    layers = tuple(replace(layer, options={}) for layer in layers)
    judged = outcome(replace(run, architecture=replace(run.architecture, layers=layers)))
    assert judged.exempt["dense"] == "its inputs cannot be counted"


def test_weights_of_a_later_step_are_not_judged():
    run = begun()
    assert "untrained" in outcome(replace(run, steps=run.steps + 500)).reason
    assert outcome(replace(run, columns={})).outcome == "not-evaluated"


def test_a_model_that_errs_surely_is_warned_of_early():
    early = sure(records=8)
    assert [one.severity for one in outcome(early, initial_loss).findings] == ["warn"]
    wide = replace(early, data=traces.data(traces.inputs(maximum=255.0)))
    assert [one.severity for one in outcome(wide, input_range).findings] == ["warn"]


@pytest.mark.parametrize(
    "run",
    [
        sure(rms=0.1, records=8),  # undecided: class weights, a penalty, a sum over the batch
        sure(level=0.1, records=8),  # sure and right: a model that was trained before
        sure(level=4.0, records=8),  # hardly above a guess
        sure(np.r_[9.0, 5.0, 3.0, np.full(6, 1.0)], records=8),  # it has come down
        sure(rms=np.nan, records=8),
    ],
)
def test_others_do_not_err_surely(run):
    assert not [one for one in outcome(run, initial_loss).findings if one.severity == "warn"]


def test_unscaled_inputs_that_are_learned_from_slowly_are_warned_of():
    slow = traces.with_series(
        traces.trace(), loss=np.linspace(2.3, 1.6, 31), probe_loss=np.linspace(2.3, 1.6, 31)
    )
    slow = replace(
        slow,
        data=traces.data(traces.inputs(maximum=255.0, mean=120.0, std=60.0)),
        planned_steps=600,
    )
    assert [one.severity for one in outcome(slow, input_range).findings] == ["warn"]
    centred = replace(slow, data=traces.data(traces.inputs(maximum=255.0, std=60.0)))
    assert [one.severity for one in outcome(centred, input_range).findings] == ["watch"]
    for change in ({"activation": "tanh"}, {"role": "recurrent"}):  # it saturates
        first, *others = slow.architecture.layers
        model = replace(slow.architecture, layers=(replace(first, **change), *others))
        run = replace(centred, architecture=model)
        assert [one.severity for one in outcome(run, input_range).findings] == ["warn"]
        learns = traces.trace(model)
        well = replace(learns, data=centred.data, planned_steps=600)
        assert [one.severity for one in outcome(well, input_range).findings] == ["watch"]
    early = replace(slow, planned_steps=10_000)
    assert [one.severity for one in outcome(early, input_range).findings] == ["watch"]
    layers = slow.architecture.layers
    backbone = (replace(layers[0], trainable=False), *layers[1:])
    tuned = replace(slow, architecture=replace(slow.architecture, layers=backbone))
    assert [one.severity for one in outcome(tuned, input_range).findings] == ["watch"]
