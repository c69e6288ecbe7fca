"""What two runs were set to: each difference is told, equal things are counted."""

from dataclasses import replace

import numpy as np

from tests import traces
from tfdiag.architecture import counterparts
from tfdiag.settings import compared, settings


def facts(run=None, **changes):
    fields = {
        "thresholds": {"dead-relu": {"warn": 0.5, "critical": 0.95}},
        "versions": {"tfdiag": "0.1.0"},
        "monitor": {"every": 5},
        **changes,
    }
    return settings(run or traces.trace(), **fields)


def different(run, baseline):
    found = compared(run, baseline)
    return {
        (one.group, one.name): (one.run, one.baseline, one.only) for one in found if not one.same
    }


def test_a_run_differs_in_nothing_from_itself():
    found = compared(facts(), facts())
    assert all(one.same for one in found)
    names = [(one.group, one.name) for one in found]
    assert len(set(names)) == len(names)
    assert {("training", "optimizer"), ("layers", "dense"), ("data", "probe samples")} <= set(names)
    assert ("data", "input") in names and ("thresholds", "dead-relu") in names
    (dense,) = (one for one in found if one.name == "dense")
    assert dense.run == dense.baseline == "Dense 64 relu"


def test_what_a_training_was_set_to():
    model = traces.architecture(optimizer="Adam", settings={"learning_rate": 0.1})
    run = replace(traces.with_series(traces.trace(model), batch_size=64), probe_samples=9)
    good = traces.trace(
        traces.architecture(loss="mse", settings={"learning_rate": 0.01, "clip": None})
    )
    found = different(facts(run), facts(good))
    assert found["training", "optimizer"] == ("Adam", "SGD", None)
    assert found["training", "learning_rate"] == (0.1, 0.01, None)
    assert found["training", "batch_size"] == (64, 32, None)
    assert found["training", "loss"] == ("sparse_categorical_crossentropy", "mse", None)
    assert found["training", "clip"] == (None, None, "baseline")
    assert found["data", "probe samples"] == (9, 256, None)


def test_the_size_of_a_batch_is_that_of_the_whole_ones():
    """The last batch of an epoch has what is left."""
    sizes = np.where(np.arange(31) % 10 == 9, 29, 64)
    found = different(facts(traces.with_series(traces.trace(), batch_size=sizes)), facts())
    assert found["training", "batch_size"] == (64, 32, None)


def test_layers_added_removed_and_changed():
    model = traces.architecture()
    dense, second, *others = model.layers
    changed = replace(
        second,
        activation="tanh",
        parameters=7,
        shape=(None, 3),
        options={**second.options, "units": 3},
    )
    extra = traces.layer("extra", None, type="Dropout")
    run = traces.trace(replace(model, layers=(changed, *others, extra)))
    found = different(facts(run), facts())
    assert found == {
        ("layers", "dense_1: activation"): ("tanh", "relu", None),
        ("layers", "dense_1: parameters"): (7, 4160, None),
        ("layers", "dense_1: shape"): ("? × 3", "64", None),
        ("layers", "dense_1: units"): (3, 64, None),
        ("layers", "extra"): ("Dropout 64", None, "run"),
        ("layers", "dense"): (None, "Dense 64 relu", "baseline"),
    }


def test_thresholds_versions_and_monitor():
    run = facts(
        thresholds={"dead-relu": {"warn": 0.4, "critical": 0.95}, "new-rule": {"limit": 1}},
        versions={"tfdiag": "0.2.0", "keras": "3"},
        monitor={"every": 5, "budget": 0.02},
    )
    assert different(run, facts()) == {
        ("thresholds", "dead-relu: warn"): (0.4, 0.5, None),
        ("thresholds", "new-rule"): ("limit 1", None, "run"),
        ("versions", "tfdiag"): ("0.2.0", "0.1.0", None),
        ("versions", "keras"): ("3", None, "run"),
        ("monitor", "budget"): (0.02, None, "run"),
    }


def test_names_that_keras_numbered_are_no_difference():
    model = traces.architecture()
    layers = tuple(
        replace(one, name=f"dense_{i + 4}", inputs=(f"dense_{i + 3}",) if i else ())
        for i, one in enumerate(model.layers[:-1])
    )
    output = replace(model.layers[-1], inputs=("dense_6",))
    later = traces.trace(replace(model, layers=(*layers, output)))
    names = counterparts(later.architecture, model)
    assert different(facts(), facts(later, names=names)) == {}


def test_data_is_compared_as_it_is_told():
    one = replace(traces.trace(), data=traces.data(traces.inputs(mean=0.0001234, shape=(8, 8, 1))))
    other = replace(
        traces.trace(), data=traces.data(traces.inputs(mean=0.00012341, shape=(8, 8, 1)))
    )
    assert different(facts(one), facts(other)) == {}
    raw = replace(traces.trace(), data=traces.data(traces.inputs(maximum=255.0, shape=(8, 8, 1))))
    assert different(facts(raw), facts(one))["data", "input: maximum"] == (255, 8, None)
    assert different(facts(replace(one, data=None)), facts(one))["data", "input"][2] == "baseline"


def test_labels_that_are_no_classes_have_no_number_of_them():
    real = replace(traces.trace(), data=traces.data(answers=traces.labels("real")))
    assert "classes" not in facts(real)["data"]["labels"]
    assert facts()["data"]["labels"]["classes"] == 10
    found = different(facts(real), facts())
    assert found["data", "labels: kind"] == ("real", "classes", None)
    assert found["data", "labels: classes"] == (None, 10, "baseline")


def test_of_several_inputs_and_labels_each_has_its_name():
    given = traces.inputs(name="age"), traces.inputs(name="1")
    both = traces.labels(), traces.labels("real")
    data = replace(traces.data(*given), labels=both)
    told = facts(replace(traces.trace(), data=data))["data"]
    assert set(told) == {"probe samples", "input age", "input 1", "labels 0", "labels 1"}
    nested = replace(traces.trace(), data=traces.data(traces.inputs(), traces.inputs()))
    assert {"input 0", "input 1", "labels"} < set(facts(nested)["data"])
