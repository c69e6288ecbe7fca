"""Starts the real TensorBoard, for tests that look at it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

#: Seconds that TensorBoard may take to answer.
PATIENCE = 60
#: TensorBoard as it is where no TensorFlow is installed: it starts in a fifth of the time.
WITHOUT_TENSORFLOW = """
import sys, types
sys.modules["tensorflow"] = None
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.main import run_main
run_main()
"""
COMMAND = (sys.executable, "-c", WITHOUT_TENSORFLOW)


@contextlib.contextmanager
def tensorboard(
    log_dir: Path, *flags: str, runs: int = 0, command: Sequence[str] = COMMAND
) -> Iterator[str]:
    """Runs TensorBoard on a free port of this machine; yields its address, with a final slash.

    Args:
        log_dir: its log folder.
        flags: further flags.
        runs: how many runs it must have read before.
        command: the program to start.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, "--logdir", str(log_dir), "--host=127.0.0.1", "--port=0", *flags],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            address = _wait(process, log, lambda: _address(log))
            _wait(process, log, lambda: len(_runs(address)) >= runs)
            yield address
        finally:
            process.terminate()
            process.wait(10)


def _wait(process: subprocess.Popen, log: IO[str], answer: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if found := answer():
            return found
        time.sleep(0.1)
    raise AssertionError(f"TensorBoard did not start:\n{_text(log)[-5000:]}")


def _address(log: IO[str]) -> str | None:
    found = re.search(r"http://127\.0\.0\.1:\d+/", _text(log))
    return found.group() if found else None


def _text(log: IO[str]) -> str:
    log.seek(0)
    return log.read()


def _runs(address: str) -> list[str]:
    with urllib.request.urlopen(f"{address}data/runs") as answer:
        return json.load(answer)
