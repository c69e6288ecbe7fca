from dataclasses import replace

import numpy as np
import pytest

from tests import static, traces
from tfdiag.architecture import Layer
from tfdiag.rules import check
from tfdiag.rules.generalization import (
    held_out_fails,
    overfitting,
    overtraining,
    too_good_validation,
)

E = np.arange(20)
FALLING = 0.02 + np.exp(-E / 4)
RISING = 0.5 + 0.5 * np.exp(-E / 2) + 0.03 * E
ALL = [overfitting, overtraining, too_good_validation]


def outcome(run, rule, **thresholds):
    return check(run, [rule], {rule.id: thresholds}).outcomes[0]


def run_of(held, train=FALLING, **series):
    return traces.with_epochs(traces.trace(), held, train[: len(held)], **series)


def test_overfitting_is_dated_at_the_best_epoch():
    (finding,) = outcome(run_of(RISING), overfitting).findings
    best = int(np.argmin(RISING))
    assert (finding.severity, finding.step) == ("warn", (best + 1) * traces.EVERY)
    assert finding.metric == "val_loss" and "the training loss fell" in finding.message


@pytest.mark.parametrize(
    ("accuracy", "severity"), [(0.8 + 0 * E, "watch"), (np.where(E < 9, 0.8, 0.7), "warn")]
)
def test_overfitting_is_a_warning_only_where_the_answers_get_worse(accuracy, severity):
    run = run_of(RISING, val_accuracy=accuracy, epoch_accuracy=1.0 + 0 * E)
    assert [one.severity for one in outcome(run, overfitting).findings] == [severity]


def test_overfitting_is_a_warning_where_training_is_answered_far_better():
    apart = {"val_accuracy": 0.7 + 0 * E, "epoch_accuracy": 1.0 + 0 * E}
    (finding,) = outcome(run_of(RISING, **apart), overfitting).findings
    assert finding.severity == "warn"
    few = replace(run_of(RISING, **apart), probe_samples=20)  # 0.7 of 20 may be 0.9 of many
    assert [one.severity for one in outcome(few, overfitting).findings] == ["watch"]


def test_a_slip_of_few_samples_is_no_fall_of_the_accuracy():
    slips = {"val_accuracy": np.where(E < 9, 0.96, 0.94), "epoch_accuracy": 1.0 + 0 * E}
    run = run_of(RISING, **slips)
    assert [one.severity for one in outcome(run, overfitting).findings] == ["watch"]
    many = replace(run, probe_samples=10_000)
    assert [one.severity for one in outcome(many, overfitting).findings] == ["warn"]


def fails(held, train=FALLING, model=None, **series):
    """Returns a run of ten classes, 20 epochs of 20 steps, with this loss on held-out data."""
    run = traces.with_epochs(traces.trace(model), held, train)
    return traces.with_series(run, probe_loss=held[-1], **series)


def test_a_model_that_a_constant_beats_on_held_out_data_is_found():
    (finding,) = outcome(fails(3.0 + 0 * E), held_out_fails).findings
    assert (finding.severity, finding.layer, finding.metric) == ("warn", None, "probe_loss")
    assert finding.limit == pytest.approx(np.log(10))


def test_a_model_that_knows_some_classes_only_is_found_all_the_same():
    run = fails(3.0 + 0 * E, probe_accuracy=0.5)
    epochs = np.where(np.isfinite(run.series["epoch"]), 1.0, np.nan)
    run = replace(run, series={**run.series, "epoch_accuracy": epochs})
    assert outcome(run, held_out_fails).outcome == "found"


NORMALIZED = traces.architecture()
NORMALIZED = replace(
    NORMALIZED,
    layers=(
        NORMALIZED.layers[0],
        Layer("norm", "BatchNormalization", (64,), 256, True, role="normalization", options={}),
        *NORMALIZED.layers[1:],
    ),
)


@pytest.mark.parametrize(
    "run",
    [
        fails(2.0 + 0 * E),  # overfitting, but of use
        fails(3.0 + 0 * E, 2.0 + 0 * E),  # not even its own data
        fails(np.r_[np.full(18, 3.0), 2.0, 2.0]),  # it was so at first
        fails(np.r_[np.full(18, 1.0), 3.0, 3.0]),  # for two epochs
        traces.with_series(fails(3.0 + 0 * E), probe_loss=1.0),  # other classes are validated
        fails(3.0 + 0 * E, probe_accuracy=0.86),  # a few sure errors
    ],
)
def test_other_held_out_losses_are_well(run):
    assert outcome(run, held_out_fails).outcome == "healthy"


def test_held_out_data_is_judged_when_normalizations_have_settled():
    run = fails(3.0 + 0 * E, model=NORMALIZED)
    assert outcome(run, held_out_fails).outcome == "found"
    early = replace(run, steps=run.steps // 4)
    assert "settle" in outcome(early, held_out_fails).reason
    own = replace(run, architecture=replace(run.architecture, loss_options={}))
    assert outcome(own, held_out_fails).outcome == "not-evaluated"


def answers(held, train=1.0, planned=0, model=None, **series):
    """Returns a run of 20 epochs with these shares of right answers in validation and training."""
    run = replace(fails(2.0 + 0 * E, model=model, **series), planned_steps=planned)
    right = {"val_accuracy": held, "epoch_accuracy": train}
    return traces.with_epochs(run, 2.0 + 0 * E, FALLING, **right)


FAR = np.r_[np.linspace(0.1, 0.5, 10), np.full(10, 0.5)]


@pytest.mark.parametrize(
    "run",
    [
        answers(FAR),
        answers(np.linspace(0.1, 0.6, 20), planned=400),  # no better will come
        answers(FAR, model=replace(NORMALIZED, loss_options={"kind": "poly_loss"})),
        answers(FAR, probe_accuracy=0.9),  # the validation set is the larger one
        replace(answers(FAR, planned=100, model=NORMALIZED), steps=fails(E).steps // 4),
    ],
)
def test_far_fewer_right_answers_on_held_out_data_are_found(run):
    (finding,) = outcome(run, held_out_fails).findings
    assert (finding.severity, finding.metric) == ("warn", "val_accuracy")
    assert "of the answers in training are right" in finding.message


@pytest.mark.parametrize(
    "run",
    [
        answers(np.full(20, 0.75)),  # useful, of hard data
        answers(np.linspace(0.1, 0.6, 20), planned=10**4),  # it gets better
        answers(FAR, train=0.6),
        answers(np.r_[np.full(18, 0.9), 0.5, 0.5]),  # for two epochs
        replace(answers(np.full(20, 0.62)), probe_samples=100),  # it may be luck
        answers(np.full(20, np.nan)),
    ],
)
def test_accuracies_that_are_nearer_are_well(run):
    assert outcome(run, held_out_fails).outcome == "healthy"


def explains(held, train=0.9, planned=0, kind="mean_squared_error", samples=256, **targets):
    """Returns a run of 20 epochs of a regression that explains these shares of the variance."""
    answers = traces.labels("real", shape=(1,), **{"std": 2.0, "deviation": 4.0, **targets})
    head = static.ending(None, kind, width=1, y=answers)
    run = replace(traces.trace(head.architecture), data=head.data, probe_samples=samples)
    held, train = (4 * (1 - np.broadcast_to(part, 20)) for part in (held, train))
    run = traces.with_series(run, probe_loss=held[-1])
    return traces.with_epochs(replace(run, planned_steps=planned), held, train)


@pytest.mark.parametrize(
    "run",
    [
        explains(FAR),
        explains(FAR, kind="mean_absolute_error"),
        explains(np.linspace(-0.5, 0.4, 20), planned=400),
        explains(-9.0),  # chance is no larger for what fails worse
    ],
)
def test_a_regression_that_explains_far_less_of_held_out_data_is_found(run):
    (finding,) = outcome(run, held_out_fails).findings
    assert (finding.severity, finding.metric) == ("warn", "val_loss")
    assert "are gained in training" in finding.message and finding.limit == 0.3


@pytest.mark.parametrize(
    "run",
    [
        explains(0.7),
        explains(0.2, train=0.5),  # noisy targets
        explains(FAR, samples=30),
        explains(np.linspace(-0.5, 0.4, 20), planned=10**4),
        explains(FAR, kind="huber"),
        explains(0.3, train=0.8, maximum=30.0),  # one target of the probe set is most of it
        explains(-0.5, train=0.1, samples=1000),  # not even its own data
    ],
)
def test_a_regression_that_explains_about_as_much_is_well(run):
    assert not outcome(run, held_out_fails).findings


def test_accuracies_are_judged_when_normalizations_have_settled():
    run = answers(FAR, planned=10**4, model=NORMALIZED)
    assert outcome(run, held_out_fails).outcome == "found"
    early = replace(run, steps=run.steps // 4)
    assert "settle" in outcome(early, held_out_fails).reason


def test_the_probe_set_serves_without_validation():
    run = traces.trace()
    rising = np.where(run.steps < 200, 1 - run.steps / 400, 0.5 + (run.steps - 200) / 400)
    run = traces.with_series(run, probe_loss=rising, loss=2 * np.exp(-run.steps / 100))
    assert outcome(run, overfitting).findings[0].metric == "probe_loss"


@pytest.mark.parametrize(
    ("held", "train"),
    [
        (FALLING + 0.5, FALLING),  # a gap alone
        (0.02 + FALLING, FALLING * 1e-3),  # a ratio of something tiny
        (FALLING, FALLING + 0.3),  # dropout: training looks worse
        (RISING, RISING),  # both rise: no overfitting
        (0.5 + 0.02 * (-1.0) ** E, FALLING),  # noise around a plateau
        (np.r_[np.full(17, 0.5), 0.7, 0.7, 0.5], FALLING),  # came back
        (np.r_[FALLING[:18] + 0.5, 0.8, 0.8], FALLING),  # two epochs only
    ],
)
def test_other_curves_are_no_overfitting(held, train):
    assert outcome(run_of(held, train), overfitting).outcome == "healthy"


def test_overtraining_is_watched():
    (finding,) = outcome(run_of(RISING), overtraining).findings
    assert (finding.severity, finding.limit) == ("watch", 10.0)


@pytest.mark.parametrize("held", [FALLING, np.full(20, 0.5), RISING[:12]])
def test_training_that_may_go_on(held):
    assert outcome(run_of(held), overtraining).outcome == "healthy"


def accuracies(held, train):
    return run_of(FALLING[: len(held)], val_accuracy=held, epoch_accuracy=train)


def test_a_validation_set_that_is_too_easy_is_watched():
    (finding,) = outcome(
        accuracies(np.full(10, 0.9), np.full(10, 0.8)), too_good_validation
    ).findings
    assert (finding.severity, finding.metric) == ("watch", "val_accuracy")


@pytest.mark.parametrize(
    ("held", "train"),
    [
        (np.full(10, 0.99), np.full(10, 0.98)),  # an easy data set
        (np.linspace(0.2, 0.95, 10), np.linspace(0.1, 0.85, 10)),  # still learning: it lags
        (np.r_[np.full(9, 0.9), 0.8], np.full(10, 0.8)),  # over
    ],
)
def test_a_good_validation_set_is_no_trouble(held, train):
    assert outcome(accuracies(held, train), too_good_validation).outcome == "healthy"


def test_the_first_half_is_not_judged():
    run = replace(accuracies(np.full(10, 0.9), np.full(10, 0.8)), planned_steps=2000)
    assert "second half" in outcome(run, too_good_validation).reason


def test_what_is_missing_is_said():
    run = traces.trace()
    assert "no accuracy" in outcome(run, too_good_validation).reason
    assert len(outcome(run, too_good_validation).exempt) == len(run.layers)
    assert "too few epochs with val_loss: 3 of 4" in outcome(run_of(RISING[:3]), overfitting).reason
    few = accuracies(np.full(5, 0.9), np.full(5, 0.8))
    assert "too few epochs: 5 of 6" in outcome(few, too_good_validation).reason
    assert "negative" in outcome(run_of(RISING - 2), overfitting).reason
    series = {k: v for k, v in run.series.items() if k != "epoch"}
    assert outcome(replace(run, series=series), overfitting).reason == "no epoch has ended"
    none = replace(run, series={})
    assert all(one.outcome == "not-evaluated" for one in check(none, ALL).outcomes)
    nan = traces.with_series(run, probe_loss=np.nan)
    assert "no finite value" in outcome(nan, overfitting).reason


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_no_overfitting(seed):
    random = np.random.default_rng(seed)
    for level in (0.0, 0.4):
        held = (level + FALLING) * random.lognormal(0, 0.05, 20)
        for stop in range(5, 21):
            assert outcome(run_of(held[:stop]), overfitting).outcome == "healthy"
