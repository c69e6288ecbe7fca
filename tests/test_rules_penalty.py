from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.guess import no_better_than_constant
from tfdiag.rules.loss import loss_not_decreasing
from tfdiag.rules.penalty import LOSSES, without_penalty
from tfdiag.rules.weights import dead_weights


def penalized(**series):
    """Returns a run of a regularized classifier of ten classes."""
    run = replace(traces.trace(), planned_steps=600)
    options = {**run.architecture.loss_options, "regularized": True}
    first, *others = run.architecture.layers
    first = replace(first, options={**(first.options or {}), "kernel_regularizer": "L2(l2=0.1)"})
    model = replace(run.architecture, loss_options=options, layers=(first, *others))
    return traces.with_series(replace(run, architecture=model), **series)


def at(steps, values, run):
    """Returns a series of `run` that was measured at these steps only."""
    series = np.full(len(run.steps), np.nan)
    series[np.searchsorted(run.steps, steps)] = values
    return series


def test_each_loss_is_left_without_what_is_added_to_it():
    run = penalized(probe_regularization=0.5, **dict.fromkeys(LOSSES, 2.0))
    alone = without_penalty(run)
    assert alone.architecture.loss_options["regularized"] is False
    for name in LOSSES:
        assert (alone.series[name][1:] == 1.5).all()  # step 0 has no batch
    assert run.series["loss"][1] == 2.0  # the recording itself stays


def test_of_a_loss_whose_beginning_is_not_known_nothing_is_left():
    """What is left would begin after the fall, and look as if it had never fallen."""
    run = penalized()
    looks = at(run.steps[[0, 10, 20, 30]], [2.0, 0.5, 0.5, 0.5], run)
    falls = 0.1 + 0.9 * np.exp(-np.arange(31) / 2)
    penalty = np.interp(run.steps, run.steps[[0, 10, 20, 30]], [2.0, 0.5, 0.5, 0.5])
    probe = np.where(np.isfinite(looks), falls + penalty, np.nan)
    run = traces.with_series(
        run, loss=falls + penalty, probe_loss=probe, probe_regularization=looks
    )
    left = without_penalty(run).series
    assert np.isnan(left["loss"]).all() and np.isfinite(left["probe_loss"]).sum() == 4
    assert not check(run, [loss_not_decreasing]).findings


def test_between_two_looks_a_penalty_that_moves_is_not_known():
    run = penalized(probe_loss=2.0)
    first, second, third, *_ = run.steps[::5]
    looks = at([first, second, third], [1.0, 0.2, 0.19], run)
    run = traces.with_series(run, probe_regularization=looks)
    left = without_penalty(run).series["probe_loss"]
    assert left[0] == 1.0 and left[5] == pytest.approx(1.8) and left[10] == pytest.approx(1.81)
    assert np.isnan(left[1:5]).all()  # it fell by 0.8, more than a tenth of what is left
    assert left[6] == pytest.approx(2 - 0.198)
    assert left[11:] == pytest.approx(1.81)  # as it moved by 0.01 before, so it may go on


def test_the_penalty_of_an_epochs_mean_is_that_of_the_whole_epoch():
    run = penalized()
    middle, end = run.steps[[15, 30]]
    slow = np.linspace(0.2, 0.1, 31)
    series = {"epoch": [0, 1], "epoch_loss": [2.0, 1.5]}
    known = {name: at([middle, end], values, run) for name, values in series.items()}
    left = without_penalty(traces.with_series(run, probe_regularization=slow, **known))
    assert left.series["epoch_loss"][[15, 30]] == pytest.approx([2 - 0.175, 1.5 - 0.125])
    fast = traces.with_series(run, probe_regularization=10 * slow, **known)
    assert np.isnan(without_penalty(fast).series["epoch_loss"]).all()


@pytest.mark.parametrize(
    "run",
    [
        penalized(loss=2.0),  # not recorded
        replace(  # `add_loss` of a layer of the user's own: another number for each size of a batch
            penalized(loss=2.0, probe_regularization=0.5),
            architecture=replace(
                traces.architecture(), loss_options=penalized().architecture.loss_options
            ),
        ),
        traces.with_series(traces.trace(), loss=2.0, probe_regularization=0.5),  # a metric's name
        penalized(loss=2.0, probe_regularization=np.r_[0.5, np.full(30, np.nan)]),
        traces.with_series(
            replace(traces.trace(), architecture=traces.architecture(loss_options=None)),
            probe_regularization=0.5,
        ),  # the loss is the user's own: it may contain it or not
    ],
)
def test_what_is_not_known_is_not_subtracted(run):
    assert without_penalty(run) is run


CONSTANT = np.log(10)
FALLS = 1000 * np.exp(-np.arange(31) / 2)


def test_a_penalty_that_falls_does_not_hide_that_nothing_is_learned():
    loss = CONSTANT + FALLS
    answers = {"probe_accuracy": np.nan, "probe_top_class_share": 1.0}
    run = penalized(loss=loss, probe_loss=loss, **answers)
    assert not check(run, [no_better_than_constant]).findings
    told = traces.with_series(run, probe_regularization=FALLS)
    (finding,) = check(told, [no_better_than_constant]).findings
    assert finding.value == pytest.approx(CONSTANT, rel=1e-3)
    assert "What regularization adds to it, 3.1e-4 now, is left out." in finding.message


def test_a_model_that_learns_beside_its_penalty_is_healthy():
    learns = np.geomspace(2.3, 0.1, 31)
    run = penalized(loss=learns + 2.3, probe_loss=learns + 2.3, probe_regularization=2.3)
    assert not check(run, [no_better_than_constant]).findings


def test_a_penalty_still_counts_as_what_pulls_at_the_weights():
    run = penalized(loss=2.3, probe_loss=2.3)
    settings = {"learning_rate": 1e-3}
    run = replace(run, architecture=replace(run.architecture, settings=settings))
    free = {**run.architecture.loss_options, "regularized": False}
    free = replace(run, architecture=replace(run.architecture, loss_options=free))
    told = traces.with_series(run, probe_regularization=0.001)
    reasons = [check(one, [dead_weights]).outcomes[0].reason or "" for one in (run, told, free)]
    assert ["regularizer" in reason for reason in reasons] == [False, False, True]
