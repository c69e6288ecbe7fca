"""Cost: what the monitor itself took, in Chromium."""

import re

import pytest
from playwright.sync_api import expect

from tests import recordings
from tests.tensorboards import tensorboard
from tfdiag.storage.reader import open_recording

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

RUNS = ("healthy", "dying-relu", "exploding")


def open_cost(tab, address):
    tab.open(address)
    tab.frame.get_by_role("button", name="Cost", exact=True).click()
    tab.frame.get_by_role("region", name="Time", exact=True).wait_for()


def of(tab, section, run):
    region = tab.frame.get_by_role("region", name=section, exact=True)
    return region.get_by_role("group", name=run, exact=True)


def row(tab, name):
    return tab.frame.get_by_role("row", name=re.compile(f"^{name} "))


def test_what_was_recorded_is_told_of_every_run(tab, each_address, demo):
    open_cost(tab, each_address)
    for run in RUNS:
        recording = open_recording(demo / run)
        time = of(tab, "Time", run)
        expect(time).to_contain_text(f"{100 * recording.cost['share']:.0f} % of the time")
        expect(time.get_by_role("img", name=re.compile("of the time"))).to_be_visible()
        expect(time).to_contain_text("high because the run is short (")
        expect(time.get_by_role("img", name="Watch")).to_be_visible()
        expect(time).to_contain_text("Above the default budget of 2 %")
        cell = row(tab, "Records").get_by_role("cell", name=run)
        records = f"{len(recording.trace.steps)} from step 0"
        expect(cell).to_contain_text(re.compile(rf"{records} to \d+, [\d.]+ ms each"))
        expect(row(tab, "Gradients, updates")).to_contain_text(
            f"every {recording.monitor['every']} steps"
        )


def test_what_all_runs_share_is_told_once(tab, address, demo):
    open_cost(tab, address)
    region = tab.frame.get_by_role("region", name="How often", exact=True)
    expect(region.get_by_text("256 samples")).to_have_count(1)
    setup = tab.frame.get_by_role("region", name="Set-up", exact=True)
    for package, version in open_recording(demo / RUNS[0]).versions.items():
        expect(setup.get_by_text(f"{package} {version}")).to_have_count(1)
    means = tab.frame.get_by_role("region", name="What that means")
    expect(means.get_by_text("It records at fixed steps, whatever they cost")).to_have_count(1)
    expect(means.get_by_role("code")).to_have_text(["budget=0.02", "every=10, probe_every=40"])
    expect(means.get_by_text("Starting and finishing have a fixed cost")).to_have_count(1)
    for run in RUNS[1:]:
        tab.frame.get_by_role("checkbox", name=f"Show {run},").uncheck()
    cell = row(tab, "Probe set").get_by_role("cell", name=RUNS[0])
    expect(cell).to_contain_text("256 samples")


def test_budget_and_cadence_are_put_in_words(tab, tmp_path):
    asked = {"every": 20, "probe_every": 100, "budget": 0.02}
    recordings.record(tmp_path / "budgeted", monitor=asked, cams=True)
    recordings.record(tmp_path / "young", monitor=asked, finished=None, cams=True)
    with tensorboard(tmp_path, runs=2) as address:
        open_cost(tab, address)
        expect(of(tab, "Time", "budgeted")).to_contain_text("Within the budget of 2 %")
        signs = of(tab, "Time", "budgeted").get_by_role("img")
        expect(signs.first).to_have_accessible_name("OK")
        expect(signs.last).to_have_accessible_name("2 % of the time, budget 2 %")
        gradients, probe = row(tab, "Gradients, updates"), row(tab, "Probe set")
        expect(gradients).to_contain_text("every 40 steps, asked for every 20 steps")
        expect(probe).to_contain_text("at the beginning and the end, asked for every 100 steps")
        means = of(tab, "What that means", "budgeted")
        expect(means).to_contain_text("gradients and the probe set more rarely")
        region = tab.frame.get_by_role("region", name="What that means", exact=True)
        changes = ["budget=0.04", "every=20, probe_every=100"]
        expect(region.get_by_role("code")).to_have_text(changes)  # the same for both runs
        expect(region.get_by_role("button", name="Copy")).to_have_count(2)
        expect(of(tab, "Time", "young")).to_contain_text("Not known")
        expect(gradients.get_by_role("cell", name="young")).to_contain_text("not known")


def test_above_its_budget_is_a_sign_and_words(tab, tmp_path):
    recordings.record(tmp_path / "a", monitor={"every": 20, "budget": 0.01})
    with tensorboard(tmp_path, runs=1) as address:
        open_cost(tab, address)
        time = of(tab, "Time", "a")
        expect(time.get_by_role("img", name="Warning")).to_be_visible()
        expect(time).to_contain_text("Above the budget of 1 %")


def test_distances_between_records_are_drawn(tab, tmp_path):
    recordings.record(tmp_path / "a", range(1, 100, 7), cams=True)
    with tensorboard(tmp_path, runs=1) as address:
        open_cost(tab, address)
        drawn = of(tab, "How often", "a").get_by_role("img")
        expect(drawn).to_have_accessible_name("Steps between records: 7")
        assert drawn.locator("path.line").get_attribute("d").startswith("M")
