"""Every way to train a Keras model: the record is that of a slow reference, the weights are ours.

`WAYS` is the table. Each way trains twice from the same seed: once watched by a `Witness`, which
only copies weights to the host, and once by a `HealthMonitor`. Afterwards an eager tape goes over
each batch again, with the weights that the witness saw before it.
"""

from __future__ import annotations

import functools
import gc
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tfdiag.storage.reader import open_recording  # noqa: E402

RATE = 0.25
SIZE = 8  # samples in a batch
LAYERS = ("hidden", "head")
GRADIENT_COLUMNS = ("gradient_rms", "gradient_max", "gradient_zeros", "gradient_nonfinite")
UPDATE_COLUMNS = ("update_ratio", "weight_rms", "weight_nonfinite")
OUTPUT_COLUMNS = ("output_rms", "output_mean", "output_std", "output_zeros", "dead_fraction")

Weights = dict[str, list[np.ndarray]]  # of each layer


# What is trained, on what.


def data(samples=32, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(samples, 4)).astype("float32")
    return x, random.integers(0, 3, samples)


def sample_weights(samples=32):
    return np.random.default_rng(5).random(samples).astype("float32")


def batches(samples=32, epochs=2, weights=None):
    """Returns every batch (x, y, w) of a training that does not shuffle."""
    x, y = data(samples)
    w = np.ones(samples, "float32") if weights is None else weights
    starts = range(0, samples, SIZE)
    return [(x[i : i + SIZE], y[i : i + SIZE], w[i : i + SIZE]) for i in starts] * epochs


def sgd(**options):
    return keras.optimizers.SGD(RATE, **options)


def mlp(kind=keras.Model, between=(), **options):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, "relu", name="hidden", **options)(inputs)
    for layer in between:
        x = layer(x)
    return kind(inputs, keras.layers.Dense(3, name="head", **options)(x))


def compiled(optimizer=None, make=mlp, *, seed=1, metrics=None, **options):
    keras.utils.set_random_seed(seed)
    model = make()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or sgd(), loss, metrics=metrics, **options)
    return model


def fit(model, callbacks, *, samples=32, epochs=2, **options):
    x, y = data(samples)
    options = {"batch_size": SIZE, "epochs": epochs, "shuffle": False, "verbose": 0, **options}
    model.fit(x, y, callbacks=callbacks, **options)
    return model


# What really happened.


class Witness(keras.callbacks.Callback):
    """Copies all weights to the host before and after each execution of the train function."""

    def __init__(self):
        super().__init__()
        self.before: list[Weights] = []
        self.after: list[Weights] = []
        self.trainable: list[set[str]] = []

    def on_train_batch_begin(self, batch, logs=None):
        self.before.append(weights_of(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(weights_of(self.model))
        self.trainable.append({n for n in LAYERS if self.model.get_layer(n).trainable_weights})

    def see(self, train_step, *batch):
        """Returns what a step outside of `fit` does."""
        self.on_train_batch_begin(None)
        returned = train_step(*batch)
        self.on_train_batch_end(None)
        return returned


def weights_of(model) -> Weights:
    return {name: [w.numpy() for w in model.get_layer(name).weights] for name in LAYERS}


def state_of(model):
    optimizer = getattr(model, "optimizer", None)
    return [*model.weights, *(optimizer.variables if optimizer is not None else ())]


def load_weights(model, weights: Weights):
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)


def cross_entropy(logits, y):
    logits = tf.cast(logits, tf.float32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), logits)


def loss_of(model, x, y, w=1.0, training=False):
    losses = cross_entropy(model(tf.constant(x), training=training), y)
    return tf.reduce_mean(losses * w) + sum(model.losses)


def tape(model, before: Weights, after: Weights, batch) -> tuple[float, Weights]:
    """Returns loss and gradients of one batch, from an eager tape."""
    load_weights(model, before)
    scale = 1024.0  # keeps the small gradients of a float16 layer
    with tf.GradientTape() as recorder:
        loss = loss_of(model, *batch, training=True)
        scaled = scale * loss
    values = {name: [w.value for w in model.get_layer(name).weights] for name in LAYERS}
    gradients = recorder.gradient(scaled, values)
    return float(loss), {n: [np.asarray(g) / scale for g in gs] for n, gs in gradients.items()}


def forward(weights: Weights, x):
    """Returns each layer's output, in numpy."""
    (kernel, bias), (head, head_bias) = weights["hidden"], weights["head"]
    hidden = np.maximum(x.astype(np.float64) @ kernel + bias, 0)
    return {"hidden": hidden, "head": hidden @ head + head_bias}


def flat(arrays):
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


def gradient_row(gradient):
    return [
        np.sqrt((gradient**2).mean()),
        np.abs(gradient).max(),
        (gradient == 0).mean(),
        (~np.isfinite(gradient)).sum(),
    ]


def update_row(before, after):
    return [
        np.linalg.norm(after - before) / np.linalg.norm(before),
        np.sqrt((after**2).mean()),
        (~np.isfinite(after)).sum(),
    ]


def output_row(output, activation):
    dead = (output <= 0).all(axis=0).mean() if activation == "relu" else np.nan
    rms = np.sqrt((output**2).mean())
    return [rms, output.mean(), output.std(), (output == 0).mean(), dead]


# The ways.


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes:
        build: returns the seeded model.
        train: trains it; asks `listen` for the callbacks of a fit, and returns the model.
        batches: every batch (x, y, w), in order.
        reference: returns loss and gradients of one step; see `tape`.
        alone: trains step by step where `train` does not, for the witness.
        recorded: the steps with gradients; None for each.
        rate: of plain SGD, whose gradient is |dw| / rate; None if updates are not that.
        precision: relative, of gradients and outputs.
        updates: whether there is an update ratio.
        overflows: whether the loss scale is too large for the first steps, which are skipped.
    """

    build: Callable[[], Any] = compiled
    train: Callable[[Any, Callable[[], list]], Any] = lambda model, listen: fit(model, listen())
    batches: list = field(default_factory=batches)
    reference: Callable[..., tuple[float, Weights]] = tape
    alone: Way | None = None
    recorded: list[int] | None = None
    rate: float | None = RATE
    precision: float = 1e-3
    updates: bool = True
    overflows: bool = False


def own_model(step):
    """Returns a maker of models that are trained by `step(model, x, y)`."""

    class Own(keras.Model):
        def train_step(self, data):
            return {"loss": step(self, *data)}

    return functools.partial(mlp, Own)


def taped(model, x, y, variables=None, sign=1.0):
    with tf.GradientTape() as recorder:
        loss = tf.reduce_mean(cross_entropy(model(x, training=True), y))
        target = sign * loss
    variables = model.trainable_variables if variables is None else variables
    return loss, recorder.gradient(target, variables), variables


def step_by_compute_loss(model, x, y):
    with tf.GradientTape() as recorder:
        loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    gradients = recorder.gradient(loss, model.trainable_variables)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


def step_by_apply_gradients(model, x, y):
    loss, gradients, variables = taped(model, x, y)
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss


def step_by_apply(model, x, y):
    loss, gradients, variables = taped(model, x, y)
    model.optimizer.apply(gradients, variables)
    return loss


def step_by_apply_alone(model, x, y):
    loss, gradients, _ = taped(model, x, y)
    model.optimizer.apply(gradients)
    return loss


def own(step, **options):
    def build():
        model = compiled(make=own_model(step), **options)
        model.optimizer.build(model.trainable_variables)
        return model

    return Way(build)


def adversaries():
    """The head learns to tell classes apart; then the layer below it learns to prevent that."""

    def step(model, x, y):
        loss, gradients, variables = taped(model, x, y, model.get_layer("head").weights)
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        _, gradients, variables = taped(model, x, y, model.get_layer("hidden").weights, -1.0)
        model.rival.apply(gradients, variables)
        return loss

    model = compiled(make=own_model(step))
    model.rival = sgd()
    return model


def adversarial_tape(model, before, after, batch):
    loss, gradients = tape(model, before, after, batch)
    between = {"hidden": before["hidden"], "head": after["head"]}
    _, rival = tape(model, between, after, batch)
    return loss, {"head": gradients["head"], "hidden": [-g for g in rival["hidden"]]}


class Penalty(keras.layers.Layer):
    """Adds the mean square of what goes through it to the loss."""

    def call(self, x):
        self.add_loss(0.5 * keras.ops.mean(keras.ops.square(x)))
        return x


def penalised():
    return mlp(between=[Penalty(name="penalty")], kernel_regularizer="l2")


def fitted(*args, **options):
    """Returns a way to train that passes these to `fit`."""
    return lambda model, listen: fit(model, listen(), *args, **options)


CLASS_WEIGHTS = {0: 0.2, 1: 3.0, 2: 1.0}


def of_classes(samples=32):
    return np.array([CLASS_WEIGHTS[label] for label in data(samples)[1]], "float32")


def dataset(samples):
    return tf.data.Dataset.from_tensor_slices(data(samples)).batch(SIZE)


def endless():
    while True:
        for x, y, _ in batches(epochs=1):
            yield x, y


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return batches()[index][:2]


def fed(make, **options):
    """Returns a way to train on data that `make` returns."""

    def train(model, listen):
        model.fit(make(), epochs=2, verbose=0, shuffle=False, callbacks=listen(), **options)
        return model

    return train


def executions(steps, recorded, build=compiled, **options):
    """Returns a way of several steps per execution, ten in each of two epochs."""
    options.update(train=fitted(samples=80), batches=batches(80))
    alone = Way(build, **options)
    build = functools.partial(build, steps_per_execution=steps)
    return Way(build, alone=alone, recorded=recorded, **options)


def in_policy(name, optimizer=sgd, **options):
    return compiled(optimizer(), functools.partial(mlp, dtype=keras.DTypePolicy(name)), **options)


def half(**options):
    return in_policy("mixed_float16", **options)


def overflowing(**options):
    """Returns a model whose loss scale is too large for its first steps."""
    return half(optimizer=functools.partial(loss_scale, 2.0**24), **options)


def global_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return compiled()  # Keras itself puts a loss scale around the optimizer
    finally:
        keras.config.set_dtype_policy(before)


def loss_scale(initial=2.0**10):
    return keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=initial)


def fit_twice(model, listen):
    callbacks = listen()
    return fit(fit(model, callbacks, epochs=1), callbacks, epochs=1)


def fit_anew(model, listen):
    fit(model, listen(), epochs=1)
    gc.collect()  # nothing is left of the first callback
    return fit(model, listen(), epochs=1)


def recompile(frozen=False):
    def train(model, listen):
        callbacks = listen()
        fit(model, callbacks, epochs=1)
        model.get_layer("hidden").trainable = not frozen
        model.compile(sgd(), model.loss)
        return fit(model, callbacks, epochs=1)

    return train


def resume(model, listen):
    fit(model, listen(), epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Keras, with numpy 2
            model.save(f"{folder}/checkpoint.keras")
        model = keras.models.load_model(f"{folder}/checkpoint.keras")
    return fit(model, listen(), initial_epoch=1)


def stopped(when):
    """Returns a way to train that stops itself in the first epoch."""

    def train(model, listen):
        def stop(index, logs):
            model.stop_training = index == (2 if when == "on_train_batch_end" else 0)

        return fit(model, [*listen(), keras.callbacks.LambdaCallback(**{when: stop})])

    return train


def steps_by_hand(model, listen):
    """Trains with `train_on_batch`, one step between two `next`."""
    callbacks = keras.callbacks.CallbackList(listen(), model=model)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for batch, (x, y, _) in enumerate(batches(epochs=1)):
            callbacks.on_train_batch_begin(batch)
            logs = model.train_on_batch(x, y, return_dict=True)
            callbacks.on_train_batch_end(batch, logs)
            yield
        callbacks.on_epoch_end(epoch, logs)
    callbacks.on_train_end()


def by_hand(model, listen):
    list(steps_by_hand(model, listen))
    return model


def uncompiled():
    keras.utils.set_random_seed(1)
    return mlp()


def own_loop(decorate):
    """Returns a way to train without `fit`: a plain loop around a function of the user's own."""

    def train(model, listen):
        optimizer, (listener,) = sgd(), listen()

        @decorate
        def train_step(x, y):
            loss, gradients, variables = taped(model, x, y)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return loss

        returned = watch(listener, model, optimizer, train_step)
        model.returned = tuple(float(loss) for loss in returned)
        return model

    def watch(listener, model, optimizer, train_step):
        data = [(tf.constant(x), tf.constant(y)) for x, y, _ in batches(epochs=1)]
        if isinstance(listener, Witness):
            listener.set_model(model)
            return [listener.see(train_step, x, y) for _ in range(2) for x, y in data]
        returned = []
        with listener.loop(model, optimizer, loss=mean_cross_entropy) as loop:
            step = loop.wrap(train_step)
            for _ in range(2):
                returned += [step(x, y) for x, y in data]
                loop.end_epoch({"val_loss": 0.3})
        return returned

    return train


def mean_cross_entropy(y, logits):
    return tf.reduce_mean(cross_entropy(logits, y))


def optimized(**options):
    return functools.partial(Way, lambda: compiled(sgd(**options)))()


def unlike_sgd(**options):
    return Way(lambda: compiled(sgd(**options)), rate=None)


THIRDS = [3, 6, 9, 10, 13, 16, 19, 20]  # ends of the executions, of 3 steps or 1
HALF = 2e-2  # relative precision of layers that compute in 16 bits

WAYS: dict[str, Way] = {
    "plain fit": Way(),
    "with a metric and validation": Way(
        lambda: compiled(metrics=["accuracy"]), fitted(validation_data=data(16, seed=3))
    ),
    "train_step with compute_loss": own(step_by_compute_loss),
    "train_step with apply_gradients": own(step_by_apply_gradients),
    "train_step with apply": own(step_by_apply),
    "train_step with apply without variables": own(step_by_apply_alone),
    "train_step run eagerly": own(step_by_apply_gradients, run_eagerly=True),
    "train_step in XLA": own(step_by_apply, jit_compile=True),
    "two optimizers": Way(adversaries, reference=adversarial_tape),
    "add_loss and a regularizer": Way(lambda: compiled(make=penalised)),
    "class weights": Way(
        train=fitted(class_weight=CLASS_WEIGHTS), batches=batches(weights=of_classes())
    ),
    "sample weights": Way(
        train=fitted(sample_weight=sample_weights()), batches=batches(weights=sample_weights())
    ),
    "ragged last batch": Way(train=fitted(samples=29), batches=batches(29)),
    "tf.data, ragged last batch": Way(train=fed(lambda: dataset(29)), batches=batches(29)),
    "generator": Way(train=fed(endless, steps_per_epoch=4)),
    "PyDataset": Way(train=fed(Sequence)),
    "3 steps per execution": executions(3, THIRDS),
    "8 steps per execution": executions(8, [8, 10, 18, 20]),
    "run eagerly": Way(lambda: compiled(run_eagerly=True)),
    "jit_compile True": Way(lambda: compiled(jit_compile=True)),
    "jit_compile False": Way(lambda: compiled(jit_compile=False)),
    "jit_compile auto": Way(lambda: compiled(jit_compile="auto")),
    "clipnorm": unlike_sgd(clipnorm=0.05),
    "clipvalue": unlike_sgd(clipvalue=0.01),
    "global_clipnorm": unlike_sgd(global_clipnorm=0.05),
    "accumulated gradients": Way(
        lambda: compiled(sgd(gradient_accumulation_steps=4)), rate=None, updates=False
    ),
    "moving average at the end": optimized(use_ema=True, ema_momentum=0.5),
    "moving average every 2 steps": unlike_sgd(
        use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    ),
    "weight decay": unlike_sgd(weight_decay=0.1),
    "AdamW": Way(lambda: compiled(keras.optimizers.AdamW(0.01)), rate=None),
    "loss_scale_factor": optimized(loss_scale_factor=512.0),
    "LossScaleOptimizer": Way(lambda: compiled(loss_scale())),
    "mixed_float16": Way(half, precision=HALF),
    "mixed_float16 with a loss scale": Way(lambda: half(optimizer=loss_scale), precision=HALF),
    "mixed_float16 everywhere": Way(global_float16, precision=HALF),
    "mixed_bfloat16": Way(lambda: in_policy("mixed_bfloat16"), precision=5 * HALF),
    "overflow": Way(overflowing, precision=HALF, overflows=True),
    "overflow, 3 steps per execution": executions(
        3, THIRDS, overflowing, precision=HALF, overflows=True
    ),
    "second fit": Way(train=fit_twice),
    "second fit with a new callback": Way(train=fit_anew),
    "compiled anew": Way(train=recompile()),
    "compiled anew, a layer frozen": Way(train=recompile(frozen=True)),
    "resumed from a checkpoint": Way(train=resume),
    "stopped amid the first epoch": Way(train=stopped("on_train_batch_end"), batches=batches()[:3]),
    "stopped after the first epoch": Way(train=stopped("on_epoch_end"), batches=batches(epochs=1)),
    "callback driven by hand": Way(train=by_hand),
    "own loop of a tf.function": Way(uncompiled, own_loop(tf.function)),
    "own loop of a Python function": Way(uncompiled, own_loop(lambda step: step)),
}


# Training every way.


@dataclass(frozen=True)
class Outcome:
    """What came of one way: the witnessed run's truth and the watched run's record."""

    way: Way
    witness: Witness
    bare: Any
    watched: Any
    recording: Any

    @property
    def trace(self):
        return self.recording.trace


def stuck(result):
    """Returns `bool[S]`, whether the step changed no weight."""
    pairs = zip(result.witness.before, result.witness.after, strict=True)
    return np.array([all((flat(b[n]) == flat(a[n])).all() for n in LAYERS) for b, a in pairs])


def held_out():
    return data(40, seed=9)


def monitor(path, **options):
    options = {"every": 1, "probe_every": 1, "announce": False, **options}
    return tfdiag.HealthMonitor(path, probe=held_out(), **options)


def witnessed(way):
    witness = Witness()
    return witness, way.train(way.build(), lambda: [witness])


def outcome(way: Way, path: Path) -> Outcome:
    witness, bare = witnessed(way)
    if way.alone is not None:
        witness, alone = witnessed(way.alone)
        assert_same_weights(bare, alone, rtol=1e-5)  # else it is no reference
    watched = way.train(way.build(), lambda: [monitor(path)])
    return Outcome(way, witness, bare, watched, open_recording(path))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns what gives the outcome of a way by its name, each trained once."""

    @functools.cache
    def train(name):
        return outcome(WAYS[name], tmp_path_factory.mktemp("run"))

    return train


def each_way(names=tuple(WAYS)):
    return pytest.mark.parametrize("name", names)


# What must hold of the record.


def assert_same_weights(one, other, rtol=0.0):
    assert len(state_of(one)) == len(state_of(other))
    for a, b in zip(state_of(one), state_of(other), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=rtol, atol=rtol, err_msg=a.path)


def recorded(trace, columns, steps):
    """Returns `float[len(steps), LAYERS, columns]`, what the record says of these steps."""
    rows = [trace.steps.tolist().index(step) for step in steps]
    layers = [trace.layers.index(name) for name in LAYERS]
    return np.stack([trace.columns[name][rows][:, layers] for name in columns], axis=-1)


def of_series(trace, name, steps):
    return trace.series[name][[trace.steps.tolist().index(step) for step in steps]]


def assert_weights_are_the_bare_runs(result):
    assert_same_weights(result.bare, result.watched)
    assert len(result.witness.after) == len(result.way.batches), "and that was the training meant"


def assert_every_step_is_recorded(result):
    trace, recorded_steps = result.trace, result.way.recorded
    count = len(result.way.batches)
    expected = list(range(1, count + 1)) if recorded_steps is None else recorded_steps
    assert trace.steps.tolist() == [0, *expected]
    for name in ("gradient_nonfinite", "output_rms"):
        measured = np.isfinite(trace.columns[name]).any(axis=1)
        start = 0 if name == "output_rms" else 1
        assert measured.tolist() == [i >= start for i in range(len(measured))], name
    assert result.recording.finished


def assert_gradients_are_the_tapes(result):
    way, witness = result.way, result.witness
    steps = [
        s for s in result.trace.steps if s > 0 and not (way.overflows and stuck(result)[s - 1])
    ]
    twin, losses, rows = way.build(), [], []
    for step in steps:
        i = step - 1
        before, after = witness.before[i], witness.after[i]
        loss, gradients = way.reference(twin, before, after, way.batches[i])
        losses.append(loss)
        rows.append([row_of(gradient_row, witness, i, name, gradients) for name in LAYERS])
    seen = recorded(result.trace, GRADIENT_COLUMNS, steps)
    np.testing.assert_allclose(seen, rows, rtol=way.precision, atol=1e-7)
    np.testing.assert_allclose(of_series(result.trace, "loss", steps), losses, rtol=way.precision)
    sizes = [sum(w.size for w in witness.before[0][name]) for name in LAYERS]
    norms = np.sqrt(np.nansum(seen[..., 0].astype(float) ** 2 * sizes, axis=1))
    np.testing.assert_allclose(of_series(result.trace, "gradient_norm", steps), norms, rtol=1e-5)


def row_of(measure, witness, i, name, *arrays):
    """Returns what `measure` says of a layer at step `i`; nan if the layer is frozen."""
    row = measure(*(flat(weights[name]) for weights in arrays))
    return row if name in witness.trainable[i] else [np.nan] * len(row)


def assert_updates_are_what_the_host_saw(result):
    way, witness, trace = result.way, result.witness, result.trace
    steps = [step for step in trace.steps if step > 0]
    rows = [
        [
            row_of(update_row, witness, s - 1, n, witness.before[s - 1], witness.after[s - 1])
            for n in LAYERS
        ]
        for s in steps
    ]
    columns = UPDATE_COLUMNS
    if not way.updates:
        assert not np.isfinite(trace.columns["update_ratio"]).any()
        assert trace.not_measured["update_ratio"]
        columns, rows = columns[1:], np.array(rows)[..., 1:]
    np.testing.assert_allclose(recorded(trace, columns, steps), rows, rtol=1e-4, atol=1e-9)


def assert_gradients_are_what_plain_sgd_did(result):
    way, witness = result.way, result.witness
    steps = [
        s for s in result.trace.steps if s > 0 and not (way.overflows and stuck(result)[s - 1])
    ]
    rows = []
    for step in steps:
        before, after = witness.before[step - 1], witness.after[step - 1]
        moved = {
            n: [(b - a) / way.rate for b, a in zip(before[n], after[n], strict=True)]
            for n in LAYERS
        }
        rows.append([row_of(gradient_row, witness, step - 1, n, moved)[:2] for n in LAYERS])
    seen = recorded(result.trace, GRADIENT_COLUMNS[:2], steps)
    np.testing.assert_allclose(seen, rows, rtol=1e-3, atol=1e-6)


def assert_outputs_are_numpys(result):
    trace, witness, precision = result.trace, result.witness, result.way.precision
    (x, y), twin = held_out(), result.way.build()
    rows, losses = [], []
    for step in trace.steps:
        weights = witness.after[step - 1] if step else witness.before[0]
        outputs = forward(weights, x)
        rows.append([output_row(outputs["hidden"], "relu"), output_row(outputs["head"], None)])
        load_weights(twin, weights)
        losses.append(loss_of(twin, x, y))
    seen = recorded(trace, OUTPUT_COLUMNS, trace.steps)
    np.testing.assert_allclose(seen, rows, rtol=precision, atol=precision / 10)
    np.testing.assert_allclose(trace.series["probe_loss"], losses, rtol=precision)


@each_way()
def test_weights_are_those_of_the_bare_run(name, trained):
    assert_weights_are_the_bare_runs(trained(name))


@each_way()
def test_every_step_is_recorded(name, trained):
    assert_every_step_is_recorded(trained(name))


@each_way()
def test_gradients_are_those_of_an_eager_tape(name, trained):
    assert_gradients_are_the_tapes(trained(name))


@each_way([name for name, way in WAYS.items() if way.rate is not None])
def test_gradients_are_what_plain_sgd_did(name, trained):
    assert_gradients_are_what_plain_sgd_did(trained(name))


@each_way()
def test_updates_are_what_the_host_saw(name, trained):
    assert_updates_are_what_the_host_saw(trained(name))


@each_way()
def test_outputs_are_those_of_numpy(name, trained):
    assert_outputs_are_numpys(trained(name))


@each_way([name for name, way in WAYS.items() if way.overflows])
def test_a_step_that_overflows_is_seen(name, trained):
    result = trained(name)
    steps = result.trace.steps[1:]
    skipped = stuck(result)[steps - 1]
    assert skipped.any() and not skipped.all(), "else nothing is tested"
    bad = recorded(result.trace, ["gradient_nonfinite"], steps)[..., 0].sum(axis=1)
    np.testing.assert_array_equal(bad > 0, skipped)
    updates = recorded(result.trace, ["update_ratio"], steps)[..., 0]
    assert (updates[skipped] == 0).all() and (updates[~skipped] > 0).all()
    norms = of_series(result.trace, "gradient_norm", steps)
    np.testing.assert_array_equal(np.isnan(norms), skipped)


# Two models, and what only some ways have.


def in_threads(models, listens):
    threads = [
        threading.Thread(target=fit, args=(model, listen()))
        for model, listen in zip(models, listens, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def nested(models, listens):
    def inner(batch, logs):
        if batch == 1 and int(models[0].optimizer.iterations) == 2:
            fit(models[1], listens[1]())

    fit(models[0], [*listens[0](), keras.callbacks.LambdaCallback(on_train_batch_end=inner)])


def in_turn(models, listens):
    callbacks = [listen() for listen in listens]
    for epoch in range(2):
        for model, own in zip(models, callbacks, strict=True):
            fit(model, own, initial_epoch=epoch, epochs=epoch + 1)


def step_by_step(models, listens):
    for _ in zip(*map(steps_by_hand, models, listens), strict=True):
        pass


TOGETHER = {
    "in two threads": in_threads,
    "one inside the other": nested,
    "in turn": in_turn,
    "step by step by hand": step_by_step,
}


@functools.cache
def alone_each():
    """Returns two ways, and what a witness saw of each."""
    ways = [Way(functools.partial(compiled, seed=seed)) for seed in (1, 2)]
    return ways, [witnessed(way) for way in ways]


@each_way(TOGETHER)
def test_two_models_trained_together_are_measured_as_if_alone(name, tmp_path):
    ways, truths = alone_each()
    models = [way.build() for way in ways]
    folders = [tmp_path / "one", tmp_path / "other"]
    TOGETHER[name](models, [lambda folder=folder: [monitor(folder)] for folder in folders])
    for way, truth, model, folder in zip(ways, truths, models, folders, strict=True):
        result = Outcome(way, *truth, model, open_recording(folder))
        for check in CHECKS:
            check(result)


CHECKS = (
    assert_weights_are_the_bare_runs,
    assert_every_step_is_recorded,
    assert_gradients_are_the_tapes,
    assert_gradients_are_what_plain_sgd_did,
    assert_updates_are_what_the_host_saw,
    assert_outputs_are_numpys,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_check_fails_on_the_record_of_another_training(check, trained):
    shorter = check is assert_every_step_is_recorded
    wrong = trained("stopped amid the first epoch" if shorter else "sample weights")
    right = trained("plain fit")
    with pytest.raises(AssertionError):
        check(Outcome(right.way, right.witness, right.bare, wrong.watched, wrong.recording))


@each_way(["plain fit", "resumed from a checkpoint", "own loop of a tf.function"])
def test_epochs_are_counted_on(name, trained):
    trace = trained(name).trace
    assert of_series(trace, "epoch", [4, 8]).tolist() == [0, 1]
    assert np.isfinite(trace.series["epoch"]).sum() == 2


@each_way(["own loop of a tf.function", "own loop of a Python function"])
def test_an_own_loop_gets_what_its_step_returns(name, trained):
    result = trained(name)
    assert result.watched.returned == result.bare.returned
    np.testing.assert_allclose(of_series(result.trace, "val_loss", [4, 8]), 0.3, rtol=1e-6)
