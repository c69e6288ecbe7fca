"""Decodes the Grad-CAM snapshots that are recorded beside the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfdiag.storage import schema
from tfdiag.storage.decoder import Record, Tag, array_of, current, damaged
from tfdiag.trace import Trace


@dataclass(frozen=True, eq=False)
class Cams:
    """What a model looked at in `N` probe samples, at `S` steps.

    Attributes:
        steps: `int64[S]`, optimizer steps, increasing.
        layer: name of the layer whose maps they are.
        method: how they were made, such as "gradcam".
        samples: per sample {"name": str, "true": int}.
        maps: `float16[S, N, 2, h, w]`, raw maps of the true and of the predicted class.
        predictions: `float32[S, N, 3]`: predicted class, its probability, that of the true class.
        images: `uint8[N, H, W, C]`.
    """

    steps: np.ndarray
    layer: str
    method: str
    samples: list[dict[str, Any]]
    maps: np.ndarray
    predictions: np.ndarray
    images: np.ndarray


def decode_cams(tags: Mapping[str, Tag], trace: Trace) -> Cams | None:
    """Returns the newest Grad-CAM snapshots among `tags`; None if there are none.

    Args:
        trace: what was measured in the same run; it tells which snapshots a restart undid.

    Raises:
        TfdiagError: if they are damaged, or of a newer schema.
    """
    names = [name for name, tag in tags.items() if name.startswith(schema.CAMS) and tag.records]
    if not names or schema.IMAGES not in tags or not tags[schema.IMAGES].records:
        return None
    newest = max(names, key=lambda name: tags[name].records[-1].wall_time)
    content = _content(tags[newest].content)
    maps = _by_step(tags[newest], trace)
    twin = tags.get(newest.replace(schema.CAMS, schema.PREDICTIONS), Tag(b"", []))
    predictions = _by_step(twin, trace)
    steps = [step for step in maps if step in predictions]
    if not steps:
        return None
    count = len(content["samples"])
    first = array_of(maps[steps[0]], np.float16, (count, 2, None, None))
    images = tags[schema.IMAGES].records[-1]
    return Cams(
        steps=np.array(steps, np.int64),
        layer=content["layer"],
        method=content["method"],
        samples=content["samples"],
        maps=np.stack([array_of(maps[step], np.float16, first.shape) for step in steps]),
        predictions=np.stack(
            [array_of(predictions[step], np.float32, (count, 3)) for step in steps]
        ),
        images=array_of(images, np.uint8, (count, None, None, None)),
    )


def _by_step(tag: Tag, trace: Trace) -> dict[int, Record]:
    records = current(tag.records, trace.steps, trace.wall_times)
    return {record.step: record for record in records}


def _content(content: bytes) -> dict[str, Any]:
    fields = schema.decode(content)
    layer, method, samples = (fields.get(key) for key in ("layer", "method", "samples"))
    if not isinstance(layer, str) or not isinstance(method, str) or not isinstance(samples, list):
        raise damaged("a Grad-CAM snapshot has no `layer`, `method` or `samples`")
    return {"layer": layer, "method": method, "samples": [_sample(sample) for sample in samples]}


def _sample(sample: Any) -> dict[str, Any]:
    try:
        name, true = sample["name"], sample["true"]
    except (KeyError, TypeError) as error:
        raise damaged("a Grad-CAM sample has no `name` or `true`") from error
    if not isinstance(name, str) or not isinstance(true, int):
        raise damaged("the `name` of a Grad-CAM sample is no text, or its `true` no class")
    return {"name": name, "true": true}
