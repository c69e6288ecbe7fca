from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tests.static import ending, outcome, severities
from tfdiag.rules.labels import class_imbalance, label_mismatch, target_range

SPARSE, ONE_HOT = "sparse_categorical_crossentropy", "categorical_crossentropy"
BINARY, MSE = "binary_crossentropy", "mean_squared_error"


@pytest.mark.parametrize(
    ("activation", "loss", "width", "labels", "words"),
    [
        ("softmax", SPARSE, 10, traces.labels(maximum=10.0), "count from 0"),
        ("softmax", SPARSE, 10, traces.labels("real", minimum=-1.0), "whole numbers"),
        ("softmax", SPARSE, 10, traces.labels("one-hot"), "one-hot"),
        ("softmax", ONE_HOT, 10, traces.labels(), "class numbers"),
        ("softmax", ONE_HOT, 10, traces.labels("one-hot", shape=(9,)), "9 columns"),
        ("softmax", ONE_HOT, 10, traces.labels("real", shape=(10,), maximum=4.0), "shares"),
        ("sigmoid", BINARY, 1, traces.labels("real", minimum=-1.0, maximum=1.0), "between 0"),
        ("sigmoid", BINARY, 1, traces.labels(minimum=1.0, maximum=2.0), "between 0"),
        ("sigmoid", BINARY, 10, traces.labels(maximum=1.0), "one number per sample"),
        ("sigmoid", MSE, 1, traces.labels("real", maximum=300.0), "sigmoid gives 0 to 1"),
        ("relu", MSE, 1, traces.labels("real", minimum=-3.0, maximum=3.0), "relu gives 0"),
        ("tanh", MSE, 1, traces.labels("real", minimum=-5.0, maximum=5.0), "tanh gives -1"),
        (None, MSE, 1, traces.labels("real", shape=(5,)), "the shape (5,)"),
        ("softmax", SPARSE, 10, traces.labels(nonfinite=0.1), "NaN"),
    ],
)
def test_labels_that_do_not_fit_are_critical(activation, loss, width, labels, words):
    run = ending(activation, loss, width=width, y=labels)
    assert severities(run, label_mismatch) == {"output": "critical"}
    assert words in outcome(run, label_mismatch).findings[0].message


@pytest.mark.parametrize(
    ("activation", "loss", "width", "labels"),
    [
        ("softmax", SPARSE, 10, traces.labels()),
        ("softmax", SPARSE, 10, traces.labels(shape=(1,), dtype="float32")),
        ("softmax", ONE_HOT, 10, traces.labels("one-hot")),
        ("softmax", ONE_HOT, 10, traces.labels("soft", shape=(10,), maximum=1.0)),
        ("sigmoid", BINARY, 5, traces.labels("multi-hot", shape=(5,), maximum=1.0)),
        ("sigmoid", BINARY, 1, traces.labels(maximum=1.0)),
        ("sigmoid", BINARY, 64, traces.labels("real", shape=(64,), maximum=1.0)),
        (None, MSE, 1, traces.labels("real", minimum=-300.0, maximum=300.0)),
        (None, MSE, 1, traces.labels("real", shape=(1,))),
        ("relu", MSE, 1, traces.labels("real", minimum=-0.01, maximum=3.0)),
        ("tanh", MSE, 1, traces.labels("real", minimum=-1.0, maximum=1.0)),
    ],
)
def test_labels_that_fit_are_healthy(activation, loss, width, labels):
    assert severities(ending(activation, loss, width=width, y=labels), label_mismatch) == {}


def test_some_targets_out_of_range_are_a_warning_until_the_model_has_learned():
    some = traces.labels("real", minimum=-0.2, maximum=1.0)
    run = ending("relu", MSE, width=1, y=some)
    assert severities(run, label_mismatch) == {"output": "warn"}
    learned = replace(traces.trace(run.architecture), data=run.data)
    assert severities(learned, label_mismatch) == {"output": "watch"}


def test_ignored_classes_are_not_judged():
    run = ending("softmax", y=traces.labels(maximum=255.0))
    options = {**run.architecture.loss_options, "ignore_class": 255}
    run = replace(run, architecture=replace(run.architecture, loss_options=options))
    assert "255" in outcome(run, label_mismatch).reason


def test_unequal_classes_are_watched():
    rare = traces.labels(largest=0.9, smallest=0.05, classes=2)
    run = replace(traces.stuck(), data=traces.data(answers=rare))
    assert severities(run, class_imbalance) == {None: "watch"}
    some = replace(run, data=traces.data(answers=replace(rare, smallest=0.1)))
    assert severities(some, class_imbalance) == {}
    few = replace(run, data=traces.data(answers=rare, samples=50))
    assert "50 samples of 100" in outcome(few, class_imbalance).reason


def test_what_has_no_classes_is_exempt():
    run = ending(None, MSE, width=1, y=traces.labels("real"))
    found = outcome(run, class_imbalance)
    assert found.outcome == "not-evaluated" and set(found.exempt) == set(run.layers)


def estimating(targets, activation=None, loss=MSE, said=(-2.0, 2.0)):
    """Returns the first step of a model of one number."""
    run = ending(activation, loss, width=1, y=targets)
    output = replace(run.data.outputs[0], minimum=said[0], maximum=said[1])
    return replace(run, data=replace(run.data, outputs=(output,)))


RAW = traces.labels("real", shape=(1,), minimum=25.0, maximum=346.0, std=77.0, deviation=66.0)
YEARS = traces.labels("real", shape=(1,), minimum=1990.0, maximum=2020.0, std=9.0, deviation=8.0)


def curve(run, *values):
    """Returns a whole run of the same model with this loss."""
    loss = np.interp(np.arange(31), np.linspace(0, 30, len(values)), values)
    whole = replace(traces.trace(run.architecture), data=run.data)
    return traces.with_series(whole, loss=loss, probe_loss=loss)


@pytest.mark.parametrize("loss", [MSE, "mean_absolute_error", "huber"])
@pytest.mark.parametrize("targets", [RAW, YEARS])
def test_targets_far_from_the_first_answers_are_watched(targets, loss):
    run = estimating(targets, loss=loss)
    assert severities(run, target_range) == {"output": "watch"}
    assert "the untrained model says -2 to 2" in outcome(run, target_range).findings[0].message
    unseen = replace(run, data=replace(run.data, outputs=()))
    assert severities(unseen, target_range) == {"output": "watch"}


def test_raw_targets_are_never_more_than_watched_and_not_at_all_once_the_loss_is_low():
    run = estimating(RAW)
    assert severities(curve(run, 3e4, 3e3), target_range) == {}
    assert severities(curve(run, 3e4, 3e4), target_range) == {"output": "watch"}
    assert severities(curve(run, 3e4, np.nan), target_range) == {"output": "watch"}
    slow = curve(run, 3e4, 2.5e4)
    assert severities(replace(slow, planned_steps=6000), target_range) == {}
    assert severities(replace(slow, planned_steps=600), target_range) == {"output": "watch"}


@pytest.mark.parametrize(
    "run",
    [
        estimating(replace(RAW, minimum=-3.0, maximum=14.0, std=1.0)),  # standardised, a far one
        estimating(RAW, said=(140.0, 160.0)),  # the bias begins at the mean
        estimating(YEARS, said=(-1500.0, 900.0)),  # the inputs are years too
        estimating(RAW, "sigmoid"),  # that is label-mismatch's
    ],
)
def test_targets_that_are_near_are_healthy(run):
    assert severities(run, target_range) == {}


@pytest.mark.parametrize(
    "loss",
    ["sparse_categorical_crossentropy", "mean_squared_logarithmic_error", "poisson"],
)
def test_the_size_of_targets_is_nothing_to_other_losses(loss):
    found = outcome(estimating(RAW, loss=loss), target_range)
    assert found.outcome == "not-evaluated" and set(found.exempt) == {"dense", "output"}


def test_targets_of_unknown_spread_are_healthy_only_if_it_is_known():
    unknown = outcome(estimating(replace(RAW, std=np.nan)), target_range)
    assert unknown.outcome == "not-evaluated" and "spread" in unknown.reason
    own = estimating(RAW)
    own = replace(own, architecture=replace(own.architecture, loss_options={}))
    assert "none of Keras' own" in outcome(own, target_range).reason
