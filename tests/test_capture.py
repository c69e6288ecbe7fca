"""What is taken inside the compiled training step, against an eager gradient tape."""

import logging

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from tests import keras_models  # noqa: E402
from tests.test_statistics import slow_bin, weight_row  # noqa: E402
from tfdiag.capture import (  # noqa: E402
    TrainingTap,
    compiled_state,
)
from tfdiag.statistics import BINS  # noqa: E402
from tfdiag.sums import CHANGE_ENTRIES, HISTOGRAM_ENTRIES, stride  # noqa: E402
from tfdiag.trainer import Fit  # noqa: E402


class Probe(keras.callbacks.Callback):
    """Samples one step with the tap and keeps what an eager tape says of the same step."""

    def __init__(self, at, batches):
        super().__init__()
        self.at, self.batches = at, batches
        self.taken = self.expected = self.loss = None

    def on_train_begin(self, logs=None):
        self.tap = TrainingTap(Fit(self.model))
        self.tap.attach()

    def on_train_batch_begin(self, batch, logs=None):
        if batch != self.at:
            return
        self.tap.arm()
        x, y = self.batches[batch]
        variables = self.model.trainable_variables
        metrics = [v for m in self.model.metrics for v in m.variables]
        moving = [*self.model.non_trainable_variables, *metrics]
        kept = [v.numpy() for v in moving]
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(x, y, self.model(x, training=True))
        gradients = map(tf.convert_to_tensor, tape.gradient(loss, [v.value for v in variables]))
        for variable, value in zip(moving, kept, strict=True):
            variable.assign(value)
        self.loss = float(loss)
        self.before = [v.numpy() for v in variables]
        self.gradients = [g.numpy() for g in gradients]

    def on_train_batch_end(self, batch, logs=None):
        if batch != self.at:
            assert self.tap.take() is None, "an unsampled step gives nothing"
            return
        self.taken = self.tap.take()
        after = [v.numpy() for v in self.model.trainable_variables]
        self.expected = [
            weight_row(*parts) for parts in zip(self.gradients, self.before, after, strict=True)
        ]

    def on_train_end(self, logs=None):
        self.tap.detach()


def run(model, at=1, x=None, y=None):
    if x is None:
        x, y = keras_models.images()
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, len(x), 16)]
    probe = Probe(at, batches)
    model.fit(x, y, batch_size=16, shuffle=False, verbose=0, callbacks=[probe])
    return probe


def without_dropout(kind, **options):
    model = keras_models.compiled(kind, **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


@pytest.mark.parametrize("kind", keras_models.KINDS)
@pytest.mark.parametrize("mode", ["graph", "xla", "eager"])
def test_sums_equal_those_of_an_eager_tape(kind, mode):
    model = without_dropout(kind, jit_compile=mode == "xla", run_eagerly=mode == "eager")
    probe = run(model)
    names = [v.path for v in model.trainable_variables]
    assert [v.path for v in probe.taken.variables] == names
    np.testing.assert_allclose(probe.taken.sums, probe.expected, rtol=2e-3, atol=1e-9)
    assert probe.taken.loss == pytest.approx(probe.loss, rel=1e-4)


def test_histograms_equal_counting_each_entry():
    probe = run(without_dropout("functional"))
    for gradient, counts in zip(probe.gradients, probe.taken.histograms, strict=True):
        expected = np.bincount([slow_bin(float(v)) for v in gradient.ravel()], minlength=BINS)
        assert counts.sum() == gradient.size
        # A gradient at the edge of two bins may fall to either side in another kernel.
        assert np.abs(np.cumsum(counts) - np.cumsum(expected)).max() <= 1


def test_a_large_weight_is_sampled_from_all_its_units():
    for shape in [(1000, 512), (4096, 121), (3, 3, 256, 512), (200_000,)]:
        sampled = np.arange(np.prod(shape))[:: stride(shape)]
        assert len(sampled) <= HISTOGRAM_ENTRIES
        if len(shape) > 1:
            assert len(np.unique(sampled % shape[-1])) == shape[-1]


def test_a_large_weight_counts_as_many_entries_as_it_has():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(500), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(48, 300)).astype("float32")
    probe = run(model, x=x, y=x[:, :2])
    assert probe.taken.histograms[0].sum() == pytest.approx(300 * 500, rel=0.01)


@pytest.mark.parametrize("mode", ["graph", "xla", "eager"])
def test_the_change_of_a_large_weight_is_that_of_all_of_it(mode):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((600,)), keras.layers.Dense(700), keras.layers.Dense(2)])
    model.compile("sgd", "mse", jit_compile=mode == "xla", run_eagerly=mode == "eager")
    assert model.layers[0].kernel.shape.num_elements() > CHANGE_ENTRIES
    x = np.random.default_rng(0).normal(size=(48, 600)).astype("float32")
    probe = run(model, x=x, y=x[:, :2])
    expected = np.array(probe.expected)
    np.testing.assert_allclose(probe.taken.sums[1:], expected[1:], rtol=2e-3, atol=1e-9)
    exact = [0, 1, 2, 3, 4, 6, 8, 9]  # what is not the weight before or its change
    np.testing.assert_allclose(probe.taken.sums[0, exact], expected[0, exact], rtol=2e-3)
    np.testing.assert_allclose(probe.taken.sums[0], expected[0], rtol=0.05)


def test_nan_and_infinite_gradients_are_counted():
    model = keras_models.compiled("functional")
    kernel = model.get_layer("logits").kernel  # no ReLU, which makes 0 of NaN on some processors
    kernel.assign(np.full(kernel.shape, np.nan))
    taken = run(model).taken
    row = taken.sums[[v.path for v in taken.variables].index(kernel.path)]
    assert row[4] == row[0] == np.prod(kernel.shape)
    assert row[8] == row[0], "the weight is not finite either"


def test_gradients_of_a_scaled_loss_are_unscaled():
    plain = run(without_dropout("functional"), at=0).taken
    optimizer = keras.optimizers.SGD(0.05, loss_scale_factor=1024.0)
    scaled = run(without_dropout("functional", optimizer=optimizer), at=0).taken
    np.testing.assert_allclose(scaled.sums[:, :5], plain.sums[:, :5], rtol=1e-3, atol=1e-9)


def test_a_dynamic_loss_scale_is_unscaled():
    plain = run(without_dropout("functional"), at=0).taken
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05))
    scaled = run(without_dropout("functional", optimizer=optimizer), at=0).taken
    np.testing.assert_allclose(scaled.sums[:, :5], plain.sums[:, :5], rtol=1e-3, atol=1e-9)


def test_gradients_are_those_before_clipping():
    clipped = without_dropout("functional", optimizer=keras.optimizers.SGD(0.05, clipnorm=1e-6))
    probe = run(clipped)
    np.testing.assert_allclose(
        probe.taken.sums[:, 1], [row[1] for row in probe.expected], rtol=2e-3
    )
    assert (probe.taken.sums[:, 7] < 1e-12).all(), "but the update is the clipped one"


def test_attention_and_embeddings_are_measured():
    keras.utils.set_random_seed(0)
    tokens = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(200, 8)(tokens)
    x = keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.LSTM(5)(keras.layers.LayerNormalization()(x))
    model = keras.Model(tokens, keras.layers.Dense(2)(x))
    model.compile(keras.optimizers.SGD(0.05), "mse")
    random = np.random.default_rng(0)
    x = random.integers(0, 200, (48, 6)).astype("int32")
    probe = run(model, x=x, y=random.normal(size=(48, 2)).astype("float32"))
    assert len(probe.taken.variables) == len(model.trainable_variables)
    # The gradient of the key's bias is 0 but for rounding, so how many are exactly 0 is chance.
    sums, expected = (np.delete(rows, 3, axis=1) for rows in (probe.taken.sums, probe.expected))
    np.testing.assert_allclose(sums, expected, rtol=2e-3, atol=1e-9)
    assert probe.taken.sums[0, 3] == probe.expected[0][3] > 0, "tokens that are not in the batch"


def test_an_embedding_is_measured_where_xla_compiles_the_step():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Embedding(200, 8), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((6,), dtype="int32"), *layers])
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=True)
    random = np.random.default_rng(0)
    x = random.integers(0, 200, (48, 6)).astype("int32")
    probe = run(model, x=x, y=random.normal(size=(48, 2)).astype("float32"))
    np.testing.assert_allclose(probe.taken.sums, probe.expected, rtol=2e-3, atol=1e-9)


def test_the_train_function_is_put_back():
    model = keras_models.compiled()
    run(model)
    assert type(model.train_function).__name__ == "function"
    assert "train_step" not in vars(model)
    assert "compute_loss" not in vars(model)
    assert "apply" not in vars(model.optimizer)


def test_a_dispatcher_left_by_an_exception_is_healed():
    class Boom(Exception):
        pass

    def explode(batch, logs):
        if batch == 1:
            raise Boom

    model = keras_models.compiled()
    x, y = keras_models.images()
    stale = Probe(0, [(x[:16], y[:16])])
    with pytest.raises(Boom):
        bomb = keras.callbacks.LambdaCallback(on_train_batch_end=explode)
        model.fit(x, y, batch_size=16, verbose=0, callbacks=[stale, bomb])
    plain = compiled_state(Fit(model))
    assert model.train_function is not plain
    model.fit(x, y, batch_size=16, verbose=0)  # without us, through what is left of us
    stale.tap.detach()
    assert model.train_function is plain
    probe = run(model)
    assert probe.taken is not None
    assert model.train_function is plain


def test_a_new_compile_is_instrumented_anew():
    model = keras_models.compiled("functional")
    probe = run(model)
    model.get_layer("conv_1").trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    again = run(model)
    assert len(again.taken.variables) == len(probe.taken.variables) - 2


def test_what_cannot_be_instrumented_trains_on(monkeypatch, caplog):
    def broken(gradients):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("tfdiag.sums.histograms", broken)
    model = keras_models.compiled()
    with caplog.at_level(logging.WARNING, "tfdiag"):
        probe = Probe(0, [keras_models.images(16)])
        x, y = keras_models.images()
        history = model.fit(
            x, y, batch_size=16, verbose=0, callbacks=[probe_without_reference(probe)]
        )
    assert np.isfinite(history.history["loss"][0])
    assert "no such kernel" in probe.tap.failure
    assert "trains on without them" in caplog.text


def probe_without_reference(probe):
    """Returns the probe, to be armed but not compared."""
    probe.on_train_batch_begin = lambda batch, logs=None: batch == 0 and probe.tap.arm()
    probe.on_train_batch_end = lambda batch, logs=None: probe.tap.take()
    return probe


def test_the_users_own_error_is_the_users():
    class Broken(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(10)

        def call(self, x):
            return self.head(x)

        def train_step(self, data):
            raise ZeroDivisionError("in the user's train_step")

    model = Broken()
    model.compile("sgd", "mse")
    probe = probe_without_reference(Probe(0, []))
    x = np.zeros((16, 3), "float32")
    with pytest.raises(ZeroDivisionError, match="in the user's train_step"):
        model.fit(x, x, verbose=0, callbacks=[probe])
