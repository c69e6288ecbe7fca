"""Three short runs on real handwritten digits, one healthy and two with a known fault.

TensorFlow and scikit-learn are imported when they are used: the command line reads the options
of the demo without them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdiag.errors import TfdiagError

#: Samples to train on; the others are held back.
SAMPLES = 1437
#: Samples per training step.
BATCH_SIZE = 32
#: Length of each run: so long that every rule has seen enough of it.
EPOCHS = 14
STEPS = EPOCHS * -(-SAMPLES // BATCH_SIZE)
#: Seconds that TensorBoard may take to answer.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Scenario:
    """A run of the demo.

    Attributes:
        name: the run's folder.
        about: what is done to the network, in one sentence.
        optimizer: returns the optimizer.
        dense_bias: value at which the biases of the layer `dense` start.
        seed: of weights and of the order of samples.
    """

    name: str
    about: str
    optimizer: Callable[[], Any]
    dense_bias: float = 0.0
    seed: int = 1


def scenarios() -> tuple[Scenario, ...]:
    """Returns the runs of the demo, in the order in which they are trained."""
    from keras.optimizers import SGD
    from keras.optimizers.schedules import PiecewiseConstantDecay

    return (
        Scenario("healthy", "SGD at a learning rate that fits.", lambda: SGD(0.1)),
        Scenario(
            "dying-relu",
            "The biases of `dense` start at -1, so none of its units ever fires.",
            lambda: SGD(0.1),
            dense_bias=-1.0,
        ),
        Scenario(
            "exploding",
            "The learning rate is meant to fall to 3e-3 at step 152, but a lost sign makes it 3e3.",
            # Near a step that is recorded, so that the gradient is seen while it explodes.
            lambda: SGD(PiecewiseConstantDecay([152], [0.1, 3e3])),
        ),
    )


def digits() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Returns scikit-learn's handwritten digits as (training, held-out) pairs (x, y).

    Images are `float32[N, 8, 8, 1]` in [0, 1], labels `int64[N]` from 0 to 9; 1437 samples to
    train on and 360 held back.

    Raises:
        TfdiagError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise TfdiagError(
            "The demo trains on scikit-learn's handwritten digits, but scikit-learn is not "
            "installed. Run: pip install 'tfdiag[demo]'"
        ) from error
    x, y = load_digits(return_X_y=True)
    images = (x / 16).reshape(-1, 8, 8, 1).astype("float32")
    x_train, x_held, y_train, y_held = train_test_split(
        images, y, train_size=SAMPLES, random_state=0, stratify=y
    )
    return (x_train, y_train), (x_held, y_held)


def network(scenario: Scenario) -> Any:
    """Returns the scenario's small convolutional network, compiled."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(scenario.seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_3"),
            layers.Flatten(name="flatten"),
            layers.Dense(
                64,
                activation="relu",
                bias_initializer=keras.initializers.Constant(scenario.dense_bias),
                name="dense",
            ),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    model.compile(
        optimizer=scenario.optimizer(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def train(scenario: Scenario, log_dir: Path, callbacks: list[Any], *, epochs: int = EPOCHS) -> Any:
    """Trains a scenario as any user would, with the monitor, and returns Keras' history.

    Args:
        scenario: what to train.
        log_dir: the run is recorded in its subfolder `scenario.name`.
        callbacks: further callbacks.
        epochs: length of the run.
    """
    from tfdiag import HealthMonitor

    (x, y), held_out = digits()
    monitor = HealthMonitor(log_dir / scenario.name, probe=held_out, every=5, probe_every=20)
    return network(scenario).fit(
        x, y, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[monitor, *callbacks]
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tfdiag demo`."""
    parser.add_argument(
        "--log-dir",
        type=Path,
        default=Path("tfdiag-demo"),
        help="folder of the runs (default: %(default)s); runs that are there are not trained again",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of TensorBoard (default: a free one)"
    )
    parser.add_argument("--retrain", action="store_true", help="train even if the runs are there")
    parser.add_argument(
        "--no-tensorboard", action="store_true", help="only train; do not start TensorBoard"
    )


def main(options: argparse.Namespace) -> int:
    """Runs `tfdiag demo`: TensorBoard first, then the runs, until Ctrl-C."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends TensorBoard too, as Ctrl-C
    log_dir: Path = options.log_dir
    log_dir.mkdir(parents=True, exist_ok=True)
    server = contextlib.nullcontext() if options.no_tensorboard else _tensorboard(log_dir, options)
    try:
        with server as address:
            _train_all(log_dir, retrain=options.retrain)
            if address is not None:
                print(f"\nThe Health tab: {address}   (Ctrl-C ends it)", flush=True)
                while True:
                    time.sleep(3600)
    except KeyboardInterrupt:
        print()
    return 0


def _train_all(log_dir: Path, *, retrain: bool) -> None:
    missing = ["healthy", "dying-relu", "exploding"]
    if not retrain:
        missing = [name for name in missing if not _is_finished(log_dir / name)]
    if not missing:
        print(f"The three runs are in {log_dir} already. To train them again: ", end="")
        print(f"tfdiag demo --log-dir {log_dir} --retrain")
        return
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise TfdiagError(
            "The demo trains with TensorFlow, but it is not installed. Run: "
            "pip install 'tfdiag[tensorflow,demo]'"
        ) from error
    tf.config.list_physical_devices()  # says what it has to say before the bars are drawn
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.fields[loss]:<12}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        chosen = [scenario for scenario in scenarios() if scenario.name in missing]
        tasks = {
            scenario.name: progress.add_task(scenario.name, total=STEPS, loss="")
            for scenario in chosen
        }
        for scenario in chosen:
            _remove_recording(log_dir / scenario.name)
            progress.console.print(f"[bold]{scenario.name}[/bold]: {scenario.about}")
            train(scenario, log_dir, [_bar(progress, tasks[scenario.name])])
            progress.console.print(f"[bold]{scenario.name}[/bold]: {_verdict(log_dir, scenario)}\n")
            tf.keras.backend.clear_session()


def _verdict(log_dir: Path, scenario: Scenario) -> str:
    from tfdiag.report import verdict
    from tfdiag.rules import check
    from tfdiag.storage.reader import load

    return verdict(check(load(log_dir / scenario.name))).title


def _bar(progress: Any, task: Any) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: progress.update(
            task, advance=1, loss=f"loss {logs['loss']:.3g}"
        )
    )


def _is_finished(run: Path) -> bool:
    from tfdiag.storage.reader import open_recording

    try:
        return open_recording(run).finished
    except TfdiagError:
        return False


def _remove_recording(run: Path) -> None:
    for file in run.glob("events.out.tfevents.*.tfdiag*"):
        file.unlink()


@contextlib.contextmanager
def _tensorboard(log_dir: Path, options: argparse.Namespace) -> Iterator[str]:
    """Starts TensorBoard on this machine only; yields the address of the Health tab."""
    port = options.port or _free_port()
    command = [sys.executable, "-m", "tfdiag.demo", str(log_dir), str(port)]
    log = log_dir / "tensorboard.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/data/environment", process, log)
        address = f"http://127.0.0.1:{port}/#tfdiag"
        print(f"TensorBoard is up. The Health tab: {address}", flush=True)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    tail = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise TfdiagError(f"TensorBoard did not start: {tail[0]} (all of it: {log})")


def _serve(log_dir: str, port: str) -> None:
    """Runs TensorBoard without TensorFlow, which it does not need here: it starts in a fifth."""
    import types

    sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
    from tensorboard import main as tensorboard

    sys.argv = ["tensorboard", "--logdir", log_dir, "--host", "127.0.0.1", "--port", port]
    sys.argv += ["--reload_interval", "2"]
    tensorboard.run_main()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
