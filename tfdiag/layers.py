"""Which of a Keras model's layers are recorded, under which name and in which role."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from tfdiag.architecture import Architecture, Layer

#: Layers that hand their input on: their output is worth no measurement of its own.
PASSIVE = (
    keras.layers.InputLayer,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
)

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.UnitNormalization,
    keras.layers.Normalization,
    keras.layers.SpectralNormalization,
)
_RECURRENT = (keras.layers.RNN, keras.layers.Bidirectional)
_ATTENTION = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)


def recorded_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns the layers that are recorded, from the input side to the output side.

    A model inside the model and a layer of the user's own that is made of layers are opened;
    Keras' own layers (an LSTM, an attention) stay whole.

    Args:
        model: any Keras model; what an unbuilt one has not created yet is missing.

    Returns:
        Unique name, such as "backbone/conv_1", to layer. A shared layer is there once.
    """
    named: dict[str, keras.layers.Layer] = {}
    seen: set[int] = set()
    for name, layer in _leaves(model, ""):
        if id(layer) in seen or isinstance(layer, keras.layers.InputLayer):
            continue
        seen.add(id(layer))
        named[_unique(name, named)] = layer
    return named


def describe(
    model: keras.Model,
    layers: dict[str, keras.layers.Layer],
    shapes: Mapping[str, tuple[int | None, ...]] | None = None,
) -> Architecture:
    """Returns what the model is, as rules and the tab need it.

    Args:
        model: a compiled model.
        layers: its recorded layers, from `recorded_layers`.
        shapes: layer's name to the shape of its output without the batch axis, as far as a
            pass has shown it; else what the layer itself declares counts.
    """
    shapes = shapes or {}
    feeds = _feeds(model, layers)
    outputs = _output_names(model, layers, feeds)
    optimizer = getattr(model, "optimizer", None)
    return Architecture(
        layers=tuple(
            Layer(
                name=name,
                type=type(layer).__name__,
                shape=shapes.get(name) or _output_shape(layer),
                parameters=sum(math.prod(weight.shape) for weight in layer.weights),
                trainable=bool(layer.trainable_weights),
                activation=activation_name(layer),
                role="output" if name in outputs else _role(layer),
                inputs=tuple(feeds.get(name, ())),
            )
            for name, layer in layers.items()
        ),
        loss=_name(getattr(model, "loss", None)),
        optimizer=type(optimizer).__name__ if optimizer is not None else None,
        settings=_settings(model, optimizer),
    )


def activation_name(layer: keras.layers.Layer) -> str | None:
    """Returns the name of the function at the layer's end, None if it is linear.

    A `ReLU` with a negative slope is a "leaky_relu": its units cannot die.
    """
    if isinstance(layer, keras.layers.ReLU):
        return "leaky_relu" if layer.negative_slope else "relu"
    for kind, own in (
        (keras.layers.LeakyReLU, "leaky_relu"),
        (keras.layers.PReLU, "leaky_relu"),
        (keras.layers.ELU, "elu"),
        (keras.layers.Softmax, "softmax"),
    ):
        if isinstance(layer, kind):
            return own
    activation = getattr(layer, "activation", None)
    if isinstance(activation, keras.layers.Layer):
        return activation_name(activation)
    name = _name(activation)
    return None if name == "linear" else name


def _leaves(layer: Any, prefix: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    for child in _children(layer):
        name = f"{prefix}{child.name}"
        if _children(child) and _is_open(child):
            yield from _leaves(child, f"{name}/")
        else:
            yield name, child


def _children(layer: Any) -> list[keras.layers.Layer]:
    return list(layer.layers if isinstance(layer, keras.Model) else layer._layers)


def _is_open(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Model) or not type(layer).__module__.startswith("keras.")


def _unique(name: str, taken: dict[str, Any]) -> str:
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _role(layer: keras.layers.Layer) -> str:
    if isinstance(layer, _NORMALIZATIONS):
        return "normalization"
    if isinstance(layer, keras.layers.Embedding):
        return "embedding"
    if isinstance(layer, _RECURRENT):
        return "recurrent"
    if isinstance(layer, _ATTENTION):
        return "attention"
    return "hidden"


def _output_shape(layer: keras.layers.Layer) -> tuple[int | None, ...]:
    shape = getattr(getattr(layer, "output", None), "shape", None) if _has_output(layer) else None
    return tuple(shape[1:]) if shape is not None else ()


def _has_output(layer: keras.layers.Layer) -> bool:
    # `Layer.output` raises unless the layer was called once, symbolically.
    return len(getattr(layer, "_inbound_nodes", ())) == 1


def _feeds(model: keras.Model, layers: dict[str, Any]) -> dict[str, list[str]]:
    """Returns which recorded layers feed each one, as far as a Functional graph tells."""
    names = {id(layer): name for name, layer in layers.items()}
    feeds: dict[str, list[str]] = {}
    for layer in layers.values():
        nodes = getattr(layer, "_inbound_nodes", ())
        sources = [
            _recorded_source(tensor, names) for node in nodes for tensor in node.input_tensors
        ]
        feeds[names[id(layer)]] = list(dict.fromkeys(s for s in sources if s))
    return feeds


def _recorded_source(tensor: Any, names: dict[int, str]) -> str | None:
    """Returns the recorded layer that made a symbolic tensor; None if that is an input."""
    history = getattr(tensor, "_keras_history", None)
    while history is not None:
        source = history.operation
        if id(source) in names:
            return names[id(source)]
        if isinstance(source, keras.Model) and getattr(source, "outputs", None):
            history = getattr(source.outputs[history.tensor_index], "_keras_history", None)
        else:  # an operation that is not a layer: follow its first input
            inputs = source._inbound_nodes[history.node_index].input_tensors
            history = getattr(inputs[0], "_keras_history", None) if inputs else None
    return None


def _output_names(
    model: keras.Model, layers: dict[str, Any], feeds: dict[str, list[str]]
) -> set[str]:
    """Returns the layers whose values leave the model: its logits too, not only its softmax."""
    names = {id(layer): name for name, layer in layers.items()}
    sources = [_recorded_source(tensor, names) for tensor in getattr(model, "outputs", None) or ()]
    found = {source for source in sources if source is not None}
    if not found:  # a subclassed model has no graph: the last layer with weights is its head
        weighted = [name for name, layer in layers.items() if layer.weights]
        last = list(layers)[list(layers).index(weighted[-1]) :] if weighted else list(layers)[-1:]
        return set(last)
    for name in list(found):
        if not layers[name].weights:
            found.update(feeds.get(name, ()))
    return found


def _name(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return ", ".join(str(_name(part)) for part in parts)
    return getattr(value, "__name__", None) or getattr(value, "name", type(value).__name__)


def _settings(model: keras.Model, optimizer: Any) -> dict[str, Any]:
    """Returns the settings that users tell runs apart by; what is off is left out."""
    settings: dict[str, Any] = {}
    config = optimizer.get_config() if optimizer is not None else {}
    if not config.get("use_ema"):
        config.pop("ema_momentum", None)
    for key, value in config.items():
        if isinstance(value, dict):  # a schedule, an inner optimizer
            settings[key] = str(value.get("class_name", key))
        elif isinstance(value, float):
            settings[key] = float(f"{value:.6g}")  # 0.001, not 0.0010000000474974513
        elif isinstance(value, str | int) and value is not False and key != "name":
            settings[key] = value
    if getattr(model, "jit_compile", False):
        settings["jit_compile"] = True
    settings["parameters"] = sum(math.prod(weight.shape) for weight in model.weights)
    settings["model"] = model.name
    return settings
