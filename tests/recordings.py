"""Recordings made by the real writer, for tests that read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.summary.writer.record_writer import RecordWriter

from tfdiag.architecture import Architecture, Layer
from tfdiag.metrics import METRIC_NAMES
from tfdiag.rules import Outcome, Report
from tfdiag.statistics import BINS, LOWEST_EXPONENT, OCTAVES, ZERO_BIN
from tfdiag.storage import schema
from tfdiag.storage.writer import RunWriter
from tfdiag.trace import Finding

LAYERS = ("conv", "dense", "logits")
START = 1_700_000_000.0


def open_records(path: str) -> RecordWriter:
    """Opens a file of records without TensorFlow."""
    return RecordWriter(open(path, "wb"))


def architecture(layers: tuple[str, ...] = LAYERS) -> Architecture:
    return Architecture(
        layers=tuple(
            Layer(
                name,
                "Dense",
                (None, 8),
                72,
                True,
                "relu",
                "hidden",
                inputs=layers[max(i - 1, 0) : i],
                options={"units": 8, "use_bias": True},
            )
            for i, name in enumerate(layers)
        ),
        loss="mse",
        optimizer="Adam",
        settings={"learning_rate": 0.001, "batch_size": 32},
        loss_options={"kind": "mean_squared_error", "from_logits": False},
    )


def manifest(
    layers: tuple[str, ...] = LAYERS, model: Architecture | None = None, **changes: Any
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "thresholds": {"dead-relu": {"critical": 0.9}},
        "versions": {"tfdiag": "0.1.0"},
        "not_measured": {"saturated_fraction": "no tanh or sigmoid"},
        "probe_samples": 256,
        "planned_steps": 0,
        "monitor": {"every": 1},
        **changes,
    }
    return schema.manifest(model or architecture(layers), METRIC_NAMES, **fields)


def stats(step: int, layers: tuple[str, ...] = LAYERS) -> np.ndarray:
    """Returns `float32[M, L]`: random bits of any kind, nan and inf among them."""
    bits = np.random.default_rng(step).integers(
        0, 2**32, (len(METRIC_NAMES), len(layers)), np.uint32
    )
    matrix = bits.view(np.float32)
    matrix[0, 0] = (np.nan, np.inf, -np.inf, -0.0, 1e-45)[step % 5]
    return matrix


def halves(step: int) -> list[np.ndarray]:
    """Returns `stats` as two measurements, of which each has what the other has not."""
    first, second = stats(step), stats(step)
    first[len(first) // 2 :] = second[: len(first) // 2] = np.nan
    return [first, second]


def histogram(step: int) -> np.ndarray:
    """Returns the buckets of the first layer."""
    return np.array([[-0.5, -0.25, step], [0.0, 0.0, 7.0], [0.125, 0.25, 90.0]])


def histogram_counts(step: int, layers: tuple[str, ...] = LAYERS) -> np.ndarray:
    """Returns `float64[L, BINS]`: `histogram` for the first layer, no gradient for the others."""
    counts = np.zeros((len(layers), BINS))
    counts[0, [-2 - LOWEST_EXPONENT, ZERO_BIN, OCTAVES - 3 - LOWEST_EXPONENT]] = step, 7, 90
    return counts


REPORT = Report(
    step=5,
    outcomes=(
        Outcome("nonfinite-loss", "not-evaluated", "loss_nonfinite was not measured"),
        Outcome(
            "dead-relu",
            "found",
            None,
            {"conv": "no ReLU"},
            (
                Finding(
                    severity="critical",
                    step=3,
                    message="124 of 128 units of dense output 0 for every probe sample.",
                    evidence="97 % ≥ 95 %",
                    layer="dense",
                    value=0.97,
                    metric="dead_fraction",
                ),
            ),
        ),
    ),
    facts={"layers": 3.0, "loss": "loss", "loss_first": 2.0, "loss_last": 1.0},
)


def record(
    log_dir: Path | str,
    steps: range = range(1, 6),
    *,
    start: float = START,
    layers: tuple[str, ...] = LAYERS,
    model: Architecture | None = None,
    cams: bool = False,
    predictions: str = "",
    finished: bool | None = True,
    opener: Callable[[str], Any] = open_records,
    **changes: Any,
) -> None:
    """Records a run of one step per second; `loss` is nan at step 2.

    Args:
        model: a model with layers of other kinds, in place of `layers`.
        predictions: what to record of 20 probe samples: "classes", "values" or nothing.
        finished: whether the report says so; None for no report.
    """
    writer = RunWriter(log_dir, opener)
    layers = model.names if model else layers
    fields = manifest(layers, model, **changes)
    for i, step in enumerate(steps):
        loss = math.nan if step == 2 else 1 / step
        writer.step(
            step,
            manifest=fields,
            stats=stats(step, layers),
            series={"loss": loss, "gradient_norm": float(step)},
            histograms={
                "gradients": histogram_counts(step, layers),
                "weights": 2 * histogram_counts(step, layers),
            },
            scalars={"loss": loss, "gradient_norm": float(step)},
            wall_time=start + i,
        )
        if cams:
            writer.cams(step, wall_time=start + i, **snapshot(step))
        if predictions:
            writer.predictions(step, wall_time=start + i, **look(step, predictions))
    if finished is not None:
        writer.report(
            steps[-1],
            REPORT.to_json(),
            finished=finished,
            cost={"seconds": 1.5, "share": 0.02, "every": 40, "probe_every": 0},
            wall_time=start + len(steps),
        )
    writer.close()
    assert writer.error is None


def snapshot(step: int) -> dict[str, Any]:
    """Returns what `RunWriter.cams` takes, for two images of 8 x 6 pixels in grey."""
    random = np.random.default_rng(step)
    predictions = np.array([[3, 0.5, 0.25], [1, 0.75, 0.75]], np.float32)
    if step == 2:
        predictions[0] = np.nan
    return {
        "content": {
            "layer": "conv",
            "method": "gradcam",
            "samples": [{"name": "0", "true": 7}, {"name": "1", "true": 1}],
        },
        "maps": random.normal(size=(2, 2, 4, 3)).astype(np.float16),
        "predictions": predictions,
        "images": np.arange(2 * 8 * 6, dtype=np.uint8).reshape(2, 8, 6, 1),
        "pngs": {"0": (6, 8, b"\x89PNG...")},
    }


def look(step: int, kind: str) -> dict[str, Any]:
    """Returns what `RunWriter.predictions` takes, for each third of 60 samples.

    Of three classes the model tells more and more of them right, sample 0 never, and sample 3
    has no finite output at step 2. A value is 1 / `step` too large.
    """
    rows = np.arange(0, 60, 3)
    content = {"kind": kind, "rows": rows, "features": [[row / 2, -1.0] for row in rows.tolist()]}
    if kind == "values":
        predicted = (rows / 10 + 1 / step)[:, None].astype(np.float32)
        return {"content": {**content, "true": rows / 10}, "predictions": predicted}
    true = rows // 3 % 3
    right = (rows > 0) & (rows < 15 * step)
    sure = np.where(right, 0.75, 0.5)
    guesses = np.stack([np.where(right, true, (true + 1) % 3), sure, np.where(right, 0.75, 0.25)])
    if step == 2:
        guesses[:, 1] = np.nan
    return {"content": {**content, "true": true}, "predictions": guesses.T.astype(np.float32)}
