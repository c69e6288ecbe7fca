"""Finds recordings in folders and reads them. Needs no TensorFlow."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from tfdiag.errors import TfdiagError
from tfdiag.storage import schema
from tfdiag.storage.decoder import Record, Recording, Tag, damaged, decode
from tfdiag.storage.event import to_array
from tfdiag.trace import Trace

_log = logging.getLogger(__name__)

_HEADER = struct.Struct("<QI")  # length of the record, masked CRC of the length
_FOOTER = 4  # masked CRC of the record


def load(path: str | os.PathLike[str]) -> Trace:
    """Returns what was measured in the run that is recorded in the folder `path`.

    Raises:
        TfdiagError: as `open_recording`.
    """
    return open_recording(path).trace


def open_recording(path: str | os.PathLike[str]) -> Recording:
    """Returns the run that is recorded in the folder `path`.

    A run that is still being recorded may be read at any time.

    Raises:
        TfdiagError: if there is no recording, or it is damaged, or of a newer schema.
    """
    try:
        return decode(read_tags(path))
    except TfdiagError as error:
        raise TfdiagError(f"{os.fspath(path)}: {error}") from error


def find_runs(logdir: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Returns the name and the folder of each recorded run below `logdir`, in order of name.

    A name is that of TensorBoard: the relative path, "." for `logdir` itself, which people are
    told by the folder's own name.

    Raises:
        TfdiagError: if `logdir` is not a folder.
    """
    _check_folder(logdir)
    runs = []
    for folder, _, _ in os.walk(logdir):
        if any(_has_measurements(file) for file in _files(folder)):
            name = os.path.relpath(folder, logdir).replace(os.sep, "/")
            runs.append((name, folder))
    return sorted(runs)


def read_tags(
    path: str | os.PathLike[str], prefix: str = "", plugins: tuple[str, ...] = schema.PLUGINS
) -> dict[str, Tag]:
    """Returns every tag of the folder `path`, with its records in the order of writing.

    Args:
        prefix: only tags that start with it.
        plugins: only tags of these TensorBoard plugins.

    Raises:
        TfdiagError: if `path` is not a folder, or a record is not one that tfdiag writes.
    """
    _check_folder(path)
    tags: dict[str, Tag] = {}
    for file in _files(path):
        for event in _events(file):
            _add(tags, event, prefix, plugins)
    return tags


def _add(tags: dict[str, Tag], event: Event, prefix: str, plugins: tuple[str, ...]) -> None:
    for value in event.summary.value:
        data = value.metadata.plugin_data
        if value.tag not in tags:
            if data.plugin_name not in plugins or not value.tag.startswith(prefix):
                continue
            tags[value.tag] = Tag(data.content, [])
        try:
            record = Record(event.step, event.wall_time, to_array(value.tensor))
        except ValueError as error:
            raise damaged(f"{value.tag!r} at step {event.step}: {error}") from error
        tags[value.tag].records.append(record)


def _check_folder(path: str | os.PathLike[str]) -> None:
    if not os.path.isdir(path):
        raise TfdiagError(
            f"{os.fspath(path)!r} is not a folder. Pass the log folder that was given to "
            "HealthMonitor, or one above it."
        )


def _files(folder: str | os.PathLike[str]) -> list[str]:
    names = (name for name in sorted(os.listdir(folder)) if name.endswith(schema.SUFFIX))
    return [os.path.join(folder, name) for name in names if "tfevents" in name]


def _has_measurements(file: str) -> bool:
    return any(
        value.tag.startswith(schema.STATS)
        for event in _events(file)
        for value in event.summary.value
    )


def _events(path: str) -> Iterator[Event]:
    """Yields the events of a file, up to its end or the first damage."""
    with open(path, "rb") as file:
        for record in _records(file):
            try:
                yield Event.FromString(record)
            except DecodeError:
                _log.warning("%s is damaged; what comes before the damage is read.", path)
                return


def _records(file: BinaryIO) -> Iterator[bytes]:
    """Yields the records of a file; one that is not wholly written yet is not there yet.

    The CRC of a record itself is not checked: in Python that takes longer than all the rest.
    """
    left = os.fstat(file.fileno()).st_size
    while left >= _HEADER.size:
        header = file.read(_HEADER.size)
        length, crc = _HEADER.unpack(header)
        if crc != masked_crc32c(header[:8]):
            _log.warning("%s is damaged; what comes before the damage is read.", file.name)
            return
        left -= _HEADER.size + length + _FOOTER
        if left < 0:
            return
        yield file.read(length)
        file.read(_FOOTER)
