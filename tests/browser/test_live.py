"""A run that is being trained, seen in the tab: it grows, and nothing else moves."""

import time

import numpy as np
import pytest
from playwright.sync_api import expect

from tests import recordings
from tests.tensorboards import tensorboard
from tfdiag.metrics import METRIC_NAMES
from tfdiag.storage.writer import RunWriter

pytestmark = pytest.mark.browser

LAYERS = tuple(f"dense_{i}" for i in range(60))
#: TensorBoard reads its folder every five seconds, the tab asks every five.
PATIENCE_MS = 30_000


class Training:
    """Records a step whenever it is told to."""

    def __init__(self, folder, layers=LAYERS):
        self._writer = RunWriter(folder, recordings.open_records)
        self._manifest = recordings.manifest(layers)
        self._shape = (len(METRIC_NAMES), len(layers))
        self.step_number = 0

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.step_number += 1
            stats = np.full(self._shape, 0.5, np.float32)
            series = {"loss": 1 / self.step_number}
            self._writer.step(self.step_number, manifest=self._manifest, stats=stats, series=series)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture(params=["--load_fast=true", "--load_fast=false"])
def training(request, tmp_path):
    live = Training(tmp_path / "live")
    live.step(20)
    with tensorboard(tmp_path, request.param, runs=1) as address:
        yield live, address
    live.close()


def test_what_is_new_is_added_and_nothing_moves(tab, training):
    live, address = training
    tab.open(address)
    tab.settle()
    tab.page.wait_for_load_state("networkidle")
    tab.page.wait_for_timeout(1000)  # what came last has its place
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    area = tab.heat_map("live")
    area.focus()
    main = tab.frame.locator("main")
    main.evaluate("main => main.scrollTop = 200")
    before = area.bounding_box()
    main.evaluate(
        """main => { window.tops = new Set(); const look = () => {
            const map = main.querySelector("[role=img][aria-label*=' layers.']");
            window.tops.add(Math.round(map.getBoundingClientRect().top));
            requestAnimationFrame(look); }; look(); }"""
    )
    live.step(5)
    expect(tab.readout("live")).to_contain_text("step 25", timeout=PATIENCE_MS)
    assert main.evaluate("() => window.tops.size") == 1  # in no frame was it anywhere else
    assert main.evaluate("main => main.scrollTop") == 200
    assert area.bounding_box() == before
    expect(area).to_be_focused()
    grown = [url for url in asked if "api/metric" in url or "api/run?" in url]
    assert grown and all("since=20" in url for url in grown)


def test_a_run_that_was_made_anew_takes_the_place_of_the_old_one(tab, training, tmp_path):
    live, address = training
    tab.open(address)
    tab.settle()
    again = Training(tmp_path / "live")  # the same folder and model, from the first step on
    time.sleep(1.1)  # so that its file sorts after the first one
    again.step(12)
    expect(tab.readout("live")).to_contain_text("step 12", timeout=PATIENCE_MS)
    again.close()


def test_a_line_among_very_many_keeps_the_focus(tab, tmp_path):
    live = Training(tmp_path / "live", tuple(f"layer_{i}" for i in range(260)))
    live.step(20)
    with tensorboard(tmp_path, runs=1) as address:
        tab.open(address)
        tab.settle()
        line, last = (
            tab.frame.get_by_role("button", name=f"layer_{i}", exact=True) for i in (3, 259)
        )
        line.focus()
        live.step(5)
        expect(tab.readout("live")).to_contain_text("step 25", timeout=PATIENCE_MS)
        expect(line).to_be_focused()
        tab.heat_map("live").evaluate("map => map.scrollIntoView({block: 'end'})")
        expect(last).to_be_visible()
        expect(line).to_be_focused()
    live.close()
