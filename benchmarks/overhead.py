"""Measures what the monitor costs: the demo's CNN bare and monitored, in alternating pairs.

Process CPU time on one pinned core with one intra- and one inter-op thread, because wall time
on a shared machine drowns in noise; it covers the writer's thread. The bare-against-bare row says
what the machine itself spreads. Run it with `python benchmarks/overhead.py --pairs 11`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def contenders(log_dir: Path, held_out: Any) -> dict[str, Callable[[int], list[Any]]]:
    """Returns what is compared: a name, and a function from a pair's number to callbacks."""
    import keras

    from tfdiag import HealthMonitor

    def monitor(**options: Any) -> Callable[[int], list[Any]]:
        def make(pair: int) -> list[Any]:
            folder = log_dir / f"{'-'.join(map(str, options.values()))}-{pair}"
            return [HealthMonitor(folder, probe=held_out, announce=False, **options)]

        return make

    return {
        "bare": lambda pair: [],
        "tfdiag, default": monitor(),
        "tfdiag, every step, probe every 100": monitor(every=1, probe_every=100),
        "keras TensorBoard(histogram_freq=1)": lambda pair: [
            keras.callbacks.TensorBoard(log_dir / f"keras-{pair}", histogram_freq=1)
        ],
    }


def measure(make: Callable[[int], list[Any]], pair: int, steps: int) -> float:
    """Returns the CPU seconds that a run of `steps` steps takes, everything included."""
    import tensorflow as tf

    from tfdiag.demo import BATCH_SIZE, digits, network, scenarios

    (x, y), _ = digits()
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0)
    data = data.batch(BATCH_SIZE, drop_remainder=True).repeat()
    model = network(scenarios()[0])
    callbacks = make(pair)
    started = time.process_time()
    model.fit(data, steps_per_epoch=steps // 4, epochs=4, verbose=0, callbacks=callbacks)
    used = time.process_time() - started
    tf.keras.backend.clear_session()
    return used


def main() -> None:
    """Prints a table: the median ratio to bare, its spread, and milliseconds per step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11, help="runs of each contender")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of a run")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    import tensorflow as tf

    from tfdiag.demo import digits

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        arms = contenders(Path(folder), digits()[1])
        measure(arms["bare"], 0, options.steps)  # warms caches up
        ratios: dict[str, list[float]] = {name: [] for name in arms}
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for pair in range(options.pairs):
            for name, make in arms.items():
                bare = measure(arms["bare"], pair, options.steps)
                used = measure(make, pair, options.steps)
                ratios[name].append(used / bare)
                seconds[name].append(used)
                print(f"pair {pair} {name}: {used / bare:.3f}", file=sys.stderr)
    print("| contender | CPU time against bare, median | spread | ms per step |")
    print("|---|---|---|---|")
    for name, values in ratios.items():
        step = 1000 * statistics.median(seconds[name]) / options.steps
        print(
            f"| {name} | {statistics.median(values):.3f} | "
            f"{min(values):.3f} to {max(values):.3f} | {step:.2f} |"
        )


if __name__ == "__main__":
    main()
