"""What one callback wants recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from tfdiag.actions import Actions
from tfdiag.config import Config
from tfdiag.probe import ProbeSet


@dataclass(frozen=True, eq=False)
class Request:
    """What one callback wants recorded.

    Attributes:
        metrics: names of the measures.
        every: steps between two samples of the training step; 0 for none, None for as many as
            the budget allows.
        probe_every: steps between two looks at the probe set; the same.
        budget: share of the training's time that monitoring may take where it is free to choose.
        probe: the probe set, or None.
        histograms: whether histograms of gradients and weights are wanted.
        images: number of probe images with Grad-CAM; 0 for none.
        layer: name of the layer that Grad-CAM looks at; None for the last spatial one.
        method: "gradcam" or "gradcam++".
        thresholds: rule's id to its thresholds, those that differ from the defaults.
        config: what the user's file says of rules, thresholds and suppressions.
        announce: whether findings are printed.
        actions: what is to be done about findings.
    """

    metrics: frozenset[str]
    every: int | None = 0
    probe_every: int | None = 0
    budget: float = 0.02
    probe: ProbeSet | None = None
    histograms: bool = False
    images: int = 0
    layer: str | None = None
    method: str = "gradcam"
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    config: Config = field(default_factory=Config)
    announce: bool = False
    actions: Actions = Actions()


def conflict(one: Request, other: Request) -> str | None:
    """Returns in what two requests cannot both be met."""
    if one.probe and other.probe and not _same(one.probe, other.probe):
        return "probe sets"
    pictures = one.images and other.images and one.probe and other.probe
    if pictures and (one.layer, one.method) != (other.layer, other.method):
        return "Grad-CAM layers or methods"
    return None


def _same(one: ProbeSet, other: ProbeSet) -> bool:
    if one is other:
        return True
    parts = [keras.tree.flatten((probe.x, probe.y)) for probe in (one, other)]
    return len(parts[0]) == len(parts[1]) and all(
        np.array_equal(a, b) for a, b in zip(*parts, strict=True)
    )
