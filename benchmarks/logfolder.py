"""Writes a log folder of many long runs of a deep model, quickly: no network is trained.

The numbers are made up, but look like those of real runs: a healthy one, one whose layers die and
one that explodes. They are written by tfdiag's own writer and judged by its own rules. Runs of the
same kind are the same file under several names, so that a hundred of them take the room of three.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensorboard.summary.writer.record_writer import RecordWriter

from tfdiag.architecture import Architecture, Layer
from tfdiag.metrics import METRIC_NAMES
from tfdiag.rules import check
from tfdiag.statistics import BINS, OCTAVES, ZERO_BIN
from tfdiag.storage import event, schema
from tfdiag.storage.reader import load
from tfdiag.storage.writer import RunWriter

#: Of ten runs seven are well, two have layers that die and one explodes.
KINDS = ("healthy",) * 7 + ("dying",) * 2 + ("exploding",)
#: The run that goes on while the tab is looked at; it is not a copy.
LIVE = "live"
#: Recorded steps between two gradient histograms.
HISTOGRAM_EVERY = 10


class Size(NamedTuple):
    """How much is recorded."""

    runs: int
    layers: int
    steps: int

    def __str__(self) -> str:
        return f"{self.runs} runs × {self.layers} layers × {self.steps} steps"


def make(folder: Path, size: Size) -> Path:
    """Returns the log folder of this size below `folder`; makes it if it is not there."""
    return _made(folder / "x".join(map(str, size)), size, _record)


def make_scalars(folder: Path, size: Size) -> Path:
    """Returns a log folder with the gradient RMS alone, each layer's as a scalar of its own."""
    return _made(folder / f"scalars_{'x'.join(map(str, size))}", size, _record_scalars)


def _made(logdir: Path, size: Size, record: Callable[[Path, str, Size], None]) -> Path:
    if not (logdir / "done").exists():
        shutil.rmtree(logdir, ignore_errors=True)
        for kind in sorted(set(KINDS)):
            record(logdir / "sources" / kind, kind, size)
        for i in range(size.runs):
            _link(logdir / "sources" / KINDS[i % len(KINDS)], logdir / "runs" / f"run_{i:03d}")
        (logdir / "done").touch()
    return logdir / "runs"


def begin_live(logdir: Path, size: Size) -> LiveRun:
    """Starts a run that has nearly all of its steps and goes on."""
    shutil.rmtree(logdir / LIVE, ignore_errors=True)
    return LiveRun(logdir / LIVE, size)


class LiveRun:
    """A run that is being recorded."""

    def __init__(self, folder: Path, size: Size):
        """Records all steps but the last hundred."""
        self._size, self._next = size, 0
        self._writer = RunWriter(folder, _open)
        self._manifest = _manifest(size)
        now = time.time()
        for step in range(max(2, size.steps - 100)):
            self.step(now - size.steps + step)

    def step(self, wall_time: float | None = None) -> None:
        """Records one more step."""
        _step(self._writer, self._manifest, "dying", self._next, self._size, wall_time)
        self._next += 1

    def close(self) -> None:
        self._writer.close()


def _record(folder: Path, kind: str, size: Size) -> None:
    writer, manifest = RunWriter(folder, _open), _manifest(size)
    start = time.time() - size.steps
    for step in range(size.steps):
        _step(writer, manifest, kind, step, size, start + step)
    writer.close()
    judged = check(load(folder))
    writer = RunWriter(folder, _open)
    writer.report(size.steps, judged.to_json(), finished=True, wall_time=time.time())
    writer.close()


def _record_scalars(folder: Path, kind: str, size: Size) -> None:
    names = _layer_names(size.layers)
    folder.mkdir(parents=True)
    start = time.time() - size.steps
    records = _open(f"{folder}/events.out.tfevents.{int(start)}.scalars")
    records.write(event.header(start))
    known: list[str] = []
    for step in range(size.steps):
        stats = _stats(kind, step / size.steps, size.layers, np.random.default_rng(step))
        values = [
            event.Value(f"gradient_rms/{name}", "scalars", np.asarray(rms), kind=event.SCALAR)
            for name, rms in zip(names, stats[METRIC_NAMES.index("gradient_rms")], strict=True)
        ]
        records.write(event.pack(step + 1, start + step, values, known))
        known = [value.tag for value in values]
    records.close()


def _step(
    writer: RunWriter,
    manifest: dict,
    kind: str,
    step: int,
    size: Size,
    wall_time: float | None,
) -> None:
    random = np.random.default_rng(step)
    along = step / size.steps
    loss = 2.3 * np.exp(-3 * along) + 0.05 * random.random()
    if kind == "exploding":
        loss = np.exp(10 * along)
    series = {"loss": loss, "gradient_norm": loss / 10}
    if step % 5 == 0:
        series |= {"probe_loss": 1.1 * loss, "probe_accuracy": min(1.0, 0.1 + 0.85 * along)}
    writer.step(
        step + 1,
        manifest=manifest,
        stats=_stats(kind, along, size.layers, random),
        series=series,
        histograms=_histograms(size.layers, random) if step % HISTOGRAM_EVERY == 0 else {},
        scalars={"loss": float(loss)},
        wall_time=wall_time,
    )


def _stats(kind: str, along: float, layers: int, random: np.random.Generator) -> np.ndarray:
    """Returns `float32[M, L]`."""
    noise = 1 + 0.3 * random.random(layers)
    gradient = 1e-2 * noise * (np.exp(20 * along) if kind == "exploding" else 1)
    dead = np.full(layers, 0.05) * noise
    if kind == "dying":
        dead[layers // 2 :] = min(1.0, 2 * along)
    known = {
        "gradient_rms": gradient,
        "gradient_max": 5 * gradient,
        "update_ratio": 1e-1 * gradient,
        "weight_rms": 0.05 * noise,
        "output_rms": noise,
        "output_mean": noise - 1,
        "output_std": noise,
        "output_zeros": 0.5 * noise,
        "dead_fraction": dead,
    }
    zero = np.zeros(layers)
    return np.array([known.get(name, zero) for name in METRIC_NAMES], np.float32)


def _histograms(layers: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    counts = np.zeros((layers, BINS))
    middle = OCTAVES // 2
    for side in (0, OCTAVES):
        counts[:, side + middle - 8 : side + middle + 8] = random.integers(0, 500, (layers, 16))
    counts[:, ZERO_BIN] = 40
    return {"gradients": counts, "weights": counts}


def _manifest(size: Size) -> dict:
    names = _layer_names(size.layers)
    layers = tuple(
        Layer(
            name,
            "Dense",
            (None, 64),
            4160,
            True,
            "relu",
            "hidden" if i < size.layers - 1 else "output",
            inputs=tuple(names[max(0, i - 1) : i]),
        )
        for i, name in enumerate(names)
    )
    return schema.manifest(
        Architecture(layers, "mse", "Adam", {"learning_rate": 1e-3, "batch_size": 32}),
        METRIC_NAMES,
        thresholds={},
        versions={},
        not_measured={"saturated_fraction": "no tanh or sigmoid"},
        probe_samples=256,
        planned_steps=size.steps,
        monitor={"every": 1, "probe_every": 1},
    )


def _layer_names(layers: int) -> list[str]:
    return [f"block_{i // 4:03d}_dense_{i % 4}" for i in range(layers)]


def _open(path: str) -> RecordWriter:
    return RecordWriter(open(path, "wb"))


def _link(source: Path, run: Path) -> None:
    run.mkdir(parents=True)
    for file in source.iterdir():
        os.link(file, run / file.name)
