"""The recordings that were asked for last, decoded, so that a tab that asks again need not wait."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

from tensorboard_plugin.experiment import Experiment, Listed
from tfdiag.storage import schema
from tfdiag.storage.decoder import Head, Recording, Tag, decode, decode_in_parts

#: As many runs as stand side by side, and as many again for another window.
MOST = 8


class _Kept:
    """One recording, and what it was decoded from; a request for it waits for another one's."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.newest: Any = None
        self.recording: Recording | None = None


class Recordings:
    """Keeps the last few recordings for as long as nothing was added to them."""

    def __init__(self, samples: int):
        """Keeps none yet.

        Args:
            samples: how many records of a tag TensorBoard keeps; 0 for all.
        """
        self._samples = samples
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def of(self, experiment: Experiment, run: str) -> Recording | None:
        """Returns the recording of `run` without its report; None if nothing was recorded.

        The same recording is read once for requests that come together, unless more than `MOST`
        others are asked for meanwhile.

        Raises:
            TfdiagError: if the recording is damaged, or of a newer schema; for damaged measures
                of layers when one is looked at.
        """
        listed = experiment.listed(run).get(run, {})
        if not listed:
            return None
        kept = self._place((experiment.id, run))
        with kept.lock:
            newest = _newest(listed)
            if kept.recording is None or kept.newest != newest:
                kept.newest, kept.recording = newest, self._read(experiment, run, listed)
            return kept.recording

    def _read(
        self, experiment: Experiment, run: str, listed: dict[str, Listed]
    ) -> Recording | None:
        stats = {tag: of for tag, of in listed.items() if tag.startswith(schema.STATS)}
        series = experiment.tagged(run, listed, schema.SERIES)
        if self._are_whole(series):
            heads = {tag: Head(of.content, of.last_time) for tag, of in stats.items()}
            read = partial(experiment.tagged, run, listed)
            recording = decode_in_parts(heads, series, lambda names: read(*names))
            if max(of.last_step for of in stats.values()) in recording.trace.steps:
                return recording
        found = experiment.tagged(run, listed, schema.STATS)
        return decode({**series, **found}) if found else None

    def _are_whole(self, series: Mapping[str, Tag]) -> bool:
        """Returns False if TensorBoard may have left some out: of each tag others, by chance."""
        longest = max((len(tag.records) for tag in series.values()), default=0)
        return self._samples == 0 or longest < self._samples

    def _place(self, key: tuple[str, str]) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
            return kept


def _newest(listed: dict[str, Listed]) -> dict[str, tuple[int, float]]:
    """Returns what changes whenever a measurement comes in: each tag's last step and time."""
    return {
        tag: (series.last_step, series.last_time)
        for tag, series in listed.items()
        if tag.startswith((schema.STATS, schema.SERIES))
    }
