from dataclasses import replace

import numpy as np
import pytest

from tests import static, traces
from tfdiag.rules import Report, check
from tfdiag.rules.guess import no_better_than_constant
from tfdiag.rules.loss import initial_loss
from tfdiag.rules.progress import progress
from tfdiag.rules.updates import learning_rate_range

RARE = traces.labels(classes=2, largest=0.85, smallest=0.15, shares=(0.85, 0.15))
ENTROPY = -(0.85 * np.log(0.85) + 0.15 * np.log(0.15))


def regression(loss, kind="mean_squared_error", std=2.0, deviation=1.5, train=None, planned=600):
    """Returns a run of 600 steps of a regression with this loss on the probe set."""
    answers = traces.labels("real", shape=(1,), std=std, deviation=deviation)
    start = static.ending(None, kind, width=1, y=answers)
    run = replace(traces.trace(start.architecture), data=start.data, planned_steps=planned)
    return traces.with_series(run, probe_loss=loss, loss=loss if train is None else train)


def rare(loss, top=1.0, train=None, accuracy=0.85, **changes):
    """Returns a run of a classifier of a rare class, that gives a share `top` one answer."""
    start = static.ending("sigmoid", "binary_crossentropy", width=1, y=RARE)
    options = {**start.architecture.loss_options, **changes}
    model = replace(start.architecture, loss="binary_crossentropy", loss_options=options)
    run = replace(traces.trace(model), data=start.data, planned_steps=600)
    series = {"probe_loss": loss, "loss": loss if train is None else train}
    return traces.with_series(
        run, **series, probe_top_class_share=top, probe_binary_accuracy=accuracy
    )


def noted_by_layers(run, regularized):
    """Returns a run as one version recorded it: layers tell whether they are regularized."""
    model = run.architecture
    options = {k: v for k, v in (model.loss_options or {}).items() if k != "regularized"}
    flag = {"regularized": True} if regularized else {}
    first = replace(model.layers[0], options={**(model.layers[0].options or {}), **flag})
    model = replace(model, loss_options=options, layers=(first, *model.layers[1:]))
    return replace(run, architecture=model)


def labelled(run, **changes):
    (labels,) = run.data.labels
    return replace(run, data=replace(run.data, labels=(replace(labels, **changes),)))


def outcome(run, rule=no_better_than_constant):
    return check(run, [rule]).outcomes[0]


@pytest.mark.parametrize(
    "run",
    [
        regression(4.0),  # the variance
        regression(1.6, "mean_absolute_error"),
        rare(ENTROPY),
        rare(np.linspace(0.72, 0.7, 31), top=0.6, accuracy=0.5),  # nor than tossing a coin
    ],
)
def test_a_model_that_a_constant_beats_is_found(run):
    (finding,) = outcome(run).findings
    assert (finding.severity, finding.layer, finding.metric) == ("warn", None, "probe_loss")
    assert "always saying" in finding.message


def test_the_best_constant_for_an_absolute_error_is_the_median():
    (finding,) = outcome(regression(1.6, "mean_absolute_error")).findings
    assert "the targets' median" in finding.message
    assert "the targets' mean" in outcome(regression(4.0)).findings[0].message


@pytest.mark.parametrize(
    "run",
    [
        regression(3.6),  # a tenth of the variance is explained: noisy targets
        regression(np.r_[np.full(30, 4.0), 3.0]),  # now it learns
        regression(1.4, "mean_absolute_error"),
        rare(0.9 * ENTROPY),  # clicks: hardly better than their rate, and of use
        rare(ENTROPY + 0.1, top=0.85, accuracy=0.85),  # class weights: it names both
        rare(0.68, top=0.6, accuracy=0.97),  # regularized: right all the same
    ],
)
def test_a_model_that_explains_something_is_healthy(run):
    assert outcome(run).outcome == "healthy"


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (regression(4.0, planned=10**5), "judged from step 2000"),
        (regression(4.0, std=np.nan), "how far the targets"),
        (regression(4.0, "huber"), "no constant"),
        (rare(ENTROPY, label_smoothing=0.1), "smoothed"),
        (rare(20.0, reduction="sum"), "summed"),
        (rare(ENTROPY, weighted=True), "weighted"),
        (rare(ENTROPY, regularized=True), "regularization"),
        (noted_by_layers(rare(ENTROPY), False), "not noted"),
        (labelled(rare(ENTROPY), largest=1.0, shares=(1.0,)), "most frequent class"),
        (labelled(rare(ENTROPY), largest=0.98, shares=(0.98, 0.02)), "most frequent class"),
        (regression(4.5, train=np.geomspace(4, 0.1, 31)), "held-out-fails"),
        (rare(ENTROPY + 0.1, train=0.5 * ENTROPY), "held-out-fails"),
        (regression(4.5, train=np.linspace(3.9, 2.5, 31), planned=700), "still falls"),
        (replace(regression(4.0), data=None, probe_samples=0), "probe set"),
        (traces.with_series(regression(4.0), probe_loss=np.nan), "no finite value"),
    ],
)
def test_without_a_constant_to_compare_with_nothing_is_said(run, words):
    assert outcome(run).outcome == "not-evaluated" and words in outcome(run).reason


def of_classes(loss, train=None, accuracy=0.3, planned=600, answers=None, **changes):
    """Returns a run of a classifier of ten classes that gives different answers."""
    start = static.ending("softmax", y=answers or traces.labels())
    options = {**start.architecture.loss_options, **changes}
    model = replace(start.architecture, loss_options=options)
    run = replace(traces.trace(model), data=start.data, planned_steps=planned)
    series = {"probe_loss": loss, "loss": loss if train is None else train}
    return traces.with_series(run, **series, probe_top_class_share=0.2, probe_accuracy=accuracy)


LITTLE = np.linspace(2.3, 2.12, 31)


@pytest.mark.parametrize(
    "run",
    [
        of_classes(2.2),
        of_classes(LITTLE),  # it falls still, but the training is over
        of_classes(2.2, train=LITTLE),
        of_classes(2.4, train=np.linspace(2.3, 1.5, 31)),  # it learns by heart
    ],
)
def test_classes_that_are_hardly_explained_are_found(run):
    (finding,) = outcome(run).findings
    assert finding.severity == "warn"
    advice = no_better_than_constant.case(finding, {}).advice[0]
    assert ("targets may be wrong" in advice) == (finding.value < 0.98 * finding.limit)


@pytest.mark.parametrize("run", [regression(3.97), rare(0.99 * ENTROPY), of_classes(2.29)])
def test_what_is_a_constant_but_for_rounding_is_no_matter_of_labels(run):
    (finding,) = outcome(run).findings
    assert finding.value < finding.limit
    assert no_better_than_constant.case(finding, {}).verdict == "No better than a constant"


def test_the_users_margin_tells_a_constant_from_labels_that_are_wrong():
    run = of_classes(2.2)
    for margin, words in ((0.02, "Targets hardly explained"), (0.05, "No better than a constant")):
        judged = check(run, thresholds={"no-better-than-constant": {"margin": margin}})
        (finding,) = (f for f in judged.findings if f.rule == "no-better-than-constant")
        for facts in (judged.facts, Report.from_json(judged.to_json()).facts):
            assert no_better_than_constant.case(finding, facts).verdict == words


def restored(loss, width=64, std=0.3, like=True):
    """Returns a run of an autoencoder, or of another model with as many outputs."""
    answers = traces.labels("real", shape=(width,), std=std)
    start = static.ending(None, "mean_squared_error", width=width, y=answers)
    inputs = traces.inputs(shape=(width,) if like else (7,))
    data = replace(start.data, inputs=(inputs,))
    run = replace(traces.trace(start.architecture), data=data, planned_steps=600)
    return traces.with_series(run, probe_loss=loss, loss=loss)


def labels_at_once(loss, share=0.4, labels=4):
    """Returns a run of several labels, each of which this share of the samples has."""
    std = (share * (1 - share)) ** 0.5
    answers = traces.labels("multi-hot", shape=(labels,), maximum=1.0, std=std)
    start = static.ending("sigmoid", "binary_crossentropy", width=labels, y=answers)
    run = replace(traces.trace(start.architecture), data=start.data, planned_steps=600)
    return traces.with_series(run, probe_loss=loss, loss=loss)


def entropy(share):
    return -share * np.log(share) - (1 - share) * np.log(1 - share)


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (restored(0.95 * 0.09), True),
        (restored(0.8 * 0.09), False),
        (restored(0.95 * 0.09, width=5), False),  # few numbers
        (restored(0.95 * 0.09, like=False), False),  # what is yet to come
        (labels_at_once(0.95 * entropy(0.4)), True),
        (labels_at_once(0.8 * entropy(0.4)), False),
        (labels_at_once(0.95 * entropy(0.1), share=0.1), False),  # rare ones
        (labels_at_once(0.95 * entropy(0.4), labels=2), False),
    ],
)
def test_targets_that_hold_much_must_be_explained_a_little(run, found):
    findings = outcome(run).findings
    assert bool(findings) is found
    for finding in findings:
        assert no_better_than_constant.case(finding, {}).verdict == "Targets hardly explained"


RAREST = traces.labels(largest=0.7, smallest=0.01, shares=(0.7, *(0.3 / 9,) * 9))
ALL = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3 / 9))


@pytest.mark.parametrize(
    "run",
    [
        of_classes(2.0),
        of_classes(0.95 * ALL, answers=RAREST, accuracy=0.9),
        rare(0.95 * ENTROPY, top=0.9, accuracy=0.9),
        of_classes(2.2, train=LITTLE, planned=700),  # it may still learn
        of_classes(2.2, train=1.0),  # held-out-fails
        of_classes(2.2, label_smoothing=0.1),
        of_classes(2.2, regularized=True),
    ],
)
def test_other_classes_are_explained_or_not_judged(run):
    assert not outcome(run).findings


@pytest.mark.parametrize(
    ("last", "planned", "found"), [(4.2, 40, True), (3.0, 40, False), (4.2, 50, False)]
)
def test_a_training_of_few_steps_is_judged_when_it_is_complete(last, planned, found):
    run = regression(np.r_[40.0, np.full(29, np.nan), last], planned=planned)
    assert bool(outcome(replace(run, steps=run.steps // 15)).findings) is found


@pytest.mark.parametrize("ends", [(600,), (200, 400, 600)])
def test_the_end_of_a_fit_of_one_epoch_is_not_the_end(ends):
    run = of_classes(LITTLE)
    first = np.where(np.isin(run.steps, ends), 0.0, np.nan).astype(np.float32)
    again = replace(run, series={**run.series, "epoch": first})
    assert "still falls" in outcome(again).reason


def test_a_loss_that_came_down_to_the_classes_shares_is_not_learned():
    """Half of the loss of two equal classes is that of always naming the frequent one."""
    collapsed = rare(np.r_[0.9, np.full(30, ENTROPY)])
    assert progress(collapsed).state != "learned"
    assert outcome(collapsed).outcome == "found"
    better = np.r_[0.9, np.full(30, 0.8 * ENTROPY)]
    assert progress(rare(better)).state == "learned"
    overfits = rare(np.r_[0.9, np.full(30, 1.1 * ENTROPY)], train=np.linspace(0.9, 0.3, 31))
    assert outcome(overfits).outcome == "found"


def test_a_regularized_loss_falls_with_the_weights():
    falling = rare(np.geomspace(600, 0.5, 31), regularized=True)
    alike = traces.changed(falling, "output_std", 1e-6, ("output",))
    alike = traces.changed(alike, "output_mean", 0.15, ("output",))
    apart = traces.changed(alike, "output_std", 0.2, ("output",))
    assert progress(alike).state == "lost" and progress(apart).state == "improving"


def test_what_the_accuracy_tells_is_left_to_the_guess():
    start = static.ending("softmax", y=traces.labels())
    run = replace(traces.trace(start.architecture), data=start.data, planned_steps=600)
    run = traces.with_series(run, probe_loss=2.31, probe_top_class_share=1.0, probe_accuracy=0.1)
    assert "by the accuracy" in outcome(run).reason


FALLING = np.linspace(900, 300, 31)


def falling(**changes):
    """Returns a run of a classifier of ten classes whose loss falls and is far above a guess's."""
    run = replace(traces.trace(), planned_steps=600)
    options = {**run.architecture.loss_options, **changes.pop("loss_options", {})}
    run = replace(run, architecture=replace(run.architecture, loss_options=options))
    series = {"loss": FALLING, "probe_loss": FALLING, "probe_accuracy": 0.2, **changes}
    return traces.with_series(run, **series)


def test_a_loss_that_falls_and_is_above_that_of_a_guess_is_lost():
    assert progress(falling()).state == "lost" and progress(falling()).poor
    (finding,) = outcome(falling(), initial_loss).findings
    assert finding.severity == "warn"
    fast = traces.with_series(falling(), learning_rate=3.0)
    adam = replace(fast, architecture=replace(fast.architecture, optimizer="Adam"))
    assert outcome(adam, learning_rate_range).findings[0].severity == "warn"


@pytest.mark.parametrize(
    "run",
    [
        falling(probe_accuracy=0.7),
        falling(loss=FALLING / 1000),  # overfitting: it learns its training data
        falling(loss_options={"reduction": "sum"}),
        falling(loss_options={"label_smoothing": 0.1}),
        falling(loss_options={"regularized": True}),
        falling(loss_options={"weighted": True}),
        noted_by_layers(labelled(falling(), std=3.0), True),
        falling(loss_options={"kind": None}),
        noted_by_layers(falling(), False),  # older: it is not known
        replace(falling(), architecture=replace(falling().architecture, loss_options={})),
        replace(falling(), planned_steps=10_000),  # too early
        replace(falling(), planned_steps=0),  # as long as nothing is planned
    ],
)
def test_a_loss_without_that_mark_is_not_lost(run):
    assert progress(run).state != "lost"


def test_a_recording_whose_layers_tell_that_none_is_regularized_is_judged():
    assert progress(noted_by_layers(labelled(falling(), std=3.0), False)).state == "lost"


def test_the_shortest_trainings_are_not_judged():
    run = falling()
    run = replace(run, steps=np.arange(31), planned_steps=30)
    assert progress(run).state == "unknown"
    assert progress(replace(run, steps=2 * np.arange(31), planned_steps=60)).state == "lost"


def test_a_regression_is_lost_above_the_spread_of_its_targets():
    assert progress(regression(np.linspace(900, 300, 31))).state == "lost"
    assert progress(regression(np.linspace(900, 300, 31), std=np.nan)).state == "improving"
    assert progress(regression(np.linspace(90, 3, 31))).state != "lost"
