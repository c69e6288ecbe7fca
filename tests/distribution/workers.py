"""Trains in two processes: python -m tests.distribution.workers CASE FOLDER PORT,PORT INDEX.

Keras 3.15 cannot `fit` under several workers as it is: it sums a batch that is a tuple, and it
averages numbers along an axis that they do not have. `Working` is what a user must do about it.
"""

import json
import os
import sys

_CASE, _FOLDER, _PORTS, _INDEX = sys.argv[1:]
INDEX = int(_INDEX)
os.environ["TF_CONFIG"] = json.dumps(
    {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in _PORTS.split(",")]},
        "task": {"type": "worker", "index": INDEX},
    }
)

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import tfdiag  # noqa: E402
from tests import keras_models  # noqa: E402
from tests.distribution import watch  # noqa: E402
from tfdiag import distribution, recording  # noqa: E402

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()  # before any other operation
assert STRATEGY.num_replicas_in_sync == 2


class Working(keras.Sequential):
    """A model whose `fit` works with several workers."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        pass

    def train_step(self, data):
        return {name: value[tf.newaxis] for name, value in super().train_step(data).items()}


def compiled(**options):
    with STRATEGY.scope():
        return watch.compiled(Working, **options)


def fit(model, callbacks, epochs=1):
    x, y = watch.data()
    return model.fit(
        x, y, batch_size=watch.BATCH, shuffle=False, verbose=0, epochs=epochs, callbacks=callbacks
    )


def monitor(folder, **options):
    options = {
        "every": 2,
        "probe_every": 3,
        "gradcam": 0,
        "announce": False,
        "epoch_logs": False,
        **options,
    }
    return tfdiag.HealthMonitor(folder, watch.held_out(), **options)


def gradients_and_probe(folder):
    """Each worker looks for itself and sees the same; nobody waits if one looks more often."""
    model, steps = compiled(), watch.SampledSteps(watch.batches())
    looks = watch.Looks()
    fit(model, [steps, looks] if INDEX else [steps, looks, watch.Looks()])
    steps.check()
    looks.check()


def everything(folder):
    """With normalisation, dropout and Grad-CAM, over two fits, the second one stopped early."""
    runs = []
    for callbacks in ([], [monitor(folder, gradcam=2)]):
        model = compiled(network=lambda: keras_models.sequential().layers)
        first = fit(model, callbacks)
        second = fit(model, [*callbacks, watch.Stops(after=8)], epochs=2)
        runs.append((watch.state(model), first.history, second.history))
    watch.assert_same(runs[0][0], runs[1][0])
    assert runs[0][1:] == runs[1][1:]
    if INDEX:
        return
    assert len(os.listdir(folder)) == 2, "one file for each fit, all by the chief"
    trace = tfdiag.load(folder)
    dense = list(trace.layers).index("dense")
    measured = np.isfinite(trace.columns["gradient_rms"][:, dense])
    assert trace.steps[measured].tolist() == [1, 2, 4, 6, 8, 10, 12]
    assert (trace.columns["update_ratio"][measured, dense] > 0).all()
    looked = np.isfinite(trace.columns["output_rms"][:, dense])
    assert "gradcam" not in trace.not_measured
    # Metrics that are not built yet are made by the first step, so the first look is after it.
    assert trace.steps[looked].tolist() == [1, 3, 5, 6, 9, 12, 13]


def chief_only(folder):
    """The others know of no callback: nobody may wait for them at each sampled step."""
    distribution.PATIENCE_SECONDS = 2.0
    model = compiled()
    fit(model, [] if INDEX else [monitor(folder)])
    if INDEX == 0:
        trace = tfdiag.load(folder)
        assert "same callbacks" in trace.not_measured["gradient_rms"]
        assert np.isfinite(trace.columns["output_rms"]).any()


def faults(folder):
    """Neither a loss that is not finite nor a fault of ours on one worker changes the samples."""
    model = compiled(optimizer=keras.optimizers.SGD(1e30))
    fit(model, [monitor(f"{folder}/1", every=4)])
    if INDEX == 0:
        trace = tfdiag.load(f"{folder}/1")
        sampled = np.isfinite(trace.columns["gradient_zeros"]).any(axis=1)
        assert trace.steps[sampled].tolist() == [1, 4]

        def fails(self, *args):
            raise RuntimeError("a fault of ours")

        recording.Recording._record = fails
    fit(model, [monitor(f"{folder}/2")])
    assert int(model.optimizer.iterations.numpy()) == 10


CASES = (gradients_and_probe, everything, chief_only, faults)

if __name__ == "__main__":
    {function.__name__: function for function in CASES}[_CASE](_FOLDER)
