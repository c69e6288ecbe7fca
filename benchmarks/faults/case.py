"""What is trained: a model that is not compiled yet, its data, and how well it does in the end.

TensorFlow is imported when it is used: judging recordings again needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Layers that scale, normalise or look up: their weights are no weights of a transformation.
_NO_TRANSFORMATION = ("BatchNormalization", "LayerNormalization", "Embedding")


class NotApplicableError(Exception):
    """A fault cannot be seeded into a program, since that has no place for it."""


@dataclass
class Case:
    """One training. A fault operator changes it in place.

    Attributes:
        model: functional, without nested models, not compiled.
        x: training inputs.
        y: training targets.
        x_held: held-out inputs, as whoever trains sees them: probe set and validation.
        y_held: held-out targets, as whoever trains sees them.
        task: "classes" (integers), "binary" (0 or 1), "labels" (several of 0 or 1) or "values".
        loss: name or function.
        score: (predictions, true targets) to a number, the higher the better.
        optimizer: name of the class.
        settings: the optimizer's arguments.
        batch: samples per step.
        epochs: length of the training.
        prepare: called with the model before it is compiled: loads weights.
        truth: held-out targets that no operator changes.
    """

    model: Any
    x: np.ndarray
    y: np.ndarray
    x_held: np.ndarray
    y_held: np.ndarray
    task: str
    loss: Any
    score: Callable[[np.ndarray, np.ndarray], float]
    optimizer: str = "Adam"
    settings: dict[str, Any] = field(default_factory=dict)
    batch: int = 32
    epochs: int = 10
    prepare: Callable[[Any], None] = lambda model: None
    truth: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.truth = self.y_held.copy()

    @property
    def weighted(self) -> list[Any]:
        """The layers that transform by trained weights, from the input side to the output side."""
        return [
            layer
            for layer in self.model.layers
            if layer.trainable_weights and type(layer).__name__ not in _NO_TRANSFORMATION
        ]

    @property
    def hidden(self) -> list[Any]:
        """The layers of `weighted` but the last.

        Raises:
            NotApplicableError: if there are none.
        """
        return found(self.weighted[:-1], "a trained layer that is hidden")

    @property
    def last(self) -> Any:
        """The layer that gives the predictions."""
        return self.weighted[-1]

    @property
    def classes(self) -> int:
        """Number of classes; 2 if the task is binary.

        Raises:
            NotApplicableError: if the targets are not one class per sample.
        """
        if self.task not in ("classes", "binary"):
            raise NotApplicableError("the targets are not classes")
        return int(self.truth.max()) + 1

    def of_type(self, *types: str) -> list[Any]:
        """Returns the layers of these classes.

        Raises:
            NotApplicableError: if there are none.
        """
        layers = [layer for layer in self.model.layers if type(layer).__name__ in types]
        return found(layers, f"a layer of type {' or '.join(types)}")

    def with_activation(self, *names: str) -> list[Any]:
        """Returns the hidden layers, trained or not, that end in one of these functions.

        Raises:
            NotApplicableError: if there are none.
        """
        layers = [
            layer
            for layer in self.model.layers
            if layer is not self.last
            and type(layer).__name__ in ("Dense", "Conv2D", "Activation")
            and layer.activation.__name__ in names
        ]
        return found(layers, f"a hidden layer with {' or '.join(names)}")

    def reconfigure(self, layers: Iterable[Any], **changes: Any) -> tuple[str, ...]:
        """Builds the model anew with other arguments of these layers, and returns their names.

        An argument that a layer does not have is left out there; a layer that has none of them is
        not among those returned.
        """
        chosen = {layer.name for layer in layers}
        changed = []

        def copy(layer: Any) -> Any:
            config = layer.get_config()
            if layer.name in chosen:
                fitting = {name: value for name, value in changes.items() if name in config}
                if fitting:
                    changed.append(layer.name)
                config |= fitting
            return type(layer).from_config(config)

        self._rebuild(copy)
        return tuple(changed)

    def replace(self, layers: Iterable[Any], make: Callable[[str], Any]) -> tuple[str, ...]:
        """Builds the model anew with other layers, `make(name)`, in the places of these."""
        chosen = {layer.name for layer in layers}

        def copy(layer: Any) -> Any:
            if layer.name in chosen:
                return make(layer.name)
            return type(layer).from_config(layer.get_config())

        self._rebuild(copy)
        return tuple(chosen)

    def _rebuild(self, copy: Callable[[Any], Any]) -> None:
        import keras

        self.model = keras.models.clone_model(self.model, clone_function=copy)

    def compiled(self) -> Any:
        """Returns the model, ready to be trained."""
        import keras

        self.prepare(self.model)
        metrics = {"classes": ["accuracy"], "binary": ["binary_accuracy"]}.get(self.task, [])
        optimizer = getattr(keras.optimizers, self.optimizer)(**self.settings)
        self.model.compile(optimizer=optimizer, loss=self.loss, metrics=metrics, jit_compile=False)
        return self.model


def found(layers: list[Any], what: str) -> list[Any]:
    """Returns `layers`.

    Raises:
        NotApplicableError: if there are none.
    """
    if not layers:
        raise NotApplicableError(f"there is not {what}")
    return layers


def accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Returns the share of samples whose most probable class is the right one."""
    return float((predicted.argmax(axis=-1) == true.reshape(-1)).mean())


def balanced_accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Returns the mean of the shares of right answers among the positive and the negative."""
    right = (predicted.reshape(-1) > 0.5) == (true.reshape(-1) > 0.5)
    positive = true.reshape(-1) > 0.5
    return float((right[positive].mean() + right[~positive].mean()) / 2)


def label_accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Returns the balanced accuracy, averaged over the labels."""
    return float(
        np.mean([balanced_accuracy(predicted[:, i], true[:, i]) for i in range(true.shape[1])])
    )


def explained(predicted: np.ndarray, true: np.ndarray) -> float:
    """Returns the coefficient of determination, R squared: 1 is perfect, 0 is the mean."""
    predicted, true = predicted.reshape(len(true), -1), true.reshape(len(true), -1)
    residual = ((predicted.astype(np.float64) - true) ** 2).sum()
    return float(1 - residual / ((true - true.mean(axis=0)) ** 2).sum())
