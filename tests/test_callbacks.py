"""The callbacks in real training: nothing changes, nothing breaks, everything is recorded."""

import copy
import logging
import os
import pickle
import threading
import types

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tests import keras_models  # noqa: E402
from tfdiag.storage import histograms  # noqa: E402
from tfdiag.storage.reader import open_recording, read_tags  # noqa: E402


def fit(model, callbacks, *, epochs=2, samples=160, **options):
    x, y = keras_models.images(samples)
    return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks, **options)


def held_out():
    return keras_models.images(64, seed=9)


def monitor(path, **options):
    options = {"every": 3, "probe_every": 5, "gradcam": 0, **options}
    return tfdiag.HealthMonitor(path, probe=held_out(), **options)


def assert_same_state(one, other):
    for name in ("weights", "optimizer"):
        left, right = (
            model.weights if name == "weights" else model.optimizer.variables
            for model in (one, other)
        )
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=f"{name} {a.path}")


@pytest.mark.parametrize(
    ("kind", "jit"),
    [*((kind, False) for kind in keras_models.KINDS), ("sequential", True), ("subclassed", True)],
)
def test_training_is_bit_for_bit_that_without_a_monitor(kind, jit, tmp_path):
    options = {"optimizer": keras.optimizers.Adam(0.01), "jit_compile": jit}
    bare = keras_models.compiled(kind, **options)
    history = fit(bare, [], validation_data=held_out())
    options["optimizer"] = keras.optimizers.Adam(0.01)
    watched = keras_models.compiled(kind, **options)
    seen = fit(
        watched, [monitor(tmp_path, every=1, probe_every=1, gradcam=4)], validation_data=held_out()
    )
    assert_same_state(bare, watched)
    added = {name for name in seen.history if name.startswith("health/")}
    assert history.history == {n: v for n, v in seen.history.items() if n not in added}
    trace = tfdiag.load(tmp_path)  # and that was not because nothing was measured
    assert np.isfinite(trace.columns["gradient_rms"]).any(axis=1).sum() == 20
    assert np.isfinite(trace.columns["output_rms"]).any(axis=1).sum() == 21


@pytest.mark.parametrize("epochs", [1, 9])  # a short run samples its first step, a long one later
def test_the_users_step_is_traced_once(epochs, tmp_path):
    models = []
    for _ in range(2):
        keras.backend.clear_session()  # names count from 1 again
        models.append(keras_models.compiled(optimizer=keras.optimizers.Adam()))
    traced = []
    loss = models[1].compute_loss

    def compute_loss(*args, **kwargs):
        if not tf.executing_eagerly():
            traced.append(args)
        return loss(*args, **kwargs)

    models[1].compute_loss = compute_loss
    fit(models[0], [], epochs=epochs)
    fit(models[1], [monitor(tmp_path, every=None, probe_every=None)], epochs=epochs)
    assert len(traced) == 1  # without the monitor it is traced twice: Adam creates variables
    assert_same_state(*models)
    paths = [[variable.path for variable in model.optimizer.variables] for model in models]
    assert paths[0] == paths[1]
    assert np.isfinite(tfdiag.load(tmp_path).columns["gradient_rms"]).any()


class BuiltEarly(keras.Model):
    """Says that it is built before its layers are."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = keras.layers.Dense(4), keras.layers.Dense(10)

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.built = True

    def call(self, x):
        return self.scale * self.head(self.inner(keras.ops.reshape(x, (-1, 64))))


class TrainingHead(BuiltEarly):
    """Has a layer that is used in training only."""

    def __init__(self):
        super().__init__()
        self.other = keras.layers.Dense(10)

    def call(self, x, training=False):
        output = super().call(x)
        return output + self.other(output) if training else output


class LossHead(keras.Model):
    """Has a layer that is used in the loss only."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.other = keras.layers.Dense(3)

    def compute_loss(self, x, y, y_pred, *args, **kwargs):
        loss = super().compute_loss(x, y, y_pred, *args, **kwargs)
        return loss + keras.ops.mean(self.other(y_pred) ** 2)


def built_early():
    model = BuiltEarly()
    model.build((None, 8, 8, 1))
    return model


def with_loss_head():
    image = keras.Input((8, 8, 1))
    return LossHead(image, keras.layers.Dense(10)(keras.layers.Flatten()(image)))


def with_step_of_its_own():
    model = with_loss_head()
    scale = keras.Variable(1.0)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True) * scale)
        weights = [*self.trainable_weights, scale]
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}

    model.train_step = types.MethodType(train_step, model)
    return model


LATE = (built_early, TrainingHead, with_loss_head, with_step_of_its_own)


@pytest.mark.parametrize("probe", [held_out(), None], ids=["probe", "no probe"])
@pytest.mark.parametrize("make", LATE, ids=lambda make: make.__name__)
def test_weights_that_come_with_the_first_step_are_trained(make, probe, tmp_path):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained = []
    for callbacks in ([], [tfdiag.HealthMonitor(tmp_path, probe=probe, every=3, gradcam=0)]):
        keras.utils.set_random_seed(0)
        model = make()
        model.compile(keras.optimizers.Adam(), loss)
        fit(model, callbacks)
        trained.append(model)
    assert_same_state(*trained)
    assert len(tfdiag.load(tmp_path).steps) > 3


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_an_optimizer_of_a_frozen_model_is_left_for_later(tmp_path):
    model, optimizer = keras_models.compiled(), keras.optimizers.Adam()
    for trainable in (False, True):
        model.trainable = trainable
        model.compile(optimizer, "sparse_categorical_crossentropy")
        fit(model, [] if trainable else [monitor(tmp_path)])
    assert optimizer.iterations == 20


def test_everything_is_recorded_at_its_cadence(tmp_path):
    fit(keras_models.compiled(), [monitor(tmp_path)], validation_data=held_out())
    trace = tfdiag.load(tmp_path)
    layers = list(trace.layers)
    gradients = trace.columns["gradient_rms"][:, layers.index("dense")]
    outputs = trace.columns["output_rms"][:, layers.index("dense")]
    assert trace.steps[np.isfinite(gradients)].tolist() == [1, 3, 6, 9, 12, 15, 18]
    assert trace.steps[np.isfinite(outputs)].tolist() == [0, 5, 10, 15, 20]
    assert trace.steps[np.isfinite(trace.series["epoch"])].tolist() == [10, 20]
    assert np.isfinite(trace.series["val_loss"]).sum() == 2
    for name in ("loss", "gradient_norm", "learning_rate", "probe_loss", "probe_accuracy"):
        assert np.isfinite(trace.series[name]).any(), name
    assert trace.probe_samples == 64
    assert np.isnan(trace.columns["gradient_rms"][:, layers.index("flatten")]).all()


def test_a_recording_reads_like_what_the_rules_saw(tmp_path):
    callback = monitor(tmp_path)
    fit(keras_models.compiled(), [callback])
    recording = open_recording(tmp_path)
    assert recording.finished
    assert recording.trace.planned_steps == 20
    report = tfdiag.check(recording.trace, thresholds=recording.thresholds)
    assert recording.report_json == report.to_json()
    assert 0 < recording.cost["share"] < 1


def test_stock_tabs_show_histograms_images_and_scalars(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(keras_models.compiled(), [monitor(tmp_path, gradcam=8)])
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    plugins = {
        tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in events.Tags()["tensors"]
    }
    assert plugins["tfdiag/gradients/conv_1"] == "histograms"
    assert sum(plugin == "images" for plugin in plugins.values()) == 8
    assert plugins["tfdiag/loss"] == "scalars"
    weights = 8 * 4 * 4 * 4 + 8
    for tag in ("tfdiag/gradients/dense", "tfdiag/weights/dense"):
        histogram = tf.make_ndarray(events.Tensors(tag)[0].tensor_proto)
        assert histogram.shape[1] == 3 and histogram[:, 2].sum() == weights


@pytest.fixture
def bfloat16_everywhere():
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("bfloat16")
    keras.config.set_dtype_policy("bfloat16")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def test_single_numbers_may_be_bfloat16(tmp_path, bfloat16_everywhere):
    """As a layer's scale and the metrics' totals are: numpy takes none without axes."""

    class Scale(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="ones")

        def call(self, x):
            return x * self.scale

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), Scale()])
    model.compile("sgd", "mse")
    x, y = np.ones((64, 4), np.float32), np.zeros((64, 3), np.float32)
    health = tfdiag.HealthMonitor(tmp_path, probe=(x, y), every=1, probe_every=2)
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[health])
    series = open_recording(tmp_path).trace.series
    assert np.isfinite(series["probe_loss"][[0, -1]]).all()
    tags = read_tags(str(tmp_path))
    found = histograms.decode(
        histograms.KINDS["weights"], tags, model.layers[-1].name, open_recording(tmp_path).trace
    )
    steps, buckets = found
    assert list(steps) == [0, 2, 4] and all(each[:, 2].sum() == 1 for each in buckets)


def test_parts_share_one_recording(tmp_path):
    probe = held_out()
    parts = [
        tfdiag.GradientHistograms(tmp_path, every=4),
        tfdiag.LayerOutputs(tmp_path, probe, every=6),
        tfdiag.DeadReLU(tmp_path, probe, every=10),
        tfdiag.GradCAM(tmp_path, probe, every=10, images=3),
    ]
    fit(keras_models.compiled(), parts)
    assert len(os.listdir(tmp_path)) == 1, "one file"
    trace = tfdiag.load(tmp_path)
    dense = list(trace.layers).index("dense")
    at = {
        name: trace.steps[np.isfinite(values[:, dense])].tolist()
        for name, values in trace.columns.items()
    }
    assert at["gradient_rms"] == [1, 4, 8, 12, 16, 20]
    assert {6, 10, 12, 18, 20} <= set(at["output_rms"])
    assert at["dead_fraction"] == at["output_rms"]


@pytest.mark.parametrize(
    ("part", "measured"),
    [
        (lambda path: tfdiag.GradientHistograms(path, every=2), "gradient_rms"),
        (lambda path: tfdiag.LayerOutputs(path, held_out(), every=5), "output_rms"),
        (lambda path: tfdiag.DeadReLU(path, held_out(), every=5), "dead_fraction"),
    ],
)
def test_a_part_alone_records_its_own_and_says_what_it_leaves_out(part, measured, tmp_path):
    fit(keras_models.compiled(), [part(tmp_path)])
    trace = tfdiag.load(tmp_path)
    assert np.isfinite(trace.columns[measured]).any()
    for name in {"gradient_rms", "output_rms", "dead_fraction"} - {measured}:
        assert not np.isfinite(trace.columns[name]).any()
        assert trace.not_measured[name]


def test_different_probe_sets_in_one_folder_are_refused(tmp_path):
    parts = [
        tfdiag.LayerOutputs(tmp_path, held_out()),
        tfdiag.DeadReLU(tmp_path, keras_models.images(32, seed=1)),
    ]
    with pytest.raises(ValueError, match="have different probe sets"):
        fit(keras_models.compiled(), parts)
    probe = held_out()
    fit(
        keras_models.compiled(),
        [tfdiag.LayerOutputs(tmp_path, probe), tfdiag.DeadReLU(tmp_path, probe)],
    )
    assert open_recording(tmp_path).finished, "the corrected callbacks record"


def test_two_layers_for_grad_cam_in_one_folder_are_refused(tmp_path):
    probe = held_out()
    parts = [tfdiag.GradCAM(tmp_path, probe, layer=name) for name in ("conv_1", "conv_2")]
    with pytest.raises(ValueError, match="different Grad-CAM layers"):
        fit(keras_models.compiled(), parts)


@pytest.mark.parametrize("eager", [False, True])
def test_another_optimizer_counts_where_it_trains(tmp_path, eager):
    """Keras' traced step keeps the optimizer that it was traced with, until it is compiled anew."""
    model = keras_models.compiled(optimizer=keras.optimizers.SGD(0.1), run_eagerly=eager)
    callback = monitor(tmp_path, every=1)
    for rate in (None, 0.0, 0.01):
        if rate is not None:
            model.optimizer = keras.optimizers.SGD(rate)
        fit(model, [callback], epochs=1)
    trace = tfdiag.load(tmp_path)
    rows = np.searchsorted(trace.steps, [10, 15, 20, 25, 30])
    rates = trace.series["learning_rate"][rows]
    assert rates.tolist() == pytest.approx([0.1, 0, 0, 0.01, 0.01] if eager else [0.1] * 5)
    moved = np.nanmax(trace.columns["update_ratio"][rows], axis=1)
    assert (moved > 0).tolist() == (rates > 0).tolist()


def test_a_second_fit_goes_on(tmp_path):
    model, callback = keras_models.compiled(), monitor(tmp_path)
    fit(model, [callback])
    fit(model, [callback])
    trace = tfdiag.load(tmp_path)
    assert trace.steps[-1] == 40
    assert (np.diff(trace.steps) > 0).all()
    gradients = np.isfinite(trace.columns["gradient_rms"]).any(axis=1)
    assert {3, 18, 21, 39} <= set(trace.steps[gradients])


def test_a_new_model_in_the_same_folder_starts_anew(tmp_path, capsys):
    def dead():
        model = keras_models.compiled()
        model.get_layer("dense").bias.assign(np.full(8, -99.0))
        return model

    first = monitor(tmp_path)  # as in a notebook's cell that is run again
    fit(dead(), [first], epochs=3)
    assert "dead-relu" in capsys.readouterr().out
    model = dead()
    expected = model.evaluate(*held_out(), verbose=0)[0]
    fit(model, [monitor(tmp_path)], epochs=3)
    assert "dead-relu" in capsys.readouterr().out, "it is told again"
    trace = tfdiag.load(tmp_path)
    assert (trace.steps[0], trace.steps[-1]) == (0, 30)
    assert trace.series["probe_loss"][0] == pytest.approx(expected, rel=1e-4)


def test_a_model_that_is_compiled_anew_trains_on(tmp_path):
    model, callback = keras_models.compiled(), monitor(tmp_path)
    fit(model, [callback])
    model.get_layer("conv_1").trainable = False
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit(model, [callback])
    trace = tfdiag.load(tmp_path)
    assert trace.steps[0] == 0 and trace.steps[-1] == 40
    late = trace.steps > 20
    frozen = trace.columns["gradient_rms"][:, list(trace.layers).index("conv_1")]
    assert np.isfinite(frozen[~late]).any() and not np.isfinite(frozen[late]).any()


def test_two_monitors_on_one_model_both_record(tmp_path):
    model = keras_models.compiled()
    fit(model, [monitor(tmp_path / "a"), monitor(tmp_path / "b", every=4)])
    for name, steps in {"a": [1, 3, 6, 9, 12, 15, 18], "b": [1, 4, 8, 12, 16, 20]}.items():
        trace = tfdiag.load(tmp_path / name)
        sampled = np.isfinite(trace.columns["gradient_rms"]).any(axis=1)
        assert trace.steps[sampled].tolist() == steps, name
    assert type(model.train_function).__name__ == "function", "and the model is left as it was"


class TwoOptimizers(keras.Model):
    """Trains by hand with optimizers in a list; the one that Keras knows is not used."""

    def __init__(self):
        super().__init__()
        self.first, self.second = keras.layers.Dense(4, "relu"), keras.layers.Dense(2)
        self.mine = [keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.02)]

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        for layer, optimizer in zip((self.first, self.second), self.mine, strict=True):
            weights = layer.trainable_weights
            optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


def test_steps_are_counted_where_the_models_optimizer_stands_still(tmp_path):
    x = np.random.default_rng(0).normal(size=(96, 3)).astype("float32")
    model = TwoOptimizers()
    model.compile()
    callback = tfdiag.HealthMonitor(tmp_path, probe=(x, x[:, :2]), every=2, probe_every=4)
    model.fit(x, x[:, :2], batch_size=16, epochs=3, verbose=0, callbacks=[callback])
    trace = tfdiag.load(tmp_path)
    sampled = np.isfinite(trace.columns["gradient_rms"]).all(axis=1)
    assert trace.steps[sampled].tolist() == [1, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert np.isfinite(trace.series["epoch"]).sum() == 3
    assert "compiled without a loss" in trace.not_measured["probe_loss"]


def test_a_step_without_an_optimizer_says_why_nothing_was_measured(tmp_path):
    class ByHand(TwoOptimizers):
        def train_step(self, data):
            for weight in self.trainable_weights:
                weight.assign(0.99 * weight)
            return {"loss": tf.constant(1.0)}

    x = np.zeros((48, 3), "float32")
    model = ByHand()
    model.compile()
    callback = tfdiag.HealthMonitor(tmp_path, every=2)
    model.fit(x, x[:, :2], batch_size=16, verbose=0, callbacks=[callback])
    assert "no optimizer that is seen" in tfdiag.load(tmp_path).not_measured["gradient_rms"]


def test_accumulated_gradients_have_no_update_ratio(tmp_path):
    optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=4)
    fit(keras_models.compiled(optimizer=optimizer), [monitor(tmp_path, every=1)])
    trace = tfdiag.load(tmp_path)
    assert trace.steps.tolist() == list(range(21))
    assert np.isfinite(trace.columns["gradient_rms"]).any()
    assert not np.isfinite(trace.columns["update_ratio"]).any()
    assert "accumulated over 4 steps" in trace.not_measured["update_ratio"]


def test_steps_per_execution_are_counted_by_the_optimizer(tmp_path):
    model = keras_models.compiled(steps_per_execution=4)  # 10 steps make 4 + 4 + 2
    fit(model, [monitor(tmp_path, every=1)])
    trace = tfdiag.load(tmp_path)
    sampled = np.isfinite(trace.columns["gradient_rms"]).any(axis=1)
    assert trace.steps[sampled].tolist() == [4, 8, 10, 14, 18, 20]


@pytest.mark.parametrize("probe", [True, False])
def test_an_error_of_the_users_eager_step_is_raised(probe, tmp_path):
    class Broken(TwoOptimizers):
        def train_step(self, data):
            super().train_step(data)
            raise ZeroDivisionError("bad data in the first batch")

    x = np.zeros((48, 3), "float32")
    model = Broken()
    model.compile(run_eagerly=True)
    options = {"probe": (x, x[:, :2])} if probe else {}
    with pytest.raises(ZeroDivisionError, match="bad data"):
        callbacks = [tfdiag.HealthMonitor(tmp_path, every=1, **options)]
        model.fit(x, x[:, :2], batch_size=16, verbose=0, callbacks=callbacks)


def test_an_eager_model_may_look_at_its_numbers(tmp_path):
    class Eager(TwoOptimizers):
        def call(self, x):
            assert x.numpy().ndim == 2
            return super().call(x)

    x = np.random.default_rng(0).normal(size=(48, 3)).astype("float32")
    model = Eager()
    model.compile(run_eagerly=True)
    callback = tfdiag.HealthMonitor(tmp_path, probe=(x, x[:, :2]), every=1, probe_every=1)
    model.fit(x, x[:, :2], batch_size=16, verbose=0, callbacks=[callback])
    trace = tfdiag.load(tmp_path)
    assert np.isfinite(trace.columns["output_rms"]).all(axis=1).sum() == 4


def test_a_stateful_model_gets_batches_of_its_size(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(batch_shape=(16, 5, 2))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(3, stateful=True)(inputs)))
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(48, 5, 2)).astype("float32")
    callback = tfdiag.HealthMonitor(tmp_path, probe=(x[:40], x[:40, 0, :1]), every=1, probe_every=1)
    model.fit(x, x[:, 0, :1], batch_size=16, shuffle=False, verbose=0, callbacks=[callback])
    assert np.isfinite(tfdiag.load(tmp_path).columns["output_rms"]).any()


class Wild(keras.layers.Layer):
    """Draws from Keras' own seed and counts its calls in a variable that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0.0)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + 0.01 * keras.random.normal(keras.ops.shape(x)) + 0.001 * self.calls


def test_randomness_that_no_layer_owns_is_left_alone(tmp_path):
    def train(callbacks):
        keras.utils.clear_session()  # older versions of Keras keep the shared generator
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Wild()])
        model.add(keras.layers.Dense(2))
        model.compile("adam", "mse")
        x = np.random.default_rng(0).normal(size=(96, 3)).astype("float32")
        keras.random.normal((1,))  # the shared seed generator is there
        model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=callbacks(x))
        return model.get_weights()

    bare = train(lambda x: [])
    watched = train(
        lambda x: [tfdiag.HealthMonitor(tmp_path, probe=(x, x[:, :2]), every=1, probe_every=2)]
    )
    for one, other in zip(bare, watched, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(tfdiag.load(tmp_path).columns["output_rms"]).any()


def test_a_callback_can_be_copied_after_training(tmp_path):
    callback = monitor(tmp_path)
    fit(keras_models.compiled(), [callback], epochs=1)
    for twin in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert twin.every == callback.every and twin.log_dir == callback.log_dir
    fit(keras_models.compiled(), [twin], epochs=1)
    assert open_recording(tmp_path).finished


def test_models_in_two_threads_leave_keras_as_it_was(tmp_path):
    original = keras.layers.Layer.__call__
    errors = []

    def train(name):
        try:
            options = {"every": 1, "probe_every": 1}
            fit(keras_models.compiled("functional"), [monitor(tmp_path / name, **options)])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=train, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert keras.layers.Layer.__call__ is original


def test_the_users_own_train_step_stays_on_the_model(tmp_path):
    model = keras_models.compiled("functional")
    mine = type(model).train_step.__get__(model)
    model.train_step = mine
    fit(model, [monitor(tmp_path)])
    assert vars(model)["train_step"] is mine


def test_interrupted_fits_leave_no_threads_and_no_function_behind(tmp_path):
    def stop(batch, logs):
        raise InterruptedError

    before = set(threading.enumerate())
    model, callback = keras_models.compiled(), monitor(tmp_path)
    stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    for _ in range(3):
        with pytest.raises(InterruptedError):
            fit(model, [callback, stopper])
    fit(model, [callback])
    assert not [t for t in set(threading.enumerate()) - before if t.name == "tfdiag-writer"]
    assert type(model.train_function).__name__ == "function"


def test_a_nan_loss_is_recorded_at_once_and_named(tmp_path, capsys):
    model = keras_models.compiled("functional", optimizer=keras.optimizers.SGD(0.05))

    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 6:
                # The last layer: on some processors a ReLU that is fused with a convolution
                # makes 0 of NaN, and the loss stays finite.
                kernel = self.model.get_layer("logits").kernel
                kernel.assign(np.full(kernel.shape, np.nan))

    fit(model, [monitor(tmp_path, every=50, probe_every=50), Poison()], epochs=1)
    printed = capsys.readouterr().out
    assert printed.count("critical: nonfinite-loss") == 1
    recording = open_recording(tmp_path)
    series = recording.trace.series
    assert np.nanmax(series["loss_nonfinite"]) == 1
    lost = series["probe_nonfinite"]
    looked = np.isfinite(lost)
    assert recording.trace.steps[looked].tolist() == [0, 7, 8, 10]
    assert lost[looked].tolist() == [0, 1, 1, 1]
    # NaN has no largest entry, but Keras takes the first one for it: a tenth is right.
    assert np.isfinite(series["probe_accuracy"]).tolist() == (lost == 0).tolist()
    findings = tfdiag.check(recording.trace).findings
    tensor = next(f for f in findings if f.rule == "nonfinite-tensor")
    assert (tensor.layer, tensor.step, tensor.severity) == ("conv_1", 7, "critical")


def test_a_probe_set_that_does_not_fit_fails_before_the_first_step(tmp_path):
    x, y = held_out()
    for probe, words in [
        ((x[:, :4], y), r"shape \(4, 8, 1\).*expects \(8, 8, 1\)"),
        ((x, np.eye(10)[y]), "cannot be tested on the probe set"),
    ]:
        model = keras_models.compiled()
        before = model.get_weights()
        with pytest.raises(ValueError, match=words):
            fit(model, [tfdiag.HealthMonitor(tmp_path, probe=probe)])
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        fit(model, [])  # and the model trains as if we had not been there


def test_an_unknown_layer_fails_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="'conv_9'.*conv_1"):
        fit(keras_models.compiled(), [monitor(tmp_path, gradcam=2, gradcam_layer="conv_9")])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every": 0}, "`every` is the number of steps.*got 0"),
        ({"every": 2.5}, "`every` is the number of steps.*got 2.5"),
        ({"probe_every": -1}, "`probe_every`.*got -1"),
        ({"gradcam": -1}, "`gradcam`.*got -1"),
        ({"log_dir": ""}, "`log_dir` is the folder"),
        ({"log_dir": 3}, "`log_dir` is the folder.*got 3"),
        ({"thresholds": {"dead-rellu": {}}}, "dead-rellu.*dead-relu"),
        ({"thresholds": {"dead-relu": {"wacth": 1}}}, "wacth"),
        ({"probe_samples": 0}, "`probe_samples`"),
    ],
)
def test_bad_arguments_fail_in_the_constructor(arguments, words, tmp_path):
    log_dir = arguments.pop("log_dir", tmp_path)
    with pytest.raises(ValueError, match=words):
        tfdiag.HealthMonitor(log_dir, probe=held_out(), **arguments)
    assert not os.listdir(tmp_path), "nothing is written before training"


def test_a_layer_without_space_fails_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="'dense' has the shape.*conv_1"):
        fit(keras_models.compiled(), [monitor(tmp_path, gradcam=2, gradcam_layer="dense")])


def test_an_unknown_method_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'gradcam', 'gradcam\\+\\+'.*'cam'"):
        tfdiag.GradCAM(tmp_path, held_out(), method="cam")


@pytest.mark.parametrize("kind", ["sequential", "subclassed"])
def test_grad_cam_plus_plus_is_recorded_or_said_to_be_impossible(kind, tmp_path):
    part = tfdiag.GradCAM(tmp_path, held_out(), every=5, images=2, method="gradcam++")
    fit(keras_models.compiled(kind), [part])
    reason = open_recording(tmp_path).trace.not_measured.get("gradcam")
    assert reason is None if kind == "sequential" else "Sequential or Functional" in reason


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "log").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        tfdiag.HealthMonitor(tmp_path / "log")


def test_without_a_probe_set_gradients_are_still_recorded(tmp_path):
    fit(keras_models.compiled(), [tfdiag.HealthMonitor(tmp_path, every=2)])
    trace = tfdiag.load(tmp_path)
    assert np.isfinite(trace.columns["gradient_rms"]).any()
    assert "no probe set was given" in trace.not_measured["dead_fraction"]
    outcomes = {o.rule: o for o in tfdiag.check(trace).outcomes}
    assert outcomes["dead-relu"].outcome == "not-evaluated"
    assert "no probe set" in outcomes["dead-relu"].reason


def test_a_model_without_images_has_no_gradcam_and_says_why(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    callback = tfdiag.HealthMonitor(tmp_path, probe=(x, x[:, :1]), every=2)
    model.fit(x, x[:, :1], verbose=0, callbacks=[callback])
    trace = tfdiag.load(tmp_path)
    assert "no layer has a spatial output" in trace.not_measured["gradcam"]
    assert np.isfinite(trace.columns["output_rms"]).any()


@pytest.mark.parametrize(
    "broken",
    [
        "tfdiag.instruments.statistics.gradient_measures",
        "tfdiag.config.check",
        "tfdiag.storage.writer.RunWriter.step",
        "tfdiag.sums.output_sums",
    ],
)
def test_a_fault_of_ours_never_reaches_the_users_training(broken, tmp_path, monkeypatch, caplog):
    bare = keras_models.compiled()
    fit(bare, [])
    model, callback = keras_models.compiled(), monitor(tmp_path, every=1, probe_every=2, gradcam=2)

    def arm(batch, logs):
        if batch == 3:
            monkeypatch.setattr(broken, explode)

    def explode(*args, **kwargs):
        raise RuntimeError("a fault of ours")

    with caplog.at_level(logging.WARNING, "tfdiag"):
        fit(model, [keras.callbacks.LambdaCallback(on_train_batch_begin=arm), callback])
    assert_same_state(bare, model)
    assert caplog.text.count("a fault of ours") >= 1
    assert sum("stopped recording" in r.message for r in caplog.records) == 1, "said once"
    assert len(tfdiag.load(tmp_path).steps) >= 2, "what was recorded before is there"


@pytest.mark.parametrize("broken", ["tfdiag.recording.Instruments", "tfdiag.instruments.describe"])
def test_a_fault_of_ours_before_the_first_step_stops_no_training(
    broken, tmp_path, monkeypatch, caplog
):
    def explode(*args, **kwargs):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(broken, explode)
    with caplog.at_level(logging.WARNING, "tfdiag"):
        history = fit(keras_models.compiled(), [monitor(tmp_path)], epochs=1)
    assert np.isfinite(history.history["loss"][0])
    assert "training goes on without it: RuntimeError: a fault of ours" in caplog.text


def test_a_fault_in_a_picture_costs_the_pictures_alone(tmp_path, monkeypatch, caplog):
    def explode(*args):
        raise RuntimeError("no such colour")

    monkeypatch.setattr("tfdiag.gallery.picture.overlay", explode)
    with caplog.at_level(logging.WARNING, "tfdiag"):
        fit(keras_models.compiled(), [monitor(tmp_path, gradcam=2)])
    trace = tfdiag.load(tmp_path)
    assert trace.not_measured["gradcam"] == "no such colour"
    assert trace.steps[-1] == 20
    assert sum("no Grad-CAM here" in r.message for r in caplog.records) == 1


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.ERROR):
        fit(keras_models.compiled(), [monitor(tmp_path / "file" / "run")])
    assert "training goes on without it" in caplog.text


def test_an_exception_out_of_fit_loses_nothing(tmp_path):
    def stop(batch, logs):
        if batch == 7:
            raise KeyboardInterrupt

    callback = monitor(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        fit(keras_models.compiled(), [callback, stopper])
    callback._recording._run.close()  # what happens at the end of the process
    recording = open_recording(tmp_path)
    assert recording.trace.steps[-1] >= 6
    assert not recording.finished
    again = keras_models.compiled()
    fit(again, [callback])
    assert open_recording(tmp_path).finished


def test_it_works_beside_early_stopping_and_evaluate(tmp_path):
    model, callback = keras_models.compiled(), monitor(tmp_path)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=10.0)
    fit(model, [callback, stopping], epochs=5, validation_data=held_out())
    assert open_recording(tmp_path).finished
    assert tfdiag.load(tmp_path).steps[-1] == 20
    model.evaluate(*held_out(), verbose=0, callbacks=[callback])
    assert open_recording(tmp_path).finished, "looking at the model is no training"
    model.predict(held_out()[0], verbose=0, callbacks=[callback])


def test_evaluating_with_the_callback_amid_training_does_not_end_the_recording(tmp_path):
    callback = monitor(tmp_path)

    def evaluate(epoch, logs):
        callback.model.evaluate(*held_out(), verbose=0, callbacks=[callback])

    parts = [callback, tfdiag.GradientHistograms(tmp_path, every=1)]
    fit(keras_models.compiled(), [*parts, keras.callbacks.LambdaCallback(on_epoch_end=evaluate)])
    trace = tfdiag.load(tmp_path)
    sampled = np.isfinite(trace.columns["gradient_rms"]).any(axis=1)
    assert trace.steps[sampled].tolist() == list(range(1, 21)), "all callbacks are still there"


def test_another_backend_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(tfdiag.TfdiagError, match="runs on 'jax'.*KERAS_BACKEND=tensorflow"):
        tfdiag.HealthMonitor(tmp_path)


def test_the_projects_file_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tfdiag.toml").write_text(
        'disable = ["probe-too-small"]\n[thresholds]\n"dead-relu".watch = 0.3\n'
    )
    fit(
        keras_models.compiled(),
        [monitor(tmp_path / "run", thresholds={"dead-relu": {"warn": 0.6}})],
    )
    recording = open_recording(tmp_path / "run")
    limits = recording.thresholds["dead-relu"]
    assert (limits["watch"], limits["warn"]) == (0.3, 0.6)
    outcomes = {one["rule"]: one for one in recording.report_json["outcomes"]}
    assert outcomes["probe-too-small"]["outcome"] == "not-evaluated"
    (tmp_path / "tfdiag.toml").write_text('disable = ["no-such-rule"]')
    with pytest.raises(tfdiag.TfdiagError, match="no-such-rule"):
        monitor(tmp_path / "other")
