from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tests.test_rules_static import at_start, chain, dense, ending, outcome, plain, severities
from tfdiag.rules.data import (
    class_imbalance,
    input_flat,
    input_nonfinite,
    input_range,
    label_mismatch,
    prediction_collapse,
    probe_too_small,
)


def given(*inputs, run=None):
    return replace(run or traces.trace(), data=traces.data(*inputs))


def test_nan_in_the_inputs_is_critical_unless_the_loss_survives():
    run = given(traces.inputs(nonfinite=0.01))
    assert severities(run, input_nonfinite) == {None: "watch"}
    lost = traces.with_series(run, probe_loss=np.nan)
    assert severities(lost, input_nonfinite) == {None: "critical"}
    assert severities(traces.trace(), input_nonfinite) == {}


def test_inputs_all_alike():
    flat = traces.inputs(minimum=0.0, maximum=0.0, std=0.0)
    assert severities(at_start(given(flat)), input_flat) == {None: "warn"}
    mask = traces.inputs(name="mask", minimum=1.0, maximum=1.0, std=0.0)
    assert severities(at_start(given(traces.inputs(), mask)), input_flat) == {None: "watch"}
    tiny = traces.inputs(minimum=0.0, maximum=1.0, std=1e-6)  # nearly empty, but not all alike
    assert severities(given(tiny), input_flat) == {}


LARGE = traces.inputs(minimum=0.0, maximum=255.0)


def test_large_inputs_are_a_warning_only_if_nothing_is_learned():
    assert severities(at_start(given(LARGE)), input_range) == {None: "watch"}
    assert severities(given(LARGE), input_range) == {None: "watch"}
    assert severities(given(LARGE, run=traces.stuck()), input_range) == {None: "warn"}


@pytest.mark.parametrize(("mean", "severity"), [(120.0, "warn"), (0.0, "watch")])
def test_a_slow_fall_is_held_only_against_inputs_off_centre(mean, severity):
    slow = dict.fromkeys(("loss", "probe_loss"), np.linspace(2.3, 1.5, 31))
    run = replace(traces.with_series(traces.trace(), **slow), planned_steps=600)
    large = traces.inputs(minimum=-124.0, maximum=255.0, mean=mean, std=60.0)
    assert severities(given(large, run=run), input_range) == {None: severity}


@pytest.mark.parametrize(("std", "severity"), [(60.0, "warn"), (1.0, "watch")])
def test_a_few_large_entries_of_standardised_inputs_do_not_saturate_a_tanh(std, severity):
    slow = dict.fromkeys(("loss", "probe_loss"), np.linspace(2.3, 1.5, 31))
    tanh = traces.trace(traces.architecture(activation="tanh"))
    run = replace(traces.with_series(tanh, **slow), planned_steps=600)
    heavy = traces.inputs(minimum=-3.0, maximum=60.0, std=std)
    assert severities(given(heavy, run=run), input_range) == {None: severity}


def test_standardised_inputs_are_healthy():
    assert severities(given(traces.inputs(minimum=-14.0, maximum=8.0)), input_range) == {}


@pytest.mark.parametrize(
    "first",
    [
        [plain("scale", "Rescaling")],
        [replace(dense("norm"), type="Normalization", role="normalization")],
        [replace(dense("tokens"), type="Embedding", role="embedding")],
        [plain("own", "Lambda")],
        [dense("a", None), replace(dense("norm"), role="normalization")],
        [dense("a", "relu", options={"operations": "Divide"})],
    ],
)
def test_inputs_that_the_model_scales_are_healthy(first):
    model = chain(*first, dense("b", "relu"), dense("output", "softmax", 10, role="output"))
    assert severities(given(LARGE, run=traces.stuck(traces.trace(model))), input_range) == {}


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


@pytest.mark.parametrize("rule", [class_imbalance, prediction_collapse])
def test_what_has_no_classes_is_exempt(rule):
    run = ending(None, MSE, width=1, y=traces.labels("real"))
    found = outcome(run, rule)
    assert found.outcome == "not-evaluated" and set(found.exempt) == set(run.layers)


def test_a_small_probe_set_is_watched():
    run = traces.trace()
    assert severities(run, probe_too_small) == {}
    assert severities(replace(run, probe_samples=20), probe_too_small) == {None: "watch"}
    without = replace(
        run, probe_samples=0, data=None, not_measured={"probe_loss": "no probe set was given"}
    )
    for rule in (probe_too_small, input_nonfinite, input_flat, input_range, label_mismatch):
        assert outcome(without, rule).reason == "no probe set was given"


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
