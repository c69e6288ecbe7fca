"""Finds out why a Keras network will not learn, while it trains.

Names are loaded on first use, so that `import tfdiag` costs nothing and brings no
TensorFlow: TensorBoard imports this package too.
"""

from __future__ import annotations

import importlib
from typing import Any

from tfdiag.errors import TfdiagError

_HOMES = {
    "HealthMonitor": "tfdiag.callbacks",
    "GradientHistograms": "tfdiag.callbacks",
    "LayerOutputs": "tfdiag.callbacks",
    "DeadReLU": "tfdiag.callbacks",
    "GradCAM": "tfdiag.callbacks",
    "Trace": "tfdiag.trace",
    "Finding": "tfdiag.trace",
    "TfdiagError": "tfdiag.errors",
    "load": "tfdiag.storage.reader",
    "check": "tfdiag.rules",
}

__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tfdiag' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        raise TfdiagError(
            f"tfdiag.{name} runs inside the training of a Keras model on TensorFlow, but "
            f"{error.name!r} is not installed. Run: pip install 'tfdiag[tensorflow]', or install "
            "the TensorFlow that fits your machine (tensorflow-cpu, tensorflow[and-cuda]). If "
            "KERAS_BACKEND names another backend, set KERAS_BACKEND=tensorflow."
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
