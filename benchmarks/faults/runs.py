"""Trains each program with each fault once, and keeps what was recorded.

A kept run is found again by the source of what made it: the program's function, the operator's
function and everything that those of their file share. What a fault counts as may change without
training anew.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import case as shared
from benchmarks.faults.case import NotApplicableError
from benchmarks.faults.operators import Operator
from benchmarks.faults.programs import Program


@dataclass(frozen=True)
class Run:
    """One training that was recorded, or the reason why there is none.

    Attributes:
        program: its name.
        operator: name of the fault; "" if it is healthy.
        seed: of weights and of the order of samples.
        score: on held-out samples; None if it is not finite.
        blamed: names of the layers that the fault is in.
        steps: training steps in all.
        epoch_steps: training steps of an epoch.
        seconds: what it took.
        failed: why there is no recording; "" if there is one.
        applicable: False if the program has no place for the fault.
        monitor: fingerprint of the monitor that recorded it.
    """

    program: str
    operator: str
    seed: int
    score: float | None = None
    blamed: tuple[str, ...] = ()
    steps: int = 0
    epoch_steps: int = 0
    seconds: float = 0.0
    failed: str = ""
    applicable: bool = True
    monitor: str = ""


@functools.cache
def fingerprint(made_by: Callable[..., Any]) -> str:
    """Returns a hash of a decorated function and of what else is in its file.

    The other decorated functions, decorators and formatting are left out.
    """
    tree = ast.parse(inspect.getsource(inspect.getmodule(made_by)))
    kept = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            if node.name != made_by.__name__ and not _caches(node):
                continue
            node.decorator_list = []
        kept.append(ast.dump(node))
    return hashlib.sha256("".join(kept).encode()).hexdigest()


def _caches(node: ast.FunctionDef) -> bool:
    return any(isinstance(decorator, ast.Attribute) for decorator in node.decorator_list)


@functools.cache
def monitor_fingerprint() -> str:
    """Returns a hash of the part of tfdiag that records; rules and texts are not in it."""
    import tfdiag

    root = Path(tfdiag.__file__).parent
    files = sorted(p for p in root.rglob("*.py") if p.relative_to(root).parts[0] not in _JUDGE)
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()[:12]


_JUDGE = (
    *("rules", "report", "judge.py", "lint.py", "cli.py", "demo.py", "__init__.py", "explain.py"),
    "comparison.py",
)


def folder(cache: Path, program: Program, operator: Operator | None, seed: int) -> Path:
    """Returns where the run is kept."""
    sources = [fingerprint(program.build), inspect.getsource(shared)]
    if operator is not None:
        sources.append(fingerprint(operator.change))
    key = hashlib.sha256("".join(sources).encode()).hexdigest()[:12]
    return cache / f"{program.name}--{operator.name if operator else 'healthy'}--{seed}--{key}"


def kept(place: Path) -> Run | None:
    """Returns the run that is kept in a folder; None if there is none."""
    file = place / "run.json"
    if not file.is_file():
        return None
    found = json.loads(file.read_text())
    return Run(**{**found, "blamed": tuple(found["blamed"])})


def train_many(
    planned: list[tuple[Program, Operator | None, int, Path]], processes: int, minutes: float
) -> Iterator[Run]:
    """Trains runs in several processes, and yields each when it is done.

    None is begun after `minutes`: the rest of `planned` is then left out.
    """
    end = time.time() + 60 * minutes
    started = get_context("spawn")  # TensorFlow does not survive a fork
    with ProcessPoolExecutor(processes, started, _prepare_tensorflow) as pool:
        try:
            for done in as_completed([pool.submit(_train_before, end, *item) for item in planned]):
                if (run := done.result()) is not None:
                    yield run
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _train_before(end: float, *item: Any) -> Run | None:
    return train(*item) if time.time() < end else None


def train(program: Program, operator: Operator | None, seed: int, place: Path) -> Run:
    """Trains one run, and keeps it in the folder `place`."""
    import keras

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    keras.backend.clear_session()
    names = program.name, operator.name if operator else "", seed
    started = time.perf_counter()
    try:
        facts = _train(program, operator, seed, place)
    except NotApplicableError:
        facts = {"applicable": False}
    except Exception as error:  # a fault may end the training; that is told, not hidden
        facts = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    facts["seconds"] = round(time.perf_counter() - started, 2)
    run = Run(*names, monitor=monitor_fingerprint(), **facts)
    (place / "run.json").write_text(json.dumps(asdict(run), indent=1) + "\n")
    return run


def _train(program: Program, operator: Operator | None, seed: int, place: Path) -> dict[str, Any]:
    import keras

    from tfdiag import HealthMonitor

    keras.utils.set_random_seed(seed)
    case = program.build()
    blamed = operator.change(case) if operator else ()
    model = case.compiled()
    keras.utils.set_random_seed(seed)  # whatever was prepared or kept from another run before
    seen = case.x_held, case.y_held
    monitor = HealthMonitor(place, probe=seen, every=5, probe_every=20, gradcam=0, announce=False)
    data = {"x": case.x, "y": case.y, "batch_size": case.batch, "epochs": case.epochs}
    model.fit(**data, validation_data=seen, verbose=0, callbacks=[monitor])
    predicted = keras.ops.convert_to_numpy(model(case.x_held, training=False))
    score = case.score(predicted, case.truth) if np.isfinite(predicted).all() else None
    epoch_steps = -(-len(case.x) // case.batch)
    return {
        "score": score,
        "blamed": tuple(blamed),
        "steps": epoch_steps * case.epochs,
        "epoch_steps": epoch_steps,
    }
