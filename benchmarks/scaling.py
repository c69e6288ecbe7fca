"""Measures how the monitor's cost grows with the model, the probe set and the length of a run.

Everything in one process on one core with one thread, in CPU time: what a sampled step and a look
at the probe set take beyond a plain step, median of a few, once everything is compiled, and what
`predict` takes on the same samples. From the repository's root, in minutes:

    python -m benchmarks.scaling --picture docs/cost.png
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

#: Samples per training step.
BATCH = 32
#: Every second step is sampled, every sixth looks at the probe set too.
CYCLE = 6


@dataclass(frozen=True)
class Panel:
    """How some costs grow with one quantity.

    Attributes:
        title: what grows.
        axis: the quantity and its unit.
        points: values of the quantity, increasing.
        costs: what is measured to its CPU milliseconds at each point.
    """

    title: str
    axis: str
    points: list[int]
    costs: dict[str, list[float]]


def layers_panel() -> Panel:
    """Returns the costs by number of layers, each of 64 units."""
    return _monitored("Layers", "dense layers of 64 units", [10, 30, 100, 200, 500], _deep)


def parameters_panel() -> Panel:
    """Returns the costs by number of parameters, in four layers."""
    points = [10**4, 10**5, 10**6, 10**7, 10**8]
    return _monitored("Parameters", "parameters in four layers", points, _wide)


def probe_panel() -> Panel:
    """Returns the costs by number of probe samples, for 10 layers with a million parameters."""
    points = [16, 64, 256, 1024, 4096]
    return _monitored("Probe set", "probe samples, 1M parameters", points, None)


def records_panel() -> Panel:
    """Returns the costs of judging by number of recorded steps, for 10 layers."""
    points = [10, 100, 1_000, 10_000, 100_000]
    costs: dict[str, list[float]] = {"put rows together": [], "judge by all rules": []}
    for point in points:
        _note("Length of the run", point, costs, _judge_seconds(point))
    return Panel("Length of the run", "recorded steps, 10 layers", points, costs)


def _monitored(
    title: str, axis: str, points: list[int], network: Callable[[int], Any] | None
) -> Panel:
    names = ("plain step", "more if sampled", "more for a look", "`predict` of as many samples")
    costs: dict[str, list[float]] = {name: [] for name in names}
    for point in points:
        model = _wide(10**6) if network is None else network(point)
        samples = point if network is None else 256
        _note(title, point, costs, _step_seconds(model, samples))
    return Panel(title, axis, points, costs)


def _note(
    title: str, point: int, costs: dict[str, list[float]], seconds: tuple[float, ...]
) -> None:
    for values, value in zip(costs.values(), seconds, strict=True):
        values.append(1000 * value)
    found = ", ".join(f"{name} {values[-1]:.3g} ms" for name, values in costs.items())
    print(f"{title} {point}: {found}", file=sys.stderr)


def _deep(depth: int) -> Any:
    return _network([64] * depth)


def _wide(parameters: int) -> Any:
    # Three weights of n x n, from 64 inputs: 3n^2 + 64n parameters, without biases.
    units = round((-64 + (64**2 + 12 * parameters) ** 0.5) / 6)
    return _network([units] * 4)


def _network(widths: list[int]) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    dense = [
        keras.layers.Dense(units, activation="relu", use_bias=False, kernel_initializer="he_normal")
        for units in widths
    ]
    head = keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((64,)), *dense, head])
    model.compile(keras.optimizers.SGD(1e-4), loss="sparse_categorical_crossentropy")
    return model


def _step_seconds(model: Any, probe_samples: int) -> tuple[float, float, float, float]:
    """Returns CPU seconds of a plain step, of a sample beyond it, and of a look beyond that.

    And of what a look is to stay below: Keras' `predict` on the same samples, once it is compiled.
    """
    import keras
    import tensorflow as tf

    from tfdiag import HealthMonitor

    started: list[float] = []
    ended: list[float] = []
    before = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: started.append(time.process_time())
    )
    after = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ended.append(time.process_time())
    )
    data = tf.data.Dataset.from_tensors(_samples(BATCH)).repeat()
    cycles = 3 if model.count_params() > 10**7 else 7
    with tempfile.TemporaryDirectory() as folder:
        monitor = HealthMonitor(
            folder,
            probe=_samples(probe_samples),
            every=2,
            probe_every=CYCLE,
            probe_samples=probe_samples,
            gradcam=0,
            announce=False,
        )
        model.fit(
            data,
            steps_per_epoch=cycles * CYCLE,
            verbose=0,
            shuffle=False,
            callbacks=[before, monitor, after],
        )
    predicted = [time.process_time()]
    for _ in range(6):
        model.predict(_samples(probe_samples)[0], verbose=0)
        predicted.append(time.process_time())
    keras.backend.clear_session()
    took = np.subtract(ended, started)[CYCLE:]  # the first ones compile
    step = 1 + np.arange(len(took)) + CYCLE
    plain = median(took[step % 2 == 1])
    sampled = median(took[(step % 2 == 0) & (step % CYCLE != 0)])
    looked = median(took[step % CYCLE == 0])
    return plain, sampled - plain, looked - sampled, median(np.diff(predicted)[1:])


def _samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.random((count, 64), np.float32), random.integers(0, 10, count)


def _judge_seconds(steps: int) -> tuple[float, float]:
    """Returns CPU seconds of what happens at each look after so many recorded steps.

    Returns:
        Of putting the rows in memory together, and of judging them; the run is a healthy one.
    """
    from tests import traces
    from tfdiag.metrics import METRIC_NAMES
    from tfdiag.rules import check
    from tfdiag.trace import TraceRows

    run = traces.trace(traces.architecture(10), records=steps, probe_every=5)
    rows = TraceRows()
    stats = np.stack([run.columns[name] for name in METRIC_NAMES], axis=1)  # [S, M, L]
    for row, step in enumerate(run.steps):
        series = {name: float(values[row]) for name, values in run.series.items()}
        rows.add(int(step), 0.0, stats[row], series)
    joining, judging = [], []
    for _ in range(3):
        began = time.process_time()
        trace = rows.trace(METRIC_NAMES, run.architecture, not_measured={}, probe_samples=256)
        joined = time.process_time()
        check(trace)
        joining.append(joined - began)
        judging.append(time.process_time() - joined)
    return median(joining), median(judging)


def main() -> None:
    """Measures all panels, prints them, and draws them if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--picture", type=Path, help="PNG or SVG to draw; needs tfdiag[bench]")
    options = parser.parse_args()
    if options.picture:
        from benchmarks.cost_picture import draw
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    panels = [records_panel(), probe_panel(), parameters_panel(), layers_panel()][::-1]
    for panel in panels:
        print(f"\n| {panel.axis} | {' | '.join(f'{name}, ms' for name in panel.costs)} |")
        print("|---|" + len(panel.costs) * "---|")
        for point, *costs in zip(panel.points, *panel.costs.values(), strict=True):
            print(f"| {point} | {' | '.join(f'{cost:.3g}' for cost in costs)} |")
    if options.picture:
        draw(panels, options.picture)


if __name__ == "__main__":
    main()
