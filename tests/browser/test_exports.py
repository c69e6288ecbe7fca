"""What can be taken along from the tab: pictures, tables and the report."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import load

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]


def saved(tab, button) -> tuple[str, bytes]:
    """Presses a button; returns the name and the content of the file."""
    with tab.page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def test_a_heat_map_is_saved_as_its_numbers(tab, each_address, demo):
    tab.open(each_address)
    tab.measure("Output RMS").click()
    tab.settle()
    name, content = saved(tab, tab.frame.get_by_role("button", name="Save Output RMS as CSV"))
    head, *rows = table(content)
    assert name == "tfdiag-Output_RMS.csv"
    assert head[:2] == ["run", "step"]
    trace = load(demo / "healthy")
    dense = trace.columns["output_rms"][:, trace.layers.index("dense")]
    ours = {int(row[1]): row[head.index("dense")] for row in rows if row[0] == "healthy"}
    for step, value in zip(trace.steps.tolist(), dense.tolist(), strict=True):
        if value == value:
            assert float(ours[step]) == pytest.approx(value)


def test_every_chart_is_saved_as_a_picture(tab, address):
    tab.open(address)
    tab.settle()
    for name in ("Dead units", "Loss", "Grad-CAM"):
        button = tab.frame.get_by_role("button", name=f"Save {name} as PNG")
        expect(button).to_have_attribute("title", "Save this chart as a picture")
        _, content = saved(tab, button)
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        section = button.locator("xpath=ancestor::section")
        assert picture.width == 2 * tab.frame.locator(".page").evaluate("page => page.clientWidth")
        assert picture.height > 2 * section.evaluate("section => section.clientHeight")
        colours = picture.getcolors(picture.width * picture.height)
        assert len(colours) > 50, f"{name} is nearly empty"


def test_the_report_is_that_of_the_command_line(tab, each_address, demo):
    tab.open(each_address)
    name, content = saved(
        tab, tab.card("dying-relu").get_by_role("link", name="Report as Markdown")
    )
    assert name == "dying-relu.md"
    command = [sys.executable, "-m", "tfdiag.cli", "check", str(demo / "dying-relu")]
    done = subprocess.run([*command, "--format", "markdown"], capture_output=True, text=True)
    ours, theirs = content.decode().split("\n"), done.stdout.split("\n")
    assert ours[0] == "## dying\\-relu" or ours[0] == "## dying-relu"
    assert ours == theirs


def test_a_run_whose_name_is_a_formula_stays_a_name(tab, tmp_path):
    record(tmp_path / "=1+cmd", range(1, 6))
    with tensorboard(tmp_path, runs=1) as address:
        tab.open(address)
        tab.settle()
        _, content = saved(tab, tab.frame.get_by_role("button", name="Save Loss as CSV"))
    assert {row[0] for row in table(content)[1:]} == {"'=1+cmd"}
