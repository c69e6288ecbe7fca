from dataclasses import replace

import pytest

from tests import traces
from tests.static import at_start, chain, dense, ending, outcome, plain, severities, without_graph
from tfdiag.rules.last_layer import loss_activation_mismatch


def poorly(run):
    """Returns the same model in a run whose loss does not fall."""
    return replace(traces.stuck(traces.trace(run.architecture)), data=run.data)


BINARY = "binary_crossentropy"


@pytest.mark.parametrize(
    ("run", "severity"),
    [
        (ending("softmax", BINARY, width=1), "critical"),
        (ending("softmax", "mean_squared_error", width=1), "critical"),
        (ending("sigmoid", "categorical_crossentropy", width=1), "critical"),
        (ending(None), "critical"),
        (ending(None, BINARY, width=1), "critical"),
        (ending("relu"), "warn"),
        (ending("tanh", BINARY, width=1), "warn"),
        (ending("relu", logits=True), "watch"),
        (ending("softmax", logits=True), "watch"),
        (ending("sigmoid", BINARY, logits=True, width=1), "watch"),
        (ending("sigmoid", "categorical_crossentropy"), "watch"),
        (ending("softmax", "mean_squared_error", y=traces.labels("one-hot")), "watch"),
    ],
)
def test_a_wrong_end_is_found_at_step_0(run, severity):
    assert severities(run, loss_activation_mismatch) == {"output": severity}
    assert outcome(run, loss_activation_mismatch).findings[0].step == 0


@pytest.mark.parametrize(
    "run",
    [
        ending("softmax"),
        ending(None, logits=True),
        ending("softmax", BINARY, width=2, y=traces.labels("one-hot", shape=(2,))),
        ending("sigmoid", BINARY, width=5, y=traces.labels("multi-hot", shape=(5,))),
        ending("sigmoid", BINARY, width=1),
        ending("sigmoid", "mean_squared_error", width=1),
        ending(None, "mean_squared_error", width=1),
        ending("relu", "mean_absolute_error", width=1),
    ],
)
def test_a_fitting_end_is_healthy(run):
    assert severities(run, loss_activation_mismatch) == {}


def test_a_strange_end_that_learns_is_only_watched():
    run = ending("sigmoid", "categorical_crossentropy")
    learned = traces.trace(run.architecture)
    assert severities(learned, loss_activation_mismatch) == {"output": "watch"}
    assert severities(poorly(run), loss_activation_mismatch) == {"output": "warn"}
    assert severities(poorly(ending(None)), loss_activation_mismatch) == {"output": "critical"}
    learned = traces.trace(ending(None).architecture)
    assert severities(learned, loss_activation_mismatch) == {"output": "watch"}


def test_one_unit_is_critical_although_the_loss_falls():
    run = ending("softmax", BINARY, width=1)
    learned = replace(traces.trace(run.architecture), data=run.data)
    assert severities(learned, loss_activation_mismatch) == {"output": "critical"}


def test_what_keras_repairs_is_never_blamed():
    run = poorly(ending("softmax", logits=True))
    assert severities(run, loss_activation_mismatch) == {"output": "watch"}


def test_a_softmax_of_a_softmax_is_found():
    softmax = plain("again", "Softmax", "softmax", (10,))
    head = dense("output", "softmax", 10, role="output")
    model = chain(dense("dense", "relu"), head, replace(softmax, role="output"))
    run = at_start(traces.trace(model))
    assert severities(run, loss_activation_mismatch) == {"again": "warn"}
    linear = chain(
        dense("dense", "relu"), replace(head, activation=None), replace(softmax, role="output")
    )
    assert severities(at_start(traces.trace(linear)), loss_activation_mismatch) == {}


def test_what_hands_values_on_does_not_hide_the_activation():
    head = dense("output", "softmax", 10, role="output")
    last = replace(plain("float32", "Activation", None, (10,)), role="output")
    model = chain(dense("dense", "relu"), head, last)
    assert severities(at_start(traces.trace(model)), loss_activation_mismatch) == {}


def test_functions_behind_the_last_layer_count():
    head = dense("output", None, 10, role="output", options={"follows": "Softmax"})
    run = at_start(traces.trace(chain(dense("dense", "relu"), head)))
    assert severities(run, loss_activation_mismatch) == {}
    unknown = dense("output", None, 10, role="output", options={"follows": "Clip"})
    run = traces.trace(chain(dense("dense", "relu"), unknown))
    assert "not known" in outcome(run, loss_activation_mismatch).reason


def test_without_a_graph_only_the_models_answers_prove_anything():
    run = ending(None)
    run = replace(run, architecture=without_graph(run.architecture))
    assert "not known" in outcome(run, loss_activation_mismatch).reason
    negative = replace(run.data.outputs[0], minimum=-2.0, maximum=3.0, adds_up=False)
    run = replace(run, data=replace(run.data, outputs=(negative,)))
    assert severities(run, loss_activation_mismatch) == {"output": "critical"}


def test_classes_on_another_axis_are_not_judged():
    run = ending("softmax")
    options = {**run.architecture.loss_options, "axis": 1}
    run = replace(run, architecture=replace(run.architecture, loss_options=options))
    assert "last axis" in outcome(run, loss_activation_mismatch).reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"loss_options": None}, "none of Keras' own"),
        ({"loss_options": {}}, "none of Keras' own"),
        ({"loss_options": {"kind": "poisson", "from_logits": False}}, "poisson"),
    ],
)
def test_other_losses_are_not_judged(changes, reason):
    run = traces.trace(replace(traces.architecture(), **changes))
    assert reason in outcome(run, loss_activation_mismatch).reason
