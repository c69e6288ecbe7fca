"""`tfdiag demo`, from the first line to Ctrl-C."""

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]


@pytest.fixture
def interruptible():
    """Ctrl-C reaches a child even if these tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_demo_starts_at_once_and_ctrl_c_ends_all(demo, interruptible):
    command = [sys.executable, "-m", "tfdiag.cli", "demo", "--log-dir", str(demo)]
    before = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        address = next(filter(None, (re.search(r"http://\S+", line) for line in running.stdout)))
        assert time.monotonic() - before < 20
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#tfdiag", address.group())
        urllib.request.urlopen(address.group()).close()
        for line in running.stdout:
            if "Ctrl-C" in line:
                break
        running.send_signal(signal.SIGINT)
        assert running.wait(15) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address.group())
