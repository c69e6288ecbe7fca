"""What a layer and a loss are set to, and how a layer's weights begin: facts for rules."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from tfdiag import backend
from tfdiag.architecture import Options

#: Options of Keras' own layers that are noted, where a layer has them.
_NAMES = (
    *("units", "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups"),
    *("pool_size", "use_bias", "rate", "momentum", "epsilon", "input_dim", "output_dim"),
    *("num_heads", "return_sequences", "negative_slope", "mask_value", "mask_zero"),
)
#: Options of a loss that are noted.
_LOSS_NAMES = ("from_logits", "reduction", "label_smoothing", "ignore_class", "axis", "delta")
#: Rows of a kernel that are compared first: nearly always enough to see that units differ.
_ROWS = 16


_KERNELS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def layer_options(layer: keras.layers.Layer) -> Options:
    """Returns what a layer is set to, as numbers and words.

    Beside Keras' own names: "kernel_initializer", name of a class; "bias_initializer", unless it
    is zeros, and "kernel_regularizer", with their numbers; and, only where they are true,
    "kernel_is_zero", "bias_is_positive" (each unit's), "units_alike" (all units begin with
    the same weights and bias) and "inputs_alike" (each unit weighs all its inputs alike).
    """
    options: dict[str, Any] = {}
    if backend.comes_with_keras(layer):
        for name in _NAMES:
            value = _plain(getattr(layer, name, None))
            if value is not None:
                options[name] = value
        initializer = getattr(layer, "kernel_initializer", None)
        if initializer is not None:
            options["kernel_initializer"] = _class_name(initializer)
        for name in ("bias_initializer", "kernel_regularizer"):
            part = getattr(layer, name, None)
            if part is not None and _class_name(part) != "Zeros":
                options[name] = _with_numbers(part)
    return {**options, **_beginning(layer)}


def loss_options(model: keras.Model, loss: Any, regularized: bool | None = None) -> Options | None:
    """Returns what the only loss of a training is set to.

    Args:
        model: what is trained.
        loss: what the model is compiled with, or what a loop of the user's own takes.
        regularized: whether a pass over the model added something to the loss; None if there was
            no pass yet.

    Returns:
        "kind", name of Keras' function, such as "mean_squared_error", and its options;
        "regularized" (the model adds to the loss), unless it is not known; and "weighted", only
        where it is true. Empty if the loss is the user's own; None if there are several, or none.
    """
    if isinstance(loss, dict | list | tuple):
        parts = list(loss.values()) if isinstance(loss, dict) else list(loss)
        loss = parts[0] if len(parts) == 1 else None
    if loss is None:
        return None
    if backend.has_own_loss(model):
        return {}
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    function = getattr(loss, "fn", loss)
    if not backend.is_from_keras(function) or not hasattr(function, "__name__"):
        return {}
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    known = {name: _plain(config.get(name)) for name in _LOSS_NAMES}
    options = {name: value for name, value in known.items() if value is not None}
    regularized = backend.adds_to_loss(model) if regularized is None else regularized
    if regularized is not None:
        options["regularized"] = regularized
    if backend.is_loss_weighted(model):
        options["weighted"] = True
    return {"from_logits": False, **options, "kind": function.__name__}


def _beginning(layer: keras.layers.Layer) -> dict[str, bool]:
    """Returns what is remarkable about the weights of a dense or convolutional layer."""
    if not isinstance(layer, _KERNELS) or not layer.built:
        return {}
    # A transposed convolution has its units on the axis before the last.
    transposed = "Transpose" in type(layer).__name__
    kernel = np.asarray(backend.read(layer.kernel))
    kernel = np.swapaxes(kernel, -1, -2) if transposed else kernel
    kernel = kernel.reshape(-1, kernel.shape[-1])
    bias = None if layer.bias is None else np.asarray(backend.read(layer.bias))
    found = {
        "kernel_is_zero": not kernel[:_ROWS].any() and not kernel.any(),
        "bias_is_positive": bias is not None and bool((bias > 0).all()),
        "units_alike": kernel.shape[1] > 1 and _equal(kernel) and (bias is None or _same(bias)),
        "inputs_alike": kernel.shape[0] > 1 and _equal(kernel.T),
    }
    return {name: True for name, value in found.items() if value}


def _equal(rows: np.ndarray) -> bool:
    """Returns whether all columns are the same."""
    return bool(
        (rows[:_ROWS] == rows[:_ROWS, :1]).all() and (rows == rows[:, :1]).all() and rows.size
    )


def _same(values: np.ndarray) -> bool:
    return bool((values == values.flat[0]).all())


def _class_name(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def _with_numbers(part: Any) -> str:
    """Returns an initializer or a regularizer as "Constant(value=-1)"; of the user's own its name.

    A seed is no setting: another one starts another run of the same kind.
    """
    if not backend.is_from_keras(type(part)):
        return _class_name(part)
    config = {name: _plain(value) for name, value in part.get_config().items() if name != "seed"}
    numbers = [
        f"{name}={value:g}"
        for name, value in config.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return f"{_class_name(part)}({', '.join(numbers)})"


def _plain(value: Any) -> str | int | float | bool | None:
    """Returns a number or a word; of several whole numbers "3x3"; None of anything else."""
    if isinstance(value, tuple | list) and value and all(isinstance(v, int) for v in value):
        return "x".join(str(v) for v in value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w .-]{0,64}", value) else None
    return value if isinstance(value, bool | int | float) else None
