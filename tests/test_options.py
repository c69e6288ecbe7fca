"""The facts that static rules read, of real Keras models of every kind."""

import contextlib

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras import layers  # noqa: E402

import tfdiag  # noqa: E402
from tests import keras_models  # noqa: E402
from tfdiag.layers import describe, recorded_layers  # noqa: E402
from tfdiag.options import layer_options, loss_options  # noqa: E402


def described(model):
    return {one.name: one for one in describe(model, recorded_layers(model)).layers}


def built(layer, shape):
    layer.build(shape)
    return layer_options(layer)


def test_options_of_layers():
    found = {n: one.options for n, one in described(keras_models.compiled("sequential")).items()}
    assert found["conv_1"]["filters"] == 6 and found["conv_1"]["kernel_size"] == "3x3"
    assert found["conv_1"]["kernel_initializer"] == "GlorotUniform"
    assert found["conv_1"]["strides"] == "1x1" and found["conv_1"]["use_bias"] is True
    assert found["dropout"] == {"rate": 0.3}
    assert found["norm"]["momentum"] == 0.99
    assert found["dense"]["units"] == 8 and "units_alike" not in found["dense"]


@pytest.mark.parametrize("kind", ["nested", "subclassed", "functional"])
def test_every_kind_has_options(kind):
    model = keras_models.compiled(kind)
    model(keras_models.images(2)[0])
    found = described(model)
    prefix = "backbone/" if kind == "nested" else ""
    assert found[f"{prefix}conv_1"].options["kernel_size"] == "3x3"
    assert all(one.options is not None for one in found.values())


def test_a_layer_of_ones_own_has_none_of_keras_options():
    class Own(layers.Layer):
        rate = 0.95

        def call(self, x):
            return x

    assert layer_options(Own()) == {}


def test_what_biases_begin_with_and_what_pulls_at_weights():
    plain = layer_options(layers.Dense(2))
    assert "bias_initializer" not in plain and "kernel_regularizer" not in plain
    dead = keras.initializers.Constant(-1.0)
    told = layer_options(layers.Dense(2, bias_initializer=dead, kernel_regularizer="l2"))
    assert told["bias_initializer"] == "Constant(value=-1)"
    assert told["kernel_regularizer"] == "L2(l2=0.01)"
    seeded = layers.Dense(2, bias_initializer=keras.initializers.RandomNormal(seed=3))
    assert layer_options(seeded)["bias_initializer"] == "RandomNormal(mean=0, stddev=0.05)"


def test_an_initializer_of_ones_own_is_named():
    class Own(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return keras.ops.ones(shape, dtype)

        def get_config(self):
            raise NotImplementedError

    assert layer_options(layers.Dense(2, bias_initializer=Own()))["bias_initializer"] == "Own"


def test_weights_that_begin_alike():
    ones = built(layers.Dense(4, kernel_initializer="ones"), (None, 3))
    assert ones["units_alike"] and ones["inputs_alike"] and "kernel_is_zero" not in ones
    zeros = built(layers.Conv2D(4, 3, kernel_initializer="zeros"), (None, 8, 8, 2))
    assert zeros["kernel_is_zero"] and zeros["units_alike"]
    bias = built(layers.Dense(4, bias_initializer=lambda s, dtype=None: np.arange(4.0)), (None, 3))
    assert "units_alike" not in bias
    sure = built(layers.Dense(4, bias_initializer="ones"), (None, 3))
    assert sure["bias_is_positive"] and "units_alike" not in sure
    up = built(layers.Conv2DTranspose(4, 3, kernel_initializer="ones"), (None, 8, 8, 2))
    assert up["units_alike"]
    one = built(layers.Dense(1), (None, 3))
    assert "units_alike" not in one
    late = np.ones((40, 2), "float32")
    late[39, 1] = 2  # only the last row tells the units apart
    assert "units_alike" not in built(
        layers.Dense(2, kernel_initializer=lambda s, dtype=None: late), (None, 40)
    )


def test_operations_between_layers_are_noted():
    x = keras.Input((4,), name="x")
    hidden = keras.ops.relu(layers.Dense(5, name="a")(x / 2))
    output = keras.ops.softmax(layers.Dense(3, name="b")(hidden))
    found = described(keras.Model(x, output))
    assert found["a"].options["operations"] == "TrueDivide"
    assert found["b"].inputs == ("a",)
    assert found["b"].options["operations"] == "Relu"
    assert found["b"].options["follows"] == "Softmax"
    assert "operations" not in described(keras_models.compiled("functional"))["logits"].options


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("mse", {"kind": "mean_squared_error"}),
        ("sparse_categorical_crossentropy", {"kind": "sparse_categorical_crossentropy"}),
        (
            keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
            {"kind": "binary_crossentropy", "from_logits": True, "label_smoothing": 0.1},
        ),
        (keras.losses.MeanSquaredError(name="mine"), {"kind": "mean_squared_error"}),
        (
            keras.losses.SparseCategoricalCrossentropy(ignore_class=255),
            {"kind": "sparse_categorical_crossentropy", "ignore_class": 255},
        ),
        (keras.losses.huber, {"kind": "huber"}),
        (["mse"], {"kind": "mean_squared_error"}),
    ],
)
def test_options_of_keras_losses(loss, options):
    model = keras_models.compiled("sequential")
    model.compile("sgd", loss)
    found = loss_options(model, model.loss)
    assert {**found, **options} == found
    assert found["from_logits"] == options.get("from_logits", False)


def test_a_loss_of_ones_own_is_not_known():
    class Mine(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    model = keras_models.compiled("sequential")
    for loss in (Mine(), lambda y_true, y_pred: y_pred):
        model.compile("sgd", loss)
        assert loss_options(model, model.loss) == {}
    model = keras_models.sequential()
    model.compile("sgd")
    assert loss_options(model, model.loss) is None

    class Own(keras_models.Subclassed):
        def train_step(self, data):
            return super().train_step(data)

    own = Own()
    own.compile("sgd", "mse")
    assert loss_options(own, own.loss) == {}


def recorded_loss(tmp_path, *hidden, head=None, probe=True, **compiled):
    """Returns what a recording holds of the loss of a model of vectors with these layers."""
    x = np.random.default_rng(0).normal(size=(16, 6, 4)).astype("float32")
    y = np.zeros((16, 1), "float32")
    last = head or layers.Dense(1)
    model = keras.Sequential([keras.Input((6, 4)), *hidden, layers.Flatten(), last])
    model.compile("sgd", "mse", **compiled)
    given = {"probe": (x, y)} if probe else {}
    monitor = tfdiag.HealthMonitor(tmp_path, every=1, announce=False, **given)
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[monitor])
    return tfdiag.load(tmp_path).architecture.loss_options


class Adding(layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(x**2))
        return x


class WithWeight(layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), regularizer="l2")

    def call(self, x):
        return x * self.w


class Attending(layers.Layer):
    def __init__(self):
        super().__init__()
        self.attention = layers.MultiHeadAttention(2, 4, kernel_regularizer="l2")

    def call(self, x):
        return self.attention(x, x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3, kernel_regularizer="l2"),
        lambda: layers.Dense(3, activity_regularizer="l2"),
        lambda: layers.ActivityRegularization(0.1),
        lambda: layers.Bidirectional(layers.LSTM(3, kernel_regularizer="l2")),
        lambda: layers.TimeDistributed(layers.Dense(3, kernel_regularizer="l2")),
        lambda: layers.SeparableConv1D(3, 3, pointwise_regularizer="l2"),
        Attending,
        WithWeight,
        Adding,
    ],
)
def test_whatever_adds_to_the_loss_is_noted(tmp_path, make):
    assert recorded_loss(tmp_path / "probe", make())["regularized"] is True
    without = recorded_loss(tmp_path / "none", make(), probe=False)
    assert without.get("regularized") in (True, None)  # only a pass tells of `add_loss`


def test_a_plain_loss_is_noted_too(tmp_path):
    assert recorded_loss(tmp_path / "probe", layers.Dense(3))["regularized"] is False
    without = recorded_loss(tmp_path / "none", layers.Dense(3), probe=False)
    assert without["regularized"] is False and "weighted" not in without
    assert recorded_loss(tmp_path / "weighted", loss_weights=0.1)["weighted"] is True
    assert "weighted" not in recorded_loss(tmp_path / "one", loss_weights=[1.0])


def test_a_recording_has_all_of_it(tmp_path):
    x, y = keras_models.images()
    model = keras_models.compiled("subclassed")
    monitor = tfdiag.HealthMonitor(tmp_path, probe=(x, y), every=1, announce=False)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[monitor])
    trace = tfdiag.load(tmp_path)
    assert trace.architecture.loss_options["kind"] == "sparse_categorical_crossentropy"
    assert trace.architecture.layers[0].options["filters"] == 5
    (given,), (labels,), (output,) = trace.data.inputs, trace.data.labels, trace.data.outputs
    assert given.minimum == x.min() and given.maximum == x.max() and given.nonfinite == 0
    assert given.std == pytest.approx(x.std(), rel=1e-4)
    assert (labels.kind, labels.classes) == ("classes", 10)
    assert output.shape == (10,) and output.adds_up
    assert np.nanmax(trace.series["batch_size"]) == 16
    predicted = model.predict(x, verbose=0).argmax(axis=1)
    values, counts = np.unique(predicted, return_counts=True)
    assert trace.series["probe_top_class_share"][-1] == pytest.approx(counts.max() / len(x))
    true = np.mean(y == values[counts.argmax()])
    assert trace.series["probe_top_class_true_share"][-1] == pytest.approx(true)


@pytest.mark.parametrize(
    ("from_logits", "activation"), [(False, "sigmoid"), (True, None), (True, "sigmoid")]
)
def test_answers_of_a_single_unit(tmp_path, from_logits, activation):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, activation)])
    model.compile(keras.optimizers.SGD(0.0), keras.losses.BinaryCrossentropy(from_logits))
    model.layers[0].set_weights([np.ones((1, 1)), np.zeros(1)])
    x = np.array([-3.0, -0.2, 0.2, 0.4, 3.0, 4.0], np.float32)[:, None]
    y = np.array([0, 0, 0, 1, 1, 1])
    monitor = tfdiag.HealthMonitor(tmp_path, probe=(x, y), every=1, announce=False)
    with pytest.warns(UserWarning) if from_logits and activation else contextlib.nullcontext():
        model.fit(x, y, verbose=0, callbacks=[monitor])
    series = tfdiag.load(tmp_path).series
    assert series["probe_top_class_share"][0] == pytest.approx(4 / 6)
    assert series["probe_top_class_true_share"][0] == pytest.approx(3 / 6)


def test_numbers_are_no_answers(tmp_path):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 1), "float32")
    monitor = tfdiag.HealthMonitor(tmp_path, probe=(x, x), every=1, announce=False)
    model.fit(x, x, verbose=0, callbacks=[monitor])
    trace = tfdiag.load(tmp_path)
    assert "probe_top_class_share" not in trace.series
    assert "not for classes" in trace.not_measured["probe_top_class_share"]
