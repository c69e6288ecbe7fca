"""A model and its data are judged without any training."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras import layers  # noqa: E402

from tests import keras_models  # noqa: E402
from tfdiag.errors import TfdiagError  # noqa: E402
from tfdiag.lint import lint  # noqa: E402


def network(*last, loss="sparse_categorical_crossentropy", **compiled):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), *last])
    model.compile("sgd", loss, **compiled)
    return model


def samples(classes=3, count=300, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 4)).astype("float32"), random.integers(0, classes, count)


def found(report):
    return {finding.rule: finding.severity for finding in report.findings}


@pytest.mark.parametrize("kind", list(keras_models.KINDS))
def test_healthy_models_have_no_finding(kind):
    report = lint(keras_models.compiled(kind), keras_models.images(300))
    assert found(report) == {}
    silent = {o.rule for o in report.outcomes if o.outcome == "not-evaluated"}
    graph = {"missing-nonlinearity", "dead-on-arrival"}
    assert silent - graph == {"batchnorm-small-batch", "batch-of-one"}
    assert not silent & graph or kind == "subclassed"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_files_are_read(tmp_path):
    x, y = samples()
    network(layers.Dense(3)).save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    report = lint(tmp_path / "model.keras", tmp_path / "data.npz")
    assert found(report) == {"loss-activation-mismatch": "critical"}


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (lambda: network(layers.Dense(1, "softmax"), loss="binary_crossentropy"), "loss-act"),
        (lambda: network(layers.Dense(3, "softmax", trainable=False), layers.Dense(3)), "loss-act"),
        (lambda: network(layers.Dense(2, "softmax")), "label-mismatch"),
        (
            lambda: network(layers.Dense(3, "softmax"), loss="categorical_crossentropy"),
            "label-mismatch",
        ),
    ],
)
def test_broken_models_are_found(model, rule):
    findings = lint(model(), samples()).findings
    assert [f.severity for f in findings if f.rule.startswith(rule)] == ["critical"]


def test_nothing_to_train_and_dead_units():
    model = network(layers.Dense(8, "relu", kernel_initializer="zeros"), layers.Dense(3, "softmax"))
    assert found(lint(model)) == {"dead-on-arrival": "critical"}
    model = network(layers.Dense(3, "softmax"))
    model.trainable = False
    assert found(lint(model)) == {"nothing-trainable": "critical"}


def test_a_broken_input_is_found():
    x, y = samples()
    x[3, 2] = np.nan
    assert found(lint(network(layers.Dense(3, "softmax")), (x, y))) == {
        "input-nonfinite": "critical"
    }


def test_without_data_what_needs_it_is_not_judged():
    report = lint(network(layers.Dense(3, "softmax")))
    reasons = {o.rule: o.reason for o in report.outcomes if o.outcome == "not-evaluated"}
    assert {"label-mismatch", "input-range", "probe-too-small"} <= set(reasons)
    assert "no probe set" in reasons["input-range"]


def test_the_model_is_left_as_it_was():
    model = network(layers.BatchNormalization(), layers.Dense(3, "softmax"))
    before = [np.array(tf.convert_to_tensor(weight)) for weight in model.weights]
    lint(model, samples())
    after = [np.array(tf.convert_to_tensor(weight)) for weight in model.weights]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_data_of_another_shape_is_said():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TfdiagError, match=r"data's samples .* shape \(5,\), .* expects \(4,\)"):
        lint(model, (np.zeros((8, 5), np.float32), np.zeros(8)))


def test_wrong_files_are_said(tmp_path):
    with pytest.raises(TfdiagError, match="loaded as a Keras model"):
        lint(tmp_path / "none.keras")
    np.savez(tmp_path / "data.npz", a=np.zeros(3))
    with pytest.raises(TfdiagError, match="arrays `x` and `y`"):
        lint(network(layers.Dense(3, "softmax")), tmp_path / "data.npz")
