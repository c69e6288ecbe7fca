"""Trainings that a monitor could break: none of them ends otherwise than without it."""

import numpy as np
import pytest

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:Gradients do not exist for variables"),
]

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tfdiag.storage.reader import open_recording  # noqa: E402

layers = keras.layers
X = np.random.default_rng(0).normal(size=(96, 8)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 96)


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Plain(keras.Model):
    """Two layers, with something between them."""

    def __init__(self, between=None):
        super().__init__()
        self.hidden, self.head = layers.Dense(16, "relu"), layers.Dense(3)
        self.between = between

    def call(self, x):
        x = self.hidden(x)
        return self.head(x if self.between is None else self.between(x))


class Counts(layers.Layer):
    """Assigns to a weight that counts as trainable, in each call."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros")

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * (1 + 0.01 * tf.stop_gradient(self.calls.value))


class Holds(layers.Layer):
    """Assigns to TensorFlow's own variables in a list and, which TensorFlow wraps, in a tuple."""

    def __init__(self):
        super().__init__()
        self.held = [tf.Variable(0.0, trainable=False)]
        self.pair = (tf.Variable(0.0, trainable=False), "steps")

    def call(self, x):
        self.held[0].assign_add(1.0)
        self.pair[0].assign_add(1.0)
        return x * (1 + 0.01 * (self.held[0] + self.pair[0]))


class Draws(layers.Layer):
    """Draws from TensorFlow's generator, whose state is a variable."""

    def __init__(self):
        super().__init__()
        self.generator = tf.random.Generator.from_seed(1)

    def call(self, x):
        return x + 0.1 * self.generator.normal((16,))


class Scaled(keras.optimizers.SGD):
    """Takes one argument more than Keras' optimizers."""

    def apply(self, grads, trainable_variables=None, factor=1.0):
        return super().apply([g * factor for g in grads], trainable_variables)


class OwnApply(Plain):
    """Calls its optimizer with that argument."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables, factor=0.5)
        return {"loss": loss}


class OwnMetric(keras.metrics.Metric):
    """Counts batches in a variable that Keras does not know."""

    def __init__(self, name="batches"):
        super().__init__(name=name)
        self.total = tf.Variable(0.0)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(1.0)

    def reset_state(self):
        self.total.assign(0.0)

    def result(self):
        return tf.identity(self.total)


def trained(make, callbacks, *, optimizer=keras.optimizers.SGD, metrics=None, **options):
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(
        optimizer(0.1), crossentropy(), metrics=metrics and [m() for m in metrics], **options
    )
    history = model.fit(X, Y, batch_size=30, epochs=2, verbose=0, callbacks=callbacks)
    return model, history.history


def monitor(folder, **options):
    options = {"every": 2, "probe_every": 3, **options}
    return tfdiag.HealthMonitor(folder, (X[:32], Y[:32]), announce=False, **options)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("cadence", [{}, {"every": None, "probe_every": None}])
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: Plain(Counts()), {}),
        (lambda: Plain(Holds()), {}),
        (lambda: Plain(Draws()), {}),
        (OwnApply, {"optimizer": Scaled}),
        (Plain, {"metrics": [OwnMetric]}),
    ],
)
def test_weights_and_history_are_those_of_the_bare_run(make, options, cadence, eager, tmp_path):
    bare, expected = trained(make, [], run_eagerly=eager, **options)
    watched, seen = trained(make, [monitor(tmp_path, **cadence)], run_eagerly=eager, **options)
    for one, other in zip(bare.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {k: v for k, v in seen.items() if not k.startswith("health/")} == expected
    if "optimizer" not in options:
        gradients = open_recording(tmp_path).trace.columns["gradient_rms"]
        assert np.isfinite(gradients).any()


@pytest.mark.parametrize("cadence", [{}, {"every": None, "probe_every": None}])
def test_a_broken_first_batch_is_the_users_error(cadence, tmp_path):
    def batch(number):
        x = tf.ones((16, 8)) / tf.cast(number, tf.float32)
        return tf.debugging.check_numerics(x, "bad record"), tf.zeros((16,), tf.int64)

    keras.utils.set_random_seed(0)
    model = Plain()
    model.compile("sgd", crossentropy())
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad record"):
        data = tf.data.Dataset.range(8).map(batch)
        model.fit(data, shuffle=False, verbose=0, callbacks=[monitor(tmp_path, **cadence)])


def test_a_train_function_that_is_made_anew_is_sampled_too(tmp_path):
    class Anew(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.make_train_function(force=True)

    trained(Plain, [monitor(tmp_path), Anew()])
    assert np.isfinite(open_recording(tmp_path).trace.columns["gradient_rms"]).any()


def test_a_loss_that_is_no_number_leaves_gradients_measured(tmp_path):
    class PerSample(Plain):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.losses.sparse_categorical_crossentropy(y, y_pred, from_logits=True)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            pairs = zip(
                tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True
            )
            self.optimizer.apply_gradients(pairs)
            return {"loss": tf.reduce_mean(loss)}

    trained(PerSample, [tfdiag.HealthMonitor(tmp_path, every=1, announce=False)])
    assert np.isfinite(open_recording(tmp_path).trace.columns["gradient_rms"]).any()


def test_a_test_step_with_odd_logs_is_no_reason_to_refuse(tmp_path):
    class Odd(Plain):
        def test_step(self, data):
            x, y, weights = data
            return {"loss": 0.0}

    class Nested(Plain):
        def test_step(self, data):
            return {**super().test_step(data), "heads": {"a": 1.0}, "name": "text", "none": None}

    for kind in (Odd, Nested):
        trained(kind, [monitor(tmp_path / kind.__name__)])
        trace = open_recording(tmp_path / kind.__name__).trace
        assert np.isfinite(trace.columns["output_rms"]).any()
        assert ("probe_loss" in trace.not_measured) == (kind is Odd)


def test_a_call_inside_a_function_says_why_nothing_is_seen(tmp_path):
    class Compiled(Plain):
        @tf.function
        def call(self, x):
            return self.head(tf.nn.relu(self.hidden(x)))

    trained(Compiled, [monitor(tmp_path)])
    assert "tf.function" in open_recording(tmp_path).trace.not_measured["dead_fraction"]


def test_a_stateful_model_with_too_few_probe_samples_fails_before_the_first_step(tmp_path):
    model = keras.Sequential(
        [keras.Input((5, 2), batch_size=32), layers.LSTM(3, stateful=True), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x, y = np.zeros((64, 5, 2), "float32"), np.zeros((64, 1), "float32")
    callback = tfdiag.HealthMonitor(tmp_path, (x[:16], y[:16]), announce=False)
    with pytest.raises(ValueError, match="exactly 32 samples"):
        model.fit(x, y, batch_size=32, verbose=0, callbacks=[callback])


def test_a_loop_may_return_and_log_keras_variables(tmp_path):
    model, optimizer = Plain(), keras.optimizers.SGD(0.1)
    callback = tfdiag.HealthMonitor(tmp_path, (X[:32], Y[:32]), every=1, announce=False)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = crossentropy()(y, model(x))
        pairs = zip(
            tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True
        )
        optimizer.apply_gradients(pairs)
        return optimizer.iterations

    with callback.loop(model, optimizer, loss=crossentropy()) as loop:
        wrapped = loop.wrap(step)
        assert wrapped(X[:16], Y[:16]) is optimizer.iterations
        loop.end_epoch({"lr": optimizer.learning_rate})
    assert np.isfinite(open_recording(tmp_path).trace.columns["gradient_rms"]).any()
