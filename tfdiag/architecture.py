"""What the model is: its layers, their roles, its loss. Pure data, no Keras."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

#: What something is set to, as numbers and words.
Options = dict[str, str | int | float | bool | None]

#: What a layer is for; rules read it to decide whether they apply.
ROLES = ("hidden", "output", "normalization", "embedding", "recurrent", "attention", "gate")

#: Activations with units that can die: nothing comes through below zero.
DYING = ("relu", "relu6")
#: Activations with flat ends, and the outputs beyond which the slope is below 4 % of its maximum.
SATURATING = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}


@dataclass(frozen=True)
class Layer:
    """One layer of the model, as rules and the tab see it.

    Attributes:
        name: unique in the model; a layer inside a nested model is "outer/inner".
        type: name of the layer's class, such as "Conv2D".
        shape: output shape without the batch axis, `None` where an axis is open;
            empty if it is not known.
        parameters: number of weights' entries, trainable or not.
        trainable: True if training changes at least one of its weights.
        activation: name of the function at its end ("relu", "tanh", "softmax", ...),
            or None if it has none or if it is linear.
        role: one of `ROLES`.
        inputs: names of the layers that feed it, if they are known.
        options: what it is set to: Keras' own names and those that `tfdiag.options` adds, and
            "operations", what is called between it and the layers that feed it, and "follows",
            what is called between it and the model's output, names of operations that are no
            layers, such as "Relu, Add". None in recordings of a tfdiag that did not note it.
    """

    name: str
    type: str
    shape: tuple[int | None, ...] = ()
    parameters: int = 0
    trainable: bool = False
    activation: str | None = None
    role: str = "hidden"
    inputs: tuple[str, ...] = ()
    options: Options | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Architecture:
    """A model's layers, from its input to its output, and how it is trained.

    Attributes:
        layers: `L` layers in the order in which data passes them.
        loss: the loss as the user wrote it, or None if the model has its own.
        optimizer: name of the optimizer's class.
        settings: whatever else a user would compare between two runs (learning
            rate, batch size, ...), as text or numbers.
        loss_options: what the loss is set to, with "kind", the name of Keras' function; empty if
            the loss is the user's own; None if there are several or none, or if it was not noted.
    """

    layers: tuple[Layer, ...]
    loss: str | None = None
    optimizer: str | None = None
    settings: dict[str, str | float | int | bool | None] = field(default_factory=dict)
    loss_options: Options | None = None

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the `L` layers."""
        return tuple(layer.name for layer in self.layers)


def counterparts(one: Architecture, other: Architecture) -> dict[str, str]:
    """Returns the layers that two models have in common: the name in `one` to that in `other`.

    Layers correspond by name. Keras numbers the names that it gives through a whole process
    ("dense_4"), so in models made of the same types and shapes those correspond by their place.
    The tab's heat maps put layers into one row by the same rule.
    """
    if [(a.type, a.shape) for a in one.layers] == [(b.type, b.shape) for b in other.layers]:
        pairs = list(zip(one.layers, other.layers, strict=True))
        if all(a.name == b.name or _is_keras_name(a) and _is_keras_name(b) for a, b in pairs):
            return {a.name: b.name for a, b in pairs}
    return {name: name for name in one.names if name in other.names}


def _is_keras_name(layer: Layer) -> bool:
    """Returns whether a layer is called by its type in snake case, perhaps with a number."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer.type))
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return re.sub(r"_\d+$", "", layer.name) == words
