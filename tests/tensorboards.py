"""Starts the real TensorBoard, for tests that look at it from outside."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

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
def tensorboard(log_dir: Path, *flags: str, command: Sequence[str] = COMMAND) -> Iterator[str]:
    """Runs TensorBoard on a free port of this machine; yields its address, with a final slash."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, "--logdir", str(log_dir), "--host=127.0.0.1", "--port=0", *flags],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(10)


def _address(process: subprocess.Popen, log: tempfile._TemporaryFileWrapper) -> str:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        log.seek(0)
        if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read()):
            return found.group()
        time.sleep(0.1)
    log.seek(0)
    raise AssertionError(f"TensorBoard did not start:\n{log.read()[-5000:]}")
