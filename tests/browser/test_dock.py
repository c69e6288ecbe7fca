"""The dock below the columns: one step for all runs."""

import math
import re

import pytest
from playwright.sync_api import expect

from tests import recordings
from tests.tensorboards import tensorboard
from tfdiag.storage.writer import RunWriter

pytestmark = pytest.mark.browser


def record_broken(folder):
    """A run of five steps whose loss is NaN from the third."""
    writer = RunWriter(folder, recordings.open_records)
    for step in range(1, 6):
        writer.step(
            step,
            manifest=recordings.manifest(),
            stats=recordings.stats(step),
            series={"loss": 1 / step if step < 3 else math.nan, "loss_nonfinite": float(step > 2)},
            histograms={"gradients": recordings.histogram_counts(step)},
            scalars={},
            wall_time=recordings.START + step,
        )
    writer.close()


@pytest.fixture
def runs(tmp_path):
    for name in ("a", "b"):
        recordings.record(tmp_path / name, predictions="classes")
    record_broken(tmp_path / "broken")
    with tensorboard(tmp_path, runs=3) as address:
        yield address


def open_dock(tab, address, more):
    tab.open(address, more)
    dock = tab.frame.get_by_role("region", name="Step", exact=True)
    expect(dock).to_be_visible()
    return dock


def test_a_loss_of_nan_is_one_sign_of_that_run(tab, runs):
    dock = open_dock(tab, runs, '&p.tfdiag.view=diagnosis&p.tfdiag.runs=["a","broken"]')
    sign = dock.locator(".loss-broken")
    expect(sign).to_have_text("BNaN")
    expect(dock.locator(".hatch")).to_have_count(0)
    slider = dock.get_by_role("slider", name="Step").bounding_box()
    assert sign.bounding_box()["x"] > slider["x"] + slider["width"] / 2  # step 3 of 0 to 5


def test_in_compare_it_tells_of_the_two_runs_in_their_columns(tab, runs):
    pair = '{"baseline":"a","compared":"broken"}'
    shown = '["a","b","broken"]'
    dock = open_dock(
        tab, runs, f"&p.tfdiag.view=compare&p.tfdiag.runs={shown}&p.tfdiag.choices={pair}"
    )
    expect(tab.frame.get_by_role("heading", name=re.compile("^They part"))).to_be_visible()
    told = dock.locator(".dock-readout")
    expect(told).to_have_text([re.compile("^A"), re.compile("^C")])
    heads = tab.frame.locator(".compare .head")
    for i in range(2):
        left = heads.nth(i).bounding_box()["x"]
        assert told.nth(i).bounding_box()["x"] == pytest.approx(left, abs=1)
    dock.get_by_role("button", name="Findings by step").click()
    expect(dock.locator(".lane-of")).to_have_text([re.compile("^Aa"), re.compile("^Cbroken")])
