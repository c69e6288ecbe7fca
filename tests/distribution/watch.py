"""What the scripts of distributed training have in common: the run, and what is true of it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from tests import keras_models
from tests.test_statistics import weight_row
from tfdiag.capture import TrainingTap
from tfdiag.forward import ForwardTap
from tfdiag.layers import recorded_layers
from tfdiag.probe import probe_set
from tfdiag.trainer import Fit

BATCH = 8
RATE = 0.05
#: Four whole batches and one that the replicas share unevenly.
SAMPLES = 4 * BATCH + 5


def data():
    return keras_models.images(SAMPLES)


def held_out():
    return keras_models.images(40, seed=9)


def plain_layers():
    """Returns a network without dropout, which would differ from replica to replica."""
    layers = keras.layers
    return [
        keras.Input((8, 8, 1)),
        layers.Conv2D(6, 3, activation="relu", name="conv"),
        layers.Flatten(name="flatten"),
        layers.Dense(8, activation="tanh", name="dense"),
        layers.Dense(10, activation="softmax", name="head"),
    ]


def compiled(build=keras.Sequential, network=plain_layers, **options):
    keras.utils.set_random_seed(0)
    model = build(network())
    options = {"optimizer": keras.optimizers.SGD(RATE), **options}
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def state(model):
    variables = [*model.weights, *model.optimizer.variables]
    return [v.numpy() for v in variables]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def local_values(model):
    """Returns all that this process holds of the model's metrics, replica by replica."""
    metrics = [v.value for metric in model.metrics for v in metric.variables]
    return [part.numpy() for value in metrics for part in getattr(value, "values", [value])]


class Stops(keras.callbacks.Callback):
    """Stops training early, within an epoch."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        self.model.stop_training = self.left == 0


class SampledSteps(keras.callbacks.Callback):
    """Samples each step and keeps what one device says of the same batch beside it.

    Args:
        batches: the global batches (x, y), in order.
    """

    def __init__(self, batches):
        super().__init__()
        self.batches = batches
        self.rows, self.expected, self.losses = [], [], []

    def on_train_begin(self, logs=None):
        self.alone = compiled()  # where nothing is distributed
        self.tap = TrainingTap(Fit(self.model))
        self.tap.attach()

    def on_train_batch_begin(self, batch, logs=None):
        self.tap.arm()
        self.before = [v.numpy() for v in self.model.trainable_variables]
        for variable, value in zip(self.alone.trainable_variables, self.before, strict=True):
            variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        after = [v.numpy() for v in self.model.trainable_variables]
        taken = self.tap.take()
        x, y = self.batches[batch]
        with tf.GradientTape() as tape:
            loss = self.alone.compute_loss(x, y, self.alone(x, training=True))
        gradients = tape.gradient(loss, [v.value for v in self.alone.trainable_variables])
        if len(x) < BATCH:  # replicas weigh the same, whatever their share: so says the update
            gradients = [(b - a) / RATE for b, a in zip(self.before, after, strict=True)]
        self.rows.append(taken.sums)
        parts = zip(map(np.asarray, gradients), self.before, after, strict=True)
        self.expected.append([weight_row(*part) for part in parts])
        self.losses.append((taken.loss, float(loss), len(x)))

    def on_train_end(self, logs=None):
        self.tap.detach()

    def check(self):
        for rows, expected, (loss, alone, size) in zip(
            self.rows, self.expected, self.losses, strict=True
        ):
            whole = size == BATCH
            columns = slice(None) if whole else [0, 1, 2, 5, 6, 7]  # an update is never exactly 0
            wanted = np.array(expected, np.float64)
            np.testing.assert_allclose(
                rows[:, columns], wanted[:, columns], rtol=1e-3, atol=1e-9, err_msg=f"{size}"
            )
            if whole:
                np.testing.assert_allclose(loss, alone, rtol=1e-5)


class Looks(keras.callbacks.Callback):
    """Looks at the probe set after each step; nothing may change by it, anywhere."""

    def on_train_begin(self, logs=None):
        self.probe = probe_set(held_out(), 40)
        self.tap = ForwardTap(Fit(self.model), recorded_layers(self.model))

    def on_train_batch_end(self, batch, logs=None):
        before = state(self.model), local_values(self.model)
        self.found = self.tap.run(self.probe)
        assert_same(before[0], state(self.model))
        assert_same(before[1], local_values(self.model))
        self.weights = self.model.get_weights()

    def check(self):
        alone = compiled()
        alone.set_weights(self.weights)
        expected = ForwardTap(Fit(alone), recorded_layers(alone)).run(self.probe)
        np.testing.assert_allclose(self.found.sums, expected.sums, rtol=1e-4)
        assert self.found.logs.keys() == expected.logs.keys()
        for name, value in expected.logs.items():
            np.testing.assert_allclose(self.found.logs[name], value, rtol=1e-4, err_msg=name)


def batches():
    x, y = data()
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
