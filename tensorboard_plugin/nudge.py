"""Saves each answer of TensorBoard's data server a wait of 40 ms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Seconds until the first nudge, doubled each time: for a short answer, one is enough.
FIRST = 0.001


@contextmanager
def nudged(ask: Callable[[], Any]) -> Iterator[None]:
    """Asks the data server something small, now and then, for as long as the block takes.

    The server writes an answer in pieces and, by Nagle's algorithm, holds back the rest until the
    first is acknowledged; but the system delays that by 40 ms, unless it has something to send
    (Nagle, RFC 896; delayed acknowledgement, RFC 1122, 4.2.3.2). So it gets something to send.

    Args:
        ask: asks for next to nothing; what it returns or raises is dropped.
    """
    done = threading.Event()
    _beside(lambda: _keep_asking(ask, done))
    try:
        yield
    finally:
        done.set()


def _keep_asking(ask: Callable[[], Any], done: threading.Event) -> None:
    wait = FIRST
    while not done.wait(wait):
        _beside(ask)  # not here: its own answer may be held back
        wait *= 2


def _beside(task: Callable[[], Any]) -> None:
    """Does something that nobody waits for, not even the end of the process."""

    def attempt() -> None:
        with suppress(Exception):
            task()

    with suppress(RuntimeError):  # the interpreter ends, or there are too many threads
        threading.Thread(target=attempt, name="tfdiag-nudge", daemon=True).start()
