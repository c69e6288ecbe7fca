"""What the model predicts for a few probe samples, from look to look. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.data import Output, first_rows
from tfdiag.errors import TfdiagError
from tfdiag.probe import ProbeSet

#: Samples whose predictions are kept; 768 bytes per look.
MOST = 64
#: Numbers of a sample that are noted, so that one can tell which one it is.
FEATURES = 4

#: Functions that make probabilities.
_PROBABILITIES = ("softmax", "sigmoid")


def chosen(size: int) -> np.ndarray:
    """Returns which samples of a probe set are followed, `int[n]`: evenly, the first and the last.

    >>> chosen(3), chosen(256)[:4], len(chosen(256))
    (array([0, 1, 2]), array([ 0,  4,  8, 12]), 64)
    """
    return np.linspace(0, size - 1, min(size, MOST)).round().astype(int)


class Predictions:
    """Follows what a model predicts for the chosen samples of a probe set.

    Args:
        architecture: the model.
        probe: the probe set.
        outputs: facts about the model's outputs; empty if they were not seen.

    Attributes:
        content: {"kind": "classes" or "values", "rows": the samples' numbers in the probe set,
            "true": their classes or values, "features": each sample's first numbers, if it is a
            row of them}.

    Raises:
        TfdiagError: if the outputs are neither scores of classes nor values.
    """

    def __init__(self, architecture: Architecture, probe: ProbeSet, outputs: tuple[Output, ...]):
        loss = architecture.loss_options or {}
        ends = [layer.activation for layer in architecture.layers if layer.role == "output"]
        self._activation = ends[-1] if ends else None
        self._from_logits = bool(loss.get("from_logits"))
        rows = chosen(probe.size)
        units = _units(outputs)
        classes = probe.classes
        told = classes is not None and len(classes) == probe.size and classes.max() < max(2, units)
        is_crossentropy = "crossentropy" in str(loss.get("kind"))
        self._true: np.ndarray | None = None
        if told and (units > 1 or is_crossentropy or self._activation == "sigmoid"):
            self._true = None if classes is None else classes[rows]
        elif is_crossentropy:
            raise TfdiagError("the labels are not one class per sample")
        self.content: dict[str, Any] = {
            "kind": "values" if self._true is None else "classes",
            "rows": rows,
            "true": _first_values(probe, rows) if self._true is None else self._true,
            "features": _features(probe, rows),
        }

    def taken(self, outputs: np.ndarray) -> np.ndarray:
        """Returns what the model says now.

        Args:
            outputs: `float32[m, U]`, its output for the chosen samples; fewer than were chosen
                if the model leaves some out.

        Returns:
            `float32[n, 3]`: predicted class, its probability, that of the true class; or
            `float32[n, 1]`, the first value. nan where the output is not finite.
        """
        count = len(self.content["rows"])
        if self._true is None:
            found = np.where(np.isfinite(outputs[:, :1]), outputs[:, :1], np.nan)
        else:
            found = self._guesses(outputs, self._true[: len(outputs)])
        kept = np.full((count, found.shape[1]), np.nan, np.float32)
        kept[: len(found)] = found
        return kept

    def _guesses(self, outputs: np.ndarray, true: np.ndarray) -> np.ndarray:
        finite = np.isfinite(outputs).all(axis=1)
        guesses = np.full((len(outputs), 3), np.nan)
        if finite.any():
            shares = self._probabilities(outputs[finite].astype(np.float64))
            rows, predicted = np.arange(len(shares)), shares.argmax(axis=1)
            guesses[finite] = np.stack(
                [predicted, shares[rows, predicted], shares[rows, true[finite]]], axis=1
            )
        return guesses

    def _probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Returns `float64[m, C]` of finite outputs; a single unit speaks for class 1."""
        inside = bool(((outputs >= 0) & (outputs <= 1)).all())
        made = inside and self._activation in _PROBABILITIES
        if outputs.shape[1] == 1:
            is_share = made or (inside and not self._from_logits)
            share = outputs[:, 0] if is_share else _sigmoid(outputs[:, 0])
            return np.stack([1 - share, share], axis=1)
        if made or (inside and np.allclose(outputs.sum(axis=1), 1, atol=1e-3)):
            return outputs
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def _features(probe: ProbeSet, rows: np.ndarray) -> list[list[float]] | None:
    """Returns each sample's first numbers, with the digits that tell it from others."""
    numbers = first_rows(probe.x, rows, FEATURES)
    if numbers is None:
        return None
    return [[float(f"{number:.4g}") for number in row] for row in numbers.tolist()]


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -scores))


def _units(outputs: tuple[Output, ...]) -> int:
    """Returns how many numbers the model says of a sample.

    Raises:
        TfdiagError: if they are not a single row.
    """
    if not outputs:
        raise TfdiagError("the model's output was not seen: its `call` is inside a tf.function")
    if len(outputs) > 1:
        raise TfdiagError(
            f"the model has {len(outputs)} outputs, and only a single one is followed"
        )
    shape = outputs[0].shape
    if len(shape) > 1 or shape == (0,):
        raise TfdiagError(
            f"the model's output has the shape {shape} for each sample: neither one score per "
            "class nor values"
        )
    return shape[0] if shape else 1


def _first_values(probe: ProbeSet, rows: np.ndarray) -> np.ndarray:
    """Returns the true value of the model's first unit, `float[n]`.

    Raises:
        TfdiagError: if the labels are not values of one output.
    """
    values = first_rows(probe.y, rows, 1)
    if values is None:
        raise TfdiagError("the labels are not a single row of values per sample")
    return values[:, 0]
