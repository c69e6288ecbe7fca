"""What is compared in `overhead.py`: ways to look into a network while it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Held-out samples that are looked at; `HealthMonitor` takes as many by default.
PROBE_SAMPLES = 256
#: Images with Grad-CAM; `HealthMonitor` takes as many by default.
IMAGES = 8


@dataclass(frozen=True)
class Scene:
    """What a contender finds.

    Attributes:
        folder: it writes here.
        held_out: samples (x, y) that are not trained on.
        layer: name of the layer for Grad-CAM; None if there is no convolution.
    """

    folder: Path
    held_out: tuple[Any, Any]
    layer: str | None


@dataclass(frozen=True)
class Contender:
    """One way to look into a network.

    Attributes:
        name: what it is called on the command line.
        title: what it is called in the table.
        callbacks: returns what is passed to `fit`.
        prepare: is called with the folder before there is a model.
    """

    name: str
    title: str
    callbacks: Callable[[Scene], list[Any]] = lambda scene: []
    prepare: Callable[[Path], None] = lambda folder: None


def _tfdiag(**options: int) -> Callable[[Scene], list[Any]]:
    def callbacks(scene: Scene) -> list[Any]:
        from tfdiag import HealthMonitor

        return [HealthMonitor(scene.folder, probe=scene.held_out, announce=False, **options)]

    return callbacks


def _tensorboard(scene: Scene) -> list[Any]:
    import keras

    return [keras.callbacks.TensorBoard(scene.folder, histogram_freq=1)]


def _debugger(mode: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        import tensorflow as tf

        tf.debugging.experimental.enable_dump_debug_info(
            str(folder), tensor_debug_mode=mode, circular_buffer_size=-1
        )

    return prepare


def _gradient_tape(scene: Scene) -> list[Any]:
    from benchmarks.recipes import GradientTapeLogger

    x, y = scene.held_out
    return [GradientTapeLogger(scene.folder, x[:PROBE_SAMPLES], y[:PROBE_SAMPLES])]


def _keras_vis(scene: Scene) -> list[Any]:
    from benchmarks.recipes import KerasVisGradcam

    x, y = scene.held_out
    return [KerasVisGradcam(scene.folder, x[:IMAGES], y[:IMAGES], _convolution(scene))]


def _tf_explain(scene: Scene) -> list[Any]:
    from tf_explain.callbacks.grad_cam import GradCAMCallback

    x, y = scene.held_out
    return [
        GradCAMCallback(
            (x[:IMAGES], y[:IMAGES]),
            class_index=0,
            layer_name=_convolution(scene),
            output_dir=scene.folder,
        )
    ]


def _convolution(scene: Scene) -> str:
    if scene.layer is None:
        raise ValueError("the model has no convolution")
    return scene.layer


BARE = Contender("bare", "bare again")

CONTENDERS: tuple[Contender, ...] = (
    BARE,
    Contender("tfdiag", "tfdiag, default", _tfdiag()),
    Contender(
        "tfdiag-every-step",
        "tfdiag, `every=1, probe_every=100`",
        _tfdiag(every=1, probe_every=100),
    ),
    Contender("tensorboard", "Keras `TensorBoard(histogram_freq=1)`", _tensorboard),
    Contender("gradient-tape", "eager `GradientTape` logger at epoch ends", _gradient_tape),
    Contender("tf-keras-vis", "tf-keras-vis `Gradcam` at epoch ends", _keras_vis),
    Contender("tf-explain", "tf-explain `GradCAMCallback`", _tf_explain),
    Contender(
        "debugger-curt", "TensorFlow Debugger V2, `CURT_HEALTH`", prepare=_debugger("CURT_HEALTH")
    ),
    Contender(
        "debugger-full", "TensorFlow Debugger V2, `FULL_HEALTH`", prepare=_debugger("FULL_HEALTH")
    ),
)
