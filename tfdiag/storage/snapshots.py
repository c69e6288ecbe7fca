"""Decodes what is recorded of single probe samples: predictions and Grad-CAM snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfdiag.storage import schema
from tfdiag.storage.decoder import Record, Tag, array_of, check_size, current, damaged
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


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model predicted for `N` probe samples, at `S` steps.

    Attributes:
        steps: `int64[S]`, optimizer steps, increasing.
        kind: "classes" or "values".
        samples: per sample {"name": str, "true": class or value or None, "features": list of
            its first numbers, or None}.
        predictions: `float32[S, N, 3]`: predicted class, its probability, that of the true class;
            or `float32[S, N, 1]`, the predicted value.
    """

    steps: np.ndarray
    kind: str
    samples: list[dict[str, Any]]
    predictions: np.ndarray


def decode_predictions(tags: Mapping[str, Tag], trace: Trace) -> Predictions | None:
    """Returns the newest predictions among `tags`; None if there are none.

    Args:
        trace: what was measured in the same run; it tells which of them a restart undid.

    Raises:
        TfdiagError: if they are damaged, or of a newer schema.
    """
    names = [name for name, tag in tags.items() if name.startswith(schema.PROBE) and tag.records]
    if not names:
        return None
    tag = tags[max(names, key=lambda name: tags[name].records[-1].wall_time)]
    kind, samples = _followed(tag.content)
    shape = (len(samples), 3 if kind == "classes" else 1)
    records = _by_step(tag, trace)
    if not records:
        return None
    check_size(len(records) * shape[0] * shape[1])
    return Predictions(
        steps=np.array(list(records), np.int64),
        kind=kind,
        samples=samples,
        predictions=np.stack([array_of(r, np.float32, shape) for r in records.values()]),
    )


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


def _followed(content: bytes) -> tuple[str, list[dict[str, Any]]]:
    """Returns the kind of predictions and the samples that they are of."""
    fields = schema.decode(content)
    kind, features = fields.get("kind"), fields.get("features")
    rows, true = _numbers(fields.get("rows")), _numbers(fields.get("true"))
    if kind not in ("classes", "values"):
        raise damaged("predictions are neither of classes nor of values")
    if not isinstance(features, list | None):
        raise damaged("the `features` of predictions are no list")
    if None in rows or (kind == "classes" and not all(isinstance(t, int) for t in true)):
        raise damaged("the `rows` of predictions are no samples, or what is `true` are no classes")
    known = [None] * len(rows) if features is None else [_numbers(own) for own in features]
    if not len(rows) == len(true) == len(known):
        raise damaged("predictions have not one entry for each sample")
    return kind, [
        {"name": str(row), "true": label, "features": own}
        for row, label, own in zip(rows, true, known, strict=True)
    ]


def _numbers(value: Any) -> list[Any]:
    """Returns a list of numbers, in which null stands for one that is not finite."""
    kinds = (int, float, type(None))
    if not isinstance(value, list) or not all(isinstance(item, kinds) for item in value):
        raise damaged("the samples of predictions are not described by lists of numbers")
    return value
