"""The Probe view: what the demo's runs say of single images, and runs without any image."""

import re

import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag.demo import STEPS
from tfdiag.storage import schema
from tfdiag.storage.reader import load, read_tags
from tfdiag.storage.snapshots import decode_predictions

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

VIEW = "&p.tfdiag.view=probe"


def rows(tab):
    return tab.frame.get_by_role("region", name=re.compile("^Sample "))


def choose(tab, group, name):
    tab.frame.get_by_role("group", name=group).get_by_role("button", name=name).click()


def test_samples_of_all_runs_stand_side_by_side(tab, each_address, demo):
    found = decode_predictions(read_tags(demo / "healthy", schema.PROBE), load(demo / "healthy"))
    tab.open(each_address, VIEW)
    expect(rows(tab).first).to_be_visible()
    assert rows(tab).count() >= len(found.samples)  # those with an image are further ones
    row = tab.frame.get_by_role("region", name=f"Sample {found.samples[1]['name']}", exact=True)
    expect(row).to_contain_text(f"class {found.samples[1]['true']}")
    predicted, confidence, _ = found.predictions[-1, 1]
    sign = "right" if predicted == found.samples[1]["true"] else "wrong"
    expect(row).to_contain_text(re.compile(rf"{predicted:g}\s*.{sign}\s*{confidence:.0%}"[:-1]))
    expect(row.get_by_text("NaN")).to_have_count(1)  # the exploding one
    summary = tab.frame.get_by_role("region", name="Summary")
    expect(summary).to_contain_text(re.compile(rf"\d+ % of 256 right at step {STEPS}"))
    expect(summary).to_contain_text(re.compile(r"Of the \d+ followed: \d+ right"))
    expect(summary.get_by_role("table")).to_have_count(3)


def test_one_slider_moves_all_runs_and_is_in_the_address(tab, address):
    tab.open(address, VIEW)
    summary = tab.frame.get_by_role("region", name="Summary")
    expect(summary.get_by_text(re.compile(f"at step {STEPS}"))).to_have_count(3)
    slider = tab.frame.get_by_role("slider", name="Step")
    slider.focus()
    tab.page.keyboard.press("Home")
    expect(summary.get_by_text(re.compile("at step 0"))).to_have_count(3)
    expect(summary.get_by_text("the first look")).to_have_count(3)
    expect(slider).to_be_focused()
    assert "p.tfdiag.step=0" in tab.page.url
    tab.frame.get_by_role("button", name="Newest").click()
    expect(summary.get_by_text(re.compile(f"at step {STEPS}"))).to_have_count(3)


def test_filters_are_kept_in_the_address(tab, address):
    tab.open(address, f'{VIEW}&p.tfdiag.runs=["healthy"]')
    expect(rows(tab).first).to_be_visible()
    everything = rows(tab).count()
    choose(tab, "Which samples are listed", "wrong now")
    expect(rows(tab).filter(has_text="right")).to_have_count(0)
    assert rows(tab).count() < everything
    choose(tab, "Which samples are listed", "flipped")
    expect(rows(tab).first).to_be_visible()
    tab.frame.get_by_role("combobox", name="true class").select_option("7")
    expect(rows(tab).filter(has_not_text="class 7")).to_have_count(0)
    assert 0 < rows(tab).count() < everything
    tab.page.reload()
    expect(tab.frame.get_by_role("button", name="flipped")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(rows(tab).filter(has_not_text="class 7")).to_have_count(0)


def test_a_sample_is_enlarged_in_place_and_esc_closes_it(tab, address):
    tab.open(address, f"{VIEW}&p.tfdiag.step=60")
    row = rows(tab).first
    name = row.get_by_role("button", name=re.compile("^#"))
    name.click()
    expect(name).to_have_attribute("aria-expanded", "true")
    expect(row.get_by_role("button", name=re.compile(f"^Step {STEPS}: "))).to_have_count(3)
    expect(row.get_by_text("map is empty").first).to_be_visible()  # of the dying run
    expect(name).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(name).to_have_attribute("aria-expanded", "false")
    expect(row.get_by_role("button", name=re.compile(f"^Step {STEPS}: "))).to_have_count(0)
    assert "p.tfdiag.step=60" in tab.page.url  # Esc has closed the sample and nothing else


def test_runs_without_images_have_classes_and_values(tab, tmp_path):
    record(tmp_path / "table", predictions="classes")
    record(tmp_path / "values", predictions="values")
    with tensorboard(tmp_path, runs=2) as address:
        tab.open(address, f'{VIEW}&p.tfdiag.runs=["table"]')
        expect(rows(tab)).to_have_count(20)
        summary = tab.frame.get_by_role("region", name="Summary")
        expect(summary).to_contain_text("19 of 20 right at step 5")
        expect(summary).to_contain_text("0 changed since step 4")
        name = tab.frame.get_by_role("button", name="#3 class 1")
        expect(name).to_contain_text("1.5, −1 …")
        for _ in range(2):
            tab.frame.get_by_role("slider", name="Step").press("ArrowLeft")
        expect(summary).to_contain_text("14 of 20 right at step 3")
        expect(summary).to_contain_text("6 changed since step 2: 6 to right")
        tab.frame.get_by_role("checkbox", name="Show table,").uncheck()
        tab.frame.get_by_role("checkbox", name="Show values,").check()
        expect(summary).to_contain_text("0.33 mean size of 20 errors at step 3")
        expect(rows(tab).first.get_by_title("Error", exact=True)).to_have_text("+0.33")
        choose(tab, "Which samples are listed", "got worse")
        expect(tab.frame.get_by_text("No sample passes the filter")).to_be_visible()
        tab.frame.get_by_role("button", name="Show all").click()
        expect(rows(tab)).to_have_count(20)
        expect(summary.get_by_role("img", name=re.compile("Predicted over true"))).to_be_visible()


def test_what_is_wrong_comes_first(tab, tmp_path):
    record(tmp_path / "run", predictions="classes")
    with tensorboard(tmp_path, runs=1) as address:
        tab.open(address, VIEW)
        expect(rows(tab)).to_have_count(20)
        groups = tab.frame.locator(".probe-group h3")
        quiet = [re.compile("^Flipped 1 "), re.compile("^Others 18 ")]
        expect(groups).to_have_text(["Wrong now 1", *quiet])
        expect(rows(tab).first).to_contain_text("#0")
        tab.frame.get_by_role("slider", name="Step").press("Home")
        quiet = [re.compile("^Flipped 1 "), re.compile("^Others 3 ")]
        expect(groups).to_have_text(["Wrong now 16", *quiet])
        order = tab.frame.get_by_role("combobox", name="Order of the samples")
        order.select_option("number")
        expect(groups).to_have_count(0)
        names = rows(tab).get_by_role("button", name=re.compile("^#"))
        expect(names.nth(1)).to_have_text(re.compile("^#3"))


def test_a_cell_of_the_confusion_table_lists_its_samples_by_keyboard(tab, tmp_path):
    record(tmp_path / "run", predictions="classes")
    record(tmp_path / "twin", predictions="classes")
    with tensorboard(tmp_path, runs=2) as address:
        tab.open(address, f"{VIEW}&p.tfdiag.step=1")
        summary = tab.frame.get_by_role("region", name="Summary")
        cell = summary.get_by_role("button", name="6 of class 0 taken for 1").first
        cell.focus()
        tab.page.keyboard.press("Enter")
        expect(cell).to_have_attribute("aria-pressed", "true")
        expect(cell).to_be_focused()
        expect(rows(tab)).to_have_count(6)
        expect(rows(tab).filter(has_not_text="class 0")).to_have_count(0)
        tab.page.reload()
        expect(rows(tab)).to_have_count(6)
        expect(summary).to_contain_text("4 of 20 right at step 1")  # whatever is listed
        tab.frame.get_by_role("button", name="Show all, not 0 → 1 in A alone").press("Enter")
        expect(rows(tab)).to_have_count(20)


def test_a_run_without_predictions_says_why(tab, tmp_path):
    record(tmp_path / "run", not_measured={"predictions": "the model has 2 outputs"})
    with tensorboard(tmp_path, runs=1) as address:
        tab.open(address, VIEW)
        summary = tab.frame.get_by_role("region", name="Summary")
        expect(summary).to_contain_text("No predictions: the model has 2 outputs.")
        expect(rows(tab)).to_have_count(0)


def test_a_filter_may_ask_one_run(tab, address):
    tab.open(address, VIEW)
    expect(rows(tab).first).to_be_visible()
    tools = tab.frame.get_by_role("region", name="Which samples")
    expect(tools.get_by_role("group", name="In which run")).to_have_count(0)
    everything = rows(tab).count()
    choose(tab, "Which samples are listed", "wrong now")
    group = tools.get_by_role("group", name="In which run")
    group.get_by_role("button", name="A", exact=True).click()
    expect(tools.get_by_role("status")).to_have_text(re.compile(rf"\d+ of {everything} listed"))
    assert rows(tab).count() < everything
    assert "probe.run" in tab.page.url
