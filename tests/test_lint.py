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
from tfdiag.report import verdict  # noqa: E402


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
    assert silent - graph == {"batchnorm-small-batch", "batch-of-one", "target-range"}
    assert not silent & graph or kind == "subclassed"
    assert verdict(report).severity == "ok"


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


def test_targets_as_they_are_are_watched_unless_the_model_begins_near():
    x, _ = samples()
    years = 2000 + 5 * x[:, :1]
    assert found(lint(network(layers.Dense(1), loss="mse"), (x, years))) == {
        "target-range": "watch"
    }
    mean = keras.initializers.Constant(2000.0)
    near = network(layers.Dense(1, bias_initializer=mean), loss="mse")
    assert found(lint(near, (x, years))) == {}


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
    assert reasons["input-range"] == "needs data: --data samples.npz"


def test_a_model_without_a_loss_is_said():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    reasons = {outcome.rule: outcome.reason for outcome in lint(model).outcomes}
    assert "without a loss" in reasons["loss-activation-mismatch"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_file_tells_of_hidden_layers_as_much_as_the_model_does(tmp_path):
    model = network(layers.Dense(8), layers.Dense(8, "relu"), layers.Dense(3, "softmax"))
    assert found(lint(model)) == {"missing-nonlinearity": "watch"}
    model.save(tmp_path / "model.keras")
    assert found(lint(tmp_path / "model.keras")) == {"missing-nonlinearity": "watch"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_file_with_layers_of_ones_own_is_said_in_one_line(tmp_path):
    class Mine(layers.Dense):
        pass

    network(Mine(3, "softmax")).save(tmp_path / "model.keras")
    with pytest.raises(TfdiagError, match="locate class 'Mine'.*in the program that") as raised:
        lint(tmp_path / "model.keras")
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("last", "loss", "code"),
    [
        (
            layers.Dense(3),
            "sparse_categorical_crossentropy",
            "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
        ),
        (
            layers.Dense(1, "relu"),
            "binary_crossentropy",
            "activation=None\nloss=keras.losses.BinaryCrossentropy(from_logits=True)",
        ),
        (layers.Dense(1, "softmax"), "binary_crossentropy", 'activation="sigmoid"'),
        (layers.Dense(1, "softmax"), "mse", "activation=None"),
        (layers.Dense(1, "softmax"), "categorical_crossentropy", None),
    ],
)
def test_a_wrong_end_comes_with_the_arguments_that_mend_it(last, loss, code):
    assert verdict(lint(network(last, loss=loss))).try_first.code == code


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
