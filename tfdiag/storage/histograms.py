"""Histograms on disk: all layers of one step packed in one value, and back to buckets.

A step's counts are stored as `uint32`, all lowest bytes first, then all second bytes, and so on,
and then compressed: most bins are empty and most counts small, so that a layer needs some 50
bytes. TensorBoard's own histograms hold the same buckets, but take 16 times as much.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfdiag.errors import TfdiagError
from tfdiag.statistics import BINS, LOWEST_EXPONENT, OCTAVES, histogram_buckets
from tfdiag.storage import schema
from tfdiag.storage.decoder import Record, Tag, array_of, check_size, current, damaged
from tfdiag.storage.event import Value
from tfdiag.trace import Trace

#: One record in so many is stored as TensorBoard's own histograms too, for its own tabs.
NATIVE_EVERY = 25


@dataclass(frozen=True)
class Kind:
    """What histograms are of.

    Attributes:
        packed: how the names of tags begin that hold all layers.
        native: the same of TensorBoard's own histograms; the layer's name follows.
    """

    packed: str
    native: str


#: Each kind that is recorded, by its name.
KINDS = {
    "gradients": Kind(schema.GRADIENT_HISTOGRAMS, schema.NATIVE_GRADIENTS),
    "weights": Kind(schema.WEIGHT_HISTOGRAMS, schema.NATIVE_WEIGHTS),
}

_BINS = {"lowest_exponent": LOWEST_EXPONENT, "octaves": OCTAVES}
_COUNT = np.dtype("<u4")
_LEVEL = 1  # of zlib: the fastest; the next ones gain a tenth and take eight times as long


def packed(kind: Kind, layers: tuple[str, ...], counts: np.ndarray) -> Value:
    """Returns the value that holds the histograms of all layers.

    Args:
        kind: what they are of.
        layers: names of the `L` layers.
        counts: `uint32[L, BINS]`, as `whole` returns.
    """
    planes = np.moveaxis(counts.astype(_COUNT)[..., None].view(np.uint8), -1, 0)
    array = np.frombuffer(zlib.compress(planes.tobytes(), _LEVEL), np.uint8)
    tag, content = _tag(kind, layers)
    return Value(tag, schema.PLUGIN, array, content)


def native(kind: Kind, layers: tuple[str, ...], counts: np.ndarray) -> list[Value]:
    """Returns TensorBoard's own histogram of each layer with an entry; as for `packed`."""
    return [
        Value(kind.native + layers[row], "histograms", histogram_buckets(counts[row]))
        for row in np.flatnonzero(counts.any(axis=1))
    ]


def whole(layers: tuple[str, ...], counts: np.ndarray) -> np.ndarray:
    """Returns the counts as they are stored: whole numbers, of which the largest stays below 2**32.

    Args:
        layers: names of the `L` layers.
        counts: `float[L, BINS]`, entries per bin.

    Returns:
        `uint32[L, BINS]`.

    Raises:
        ValueError: if the shape is another one.
    """
    if counts.shape != (len(layers), BINS):
        raise ValueError(
            f"`histograms` must have a row for each of the {len(layers)} layers and {BINS} "
            f"columns, but has the shape {counts.shape}."
        )
    return np.rint(counts).clip(0, np.iinfo(_COUNT).max).astype(_COUNT)


def decode(
    kind: Kind, tags: Mapping[str, Tag], layer: str, trace: Trace
) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Returns the histograms of one layer; None if there are none.

    Args:
        kind: what they are of.
        tags: the packed histograms, and TensorBoard's own ones of the layer: those count where
            there are no packed ones, as in recordings of older versions.
        layer: one of the trace's layers.
        trace: what was measured in the same run; it tells which histograms a restart undid.

    Returns:
        `int64[S]`, optimizer steps, and for each step `float64[K, 3]`: left, right, count. Steps
        at which the layer had no entry are left out.

    Raises:
        TfdiagError: if they are damaged, or of a newer schema.
    """
    fitting = [
        tag
        for name, tag in tags.items()
        if name.startswith(kind.packed) and tag.records and _layers(tag.content) == trace.layers
    ]
    if fitting:
        newest = max(fitting, key=lambda tag: tag.records[-1].wall_time)
        found = _unpacked(newest, trace.layers.index(layer), trace)
    else:
        tag = tags.get(kind.native + layer, Tag(b"", []))
        records = current(tag.records, trace.steps, trace.wall_times)
        found = {record.step: array_of(record, np.float64, (None, 3)) for record in records}
    return (np.array(list(found), np.int64), list(found.values())) if found else None


def _unpacked(tag: Tag, row: int, trace: Trace) -> dict[int, np.ndarray]:
    """Returns the buckets of one layer by step."""
    records = current(tag.records, trace.steps, trace.wall_times)
    layers = len(trace.layers)
    check_size(max(layers, len(records)) * BINS)
    rows = {record.step: _unpack(record, layers, row) for record in records}
    return {step: histogram_buckets(counts) for step, counts in rows.items() if counts.any()}


def _unpack(record: Record, layers: int, row: int) -> np.ndarray:
    """Returns `uint32[BINS]`; a record that holds more than `layers` is not unpacked further."""
    size = layers * BINS * _COUNT.itemsize
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(array_of(record, np.uint8, (None,)).tobytes(), size + 1)
    except zlib.error as error:
        raise damaged(
            f"the histograms of step {record.step} cannot be unpacked: {error}"
        ) from error
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise damaged(
            f"the histograms of step {record.step} are not those of {layers} layers with "
            f"{BINS} bins each"
        )
    planes = np.frombuffer(data, np.uint8).reshape(_COUNT.itemsize, layers, BINS)
    return np.ascontiguousarray(planes[:, row].T).view(_COUNT)[:, 0]


@functools.lru_cache(maxsize=8)
def _tag(kind: Kind, layers: tuple[str, ...]) -> tuple[str, bytes]:
    content = schema.encode({"layers": layers, "bins": _BINS})
    return schema.tag(kind.packed, content), content


def _layers(content: bytes) -> tuple[str, ...]:
    """Returns the names of the layers that packed histograms are of."""
    layers, bins = schema.decode_histograms(content)
    if bins != _BINS:
        raise TfdiagError(
            f"The recording's histograms have the bins {str(bins)[:80]}, but this tfdiag reads "
            f"{_BINS}. Install the tfdiag that wrote it, or a newer one."
        )
    return layers
