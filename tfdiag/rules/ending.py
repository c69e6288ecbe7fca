"""How the model ends and what its loss expects there: what static rules ask first."""

from __future__ import annotations

from dataclasses import dataclass

from tfdiag.architecture import Architecture, Layer
from tfdiag.data import Data, Labels
from tfdiag.rules.rule import CannotJudge
from tfdiag.trace import Trace

#: Losses among classes of which one is right.
CATEGORICAL = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
)
#: Losses of units that are right or wrong each on its own.
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
#: Losses of numbers.
REGRESSION = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
)
#: Values that an activation can give.
RANGES = {
    "relu": (0.0, float("inf")),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, float("inf")),
    "exponential": (0.0, float("inf")),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
_OLD = "the recording is older than the facts that this rule reads"


@dataclass(frozen=True)
class Ending:
    """The end of a model with one output and one loss of Keras.

    Attributes:
        layer: the last layer.
        activation: the function that the output comes from; "linear" if there is none; None if
            that is not known for certain.
        shape: of the output for one sample; empty if it is not known.
        loss: name of Keras' function.
        from_logits: whether the loss takes logits.
        labels: what the output is compared with; None if that is not known.
    """

    layer: Layer
    activation: str | None
    shape: tuple[int | None, ...]
    loss: str
    from_logits: bool
    labels: Labels | None

    @property
    def width(self) -> int:
        """Number of units of the output; 0 if it is not known."""
        return (self.shape[-1] or 0) if self.shape else 0


def ending(trace: Trace) -> Ending:
    """Returns how the model ends.

    Raises:
        CannotJudge: if it has several outputs, a loss of its own, or nothing is known of it.
    """
    architecture, data = trace.architecture, trace.data
    outputs = last_layers(architecture)
    if any(layer.options is None for layer in architecture.layers):
        raise CannotJudge(_OLD)
    options = architecture.loss_options
    if len(outputs) != 1 or (data is not None and len(data.labels) != 1):
        raise CannotJudge("only models with one output are judged")
    if architecture.loss is None:
        raise CannotJudge("the model was compiled without a loss, or not at all")
    if options is None or "kind" not in options:
        raise CannotJudge("the loss is none of Keras' own")
    if options.get("axis", -1) != -1:
        raise CannotJudge("the classes are not on the last axis")
    layer = outputs[0]
    return Ending(
        layer=layer,
        activation=_activation(architecture, layer, data),
        shape=_shape(architecture, layer, data),
        loss=str(options["kind"]),
        from_logits=bool(options.get("from_logits")),
        labels=data.labels[0] if data is not None else None,
    )


def _shape(architecture: Architecture, layer: Layer, data: Data | None) -> tuple[int | None, ...]:
    """Returns the shape of the model's own output: what it was, or else what its layer declares."""
    if data is not None and len(data.outputs) == 1:
        return data.outputs[0].shape
    is_last = has_graph(architecture) and not (layer.options or {}).get("follows")
    return layer.shape if is_last else ()


def last_layers(architecture: Architecture) -> list[Layer]:
    """Returns the layers whose values leave the model and feed no other of these."""
    outputs = [layer for layer in architecture.layers if layer.role == "output"]
    if not has_graph(architecture):
        return outputs[-1:]
    feeding = {name for layer in outputs for name in layer.inputs}
    return [layer for layer in outputs if layer.name not in feeding]


def has_graph(architecture: Architecture) -> bool:
    """Returns whether it is known which layer feeds which."""
    return any(layer.inputs for layer in architecture.layers) or len(architecture.layers) == 1


def data_of(trace: Trace) -> Data:
    """Returns the facts about the probe set.

    Raises:
        CannotJudge: if there are none.
    """
    if trace.data is not None:
        return trace.data
    why = trace.not_measured.get("probe_loss")
    raise CannotJudge(_OLD if trace.probe_samples else why or "no probe set was given")


def options_of(trace: Trace) -> tuple[Layer, ...]:
    """Returns the layers, each with its options.

    Raises:
        CannotJudge: if the options were not recorded.
    """
    layers = trace.architecture.layers
    if any(layer.options is None for layer in layers):
        raise CannotJudge(_OLD)
    return layers


def before(architecture: Architecture, layer: Layer) -> Layer | None:
    """Returns the layer that alone feeds another one, None if there are several or none."""
    feeds = [one for one in architecture.layers if one.name in layer.inputs]
    return feeds[0] if len(feeds) == 1 and len(layer.inputs) == 1 else None


def values_from(architecture: Architecture, layer: Layer) -> Layer:
    """Returns the layer that the values come from that a layer hands on, or the layer itself."""
    while layer.type in _PASSING and layer.activation is None:
        source = before(architecture, layer)
        if source is None or (layer.options or {}).get("operations"):
            return layer
        layer = source
    return layer


def _activation(architecture: Architecture, layer: Layer, data: Data | None) -> str | None:
    """Returns the output's function, as the graph and the model's first answers tell.

    What a model's own `call` does after its last layer is not seen: only answers can prove there
    that they are no probabilities.
    """
    follows = str((layer.options or {}).get("follows") or "")
    if follows:
        name = follows.split(", ")[-1].lower()
        return name if name in RANGES else None
    layer = values_from(architecture, layer)
    if layer.activation is not None:
        return layer.activation
    if layer.type not in KERNELS:
        return None
    if has_graph(architecture):
        return "linear"
    output = data.outputs[0] if data is not None and len(data.outputs) == 1 else None
    return "linear" if output is not None and output.minimum < 0 else None


#: Layers that are a product with a kernel: unbounded numbers unless an activation is named.
KERNELS = (
    *("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D"),
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
)
#: Layers that hand values on as they are.
_PASSING = ("Flatten", "Reshape", "Permute", "Dropout", "Activation", "Identity")
