"""Training without `fit`: what `HealthMonitor.loop` takes, refuses and survives."""

import logging

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tfdiag.storage import schema  # noqa: E402
from tfdiag.storage.reader import open_recording, read_tags  # noqa: E402

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Boom(Exception):
    pass


def mlp(seed=1):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(6, "relu", name="hidden"), keras.layers.Dense(3, name="head")]
    return keras.Sequential([keras.Input((4,)), *layers])


def batch(size=8, seed=0):
    random = np.random.default_rng(seed)
    return tf.constant(random.normal(size=(size, 4)), tf.float32), tf.constant(
        random.integers(0, 3, size)
    )


def stepper(model, optimizer, returns=lambda loss: loss):
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return returns(loss)

    return train_step


def monitored(path, **options):
    options = {"every": 1, "probe_every": 1, "announce": False, **options}
    return tfdiag.HealthMonitor(path, **options)


def run(
    path,
    train_step=None,
    *,
    steps=3,
    model=None,
    optimizer=None,
    decorate=tf.function,
    probe=None,
    **more,
):
    """Trains some steps; returns what the last one returned, and the trace."""
    model, optimizer = model or mlp(), optimizer or keras.optimizers.SGD(0.1)
    train_step = train_step or stepper(model, optimizer)
    with monitored(path, probe=probe).loop(model, optimizer, **more) as loop:
        step = loop.wrap(decorate(train_step))
        for _ in range(steps):
            returned = step(*batch())
    return returned, open_recording(path).trace


def same_weights(one, other):
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


both = pytest.mark.parametrize("decorate", [tf.function, lambda f: f], ids=["graph", "eager"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": "mlp"}, "`model` must be the Keras model"),
        ({"optimizer": "adam"}, "`optimizer` must be the Keras optimizer"),
        ({"optimizer": []}, "`optimizer` must be the Keras optimizer"),
        ({"loss": "mse"}, "`loss` is called with labels and outputs"),
        ({"steps": 0}, "`steps` is how many are planned"),
        ({"epochs": 2.5, "steps": 3}, "`epochs` is how many are planned"),
        ({"epochs": 2}, "only together with `steps`"),
    ],
)
def test_a_wrong_argument_fails_at_once(tmp_path, arguments, says):
    arguments = {"model": mlp(), "optimizer": keras.optimizers.SGD(), **arguments}
    with pytest.raises(ValueError, match=says):
        monitored(tmp_path).loop(**arguments)


def test_model_and_data_are_judged_as_in_fit(tmp_path):
    x, y = (part.numpy() for part in batch(64))
    x[0, 0] = 1e3
    _, trace = run(tmp_path, loss=cross_entropy, probe=(x, y))
    assert trace.architecture.loss_options["kind"] == "sparse_categorical_crossentropy"
    assert trace.architecture.loss_options["from_logits"] is True
    assert trace.data.inputs[0].maximum == 1e3
    assert trace.data.outputs[0].shape == (3,)
    assert np.isfinite(trace.series["probe_top_class_share"]).all()
    outcomes = {outcome.rule: outcome.outcome for outcome in tfdiag.check(trace).outcomes}
    assert outcomes["loss-activation-mismatch"] == outcomes["label-mismatch"] == "healthy"
    assert outcomes["input-range"] == "found"


def test_what_is_wrapped_must_be_a_function(tmp_path):
    with monitored(tmp_path).loop(mlp(), keras.optimizers.SGD()) as loop:
        with pytest.raises(ValueError, match="Pass the function itself"):
            loop.wrap(tf.constant(1.0))


def test_one_step_is_wrapped_in_its_block(tmp_path):
    loop = monitored(tmp_path).loop(mlp(), keras.optimizers.SGD())
    with pytest.raises(tfdiag.TfdiagError, match="outside of the `with` block"):
        loop.wrap(print)
    with loop:
        loop.wrap(print)
        with pytest.raises(tfdiag.TfdiagError, match="one function"):
            loop.wrap(print)


def test_a_probe_set_that_does_not_fit_fails_before_the_first_step(tmp_path):
    monitor = monitored(tmp_path, probe=(np.zeros((8, 5)), np.zeros(8)))
    with pytest.raises(ValueError, match="probe"):
        with monitor.loop(mlp(), keras.optimizers.SGD()) as loop:
            loop.wrap(print)
    monitor = monitored(tmp_path, probe=(np.zeros((8, 4)), np.zeros(8)))
    with pytest.raises(ValueError, match="cannot be tested on the probe set: no loss today"):
        with monitor.loop(mlp(), keras.optimizers.SGD(), loss=failing) as loop:
            loop.wrap(print)


def failing(*_):
    raise Boom("no loss today")


@both
def test_an_exception_ends_the_recording(tmp_path, decorate):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    own = decorate(stepper(model, optimizer))
    with pytest.raises(Boom):
        with monitored(tmp_path).loop(model, optimizer) as loop:
            step = loop.wrap(own)
            step(*batch())
            raise Boom
    recording = open_recording(tmp_path)
    assert recording.finished
    assert recording.trace.steps.tolist() == [1]
    assert "apply" not in vars(optimizer) and "compute_loss" not in vars(model)
    step(*batch())  # trains on, without us
    assert int(optimizer.iterations) == 2


@both
def test_the_users_own_error_is_the_users(tmp_path, decorate):
    with pytest.raises(Boom, match="no loss today"):
        run(tmp_path, failing, decorate=decorate)


@both
def test_an_error_in_a_step_does_not_end_the_training(tmp_path, decorate):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    with monitored(tmp_path).loop(model, optimizer) as loop:
        step = loop.wrap(decorate(stepper(model, optimizer)))
        step(*batch())
        with pytest.raises(Exception, match="(?i)shape|compatible"):
            step(tf.zeros((2, 7)), tf.zeros(2, tf.int64))
        step(*batch())
    assert int(optimizer.iterations) == 2
    assert open_recording(tmp_path).trace.steps.tolist() == [1, 2]


@both
@pytest.mark.parametrize(
    "returns",
    [
        lambda loss: (tf.constant(7), loss, 2 * loss),
        lambda loss: {"accuracy": 3 * loss, "loss": loss},
        lambda loss: [loss],
    ],
    ids=["tuple", "dict", "list"],
)
def test_the_loss_is_found_in_what_the_step_returns(tmp_path, returns, decorate):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    returned, trace = run(
        tmp_path, stepper(model, optimizer, returns), model=model, optimizer=optimizer,
        decorate=decorate,
    )  # fmt: skip
    x, y = batch()
    bare = mlp()
    expected = [float(stepper(bare, keras.optimizers.SGD(0.1))(x, y)) for _ in range(1)]
    np.testing.assert_allclose(trace.series["loss"][:1], expected, rtol=1e-5)
    assert type(returned) is type(returns(tf.constant(0.0)))


@both
def test_a_step_that_returns_nothing_is_made_once(tmp_path, decorate):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    train_step = stepper(model, optimizer, lambda loss: None)
    monitor = monitored(tmp_path, every=2)
    with monitor.loop(model, optimizer) as loop:
        step = loop.wrap(decorate(train_step))
        assert [step(*batch()) for _ in range(4)] == [None] * 4
    assert int(optimizer.iterations) == 4
    assert "loss" not in open_recording(tmp_path).trace.series


def test_autograph_and_the_signature_stay(tmp_path):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    inner = stepper(model, optimizer)
    traces = []

    @tf.function(
        input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None,), tf.int64)],
        reduce_retracing=True,
    )
    def train_step(x, y):
        traces.append(None)
        if tf.reduce_sum(x) > 1e6:  # needs AutoGraph
            x = tf.zeros_like(x)
        for _ in tf.range(2):
            x = x + 0.0
        return inner(x, y)

    with monitored(tmp_path, every=2).loop(model, optimizer) as loop:
        step = loop.wrap(train_step)
        for size in (8, 5, 3, 8):
            step(*batch(size))
        step(y=batch()[1], x=batch()[0])
    assert len(traces) == 1
    assert step.__name__ == "train_step"
    assert np.isfinite(open_recording(tmp_path).trace.columns["gradient_rms"]).any()


def test_a_method_and_xla(tmp_path):
    class Trained:
        def __init__(self):
            self.model, self.optimizer = mlp(), keras.optimizers.SGD(0.1)
            self.inner = stepper(self.model, self.optimizer)

        @tf.function(jit_compile=True)
        def train_step(self, x, y):
            return self.inner(x, y)

    one, other = Trained(), Trained()
    with monitored(tmp_path).loop(one.model, one.optimizer) as loop:
        step = loop.wrap(one.train_step)
        for _ in range(3):
            step(*batch())
            other.train_step(*batch())
    same_weights(one.model, other.model)
    trace = open_recording(tmp_path).trace
    assert np.isfinite(trace.columns["gradient_rms"]).all()


@both
def test_traces_of_one_step_may_train_different_weights(tmp_path, decorate):
    model, optimizers = mlp(), [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)]

    def train_step(x, y, name):
        optimizer = optimizers[name == "head"]
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True))
        weights = model.get_layer(name).trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    with monitored(tmp_path).loop(model, optimizers) as loop:
        step = loop.wrap(decorate(train_step))
        for name in ("hidden", "head", "hidden", "head"):
            step(*batch(), name)
    trace = open_recording(tmp_path).trace
    moved = trace.columns["update_ratio"] > 0
    columns = [trace.layers.index("hidden"), trace.layers.index("head")]
    assert moved[:, columns].tolist() == [[True, False], [False, True]] * 2


@pytest.mark.parametrize("where", ["inner function", "branch", "eager around a function"])
def test_what_cannot_be_taken_trains_on(tmp_path, where, caplog):
    def train(model, optimizer, wrap):
        inner = stepper(model, optimizer)
        if where == "branch":

            @tf.function
            def train_step(x, y):
                loss = tf.constant(0.0)
                if tf.reduce_sum(x) < 1e6:
                    loss = inner(x, y)
                return loss

        else:
            compiled = tf.function(inner)

            def train_step(x, y):
                return compiled(x, y)

            if where == "inner function":
                train_step = tf.function(train_step)

        step = wrap(train_step)
        return [float(step(*batch())) for _ in range(4)]

    models = mlp(), mlp()
    optimizers = [keras.optimizers.SGD(0.1) for _ in models]
    for model, optimizer in zip(models, optimizers, strict=True):
        optimizer.build(model.trainable_variables)
    expected = train(models[0], optimizers[0], lambda step: step)
    probe = [part.numpy() for part in batch(16, seed=3)]
    with caplog.at_level(logging.WARNING, "tfdiag"):
        monitor = monitored(tmp_path, probe=tuple(probe), gradcam=0)
        with monitor.loop(models[1], optimizers[1], loss=cross_entropy) as loop:
            assert train(models[1], optimizers[1], loop.wrap) == expected
    same_weights(*models)
    trace = open_recording(tmp_path).trace
    assert "tf.function, a branch or a loop" in trace.not_measured["gradient_rms"]
    np.testing.assert_allclose(trace.series["loss"][1:], expected, rtol=1e-6)
    assert np.isfinite(trace.series["probe_loss"]).all()


def test_a_loop_inside_a_function_trains_on(tmp_path, caplog):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    with monitored(tmp_path).loop(model, optimizer) as loop:
        step = loop.wrap(tf.function(stepper(model, optimizer)))

        @tf.function
        def epoch():
            for _ in tf.range(3):
                step(*batch())

        epoch()
    assert int(optimizer.iterations) == 3
    assert "from Python" in caplog.text


def test_a_fault_of_ours_does_not_end_the_training(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("tfdiag.recording.Recording._record", broken)
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    with monitored(tmp_path).loop(model, optimizer) as loop:
        step = loop.wrap(stepper(model, optimizer))
        for _ in range(3):
            step(*batch())
        loop.end_epoch()
    assert int(optimizer.iterations) == 3
    assert "no such kernel" in caplog.text


def test_the_probe_loss_is_the_mean_over_all_samples(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdiag.forward.BATCH", 16)
    x, y = (part.numpy() for part in batch(23, seed=3))
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    expected = float(cross_entropy(y, model(x)))
    monitor = monitored(tmp_path, probe=(x, y))
    with monitor.loop(model, optimizer, loss=cross_entropy, epochs=2, steps=5) as loop:
        loop.wrap(stepper(model, optimizer))
    trace = open_recording(tmp_path).trace
    assert trace.series["probe_loss"][0] == pytest.approx(expected, rel=1e-5)
    assert trace.planned_steps == 10
    assert trace.architecture.loss == "sparse_categorical_crossentropy"
    assert trace.architecture.optimizer == "SGD"


def test_no_loss_is_not_measured(tmp_path):
    x, y = (part.numpy() for part in batch(16, seed=3))
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    with monitored(tmp_path, probe=(x, y)).loop(model, optimizer) as loop:
        loop.wrap(stepper(model, optimizer))(*batch())
    trace = open_recording(tmp_path).trace
    assert "no loss was given" in trace.not_measured["probe_loss"]
    assert np.isfinite(trace.columns["output_rms"]).any()


def test_a_second_loop_goes_on(tmp_path):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    monitor, own = monitored(tmp_path), tf.function(stepper(model, optimizer))
    for _ in range(2):
        with monitor.loop(model, optimizer) as loop:
            step = loop.wrap(own)
            for _ in range(2):
                step(*batch())
            loop.end_epoch({"val_loss": tf.constant(0.5), "name": "no number"})
    trace = open_recording(tmp_path).trace
    assert trace.steps.tolist() == [1, 2, 3, 4]
    assert np.isfinite(trace.columns["gradient_rms"]).all()


def test_gradcam_is_recorded(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    optimizer = keras.optimizers.SGD(0.1)
    x = np.random.default_rng(0).random((12, 8, 8, 1)).astype("float32")
    y = np.arange(12) % 3
    monitor = monitored(tmp_path, probe=(x, y), gradcam=3)
    with monitor.loop(model, optimizer, loss=cross_entropy) as loop:
        step = loop.wrap(tf.function(stepper(model, optimizer)))
        for _ in range(2):
            step(tf.constant(x), tf.constant(y))
    assert any(name.startswith(schema.CAMS) for name in read_tags(tmp_path))


def test_compiled_model_is_left_alone(tmp_path):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    model.compile("adam", cross_entropy)
    before = model.train_function, model.train_step
    run(tmp_path, model=model, optimizer=optimizer, decorate=lambda f: f)
    assert (model.train_function, model.train_step) == before
    assert int(model.optimizer.iterations) == 0
