"""Faults that are seeded into healthy programs, one at a time.

They are those of the published catalogues: DeepCrime (Humbatova et al., 2021), AUTOTRAINER (Zhang
et al., 2021), DeepDiagnosis (Wardat et al., 2022), UMLAUT (Schoop et al., 2021) and NeuraLint
(Nikanjam et al., 2021). Each changes a `Case` in place and returns the names of the layers to
blame; none if it is about the whole training. TensorFlow is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.faults.case import Case, NotApplicableError

#: Changes a case and returns the names of the layers to blame.
Change = Callable[[Case], tuple[str, ...]]


@dataclass(frozen=True)
class Operator:
    """A fault.

    Attributes:
        name: what it is called on the command line.
        kinds: kinds of finding that are a right answer, see `kinds.py`.
        change: seeds the fault; raises `NotApplicableError` where there is no place for it.
    """

    name: str
    kinds: tuple[str, ...]
    change: Change


OPERATORS: list[Operator] = []


def operator(name: str, *kinds: str) -> Callable[[Change], Change]:
    """Returns a decorator that appends a fault to `OPERATORS`."""

    def decorate(change: Change) -> Change:
        OPERATORS.append(Operator(name, kinds, change))
        return change

    return decorate


def require(condition: bool, why: str) -> None:
    """Raises `NotApplicableError` unless `condition` holds."""
    if not condition:
        raise NotApplicableError(why)


# The optimizer.


@operator("rate-high", "step-large", "not-finite", "collapse")
def rate_high(case: Case) -> tuple[str, ...]:
    case.settings["learning_rate"] = 100 * case.settings["learning_rate"]
    return ()


@operator("rate-huge", "step-large", "not-finite", "collapse")
def rate_huge(case: Case) -> tuple[str, ...]:
    case.settings["learning_rate"] = 1e4 * case.settings["learning_rate"]
    return ()


@operator("rate-low", "step-small")
def rate_low(case: Case) -> tuple[str, ...]:
    case.settings["learning_rate"] = 1e-4 * case.settings["learning_rate"]
    return ()


@operator("momentum-near-one", "step-large", "step-small", "not-finite")
def momentum_near_one(case: Case) -> tuple[str, ...]:
    require(case.optimizer in ("SGD", "RMSprop"), "the optimizer has no momentum")
    case.settings["momentum"] = 0.999
    return ()


@operator("epsilon-large", "step-small")
def epsilon_large(case: Case) -> tuple[str, ...]:
    require(case.optimizer != "SGD", "the optimizer has no epsilon")
    case.settings["epsilon"] = 1e3
    return ()


@operator("weight-decay-large", "regularised", "collapse", "step-large")
def weight_decay_large(case: Case) -> tuple[str, ...]:
    case.settings["weight_decay"] = 0.2 / case.settings["learning_rate"]
    return ()


@operator("clipping-tiny", "step-small")
def clipping_tiny(case: Case) -> tuple[str, ...]:
    case.settings["clipvalue"] = 1e-10
    return ()


# How weights start.


@operator("init-zeros", "bad-start", "collapse", "gradient-vanished")
def init_zeros(case: Case) -> tuple[str, ...]:
    return case.reconfigure(case.weighted, kernel_initializer="zeros")


@operator("init-constant", "bad-start")
def init_constant(case: Case) -> tuple[str, ...]:
    start = {"class_name": "Constant", "config": {"value": 0.1}}
    return case.reconfigure(case.weighted, kernel_initializer=start)


@operator("init-large", "bad-start", "saturated", "gradient-exploded", "scale")
def init_large(case: Case) -> tuple[str, ...]:
    start = {"class_name": "RandomNormal", "config": {"stddev": 10.0}}
    return case.reconfigure(case.weighted, kernel_initializer=start)


@operator("init-tiny", "bad-start", "gradient-vanished", "scale")
def init_tiny(case: Case) -> tuple[str, ...]:
    start = {"class_name": "RandomNormal", "config": {"stddev": 1e-7}}
    return case.reconfigure(case.weighted, kernel_initializer=start)


@operator("bias-dead", "dead-units", "bad-start")
def bias_dead(case: Case) -> tuple[str, ...]:
    layers = [layer for layer in case.with_activation("relu") if layer in case.weighted]
    start = {"class_name": "Constant", "config": {"value": -10.0}}
    changed = case.reconfigure(layers[:1], bias_initializer=start)
    require(bool(changed), "no ReLU has weights of its own")
    return changed


# Activations.


@operator("hidden-linear", "linear")
def hidden_linear(case: Case) -> tuple[str, ...]:
    return case.reconfigure(
        case.with_activation("relu", "gelu", "elu", "tanh"), activation="linear"
    )


@operator("hidden-sigmoid", "saturated", "gradient-vanished")
def hidden_sigmoid(case: Case) -> tuple[str, ...]:
    return case.reconfigure(
        case.with_activation("relu", "gelu", "elu", "tanh"), activation="sigmoid"
    )


@operator("output-relu", "output", "dead-units", "collapse")
def output_relu(case: Case) -> tuple[str, ...]:
    return case.reconfigure([case.last], activation="relu")


@operator("output-linear", "output", "not-finite")
def output_linear(case: Case) -> tuple[str, ...]:
    require(case.task != "values", "its output may be linear")
    return case.reconfigure([case.last], activation="linear")


@operator("output-sigmoid", "output", "saturated")
def output_sigmoid(case: Case) -> tuple[str, ...]:
    require(case.task == "values" and float(case.y.max()) > 1, "its output may be a sigmoid")
    return case.reconfigure([case.last], activation="sigmoid")


@operator("output-softmax-of-one", "output", "collapse")
def output_softmax_of_one(case: Case) -> tuple[str, ...]:
    require(case.truth.ndim == 2 and case.truth.shape[1] == 1, "it has more than one output")
    return case.reconfigure([case.last], activation="softmax")


@operator("softmax-twice", "output")
def softmax_twice(case: Case) -> tuple[str, ...]:
    import keras

    require(case.task == "classes", "it has no softmax")
    case.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return (case.last.name,)


# The loss.


@operator("loss-mismatched", "output", "collapse")
def loss_mismatched(case: Case) -> tuple[str, ...]:
    if case.task == "classes":  # as a column, they are compared with each of the outputs
        case.y, case.y_held = case.y[:, None], case.y_held[:, None]
    case.loss = {
        "classes": "mse",
        "binary": "categorical_crossentropy",
        "labels": "categorical_crossentropy",
        "values": "binary_crossentropy",
    }[case.task]
    return (case.last.name,)


# The data.


def noise() -> np.random.Generator:
    """Returns random numbers that are the same in each run."""
    return np.random.default_rng(7)


@operator("labels-shuffled", "labels", "overfit")
def labels_shuffled(case: Case) -> tuple[str, ...]:
    case.y = noise().permutation(case.y)
    case.y_held = noise().permutation(case.y_held)
    return ()


@operator("labels-noisy", "labels", "overfit")
def labels_noisy(case: Case) -> tuple[str, ...]:
    case.y, case.y_held = (
        np.where((noise().random(len(y)) < 0.7).reshape(-1, *[1] * (y.ndim - 1)), wrong, y)
        for y, wrong in ((part, noise().permutation(part)) for part in (case.y, case.y_held))
    )
    return ()


@operator("labels-scaled", "labels", "output", "collapse")
def labels_scaled(case: Case) -> tuple[str, ...]:
    require(case.task == "classes", "its targets are not integers")
    case.y, case.y_held = (part / 10.0 for part in (case.y, case.y_held))
    return ()


@operator("labels-signed", "labels", "output")
def labels_signed(case: Case) -> tuple[str, ...]:
    require(case.task in ("binary", "labels"), "its targets are not 0 or 1")
    case.y, case.y_held = (2 * part - 1 for part in (case.y, case.y_held))
    return ()


def require_floats(case: Case) -> None:
    """Raises `NotApplicableError` if the inputs are indices."""
    require(case.x.dtype.kind == "f", "its inputs are indices")


@operator("inputs-unscaled", "input-range")
def inputs_unscaled(case: Case) -> tuple[str, ...]:
    require_floats(case)
    case.x, case.x_held = case.x * 255, case.x_held * 255
    return ()


@operator("inputs-shifted", "input-range")
def inputs_shifted(case: Case) -> tuple[str, ...]:
    require_floats(case)
    case.x, case.x_held = case.x + 100, case.x_held + 100
    return ()


@operator("inputs-nan", "input-values", "not-finite")
def inputs_nan(case: Case) -> tuple[str, ...]:
    require_floats(case)
    case.x = case.x.copy()
    case.x[noise().choice(len(case.x), 5, replace=False)] = np.nan
    return ()


@operator("inputs-constant", "input-values", "collapse")
def inputs_constant(case: Case) -> tuple[str, ...]:
    case.x, case.x_held = np.zeros_like(case.x), np.zeros_like(case.x_held)
    return ()


@operator("classes-missing", "imbalance", "overfit", "labels")
def classes_missing(case: Case) -> tuple[str, ...]:
    kept = case.y.reshape(-1) < case.classes / 2
    case.x, case.y = case.x[kept], case.y[kept]
    return ()


@operator("classes-rare", "imbalance", "overfit", "collapse")
def classes_rare(case: Case) -> tuple[str, ...]:
    require(case.classes > 0, "it has no classes")
    kept = (case.y.reshape(-1) == 0) | (noise().random(len(case.y)) < 0.02)
    case.x, case.y = case.x[kept], case.y[kept]
    return ()


@operator("samples-few", "overfit")
def samples_few(case: Case) -> tuple[str, ...]:
    few = noise().choice(len(case.x), 24, replace=False).repeat(len(case.x) // 24)
    case.x, case.y = case.x[few], case.y[few]
    return ()


# The architecture.


@operator("bias-removed", "scale", "step-small")
def bias_removed(case: Case) -> tuple[str, ...]:
    return case.reconfigure(case.weighted, use_bias=False)


@operator("dropout-high", "regularised")
def dropout_high(case: Case) -> tuple[str, ...]:
    return case.reconfigure(case.of_type("Dropout"), rate=0.95)


@operator("normalisation-removed", "scale", "gradient-vanished", "gradient-exploded")
def normalisation_removed(case: Case) -> tuple[str, ...]:
    from keras import layers

    norms = case.of_type("BatchNormalization", "LayerNormalization")
    # Keras' Identity takes no mask, which these are called with.
    return case.replace(norms, lambda name: layers.Lambda(lambda x: x, name=name))


@operator("layers-frozen", "frozen")
def layers_frozen(case: Case) -> tuple[str, ...]:
    return case.reconfigure(case.weighted[1:], trainable=False)


@operator("output-frozen", "frozen")
def output_frozen(case: Case) -> tuple[str, ...]:
    return case.reconfigure([case.last], trainable=False)


@operator("l2-large", "regularised", "collapse")
def l2_large(case: Case) -> tuple[str, ...]:
    penalty = {"class_name": "L2", "config": {"l2": 10.0}}
    return case.reconfigure(case.weighted, kernel_regularizer=penalty)


# The training.


@operator("batch-of-one", "small-batch", "step-large")
def batch_of_one(case: Case) -> tuple[str, ...]:
    case.batch, case.epochs = 1, max(1, round(1500 / len(case.x)))
    return ()


@operator("epochs-few", "short")
def epochs_few(case: Case) -> tuple[str, ...]:
    case.epochs = 1
    return ()
