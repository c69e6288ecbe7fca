"""Several replicas and several workers: what one device says of the same batches is recorded."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tfdiag.cadence import Cadence

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parent.parent
#: A process that waits for another one for ever is ended after this many seconds.
LIMIT = 120


def start(script, *arguments):
    command = [sys.executable, "-m", f"tests.distribution.{script}", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"},
    )


def finish(processes):
    """Waits for all of them; ends them all, and what they started, if one hangs."""
    outputs = []
    try:
        for process in processes:
            outputs.append(process.communicate(timeout=LIMIT)[0])
    except subprocess.TimeoutExpired:
        outputs.append(f"did not end within {LIMIT} seconds")
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()
    codes = [process.returncode for process in processes]
    assert codes == [0] * len(codes), "\n\n".join(output[-3000:] for output in outputs)


def free_ports(count):
    """Returns ports of the loopback interface; all are held until the last one is found."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ",".join(map(str, ports))


@pytest.mark.parametrize("case", ["gradients_and_probe", "everything", "half_precision"])
def test_two_replicas_in_one_process(case, tmp_path):
    finish([start("mirrored", case, tmp_path)])


@pytest.mark.parametrize("case", ["gradients_and_probe", "everything", "chief_only", "faults"])
def test_two_workers(case, tmp_path):
    ports = free_ports(2)
    finish([start("workers", case, tmp_path, ports, index) for index in range(2)])


def test_a_cadence_that_workers_share_is_never_stretched():
    assert Cadence.of([None, 7], 20).settled() == Cadence(frozenset({7, 20}))
    assert not Cadence.of([0], 20).settled()
