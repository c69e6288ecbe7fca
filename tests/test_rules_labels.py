from dataclasses import replace

import pytest

from tests import traces
from tests.static import ending, outcome, severities
from tfdiag.rules.labels import class_imbalance, label_mismatch

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
