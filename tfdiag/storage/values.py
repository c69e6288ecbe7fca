"""Which values a step, a look at samples and a report become. Pure; see `schema` for the list."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdiag.storage import event, schema
from tfdiag.storage.event import Value


def measurements(
    manifest: bytes,
    stats: np.ndarray | None,
    series: Mapping[str, float],
    scalars: Mapping[str, float],
) -> list[Value]:
    """Returns the values of one step; see `RunWriter.step` for the arguments.

    Args:
        manifest: the encoded manifest.
    """
    values = []
    if stats is not None:
        array = np.asarray(stats, np.float32)
        values.append(Value(schema.tag(schema.STATS, manifest), schema.PLUGIN, array, manifest))
    if series:
        names = tuple(sorted(series))
        tag, content = _series(names)
        array = np.array([series[name] for name in names], np.float32)
        values.append(Value(tag, schema.PLUGIN, array, content))
    for name, number in scalars.items():
        array = np.asarray(number, np.float32)
        values.append(Value(schema.SCALARS + name, "scalars", array, kind=event.SCALAR))
    return values


def cams(
    content: Mapping[str, Any],
    maps: np.ndarray,
    predictions: np.ndarray,
    images: np.ndarray,
    pngs: Mapping[str, tuple[int, int, bytes]],
) -> list[Value]:
    """Returns the values of one snapshot; see `RunWriter.cams` for the arguments."""
    encoded = schema.encode(content)
    arrays: dict[str, np.ndarray] = {
        schema.tag(schema.CAMS, encoded): np.asarray(maps, np.float16),
        schema.tag(schema.PREDICTIONS, encoded): np.asarray(predictions, np.float32),
        schema.IMAGES: np.asarray(images, np.uint8),
    }
    values = [Value(tag, schema.PLUGIN, array, encoded) for tag, array in arrays.items()]
    for name, (width, height, png) in pngs.items():
        blobs = [str(width).encode(), str(height).encode(), png]
        values.append(Value(schema.GRADCAM_IMAGES + name, "images", blobs, kind=event.BLOBS))
    return values


def predictions(content: Mapping[str, Any], predicted: np.ndarray) -> list[Value]:
    """Returns the value of one look; see `RunWriter.predictions` for the arguments."""
    encoded = schema.encode(content)
    array = np.asarray(predicted, np.float32)
    return [Value(schema.tag(schema.PROBE, encoded), schema.PLUGIN, array, encoded)]


def report(
    report_json: Mapping[str, Any], finished: bool, cost: Mapping[str, float] | None
) -> list[Value]:
    """Returns the value of one report; see `RunWriter.report` for the arguments."""
    content = {"report": report_json, "finished": bool(finished), "cost": cost}
    array = [schema.encode(content)]
    return [Value(schema.REPORT, schema.EVENTS_PLUGIN, array, schema.encode({}))]


@functools.lru_cache(maxsize=8)
def _series(names: tuple[str, ...]) -> tuple[str, bytes]:
    content = schema.encode({"series": names})
    return schema.tag(schema.SERIES, content), content
