"""Which layers are recorded, under which name, in which role."""

import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from tests import keras_models  # noqa: E402
from tfdiag.forward import ForwardTap  # noqa: E402
from tfdiag.layers import describe, recorded_layers  # noqa: E402
from tfdiag.probe import probe_set  # noqa: E402
from tfdiag.trainer import Fit  # noqa: E402


def described(kind):
    model = keras_models.compiled(kind)
    tap = ForwardTap(Fit(model), recorded_layers(model))
    tap.run(probe_set(keras_models.images(8), 8))
    return describe(model, recorded_layers(model), tap.places)


def test_a_sequential_model_is_its_layers():
    layers = {layer.name: layer for layer in described("sequential").layers}
    assert list(layers) == ["conv_1", "norm", "conv_2", "flatten", "dropout", "dense", "head"]
    assert layers["conv_1"].shape == (6, 6, 6)
    assert layers["conv_1"].parameters == 3 * 3 * 6 + 6
    assert layers["conv_1"].activation == "relu"
    assert layers["conv_2"].activation == "tanh"
    assert layers["norm"].role == "normalization"
    assert layers["head"].role == "output" and layers["head"].activation == "softmax"
    assert not layers["flatten"].trainable and layers["flatten"].parameters == 0
    assert layers["dense"].inputs == ("dropout",)
    assert layers["conv_1"].inputs == ()


@pytest.mark.parametrize("kind", ["nested", "subclassed", "unbuilt"])
def test_every_kind_has_shapes_roles_and_parameters(kind):
    layers = described(kind).layers
    prefix = "backbone/" if kind == "nested" else ""
    assert layers[0].name == f"{prefix}conv_1"
    assert layers[-1].name == "head"
    assert [layer.role for layer in layers] == ["hidden"] * (len(layers) - 1) + ["output"]
    assert layers[0].shape[:2] == (6, 6) and layers[-1].shape == (10,)
    assert layers[0].parameters > 0


def test_logits_before_a_softmax_are_output_too():
    roles = {layer.name: layer.role for layer in described("functional").layers}
    assert roles["logits"] == roles["softmax"] == "output"
    assert roles["conv_1"] == "hidden"


def test_inputs_reach_through_a_nested_model():
    layers = {layer.name: layer for layer in described("nested").layers}
    assert layers["pool"].inputs == ("backbone/conv_2",)
    assert layers["head"].inputs == ("pool",)


def test_names_stay_unique():
    inner = [keras.Sequential([keras.layers.Dense(2, name="d")], name="block") for _ in range(2)]
    model = keras.Sequential([keras.Input((2,)), inner[0]])
    outer = keras.Sequential([keras.Input((2,)), model, keras.layers.Dense(2, name="d")])
    assert list(recorded_layers(outer)) == [f"{model.name}/block/d", "d"]


def test_keras_own_composites_stay_whole():
    model = keras.Sequential(
        [keras.Input((5, 3)), keras.layers.Bidirectional(keras.layers.LSTM(2), name="both")]
    )
    (name,) = recorded_layers(model)
    assert name == "both"
    assert describe(model, recorded_layers(model)).layers[0].trainable


def test_a_users_composite_is_opened():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.inner = keras.layers.Dense(2, name="inner")

        def call(self, x):
            return self.inner(x)

    model = keras.Sequential([keras.Input((3,)), Block()])
    assert list(recorded_layers(model)) == ["block/inner"]


def test_frozen_layers_are_not_trainable():
    model = keras_models.compiled("sequential")
    model.get_layer("conv_1").trainable = False
    layers = describe(model, recorded_layers(model)).layers
    assert not layers[0].trainable and layers[0].parameters > 0


def with_training(model):
    return describe(model, recorded_layers(model), optimizer=model.optimizer, loss=model.loss)


def test_settings_name_what_tells_runs_apart():
    optimizer = keras.optimizers.SGD(0.001, momentum=0.9, clipnorm=1.0)
    model = keras_models.compiled("sequential", optimizer=optimizer)
    architecture = with_training(model)
    assert architecture.optimizer == "SGD"
    assert architecture.loss == "sparse_categorical_crossentropy"
    assert architecture.settings["learning_rate"] == 0.001
    assert architecture.settings["clipnorm"] == 1.0
    assert "ema_momentum" not in architecture.settings
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(keras.optimizers.Adam(schedule), keras.losses.MeanSquaredError())
    architecture = with_training(model)
    assert architecture.settings["learning_rate"] == "CosineDecay"
    assert architecture.loss == "mean_squared_error"
