"""Trains on two logical CPUs in one process: python -m tests.distribution.mirrored CASE FOLDER."""

import os
import sys

import keras
import numpy as np
import tensorflow as tf

import tfdiag
from tests import keras_models
from tests.distribution import watch

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def compiled(**options):
    with STRATEGY.scope():
        return watch.compiled(**options)


def fit(model, callbacks, epochs=1, **options):
    x, y = watch.data()
    options = {"batch_size": watch.BATCH, "shuffle": False, "verbose": 0, **options}
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **options)


def monitor(folder, **options):
    options = {
        "every": 1,
        "probe_every": 2,
        "gradcam": 0,
        "announce": False,
        "epoch_logs": False,
        **options,
    }
    return tfdiag.HealthMonitor(folder, watch.held_out(), **options)


def gradients_and_probe(folder):
    for eagerly in (False, True):
        check_gradients_and_probe(run_eagerly=eagerly)


def check_gradients_and_probe(**options):
    model, steps = compiled(**options), watch.SampledSteps(watch.batches())
    fit(model, [steps])
    assert len(steps.rows) == 5
    steps.check()
    looks = watch.Looks()
    with STRATEGY.scope():  # where a metric is a sum over all replicas
        fit(model, [looks])
    looks.check()


def everything(folder):
    """With normalisation, dropout and Grad-CAM; the second fit in scope, and stopped early."""
    runs = []
    for callbacks in ([], [monitor(folder, probe_every=4, gradcam=2)]):
        model = compiled(network=lambda: keras_models.sequential().layers)
        first = fit(model, callbacks, validation_data=watch.held_out())
        with STRATEGY.scope():
            second = fit(model, [*callbacks, watch.Stops(after=8)], epochs=2)
        runs.append((watch.state(model), first.history, second.history))
    watch.assert_same(runs[0][0], runs[1][0])
    assert runs[0][1:] == runs[1][1:]
    assert len(os.listdir(folder)) == 2, "one file for each fit"
    trace = tfdiag.load(folder)
    dense = list(trace.layers).index("dense")
    measured = np.isfinite(trace.columns["gradient_rms"][:, dense])
    assert trace.steps[measured].tolist() == list(range(1, 14))
    assert (trace.columns["update_ratio"][measured, dense] > 0).all()
    looked = np.isfinite(trace.columns["output_rms"][:, dense])
    assert trace.steps[looked].tolist() == [0, 4, 5, 8, 12, 13]
    assert np.isfinite(trace.series["probe_accuracy"][looked]).all()


def half_precision(folder):
    """The loss is scaled too, until no gradient overflows; an overflow makes no step."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    bare, watched = compiled(), compiled()
    fit(bare, [])
    fit(watched, [monitor(folder)])
    watch.assert_same(watch.state(bare), watch.state(watched))
    trace = tfdiag.load(folder)
    dense = list(trace.layers).index("dense")
    assert np.isfinite(trace.columns["gradient_nonfinite"][1:, dense]).all()
    assert 1e-4 < trace.columns["gradient_rms"][-1, dense] < 10


CASES = (gradients_and_probe, everything, half_precision)

if __name__ == "__main__":
    case, folder = sys.argv[1:]
    {function.__name__: function for function in CASES}[case](folder)
