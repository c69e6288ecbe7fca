"""What the probe pass says of each layer, against the layer's own outputs in numpy."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from tests import keras_models  # noqa: E402
from tfdiag import statistics  # noqa: E402
from tfdiag.forward import ForwardTap  # noqa: E402
from tfdiag.layers import recorded_layers  # noqa: E402
from tfdiag.probe import probe_set  # noqa: E402
from tfdiag.trainer import Fit  # noqa: E402


def measure(model, x, y):
    layers = recorded_layers(model)
    sums = ForwardTap(Fit(model), layers).run(probe_set((x, y), len(x)))
    measures = statistics.probe_measures(sums.sums, sums.unit_max, sums.saturated)
    return layers, measures, sums


def slow_outputs(model, x):
    """Returns each layer's output, calling the layers one after another in eager mode."""
    seen = {}
    original = keras.layers.Layer.__call__

    def call(layer, *args, **kwargs):
        output = original(layer, *args, **kwargs)
        if tf.is_tensor(output):
            seen[id(layer)] = np.asarray(output)
        return output

    keras.layers.Layer.__call__ = call
    try:
        model(x, training=False)
    finally:
        keras.layers.Layer.__call__ = original
    return seen


def slow_dead(output):
    """Returns the share of units that are never above zero, unit by unit."""
    units = output.reshape(-1, output.shape[-1])
    return np.mean([not any(value > 0 for value in units[:, u]) for u in range(units.shape[1])])


def slow_saturated(output, low, high):
    """Returns the share of units in their flat end on 95 % of the probe, unit by unit."""
    units = output.reshape(-1, output.shape[-1])
    flat = [np.mean((units[:, u] < low) | (units[:, u] > high)) for u in range(units.shape[1])]
    return np.mean([share >= 0.95 for share in flat])


@pytest.mark.parametrize("kind", keras_models.KINDS)
def test_measures_equal_numpy_on_the_layers_outputs(kind):
    x, y = keras_models.images(200)  # two batches, the second one smaller
    model = keras_models.compiled(kind)
    model(x)  # builds those that are not built yet
    if kind == "sequential":  # some dead and some saturated units
        model.get_layer("conv_1").bias.assign([-9.0, 0, 0, -9.0, 0, 0])
        model.get_layer("conv_2").bias.assign([9.0, 0, 0, 0])
    model.fit(x, y, verbose=0)
    layers, measures, sums = measure(model, x, y)
    slow = slow_outputs(model, x)
    measured = 0
    for i, (name, layer) in enumerate(layers.items()):
        if name in ("flatten", "dropout"):
            assert np.isnan(measures["output_rms"][i]), "hands its input on"
            continue
        output = slow[id(layer)].astype(np.float64)
        measured += 1
        for key, expected in {
            "output_rms": np.sqrt((output**2).mean()),
            "output_mean": output.mean(),
            "output_std": output.std(),
            "output_zeros": (output == 0).mean(),
            "output_nonfinite": 0,
        }.items():
            assert measures[key][i] == pytest.approx(expected, rel=1e-3, abs=1e-5), (name, key)
        activation = getattr(getattr(layer, "activation", None), "__name__", None)
        if activation == "relu":
            assert measures["dead_fraction"][i] == pytest.approx(slow_dead(output)), name
        else:
            assert np.isnan(measures["dead_fraction"][i]), name
        if activation in ("tanh", "sigmoid"):
            low, high = (-0.99, 0.99) if activation == "tanh" else (0.01, 0.99)
            expected = slow_saturated(output, low, high)
            assert measures["saturated_fraction"][i] == pytest.approx(expected), name
        else:
            assert np.isnan(measures["saturated_fraction"][i]), name
    assert measured >= 3
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert sums.logs["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert sums.logs["accuracy"] == pytest.approx(expected["accuracy"])


def test_dead_and_saturated_units_are_found():
    x, y = keras_models.images(64)
    model = keras_models.compiled("sequential")
    model.get_layer("conv_1").bias.assign([-9.0, 0, 0, -9.0, 0, 0])
    model.get_layer("conv_2").bias.assign([9.0, 9.0, 0, 0])
    layers, measures, _ = measure(model, x, y)
    names = list(layers)
    assert measures["dead_fraction"][names.index("conv_1")] >= 2 / 6
    assert measures["saturated_fraction"][names.index("conv_2")] >= 2 / 4


def test_a_shared_layer_is_judged_over_all_its_calls():
    keras.utils.set_random_seed(0)
    shared = keras.layers.Dense(3, activation="relu", name="shared")
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.Concatenate(name="joined")([shared(left), shared(right)])
    model = keras.Model([left, right], keras.layers.Dense(1, name="head")(joined))
    model.compile("sgd", "mse")
    shared.kernel.assign([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    x = [np.array([[1.0, 0.0]], "float32"), np.array([[-1.0, 0.0]], "float32")]
    layers, measures, sums = measure(model, x, np.zeros((1, 1), "float32"))
    i = list(layers).index("shared")
    assert sums.sums[i][0] == 6, "two calls of three units"
    assert measures["dead_fraction"][i] == pytest.approx(1 / 3)


def test_nan_is_counted_and_nothing_else_is_said():
    x, y = keras_models.images(32)
    model = keras_models.compiled("functional")
    model.get_layer("conv_1").kernel.assign(np.full((3, 3, 1, 4), np.nan))
    layers, measures, _ = measure(model, x, y)
    i = list(layers).index("conv_1")
    assert measures["output_nonfinite"][i] > 0
    for name in ("output_rms", "output_zeros", "dead_fraction"):
        assert np.isnan(measures[name][i]), name


class Restless(keras.layers.Layer):
    """A layer that moves something at every call, in training or not."""

    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x):
        self.calls.assign_add(1)
        self.add_loss(0.0 * keras.ops.sum(x))
        return x + 0.0 * keras.random.normal(keras.ops.shape(x), seed=self.seed)


def test_nothing_is_changed():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5)(inputs)
    normalized = keras.layers.BatchNormalization()(hidden, training=True)  # always moves
    outputs = keras.layers.Dense(2)(Restless()(normalized))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
    model.fit(x, x[:, :2], verbose=0)
    kept = {
        "weights": [w.numpy() for w in model.weights],
        "optimizer": [w.numpy() for w in model.optimizer.variables],
        "metrics": [v.numpy() for m in model.metrics for v in m.variables],
    }
    assert kept["metrics"][0] != 0, "the metrics hold what training put there"
    tap = ForwardTap(Fit(model), recorded_layers(model))
    for _ in range(2):
        tap.run(probe_set((x, x[:, :2]), 48))
    after = {
        "weights": [w.numpy() for w in model.weights],
        "optimizer": [w.numpy() for w in model.optimizer.variables],
        "metrics": [v.numpy() for m in model.metrics for v in m.variables],
    }
    for part, values in kept.items():
        for before, now in zip(values, after[part], strict=True):
            np.testing.assert_array_equal(before, now, err_msg=part)
    assert model.losses == [], "nothing is left of what was added in the pass"


def test_metrics_that_the_first_pass_creates_start_empty():
    x, y = keras_models.images(32)
    model = keras_models.compiled()
    ForwardTap(Fit(model), recorded_layers(model)).run(probe_set((x, y), 32))
    variables = [v for metric in model.metrics for v in metric.variables]
    assert variables
    for variable in variables:
        assert not variable.numpy().any(), variable.path


def test_an_lstm_is_one_layer():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6, 3)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1, name="head")]
    )
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(20, 6, 3)).astype("float32")
    layers, measures, _ = measure(model, x, np.zeros((20, 1), "float32"))
    assert list(layers) == ["lstm", "head"]
    expected = slow_outputs(model, x)[id(layers["lstm"])]
    assert measures["output_rms"][0] == pytest.approx(np.sqrt((expected**2).mean()), rel=1e-3)


def test_all_of_the_probe_set_is_seen_of_a_model_that_is_not_built():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(3, name="dense")])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
    _, _, sums = measure(model, x, x[:, :3])
    assert sums.sums[0, 0] == 300 * 3


@pytest.mark.parametrize("kind", ["state", "places", "both ways", "translation"])
def test_masked_places_count_for_nothing_on_the_probe_set_either(kind):
    layers, random = keras.layers, np.random.default_rng(0)
    words = keras.Input((12,), dtype="int32")
    known = layers.Embedding(9, 8, mask_zero=True)(words)
    if kind == "state":
        x = layers.LSTM(6)(known)
    elif kind == "places":
        x = layers.GRU(6, return_sequences=True)(layers.LSTM(6, return_sequences=True)(known))
    elif kind == "both ways":
        x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(known)
    else:
        _, *state = layers.LSTM(6, return_state=True)(known)
        x = layers.LSTM(6, return_sequences=True)(known, initial_state=state)
    model = keras.Model(words, layers.Dense(3, activation="softmax")(x))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for weight in model.trainable_weights:  # so that a mask that is lost shows
        weight.assign(2 * random.normal(size=weight.shape))
    x = random.integers(1, 9, (40, 12)) * (np.arange(12) < random.integers(2, 7, 40)[:, None])
    y = random.integers(0, 3, 40 if kind == "state" else (40, 12))
    loss, accuracy = model.evaluate(x, y, verbose=0, batch_size=40)
    *_, sums = measure(model, x, y)
    assert sums.logs["loss"] == pytest.approx(loss, rel=1e-4)
    assert sums.logs["accuracy"] == pytest.approx(accuracy, abs=1e-4)
