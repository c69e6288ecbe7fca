"""One recorded value and its form in a TensorBoard event: for the writer and the reader."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tensorboard.compat.proto import summary_pb2, types_pb2
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto

#: How TensorBoard stores a value; it drops a value whose class does not fit.
SCALAR = summary_pb2.DATA_CLASS_SCALAR
TENSOR = summary_pb2.DATA_CLASS_TENSOR
BLOBS = summary_pb2.DATA_CLASS_BLOB_SEQUENCE

_DTYPES: dict[int, np.dtype] = {
    types_pb2.DT_FLOAT: np.dtype("<f4"),
    types_pb2.DT_DOUBLE: np.dtype("<f8"),
    types_pb2.DT_HALF: np.dtype("<f2"),
    types_pb2.DT_UINT8: np.dtype("u1"),
}
_TYPES: dict[np.dtype, int] = {dtype: number for number, dtype in _DTYPES.items()}


@dataclass(frozen=True, eq=False)
class Value:
    """One array under one tag.

    Attributes:
        tag: name of the value in its run.
        plugin: name of the TensorBoard plugin that keeps it.
        array: `float16`, `float32`, `float64` or `uint8` of any shape, or a list of `bytes`.
        content: what `plugin` wants to know of the tag, such as the names of its rows.
        kind: `SCALAR` (`float32[]` only), `TENSOR` or `BLOBS` (a list of `bytes` only).
    """

    tag: str
    plugin: str
    array: np.ndarray | list[bytes]
    content: bytes = b""
    kind: int = TENSOR


def header(wall_time: float) -> bytes:
    """Returns the first record of an event file; TensorBoard takes its time for the run's start."""
    return Event(file_version="brain.Event:2", wall_time=wall_time).SerializeToString()


def pack(step: int, wall_time: float, values: Iterable[Value], known: Iterable[str] = ()) -> bytes:
    """Returns one serialised event that holds all `values`.

    Args:
        step: optimizer step.
        wall_time: seconds since the Unix epoch.
        values: what to store, each with a tag of its own.
        known: tags whose content the file already has; it is written only once.
    """
    event = Event(step=step, wall_time=wall_time)
    for value in values:
        entry = event.summary.value.add(tag=value.tag, tensor=_to_tensor(value.array))
        if value.tag not in known:
            entry.metadata.data_class = value.kind
            entry.metadata.plugin_data.plugin_name = value.plugin
            entry.metadata.plugin_data.content = value.content
    return event.SerializeToString()


def _to_tensor(array: np.ndarray | list[bytes]) -> TensorProto:
    tensor = TensorProto()
    if isinstance(array, list):
        tensor.dtype = types_pb2.DT_STRING
        tensor.tensor_shape.dim.add(size=len(array))
        tensor.string_val.extend(array)
        return tensor
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
    tensor.dtype = _TYPES[little.dtype]
    for size in little.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = little.tobytes()
    return tensor


def to_array(tensor: TensorProto) -> np.ndarray:
    """Returns the array that `pack` stored, bit for bit.

    The bytes that are really there decide: a tensor that claims a size it does not have costs
    nothing.

    Returns:
        An array of the dtype that was stored; of `object` with `bytes` for a list of `bytes`.

    Raises:
        ValueError: if the dtype is not one of ours, or the content does not fill the shape.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype == types_pb2.DT_STRING:
        if shape != (len(tensor.string_val),):
            raise ValueError(f"{len(tensor.string_val)} strings do not fill the shape {shape}")
        return np.array([*tensor.string_val, None], dtype=object)[:-1]
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise ValueError(f"the TensorFlow type {tensor.dtype} is not one that tfdiag writes")
    size = len(tensor.tensor_content)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{size} bytes do not fill {dtype.name}{list(shape)}")
    array = np.frombuffer(tensor.tensor_content, dtype)
    return array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
