"""Slow and obvious references for every recorded statistic: an eager tape, and numpy."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfdiag import backend  # for Keras' private names alone

#: Functions whose units can die, and the flat ends of those that can saturate.
DYING = ("relu", "relu6")
FLAT = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}


class Snapshots(keras.callbacks.Callback):
    """Copies the state of a model after each of its training steps, and changes nothing."""

    def __init__(self):
        super().__init__()
        self.states = []

    def on_train_batch_end(self, batch, logs=None):
        self.states.append(state(self.model))


def state(model):
    """Returns the values of a model's weights and of the seeds that its next call draws from."""
    return [variable.numpy() for variable in _stateful(model)]


def restore(model, values):
    """Puts a model of the same kind into a state."""
    for variable, value in zip(_stateful(model), values, strict=True):
        variable.assign(value)


def _stateful(model):
    return [*model.weights, *backend.seeds(model)]


def layer_at(model, path):
    """Returns the layer with a path such as "backbone/block/conv"; None if there is none.

    The name of the model itself is its path, unless one of its layers has that name.
    """
    outermost = model
    for name in path.split("/"):
        model = next((child for child in backend.sublayers(model) if child.name == name), None)
        if model is None:
            return outermost if path == outermost.name else None
    return model


def trained_weights(layers):
    """Returns layer's id to its trained weights, without those of others of `layers` inside it."""
    held = {id(layer): {id(w): w for w in layer.trainable_weights} for layer in layers}
    own = {}
    for layer, weights in held.items():
        inside = [others for others in held.values() if others.keys() < weights.keys()]
        own[layer] = [w for key, w in weights.items() if not any(key in o for o in inside)]
    return own


def rows(data, start, stop):
    """Returns samples `start` to `stop` of an array, or of each in a list or a dict."""
    return keras.tree.map_structure(lambda array: array[start:stop], data)


def loss_and_gradients(model, x, y):
    """Returns the training loss, and weight's id to gradient for those that the loss reaches."""
    weights = model.trainable_weights
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), training=True)
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    return float(loss), {
        id(weight): tf.convert_to_tensor(gradient).numpy()
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    }


def loss_and_outputs(model, x, y):
    """Returns the loss without training, and layer's id to its output at each of its calls."""
    seen = {}
    original = keras.layers.Layer.__call__

    def call(layer, *args, **kwargs):
        output = original(layer, *args, **kwargs)
        first = keras.tree.flatten(output)[0]  # an LSTM returns its state after its output
        seen.setdefault(id(layer), []).append(np.asarray(first, np.float64))
        return output

    keras.layers.Layer.__call__ = call
    try:
        prediction = model(x, training=False)
    finally:
        keras.layers.Layer.__call__ = original
    return float(model.compute_loss(x, y, prediction, training=False)), seen


def gradient_measures(gradients):
    """Returns what is recorded of a layer's gradient, from all its entries."""
    entries = _entries(gradients)
    bad = int((~np.isfinite(entries)).sum())
    measures = {
        "gradient_rms": np.sqrt(np.mean(entries**2)),
        "gradient_max": np.max(np.abs(entries)),
        "gradient_zeros": np.mean(entries == 0),
    }
    return {**_unless(bad, measures), "gradient_nonfinite": bad}


def weight_measures(before, after):
    """Returns what is recorded of a layer's weights, from those before and after the step."""
    before, after = _entries(before), _entries(after)
    bad = int((~np.isfinite(after)).sum())
    measures = {
        "update_ratio": np.sqrt(np.sum((after - before) ** 2) / np.sum(before**2)),
        "weight_rms": np.sqrt(np.mean(after**2)),
    }
    return {**_unless(bad, measures), "weight_nonfinite": bad}


def output_measures(outputs, activation, channels=-1):
    """Returns what is recorded of a layer's output, from all its calls on the probe set.

    Args:
        outputs: one array per call.
        activation: name of the function at the layer's end, or None.
        channels: the axis of units.
    """
    entries = _entries(outputs)
    bad = int((~np.isfinite(entries)).sum())
    measures = {
        "output_rms": np.sqrt(np.mean(entries**2)),
        "output_mean": np.mean(entries),
        "output_std": np.std(entries),
        "output_zeros": np.mean(entries == 0),
        "dead_fraction": np.nan,
        "saturated_fraction": np.nan,
    }
    moved = [np.moveaxis(output, channels, -1) for output in outputs]
    units = np.concatenate([output.reshape(-1, output.shape[-1]) for output in moved]).T
    if activation in DYING:
        measures["dead_fraction"] = np.mean([not any(v > 0 for v in unit) for unit in units])
    if activation in FLAT:
        low, high = FLAT[activation]
        flat = [np.mean([v < low or v > high for v in unit]) for unit in units]
        measures["saturated_fraction"] = np.mean([share >= 0.95 for share in flat])
    return {**_unless(bad, measures), "output_nonfinite": bad}


def activation_of(layer):
    """Returns the name of the function at a layer's end; None if it is linear or has none."""
    if isinstance(layer, keras.layers.ReLU):
        return "relu"
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return None if name == "linear" else name


def global_norm(gradients):
    """Returns the L2 norm of all entries of all gradients; nan if it is not finite."""
    norm = np.sqrt(np.sum(_entries(gradients) ** 2))
    return norm if np.isfinite(norm) else np.nan


def histogram(gradients, tiny):
    """Returns edges and counts: each power of two from `tiny` on, both signs, one bin between."""
    entries = _entries(gradients)
    up = tiny * 2.0 ** np.arange(80)
    counts = [((entries > -2 * edge) & (entries <= -edge)).sum() for edge in up[::-1]]
    counts += [(np.abs(entries) < tiny).sum()]
    counts += [((entries >= edge) & (entries < 2 * edge)).sum() for edge in up]
    return np.array(counts)


def rebinned(buckets, tiny):
    """Returns TensorBoard's buckets, `float[K, 3]`, as the counts that `histogram` returns."""
    middles = (buckets[:, 0] + buckets[:, 1]) / 2
    return histogram([np.repeat(middles, np.round(buckets[:, 2]).astype(int))], tiny)


def rounding(gradients):
    """Returns the power of two below which a gradient's entry is nothing but rounding."""
    entries = np.abs(_entries(gradients))
    largest = np.max(entries[np.isfinite(entries)], initial=0.0)
    return 2.0 ** np.floor(np.log2(1e-6 * largest)) if largest else 2.0**-40


def _entries(arrays):
    return np.concatenate([np.ravel(array) for array in arrays]).astype(np.float64)


def _unless(bad, measures):
    return dict.fromkeys(measures, np.nan) if bad else measures
