"""Recordings that were decoded a moment ago, for who asks again and again about the same ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

from tensorboard_plugin.experiment import Listed
from tfdiag.storage.decoder import Recording

#: As many as the tab shows side by side.
_MOST = 4
#: Numbers in the largest recording that is kept: 64 MiB.
_LARGEST = 2**24


class Decoded:
    """Keeps the last few recordings for as long as TensorBoard has nothing new of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # TensorBoard answers in several threads
        self._kept: OrderedDict[Hashable, tuple[Mapping[str, Listed], Recording]] = OrderedDict()

    def get(
        self, key: Hashable, listed: Mapping[str, Listed], decode: Callable[[], Recording]
    ) -> Recording:
        """Returns the recording `key`: the one that is kept, or that of `decode` if it has grown.

        Args:
            listed: the tags that TensorBoard has of it now.
        """
        with self._lock:
            known, recording = self._kept.get(key, (None, None))
        if recording is None or known != listed:
            recording = decode()
        with self._lock:
            self._kept.pop(key, None)
            if sum(values.size for values in recording.trace.columns.values()) <= _LARGEST:
                self._kept[key] = listed, recording
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return recording
