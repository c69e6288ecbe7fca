from dataclasses import replace

import pytest

from tests import traces
from tests.static import at_start, chain, dense, outcome, plain, severities, without_graph
from tfdiag.rules.hidden_layers import dead_on_arrival, dropout_high, missing_nonlinearity


def test_a_linear_layer_before_another_is_watched():
    model = chain(dense("a"), dense("b", "relu"), dense("output", "softmax", 10, role="output"))
    assert severities(traces.trace(model), missing_nonlinearity) == {"a": "watch"}
    assert severities(traces.stuck(traces.trace(model)), missing_nonlinearity) == {"a": "warn"}
    through = chain(dense("a"), plain("drop", "Dropout", rate=0.2), dense("b", "relu"))
    assert severities(traces.trace(through), missing_nonlinearity) == {"a": "watch"}


@pytest.mark.parametrize(
    "between",
    [
        [plain("relu", "ReLU", "relu")],
        [plain("norm", "BatchNormalization"), plain("relu", "Activation", "relu")],
        [plain("norm", "LayerNormalization")],
        [plain("pool", "MaxPooling2D")],
        [plain("own", "Sampling")],
    ],
)
def test_something_between_two_linear_layers_is_enough(between):
    model = chain(dense("a"), *between, dense("b", "relu"))
    assert severities(traces.trace(model), missing_nonlinearity) == {}


@pytest.mark.parametrize(
    "layer",
    [
        dense("a", None, 8, inputs=64),  # a bottleneck
        dense("a", "relu"),
        replace(dense("a"), type="DepthwiseConv2D"),
        replace(dense("a"), type="Conv2D", options={"filters": 64, "kernel_size": "1x1"}),
        replace(dense("a"), type="Conv2D", options={"filters": 64, "kernel_size": "1x3"}),
        replace(
            dense("a"), type="Conv2D", options={"kernel_size": "4x4", "strides": "4x4"}
        ),  # patches
        replace(dense("a"), role="attention"),
    ],
)
def test_what_is_linear_on_purpose_is_healthy(layer):
    assert severities(traces.trace(chain(layer, dense("b", "relu"))), missing_nonlinearity) == {}


def test_a_function_between_two_layers_is_seen():
    model = chain(dense("a"), dense("b", "relu", options={"operations": "Gelu"}))
    assert severities(traces.trace(model), missing_nonlinearity) == {}


def test_a_linear_layer_with_a_skip_is_healthy():
    model = chain(dense("a"), dense("b", "relu"), plain("add", "Add"))
    layers = (*model.layers[:2], replace(model.layers[2], inputs=("a", "b")))
    assert severities(traces.trace(replace(model, layers=layers)), missing_nonlinearity) == {}


@pytest.mark.parametrize("rule", [missing_nonlinearity, dead_on_arrival])
def test_without_a_graph_nothing_is_said(rule):
    run = traces.trace(without_graph(traces.architecture()))
    assert "which layer feeds which" in outcome(run, rule).reason


ALIKE = {"units_alike": True, "kernel_initializer": "Constant"}


def test_units_that_stay_alike_are_critical():
    output = dense("output", "softmax", 10, role="output", options={"inputs_alike": True})
    run = at_start(traces.trace(chain(dense("a", "tanh", options=ALIKE), output)))
    assert severities(run, dead_on_arrival) == {"a": "critical"}
    zero = dense("a", "relu", options={**ALIKE, "kernel_is_zero": True})
    run = at_start(traces.trace(chain(zero, dense("output", "softmax", 10, role="output"))))
    assert severities(run, dead_on_arrival) == {"a": "critical"}


@pytest.mark.parametrize(
    "layers",
    [
        [dense("a", "relu", options=ALIKE)],  # the next layer's random weights make them differ
        [dense("a", "tanh", options={**ALIKE, "kernel_is_zero": True})],
        [dense("a", "relu", options={**ALIKE, "kernel_is_zero": True, "bias_is_positive": True})],
    ],
)
def test_units_that_become_different_are_watched(layers):
    output = dense("output", "softmax", 10, role="output")
    run = at_start(traces.trace(chain(*layers, output)))
    assert severities(run, dead_on_arrival) == {"a": "watch"}


def test_zero_on_purpose_is_healthy():
    zero = {**ALIKE, "kernel_is_zero": True}
    output = dense("output", "softmax", 10, role="output", options=zero)
    assert severities(traces.trace(chain(dense("a", "relu"), output)), dead_on_arrival) == {}
    branch = dense("branch", None, options=zero)  # the last layer of a residual branch
    model = chain(dense("a", "relu"), branch, plain("add", "Add"), output)
    layers = (*model.layers[:2], replace(model.layers[2], inputs=("a", "branch")), model.layers[3])
    assert severities(traces.trace(replace(model, layers=layers)), dead_on_arrival) == {}
    frozen = chain(dense("a", "relu", options=zero, trainable=False), output)
    assert severities(traces.trace(frozen), dead_on_arrival) == {}


@pytest.mark.parametrize(
    ("rate", "start", "stuck"),
    [(0.5, {}, {}), (0.6, "watch", "warn"), (0.95, "warn", "warn")],
)
def test_dropout(rate, start, stuck):
    model = chain(dense("a", "relu"), plain("drop", "Dropout", rate=rate), dense("b", "relu"))
    run = traces.trace(model)
    expected = {"drop": start} if start else {}
    assert severities(at_start(run), dropout_high) == expected
    assert severities(traces.stuck(run), dropout_high) == ({"drop": stuck} if stuck else {})
    learned = {"drop": "watch"} if start else {}
    assert severities(run, dropout_high) == learned
