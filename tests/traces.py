"""Synthetic runs, healthy and faulty. Pure numpy, the same at every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tfdiag.architecture import Architecture, Layer
from tfdiag.data import Data, Input, Labels, Output
from tfdiag.metrics import METRIC_NAMES, METRICS
from tfdiag.trace import Trace

#: Optimizer steps between two records.
EVERY = 20
PROBE_METRICS = tuple(metric.name for metric in METRICS if metric.source == "probe set")
HEALTHY_VALUES = {
    "gradient_rms": 1e-3,
    "gradient_max": 1e-2,
    "gradient_zeros": 0.2,
    "update_ratio": 1e-3,
    "weight_rms": 0.1,
    "output_rms": 1.0,
    "output_mean": 0.1,
    "output_std": 1.0,
    "output_zeros": 0.5,
    "dead_fraction": 0.02,
    "saturated_fraction": 0.05,
    "gradient_nonfinite": 0.0,
    "weight_nonfinite": 0.0,
    "output_nonfinite": 0.0,
}


def layer(name: str, activation: str | None = "relu", **changes: Any) -> Layer:
    """Returns a trainable dense layer of 64 units."""
    fields: dict[str, Any] = {
        "type": "Dense",
        "shape": (64,),
        "parameters": 4160,
        "trainable": True,
        "activation": activation,
        "options": {"units": 64, "use_bias": True, "kernel_initializer": "GlorotUniform"},
    }
    return Layer(name=name, **{**fields, **changes})


def architecture(depth: int = 3, activation: str = "relu", **changes: Any) -> Architecture:
    """Returns a chain of `depth` hidden layers "dense", "dense_1", ... and a softmax "output"."""
    names = ["dense" if i == 0 else f"dense_{i}" for i in range(depth)] + ["output"]
    layers = [
        layer(name, activation, inputs=tuple(names[i - 1 : i]) if i else ())
        for i, name in enumerate(names[:-1])
    ]
    output = layer("output", "softmax", role="output", shape=(10,), inputs=(names[-2],))
    loss = changes.get("loss", "sparse_categorical_crossentropy")
    kind = {"mse": "mean_squared_error"}.get(loss, loss)
    fields = {
        "loss": loss,
        "optimizer": "SGD",
        "loss_options": {"kind": kind, "from_logits": False, "regularized": False},
        **changes,
    }
    return Architecture(layers=(*layers, output), **fields)


def inputs(**changes: Any) -> Input:
    """Returns an input of 64 standardised features."""
    fields = {
        **{"name": "0", "dtype": "float32", "shape": (64,), "nonfinite": 0.0},
        **{"minimum": -14.0, "maximum": 8.0, "mean": 0.0, "std": 1.0},
    }
    return Input(**{**fields, **changes})


def labels(kind: str = "classes", **changes: Any) -> Labels:
    """Returns labels: of ten equally frequent classes, unless something else is asked for."""
    fields: dict[str, Any] = {
        "dtype": "int64",
        "shape": (10,) if kind == "one-hot" else (),
        "minimum": 0.0,
        "maximum": 1.0 if kind == "one-hot" else 9.0,
        "nonfinite": 0.0,
    }
    if kind in ("classes", "one-hot"):
        fields.update(classes=10, largest=0.1, smallest=0.1, shares=(0.1,) * 10)
    return Labels(kind=kind, **{**fields, **changes})


def data(*given: Input, answers: Labels | None = None, samples: int = 256) -> Data:
    """Returns the facts about a probe set; of `inputs()` and `labels()` if nothing is given."""
    output = Output((10,), 0.0, 1.0, True)
    return Data(samples, given or (inputs(),), (answers or labels(),), (output,))


def trace(
    model: Architecture | None = None, records: int = 30, probe_every: int = 1, seed: int = 0
) -> Trace:
    """Returns a healthy run: step 0 is the untrained model, then every `EVERY` steps.

    Args:
        model: None for `architecture()`.
        records: number of records after step 0.
        probe_every: records from one visit of the probe set to the next.
        seed: of the noise.
    """
    model = model or architecture()
    noise = np.random.default_rng(seed)
    steps = np.arange(records + 1) * EVERY
    shape = (len(steps), len(model.layers))
    columns = {
        name: (HEALTHY_VALUES[name] * noise.uniform(0.8, 1.25, shape)).astype(np.float32)
        for name in METRIC_NAMES
    }
    visited = np.arange(len(steps)) % probe_every == 0
    for name in PROBE_METRICS:
        columns[name][~visited] = np.nan
    for name in set(METRIC_NAMES) - set(PROBE_METRICS):
        columns[name][0] = np.nan  # no update has happened at step 0
    for i, one in enumerate(model.layers):
        if one.activation != "relu":
            columns["dead_fraction"][:, i] = np.nan
        if one.activation not in ("tanh", "sigmoid"):
            columns["saturated_fraction"][:, i] = np.nan
    curve = 0.1 + 2.2 * np.exp(-steps / 150)
    batch = curve * noise.normal(1, 0.05, len(steps))
    batch[0] = np.nan
    ends = (np.arange(len(steps)) % 5 == 0) & (steps > 0)
    series = {
        "epoch": np.where(ends, np.cumsum(ends) - 1, np.nan),
        "loss": batch,
        "loss_nonfinite": np.where(steps > 0, 0.0, np.nan),
        "gradient_norm": np.where(steps > 0, 1.0, np.nan),
        "learning_rate": np.full(len(steps), 0.01),
        "probe_loss": np.where(visited, curve, np.nan),
        "probe_top_class_share": np.where(visited, 0.12, np.nan),
        "probe_top_class_true_share": np.where(visited, 0.1, np.nan),
        "batch_size": np.where(steps > 0, 32.0, np.nan),
    }
    return Trace(
        steps=steps.astype(np.int64),
        architecture=model,
        columns=columns,
        series={name: values.astype(np.float32) for name, values in series.items()},
        wall_times=1.7e9 + steps.astype(np.float64),
        probe_samples=256,
        data=data(),
    )


def changed(
    run: Trace,
    metric: str,
    value: float,
    layers: tuple[str, ...] = ("dense",),
    since: int = 0,
) -> Trace:
    """Returns `run` with `value` in a metric's measured cells of `layers` from step `since` on."""
    column = run.columns[metric].copy()
    for name in layers:
        i = run.layers.index(name)
        cells = (run.steps >= since) & np.isfinite(column[:, i])
        column[cells, i] = value
    return replace(run, columns={**run.columns, metric: column})


def with_series(run: Trace, **series: Any) -> Trace:
    """Returns `run` with other series: numbers or arrays; gaps stay gaps."""
    old = run.series
    new: Mapping[str, np.ndarray] = {
        name: np.where(
            np.isnan(old.get(name, run.steps * 0.0)),
            np.nan,
            np.broadcast_to(np.asarray(values, dtype=np.float64), run.steps.shape),
        ).astype(np.float32)
        for name, values in series.items()
    }
    return replace(run, series={**old, **new})


def stuck(run: Trace | None = None, level: float = 2.3) -> Trace:
    """Returns a run whose loss stays where it was."""
    return with_series(run or trace(), probe_loss=level, loss=level)


def dying(since: int = 40, share: float = 0.97, name: str = "dense") -> Trace:
    """Returns a stuck run with a layer whose ReLUs die at step `since`."""
    return changed(stuck(), "dead_fraction", share, (name,), since)


def cut_off(run: Trace | None = None, since: int = 0) -> Trace:
    """Returns a stuck run whose `dense_2` is dead from `since` on, so that nothing gets below."""
    run = changed(run or stuck(), "dead_fraction", 1.0, ("dense_2",), since)
    below = ("dense", "dense_1", "dense_2")
    return changed(
        changed(run, "gradient_rms", 0.0, below, since), "update_ratio", 0.0, below, since
    )


def saturated(since: int = 40, share: float = 0.7, name: str = "dense_1") -> Trace:
    """Returns a stuck run of tanh layers with one that saturates at step `since`."""
    run = stuck(trace(architecture(activation="tanh")))
    return changed(run, "saturated_fraction", share, (name,), since)


def vanishing(depth: int = 10, factor: float = 0.03) -> Trace:
    """Returns a stuck deep run whose gradient shrinks by `factor` from layer to layer."""
    run = stuck(trace(architecture(depth, activation="sigmoid")))
    for i, name in enumerate(reversed(run.layers)):
        run = changed(run, "gradient_rms", 1e-3 * factor**i, (name,))
        run = changed(run, "update_ratio", 1e-3 * factor**i, (name,))
    return run


def exploding(since: int = 300, name: str = "dense_1") -> Trace:
    """Returns a run whose gradient and loss grow without bound from step `since` on."""
    run = trace()
    late = np.maximum(run.steps - since + EVERY, 0) / EVERY
    growth = 10.0 ** (0.5 * late)
    run = with_series(
        run,
        gradient_norm=run.series["gradient_norm"] * growth * np.where(late > 0, 100, 1),
        probe_loss=run.series["probe_loss"] * growth,
        loss=run.series["loss"] * growth,
    )
    return changed(run, "gradient_rms", 50.0, (name,), since)


def not_finite(since: int = 220, first: str = "dense_1") -> Trace:
    """Returns a run that is NaN from step `since` on, beginning with the layer `first`."""
    run = trace()
    lost = run.steps >= since
    depth = run.layers.index(first)
    columns = {name: values.copy() for name, values in run.columns.items()}
    for name, values in columns.items():
        if not name.endswith("_nonfinite"):
            values[np.ix_(lost, np.arange(len(run.layers)) >= depth)] = np.nan
        elif name != "output_nonfinite":
            values[np.ix_(lost, np.arange(len(run.layers)) >= depth)] = 64
    run = replace(run, columns=columns)
    nan = {name: np.where(lost, np.nan, run.series[name]) for name in ("loss", "probe_loss")}
    nan["gradient_norm"] = np.where(lost, np.nan, run.series["gradient_norm"])
    return with_series(run, **nan, loss_nonfinite=lost.astype(float))


def with_epochs(run: Trace, held: Any, train: Any, **series: Any) -> Trace:
    """Returns `run` with an epoch at each record from 1 on, and these losses at their ends.

    Args:
        held: validation loss of each epoch.
        train: training loss of each epoch.
        series: others, one number for each epoch.
    """
    curves = {"val_loss": held, "epoch_loss": train, "epoch": np.arange(len(held)), **series}
    added = {}
    for name, values in curves.items():
        column = np.full(len(run.steps), np.nan, np.float32)
        column[1 : len(held) + 1] = values
        added[name] = column
    return replace(run, series={**run.series, **added})


def regression(run: Trace, spread: float, mean: float = 150.0) -> Trace:
    """Returns `run` as that of a model with one linear output of this mean and deviation."""
    layers = run.architecture.layers
    output = replace(layers[-1], activation=None, shape=(1,))
    model = replace(run.architecture, layers=(*layers[:-1], output), loss="mse")
    run = changed(run, "output_mean", mean, ("output",))
    run = changed(run, "output_rms", float(np.hypot(mean, spread)), ("output",))
    return replace(changed(run, "output_std", spread, ("output",)), architecture=model)
