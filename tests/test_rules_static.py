from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.architecture import Architecture
from tfdiag.rules import STATIC_RULES, check
from tfdiag.rules.progress import progress
from tfdiag.rules.static import (
    batch_of_one,
    batchnorm_small_batch,
    dead_on_arrival,
    dropout_high,
    frozen_output,
    loss_activation_mismatch,
    missing_nonlinearity,
    nothing_trainable,
)

CONVERGED = 1.6 + 0.7 * np.exp(-np.arange(31) / 1.5) + 0.01 * (-1.0) ** np.arange(31)


def outcome(run, rule):
    return check(run, [rule]).outcomes[0]


def severities(run, rule):
    found = outcome(run, rule)
    assert found.outcome != "not-evaluated", found.reason
    return {finding.layer: finding.severity for finding in found.findings}


def at_start(run):
    """Returns the run at step 0."""
    return replace(
        run,
        steps=run.steps[:1],
        columns={name: values[:1] for name, values in run.columns.items()},
        series={name: values[:1] for name, values in run.series.items()},
        wall_times=run.wall_times[:1],
    )


def chain(*layers, **changes):
    """Returns a model in which each layer feeds the next."""
    names = [layer.name for layer in layers]
    linked = [
        replace(layer, inputs=tuple(names[i - 1 : i]) if i else ())
        for i, layer in enumerate(layers)
    ]
    base = traces.architecture()
    return replace(base, layers=tuple(linked), **changes)


def dense(name, activation=None, units=64, inputs=64, **changes):
    options = {"units": units, "use_bias": True, **changes.pop("options", {})}
    parameters = units * inputs + units
    return traces.layer(
        name, activation, shape=(units,), parameters=parameters, options=options, **changes
    )


def plain(name, type, activation=None, shape=(64,), **options):
    return traces.layer(
        name,
        activation,
        type=type,
        shape=shape,
        parameters=0,
        trainable=False,
        options=options,
    )


def ending(activation, loss="sparse_categorical_crossentropy", *, logits=False, width=10, y=None):
    """Returns the first step of a model with this end."""
    head = dense("output", activation, width, role="output")
    options = {"kind": loss, "from_logits": logits, "regularized": False}
    model = chain(dense("dense", "relu"), head, loss=loss, loss_options=options)
    run = traces.trace(model)
    facts = traces.data(answers=y)
    said = replace(facts.outputs[0], shape=(width,))
    return at_start(replace(run, data=replace(facts, outputs=(said,))))


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


def without_graph(model: Architecture):
    return replace(model, layers=tuple(replace(layer, inputs=()) for layer in model.layers))


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


def test_a_recording_without_options_is_not_judged():
    model = traces.architecture()
    old = replace(
        model,
        layers=tuple(replace(layer, options=None) for layer in model.layers),
        loss_options=None,
    )
    run = replace(traces.trace(old), data=None)
    reasons = {o.rule: o.reason for o in check(run, STATIC_RULES).outcomes if o.reason}
    known = {"nothing-trainable", "frozen-output", "batch-of-one"}
    known |= {"batchnorm-small-batch", "probe-too-small"}
    assert set(reasons) == {rule.id for rule in STATIC_RULES} - known
    assert all("older" in reason for reason in reasons.values())


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


def test_a_model_of_frozen_layers_is_found():
    model = traces.architecture()
    frozen = replace(model, layers=tuple(replace(x, trainable=False) for x in model.layers))
    run = at_start(traces.trace(frozen))
    assert severities(run, nothing_trainable) == {None: "critical"}
    head = (*frozen.layers[:-1], model.layers[-1])
    tuned = outcome(traces.trace(replace(model, layers=head)), nothing_trainable)
    assert tuned.outcome == "healthy"
    assert tuned.exempt == dict.fromkeys(("dense", "dense_1", "dense_2"), "frozen")


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


def test_batch_normalization_of_few_samples_is_watched():
    norm = replace(dense("norm"), type="BatchNormalization", role="normalization")
    run = traces.trace(chain(dense("a"), norm, dense("b", "relu")))
    assert severities(run, batchnorm_small_batch) == {}
    small = traces.with_series(run, batch_size=4)
    assert severities(small, batchnorm_small_batch) == {"norm": "watch"}
    assert severities(traces.with_series(traces.trace(), batch_size=4), batchnorm_small_batch) == {}
    series = {name: values for name, values in run.series.items() if name != "batch_size"}
    assert "batch_size" in outcome(replace(run, series=series), batchnorm_small_batch).reason


def test_a_healthy_run_is_healthy():
    assert [o.outcome for o in check(traces.trace(), STATIC_RULES).outcomes] == ["healthy"] * len(
        STATIC_RULES
    )
    assert not check(at_start(traces.trace()), STATIC_RULES).findings
    assert np.isfinite(traces.trace().data.inputs[0].std)


def test_a_frozen_output_is_watched_until_the_loss_suffers():
    model = traces.architecture()
    head = replace(model.layers[-1], trainable=False)
    fixed = replace(model, layers=(*model.layers[:-1], head))
    assert severities(traces.trace(fixed), frozen_output) == {"output": "watch"}
    assert severities(traces.stuck(traces.trace(fixed)), frozen_output) == {"output": "warn"}


def test_a_frozen_output_is_a_warning_while_classes_are_learned_slowly():
    model = traces.architecture()
    fixed = replace(model, layers=(*model.layers[:-1], replace(model.layers[-1], trainable=False)))
    curve = np.linspace(2.3, 1.5, 31)
    slow = traces.with_series(traces.trace(fixed), loss=curve, probe_loss=curve)
    assert progress(slow).state == "improving"
    assert severities(replace(slow, planned_steps=600), frozen_output) == {"output": "warn"}
    assert severities(replace(slow, planned_steps=2400), frozen_output) == {"output": "watch"}
    answers = ending("sigmoid", BINARY, width=1).architecture
    judge = replace(answers.layers[-1], trainable=False)
    judged = replace(slow, architecture=replace(answers, layers=(*answers.layers[:-1], judge)))
    judged = traces.with_series(judged, loss=0.3 * curve, probe_loss=0.3 * curve)
    assert severities(replace(judged, planned_steps=600), frozen_output) == {"output": "watch"}


def test_a_frozen_backbone_below_a_trained_head_is_well():
    model = traces.architecture()
    below = tuple(replace(layer, trainable=False) for layer in model.layers[:-1])
    tuned = replace(model, layers=(*below, model.layers[-1]))
    assert outcome(traces.trace(tuned), frozen_output).outcome == "healthy"
    frozen = replace(tuned, layers=(*below, replace(model.layers[-1], trainable=False)))
    assert outcome(traces.trace(frozen), frozen_output).outcome == "healthy"
    assert severities(traces.trace(frozen), nothing_trainable) == {None: "critical"}


def test_a_generator_may_lose_against_its_frozen_judge():
    model = ending("sigmoid", BINARY, width=1).architecture
    judge = replace(model, layers=(*model.layers[:-1], replace(model.layers[-1], trainable=False)))
    run = traces.stuck(traces.trace(judge), level=0.9)
    assert progress(run).state == "stuck"
    assert severities(run, frozen_output) == {"output": "watch"}


def test_a_last_layer_that_only_scales_is_not_frozen():
    scale = traces.layer("scale", None, type="Normalization", trainable=False, role="output")
    run = traces.stuck(traces.trace(chain(dense("a", "relu"), dense("b"), scale)))
    assert outcome(run, frozen_output).outcome == "healthy"


def test_batches_of_one_are_watched_until_the_loss_suffers():
    run = traces.with_series(traces.trace(), batch_size=1.0)
    converged = traces.with_series(run, **dict.fromkeys(("loss", "probe_loss"), CONVERGED))
    assert progress(converged).state == "plateau"
    assert severities(converged, batch_of_one) == {None: "watch"}
    assert severities(run, batch_of_one) == {None: "watch"}
    assert severities(traces.stuck(run), batch_of_one) == {None: "warn"}
    swing = 1 + 0.2 * (-1.0) ** np.arange(31)
    above = traces.with_series(run, probe_loss=swing * np.linspace(2.3, 1.0, 31))
    assert severities(above, batch_of_one) == {None: "warn"}
    (finding,) = outcome(above, batch_of_one).findings
    assert "from look to look" in finding.message
    low = traces.with_series(run, probe_loss=np.where(run.steps > 200, 0.1 * swing, 2.3))
    assert severities(low, batch_of_one) == {None: "watch"}
    for level in (-5.0, 0.0):
        negative = traces.with_series(run, probe_loss=level + swing - 1)
        (finding,) = outcome(negative, batch_of_one).findings
        assert finding.severity == "watch" and "look to look" not in finding.message
    last = np.where(np.arange(31) == 30, 1.0, 32.0)  # the rest of an epoch
    assert outcome(traces.with_series(run, batch_size=last), batch_of_one).outcome == "healthy"
    model = replace(run.architecture, settings={"gradient_accumulation_steps": 16})
    assert outcome(replace(run, architecture=model), batch_of_one).outcome == "healthy"
    unknown = traces.with_series(run, batch_size=np.nan)
    assert outcome(unknown, batch_of_one).outcome == "not-evaluated"
