"""Judges a model and its data without training: the rules that can tell before the first step."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfdiag import backend
from tfdiag.data import Data
from tfdiag.errors import TfdiagError
from tfdiag.forward import ForwardTap
from tfdiag.layers import describe, recorded_layers
from tfdiag.probe import ProbeSet, check_fits, probe_set
from tfdiag.rules import STATIC_RULES, Report, check
from tfdiag.trace import Trace
from tfdiag.trainer import Fit

#: Most samples that are looked at, and most that the model is run on.
SAMPLES, SEEN = 10_000, 256

_log = logging.getLogger("tfdiag")


def lint(
    model: keras.Model | str | os.PathLike[str],
    data: Any = None,
    *,
    thresholds: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:
    """Judges a model, and its data if there is some, before any training.

    Args:
        model: a compiled Keras model, or the path of one, `model.keras`.
        data: samples and labels (x, y) as for `model.fit`, or the path of an `.npz` file with
            arrays `x` and `y`; None for the model alone.
        thresholds: as in `check`.

    Raises:
        TfdiagError: if a file cannot be read, or the model cannot take the data.
        ValueError: if the data is no pair of arrays of numbers, or a threshold is wrong.
    """
    if isinstance(model, str | os.PathLike):
        model = _loaded_model(model)
    if isinstance(data, str | os.PathLike):
        data = _loaded_data(data)
    probe = None if data is None else probe_set(data, SAMPLES)
    if probe is not None:
        _check(probe, model)
    trainer = Fit(model)
    layers = recorded_layers(model)
    tap = ForwardTap(trainer, layers)
    facts = None if probe is None else _seen(tap, probe)
    if list(recorded_layers(model)) != list(layers):  # that pass has built the model
        layers = recorded_layers(model)
        tap = ForwardTap(trainer, layers)
        facts = None if probe is None else _seen(tap, probe)
    trace = Trace(
        steps=np.zeros(1, np.int64),
        architecture=describe(
            model,
            layers,
            tap.places,
            optimizer=next(iter(trainer.optimizers), None),
            loss=trainer.loss,
            regularized=tap.regularized,
        ),
        columns={},
        not_measured={} if probe else {"probe_loss": "needs data: --data samples.npz"},
        probe_samples=0 if probe is None else probe.size,
        data=facts,
    )
    return check(trace, STATIC_RULES, thresholds)


def _check(probe: ProbeSet, model: keras.Model) -> None:
    try:
        check_fits(probe, backend.declared_inputs(model), backend.named_inputs(model), "data")
    except ValueError as error:
        raise TfdiagError(str(error)) from error


def _seen(tap: ForwardTap, probe: ProbeSet) -> Data:
    """Returns facts about the data, and about the model's outputs if it can take the data."""
    rows = np.linspace(0, probe.size - 1, min(probe.size, SEEN)).round().astype(int)
    try:
        sums = tap.run(probe.take(rows))
    except Exception as error:  # what does not fit is for the rules to say
        _log.info("tfdiag could not run the model on the data: %s", error)
        return probe.facts
    return replace(probe.facts, outputs=sums.outputs)


def _loaded_model(path: str | os.PathLike[str]) -> keras.Model:
    try:
        with warnings.catch_warnings():  # the optimizer's state is of no use here
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            return keras.saving.load_model(path)
    except Exception as error:
        own = re.search(r"Could not locate (class|function) '[^']+'", str(error))
        if own:
            raise TfdiagError(
                f"{os.fspath(path)!r} could not be loaded: {own[0]}, which is none of "
                "Keras' own. Call tfdiag.lint.lint(model, (x, y)) in the program that defines it."
            ) from error
        first = " ".join(str(error).split())[:300]
        raise TfdiagError(
            f"{os.fspath(path)!r} could not be loaded as a Keras model: {first}. Save it with "
            "model.save('model.keras')."
        ) from error


def _loaded_data(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["x"], arrays["y"]
    except Exception as error:
        raise TfdiagError(
            f"{os.fspath(path)!r} could not be read as arrays `x` and `y`: {error}. Save them with "
            "numpy.savez('data.npz', x=x_train, y=y_train)."
        ) from error
