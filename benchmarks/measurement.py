"""Measures one contender on one workload in a process of its own, and prints JSON.

Each measurement is a fresh process, for all contenders alike: a debugger that is switched on for
a whole process cannot share it, and peak memory is that of a process. The clock runs during `fit`
only, so that imports, data and building the model are outside. It is the process's CPU time on
one pinned core with one intra- and one inter-op thread, which covers every thread that writes;
wall time on a shared machine drowns in noise.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, Contender, Scene
from benchmarks.workloads import EPOCHS, WORKLOADS, Workload

# TensorFlow is imported when it is used: whoever starts a measurement stays small, since the peak
# memory of a process begins with that of the one that started it.


@dataclass(frozen=True)
class Measurement:
    """What one run of `fit` took.

    Attributes:
        parameters: size of the model.
        run_seconds: CPU time of all of it.
        epoch_seconds: CPU time of an epoch after the first one, median.
        peak_bytes: largest resident memory of the process.
        written_bytes: size of the files in the contender's folder.
    """

    parameters: int
    run_seconds: float
    epoch_seconds: float
    peak_bytes: int
    written_bytes: int

    @property
    def once_seconds(self) -> float:
        """CPU time of the run beyond what it takes at the pace of its later epochs."""
        return self.run_seconds - EPOCHS * self.epoch_seconds


def measure(workload: Workload, contender: Contender, steps: int, folder: Path) -> Measurement:
    """Trains a workload's model for `steps` steps with a contender that writes to `folder`."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    contender.prepare(folder)
    keras.utils.set_random_seed(0)
    training, held_out = workload.data()
    data = tf.data.Dataset.from_tensor_slices(training).shuffle(len(training[1]), seed=0)
    data = data.repeat().batch(workload.batch)
    model = workload.network()
    callbacks = contender.callbacks(Scene(folder, held_out, workload.layer))
    epoch_ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch_ends.append(time.process_time())
    )
    started = time.process_time()
    model.fit(
        data,
        steps_per_epoch=steps // EPOCHS,
        epochs=EPOCHS,
        verbose=0,
        shuffle=False,
        callbacks=[*callbacks, clock],
    )
    ended = time.process_time()
    return Measurement(
        parameters=model.count_params(),
        run_seconds=ended - started,
        epoch_seconds=statistics.median(
            after - before for before, after in zip(epoch_ends, epoch_ends[1:], strict=False)
        ),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        written_bytes=sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
    )


class _Complaints(logging.Handler):
    """Keeps what tfdiag logs: it goes silent, and cheap, where it fails."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def main(workload_name: str, contender_name: str, steps: str, folder: str) -> None:
    """Prints a `Measurement` as JSON, or {"failed": why}."""
    complaints = _Complaints()
    logging.getLogger("tfdiag").addHandler(complaints)
    workload = next(w for w in WORKLOADS if w.name == workload_name)
    contender = next(c for c in CONTENDERS if c.name == contender_name)
    try:
        found: dict[str, Any] = asdict(measure(workload, contender, int(steps), Path(folder)))
        if complaints.said:
            found = {"failed": complaints.said[0]}
    except Exception as error:  # a peer may fail with anything; its row says so
        logging.exception("%s does not run", contender.title)
        found = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    main(*sys.argv[1:])
