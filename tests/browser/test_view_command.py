"""`tfdiag view`: the tab in a window of its own."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.recordings import record

pytestmark = pytest.mark.browser


@pytest.fixture
def logdir(tmp_path) -> Path:
    for run in ("first", "second"):
        record(tmp_path / run, range(1, 30))
    return tmp_path


@pytest.fixture
def viewing(logdir) -> Iterator[tuple[subprocess.Popen, str]]:
    """The running command and the address that it tells."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # so that Ctrl-C arrives
    command = [sys.executable, "-m", "tfdiag.cli", "view", str(logdir), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        yield running, re.search(r"http://\S+", running.stdout.readline()).group()
        running.kill()
    signal.signal(signal.SIGINT, before)


def test_the_tab_has_a_window_of_its_own(viewing, context):
    _, address = viewing
    with context.new_page() as page:
        troubles = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console", lambda said: said.type == "error" and troubles.append(said.location["url"])
        )
        page.goto(f"{address}#p.tfdiag.metric=output_rms")
        expect(page).to_have_title("Health")
        for run in ("first", "second"):
            expect(page.get_by_role("article", name=run)).to_contain_text("dense")
        pressed = page.get_by_role("button", name="Output RMS", exact=True)
        expect(pressed).to_have_attribute("aria-pressed", "true")
        page.get_by_role("checkbox", name="Show first").uncheck(force=True)
        expect(page).to_have_url(re.compile("p.tfdiag.runs=.*second"))
        page.reload()
        expect(page.get_by_role("article")).to_have_count(1)
        page.emulate_media(color_scheme="dark")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        # TensorBoard has no icon but that of its own page, which is not there.
        assert [t for t in troubles if not t.endswith("/favicon.ico")] == []


def test_ctrl_c_ends_it(viewing):
    running, address = viewing
    running.send_signal(signal.SIGINT)
    assert running.wait(15) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


def view(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tfdiag.cli", "view", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_missing_folder_is_told(tmp_path):
    done = view(str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert "nothing' is not a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = view(str(tmp_path), "--port", port)
    assert done.returncode == 2
    assert f"port {port}" in done.stderr and "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_option():
    done = view("--help")
    assert done.returncode == 0
    for word in ("logdir", "--port", "--host"):
        assert word in done.stdout
