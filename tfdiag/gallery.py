"""The probe images that Grad-CAM is shown on, from the first step to the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tfdiag import explain, picture
from tfdiag.architecture import Architecture
from tfdiag.errors import TfdiagError
from tfdiag.gradcam_plus_plus import GradCamPlusPlusTap
from tfdiag.probe import ProbeSet

#: How a map can be taken: name to a tap.
METHODS: dict[str, Callable[..., Any]] = {
    "gradcam": explain.GradCamTap,
    "gradcam++": GradCamPlusPlusTap,
}


class Gallery:
    """Some images of the probe set, and Grad-CAM of one layer.

    Args:
        model: a built Keras model.
        layers: its recorded layers.
        architecture: the same, described.
        probe: the probe set.
        images: number of images to show.
        layer: name of the layer to look at; None for the last spatial one.
        method: "gradcam" or "gradcam++".

    Raises:
        ValueError: if the model has no layer of that name.
        TfdiagError: if Grad-CAM has nothing to show for this model or probe set.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Mapping[str, keras.layers.Layer],
        architecture: Architecture,
        probe: ProbeSet,
        *,
        images: int,
        layer: str | None = None,
        method: str = "gradcam",
    ):
        name = explain.spatial_layer(architecture, layer)
        shown = picture.images(probe.x)
        if shown is None:
            raise TfdiagError("the probe set holds no images")
        true = explain.class_labels(probe.y, _classes(architecture))
        rows = explain.one_per_class(true, images)
        self._tap = METHODS[method](model, layers[name])
        self._x = probe.take(rows).x
        self._true = true[rows]
        self._images = shown[rows]
        self._content: dict[str, Any] = {
            "layer": name,
            "method": method,
            "samples": [{"name": str(row), "true": int(true[row])} for row in rows],
        }

    def snapshot(self) -> dict[str, Any]:
        """Takes the maps of the model as it is now.

        Returns:
            What `RunWriter.cams` takes: content, maps, predictions, images, pngs.
        """
        cams = self._tap.run(self._x, self._true)
        predicted = np.where(cams.predicted < 0, np.nan, cams.predicted)
        predictions = np.stack([predicted, cams.confidence, cams.true_confidence], axis=1)
        names = [sample["name"] for sample in self._content["samples"]]
        return {
            "content": self._content,
            "maps": cams.maps.astype(np.float16),
            "predictions": predictions.astype(np.float32),
            "images": self._images,
            "pngs": {
                name: picture.overlay(image, maps[0])
                for name, image, maps in zip(names, self._images, cams.maps, strict=True)
            },
        }


def _classes(architecture: Architecture) -> int:
    """Returns how many scores the model has, 0 if its shape is not known."""
    outputs = [layer for layer in architecture.layers if layer.role == "output" and layer.shape]
    return (outputs[-1].shape[-1] or 0) if outputs else 0
