"""Probe samples as pictures: as bytes for the tab, with a map laid over for TensorBoard's own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

#: Smallest side of a picture in TensorBoard's own tabs, in pixels.
SIDE = 64
#: The colour of a map at its strongest, red, green, blue.
_COLOUR = (255, 140, 0)
#: How much of the image a map hides at its strongest.
_OPACITY = 0.7


def images(x: Any) -> np.ndarray | None:
    """Returns the samples as images, None if no input is one.

    Args:
        x: model input: an array or a dict or list of arrays. The first one of shape
            `[N, H, W, C]` with 1, 3 or 4 channels is taken.

    Returns:
        `uint8[N, H, W, C]`, from the smallest value (0) to the largest (255) of all samples.
    """
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, list | tuple) else [x]
    for part in parts:
        if getattr(part, "ndim", 0) == 4 and part.shape[-1] in (1, 3, 4):
            values = np.nan_to_num(np.asarray(part, np.float32))
            low, high = values.min(), values.max()
            scaled = (values - low) / (high - low) if high > low else values * 0
            return (255 * scaled).round().astype(np.uint8)
    return None


def overlay(image: np.ndarray, cam: np.ndarray) -> tuple[int, int, bytes]:
    """Returns an image with a map laid over it, as a PNG.

    Args:
        image: `uint8[H, W, C]`.
        cam: `float[h, w]`, at least 0; scaled by its own maximum. A map that is zero or not
            finite leaves the image as it is.

    Returns:
        Width, height in pixels, and the PNG's bytes.
    """
    height, width, channels = image.shape
    factor = max(1, -(-SIDE // min(height, width)))
    size = (width * factor, height * factor)
    grey = image[..., 0] if channels == 1 else image[..., :3]
    picture = Image.fromarray(grey).convert("RGB").resize(size, Image.Resampling.NEAREST)
    peak = cam.max() if np.isfinite(cam).all() else 0
    if peak > 0:
        strength = Image.fromarray((cam * (_OPACITY * 255 / peak)).astype(np.uint8))
        colour = Image.new("RGB", size, _COLOUR)
        picture.paste(colour, mask=strength.resize(size, Image.Resampling.BILINEAR))
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return size[0], size[1], stream.getvalue()
