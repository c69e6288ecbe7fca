"""Which of a Keras model's layers are recorded, under which name and in which role."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from tfdiag import backend
from tfdiag.architecture import Architecture, Layer, Options
from tfdiag.options import layer_options, loss_options

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
    Keras' own layers (an LSTM, an attention) stay whole. What is opened is recorded itself only
    if it has weights of its own, as a class token is.

    Args:
        model: any Keras model; what an unbuilt one has not created yet is missing.

    Returns:
        Unique name, such as "backbone/conv_1", to layer. A shared layer is there once.
    """
    named: dict[str, keras.layers.Layer] = {}
    seen: set[int] = set()
    own = [(model.name, model)] if backend.own_weights(model) else []
    for name, layer in [*own, *_leaves(model, "")]:
        if id(layer) in seen or isinstance(layer, keras.layers.InputLayer):
            continue
        seen.add(id(layer))
        named[_unique(name, named)] = layer
    return named


@dataclass
class Place:
    """Where something is measured: a layer, or a function that is called between layers.

    Attributes:
        layer: the layer; None for a function, such as `tf.nn.relu` in a model's `call`.
        activation: name of the function at its end, None if it is linear.
        shape: shape of its output without the batch axis; empty if it is not known.
        is_gate: True for a function whose output is multiplied by something.
        is_output: True for a function whose output is the model's.
    """

    layer: keras.layers.Layer | None
    activation: str | None
    shape: tuple[int | None, ...] = ()
    is_gate: bool = False
    is_output: bool = False


def containers(model: keras.Model) -> dict[int, str]:
    """Returns the prefix of the names of what is called inside each opened model or layer.

    Args:
        model: any Keras model.

    Returns:
        `id` of the model, or of a model or layer inside it, to "" or "backbone/".
    """
    return dict(_containers(model, ""))


def describe(
    model: keras.Model,
    layers: dict[str, keras.layers.Layer],
    places: Mapping[str, Place] | None = None,
    *,
    optimizer: Any = None,
    loss: Any = None,
    regularized: bool | None = None,
) -> Architecture:
    """Returns what the model is, as rules and the tab need it.

    Args:
        model: a built model.
        layers: its recorded layers, from `recorded_layers`.
        places: the same with what a pass has shown, in the same order; else what the layers
            themselves declare counts.
        optimizer: the main one of its training.
        loss: the loss of its training.
        regularized: whether a pass has shown that it adds to the loss; None if there was none.
    """
    if places is None:
        places = {name: Place(layer, activation_name(layer)) for name, layer in layers.items()}
    feeds = _feeds(model, layers)
    outputs = _output_names(model, layers, feeds)
    called = _called_between(model, layers)
    return Architecture(
        layers=tuple(
            _describe_layer(
                name, place, name in outputs, tuple(feeds.get(name, ())), called.get(name, {})
            )
            if place.layer is not None
            else _describe_function(name, place)
            for name, place in places.items()
        ),
        loss=_name(loss),
        optimizer=type(optimizer).__name__ if optimizer is not None else None,
        settings=_settings(model, optimizer),
        loss_options=loss_options(model, loss, regularized),
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


def _describe_layer(
    name: str, place: Place, is_output: bool, inputs: tuple[str, ...], called: Options
) -> Layer:
    layer = place.layer
    return Layer(
        name=name,
        type=type(layer).__name__,
        shape=place.shape or output_shape(layer),
        parameters=sum(math.prod(weight.shape) for weight in owned_weights(layer)),
        trainable=any(weight.trainable for weight in owned_weights(layer)),
        activation=place.activation,
        role="output" if is_output else _role(layer),
        inputs=inputs,
        options={**layer_options(layer), **called},
    )


def _describe_function(name: str, place: Place) -> Layer:
    role = "output" if place.is_output else "gate" if place.is_gate else "hidden"
    return Layer(
        name=name,
        type=str(place.activation),
        shape=place.shape,
        activation=place.activation,
        role=role,
        options={},
    )


def owned_weights(layer: keras.layers.Layer) -> list[Any]:
    """Returns the weights that are recorded under this layer's name, not under one inside it."""
    return backend.own_weights(layer) if _is_open(layer) else list(layer.weights)


def _leaves(layer: Any, prefix: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    for child in backend.sublayers(layer):
        name = f"{prefix}{child.name}"
        if not _is_open(child) or backend.own_weights(child):
            yield name, child
        if _is_open(child):
            yield from _leaves(child, f"{name}/")


def _containers(layer: Any, prefix: str) -> Iterator[tuple[int, str]]:
    yield id(layer), prefix
    for child in backend.sublayers(layer):
        if _is_open(child):
            yield from _containers(child, f"{prefix}{child.name}/")


def _is_open(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer is recorded as the layers that it is made of."""
    own = isinstance(layer, keras.Model) or not backend.comes_with_keras(layer)
    return own and bool(backend.sublayers(layer))


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


def output_shape(layer: keras.layers.Layer | None) -> tuple[int | None, ...]:
    """Returns the shape that a layer declares for its output, without the batch axis, or ()."""
    shape = getattr(getattr(layer, "output", None), "shape", None) if _has_output(layer) else None
    return tuple(shape[1:]) if shape is not None else ()


def _has_output(layer: keras.layers.Layer) -> bool:
    # `Layer.output` raises unless the layer was called once, symbolically.
    return len(backend.inputs_of(layer)) == 1


def _feeds(model: keras.Model, layers: dict[str, Any]) -> dict[str, list[str]]:
    """Returns which recorded layers feed each one, as far as a Functional graph tells."""
    names = {id(layer): name for name, layer in layers.items()}
    feeds: dict[str, list[str]] = {}
    for layer in layers.values():
        calls = backend.inputs_of(layer)
        sources = [_recorded_source(tensor, names)[0] for call in calls for tensor in call]
        feeds[names[id(layer)]] = list(dict.fromkeys(s for s in sources if s))
    return feeds


def _called_between(model: keras.Model, layers: dict[str, Any]) -> dict[str, Options]:
    """Returns which operations that are no layers lie before each layer, and after the last."""
    names = {id(layer): name for name, layer in layers.items()}
    called: dict[str, Options] = {}
    for name, layer in layers.items():
        tensors = [tensor for call in backend.inputs_of(layer) for tensor in call]
        before = [kind for tensor in tensors for kind in _recorded_source(tensor, names)[1]]
        if before:
            called.setdefault(name, {})["operations"] = _listed(before)
    for tensor in getattr(model, "outputs", None) or ():
        source, after = _recorded_source(tensor, names)
        if source is not None and after:
            called.setdefault(source, {})["follows"] = _listed(after)
    return called


def _listed(kinds: list[str]) -> str:
    return ", ".join(list(dict.fromkeys(kinds))[:8])


def _recorded_source(tensor: Any, names: dict[int, str]) -> tuple[str | None, list[str]]:
    """Returns the recorded layer that made a symbolic tensor, and what lies between.

    The layer is None if an input made it; what lies between are the names of operations that are
    no layers, in the order in which data passes them.
    """
    made, between = backend.made_by(tensor), list[str]()
    while made is not None:
        source, call, output = made
        if id(source) in names:
            return names[id(source)], between[::-1]
        if isinstance(source, keras.Model) and getattr(source, "outputs", None):
            made = backend.made_by(source.outputs[output])
        else:  # an operation that is not a layer: follow its first input
            inputs = backend.inputs_of(source)[call]
            if inputs:
                between.append(type(source).__name__)
            made = backend.made_by(inputs[0]) if inputs else None
    return None, between[::-1]


def _output_names(
    model: keras.Model, layers: dict[str, Any], feeds: dict[str, list[str]]
) -> set[str]:
    """Returns the layers whose values leave the model: its logits too, not only its softmax."""
    names = {id(layer): name for name, layer in layers.items()}
    sources = [
        _recorded_source(tensor, names)[0] for tensor in getattr(model, "outputs", None) or ()
    ]
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
