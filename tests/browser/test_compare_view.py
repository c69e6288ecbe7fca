"""The Compare view in Chromium, in a real TensorBoard, on the demo's runs and on odd ones."""

import re

import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import check, load
from tfdiag.comparison import partings
from tfdiag.demo import STEPS
from tfdiag.report.baseline import numbers as key_numbers

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

RUNS = ("healthy", "exploding")
HOSTILE = "<img src=x onerror=alert(1)>"


class Compare:
    """The Compare view as a user meets it."""

    def __init__(self, tab):
        self.tab = tab
        self.frame = tab.frame
        self.baseline = self.frame.get_by_role("combobox", name="Baseline")
        self.run = self.frame.get_by_role("combobox", name="Run", exact=True)
        self.parting = self.frame.get_by_role("region", name="When they part")
        self.settings = self.frame.get_by_role("region", name="What differs")
        self.difference = self.frame.get_by_role("region", name="Difference by layers and steps")
        self.map = self.frame.get_by_role("img", name=re.compile(r" beside .*, \d+ layers"))
        self.readout = self.frame.locator("#readout-difference")
        self.findings = self.frame.get_by_role("region", name="Findings of both")

    def open(self, address):
        self.tab.open(address)
        self.frame.get_by_role("button", name="Compare", exact=True).click()

    def unfold(self):
        """Lists all measures."""
        self.parting.get_by_role("button", name=re.compile("more measures$")).click()

    def row(self, title):
        return self.parting.get_by_role("row").filter(
            has=self.frame.get_by_role("rowheader", name=re.compile(f"^{title}( |$)"))
        )


@pytest.fixture
def compare(tab):
    return Compare(tab)


def first(demo, run, baseline):
    return partings(load(demo / run), load(demo / baseline))[0]


def layer_that_parts(demo, measure):
    """Of the layers that part at the same step it is one with a finding, as in the diagnosis."""
    run = load(demo / "exploding")
    found = {one.layer: one.step for one in reversed(check(run).findings) if one.layer}
    told = partings(run, load(demo / "healthy"), found)
    return next(one.layer for one in told if one.name == measure)


def test_the_worst_run_stands_beside_the_healthiest(compare, each_address, demo):
    compare.open(each_address)
    expect(compare.baseline).to_have_value("healthy")
    compare.run.select_option("exploding")
    told = first(demo, "exploding", "healthy")
    heading = compare.parting.get_by_role("heading", name=re.compile("^They part by step"))
    expect(heading).to_contain_text(f"They part by step {told.step}")
    more = compare.parting.get_by_role("button", name=re.compile("^[0-9]+ more measures$"))
    expect(more).to_have_attribute("aria-expanded", "false")
    expect(compare.row("Loss")).to_contain_text("over 1,000 × larger")
    expect(compare.row("Gradient RMS")).to_contain_text(layer_that_parts(demo, "gradient_rms"))
    expect(compare.row("Output RMS")).to_have_count(0)
    more.click()
    expect(compare.row("Output RMS")).to_contain_text("NaN in C")
    expect(compare.parting.get_by_role("button", name="Hide the other")).to_be_focused()
    setting = compare.settings.get_by_role("row").filter(has_text="learning_rate")
    expect(setting).to_contain_text("PiecewiseConstantDecay")
    expect(compare.findings).to_contain_text("Exploding gradient")
    expect(compare.findings).to_contain_text("Only in A: none. In both: none.")
    numbers = compare.frame.get_by_role("region", name="Key numbers")
    expect(numbers.get_by_role("row").filter(has_text="last step")).to_contain_text(f"{STEPS}")


def test_the_two_are_chosen_and_kept_in_the_address(compare, address, demo):
    compare.open(address)
    compare.run.select_option("dying-relu")
    heading = compare.parting.get_by_role("heading", name=re.compile("^They part by step"))
    expect(heading).to_contain_text(first(demo, "dying-relu", "healthy").layer)
    compare.baseline.select_option("dying-relu")  # who takes the other's run changes places
    expect(compare.run).to_have_value("healthy")
    compare.unfold()
    expect(compare.row("Dead units")).to_contain_text("points smaller")
    compare.frame.get_by_role("button", name="Swap").click()
    expect(compare.baseline).to_have_value("healthy")
    expect(compare.row("Dead units")).to_contain_text("points larger")
    compare.tab.page.reload()
    expect(compare.run).to_have_value("dying-relu")
    expect(compare.baseline).to_have_value("healthy")


def test_a_difference_is_read_out_where_a_measure_parts(compare, each_address, demo):
    compare.open(each_address)
    compare.run.select_option("dying-relu")
    compare.unfold()
    compare.row("Dead units").get_by_role("button").click()
    expect(compare.map).to_have_accessible_name(re.compile("^Dead units of dying-relu beside"))
    expect(compare.readout).to_contain_text("points larger")
    expect(compare.readout).to_contain_text("dense")
    compare.tab.measure("Gradient RMS").click()
    expect(compare.map).to_have_accessible_name(re.compile("^Gradient RMS of"))
    expect(
        compare.difference.get_by_role("img", name=re.compile("; difference from "))
    ).to_have_count(1)
    compare.map.focus()
    compare.tab.page.keyboard.press("ArrowRight")
    expect(compare.readout).to_contain_text("0 in B")
    expect(compare.map).to_be_focused()
    expect(compare.difference).to_contain_text("no weights")


def test_each_run_has_its_map_beside_the_difference(compare, address):
    compare.open(address)
    compare.run.select_option("exploding")
    compare.tab.measure("Gradient RMS").click()
    columns = [
        compare.difference.get_by_role("img", name=f"Gradient RMS of {run}, ") for run in RUNS
    ]
    columns.append(compare.map)
    for column in columns:
        expect(column).to_be_visible()
    compare.tab.settle()
    boxes = [column.bounding_box() for column in columns]
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"]
    assert len({(box["y"], round(box["width"])) for box in boxes}) == 1
    numbers = compare.frame.get_by_role("region", name="Key numbers").get_by_role("cell")
    for i, box in enumerate(boxes):  # a number stands in the column of its run
        assert abs(numbers.nth(i).bounding_box()["x"] - box["x"]) < 2


def test_shares_are_told_in_percent(compare, address, demo):
    compare.open(address)
    compare.run.select_option("dying-relu")
    numbers = compare.frame.get_by_role("region", name="Key numbers")
    told = {
        one.title: one for one in key_numbers(load(demo / "dying-relu"), load(demo / "healthy"))
    }
    for title in ("last probe accuracy", "most dead units of a layer"):
        row = numbers.get_by_role("row").filter(has_text=title)
        baseline, run, between = (row.get_by_role("cell").nth(i) for i in range(3))
        percent = re.compile(r"^[\d.]+ %$")
        for cell, value in ((baseline, told[title].baseline), (run, told[title].run)):
            expect(cell).to_have_text(percent)
            assert float(cell.inner_text().removesuffix(" %")) == pytest.approx(
                100 * value, abs=0.5
            )
        expect(between).to_have_text(re.compile("points (larger|smaller)$"))


def test_what_differs_stands_in_the_columns_of_the_runs(compare, address):
    compare.open(address)
    compare.run.select_option("exploding")
    setting = compare.settings.get_by_role("row").filter(has_text="learning_rate")
    measure = compare.row("Loss")
    for i in range(2):
        boxes = [row.get_by_role("cell").nth(i).bounding_box() for row in (setting, measure)]
        assert boxes[0]["x"] == boxes[1]["x"] and boxes[0]["y"] < boxes[1]["y"]
    assert setting.bounding_box()["height"] < 48  # two lines
    assert setting.bounding_box()["y"] < compare.parting.bounding_box()["y"]  # it comes first


@pytest.mark.parametrize("width", [1000, 1600])
def test_no_name_is_broken_and_numbers_end_below_each_other(compare, address, width):
    compare.tab.page.set_viewport_size({"width": width, "height": 900})
    compare.open(address)
    compare.run.select_option("exploding")
    compare.unfold()
    numbers = compare.frame.get_by_role("region", name="Key numbers")
    expect(numbers.get_by_role("row").filter(has_text="At its lowest")).to_have_count(1)
    line = "names => names.map(name => name.getBoundingClientRect().height)"
    named = numbers.get_by_role("row").filter(has=compare.frame.get_by_role("cell"))
    assert max(named.get_by_role("rowheader").evaluate_all(line)[1:]) < 20  # one line
    ends = "all => all.map(one => Math.round(one.getBoundingClientRect().right))"
    for column in (2, 3):
        drawn = numbers.locator(f"td:nth-child({column}) .amount > span")
        assert drawn.count() > 5 and len(set(drawn.evaluate_all(ends))) == 1


def test_what_parts_is_told_with_its_step_and_the_noise(compare, address, demo):
    compare.open(address)
    compare.run.select_option("exploding")
    told = first(demo, "exploding", "healthy")
    row = compare.row("Loss")
    expect(row.get_by_role("rowheader")).to_contain_text(str(told.step))
    expect(row.get_by_role("cell").nth(2)).to_contain_text(re.compile(r"larger ?[\d.]+ ×$"))
    expect(compare.parting).to_contain_text(
        re.compile(r"First the .*, where up to [\d.]+\s× is noise")
    )


def test_findings_of_one_run_alone_fill_the_width(compare, address):
    compare.open(address)
    compare.run.select_option("exploding")
    lines = compare.findings.get_by_role("listitem")
    expect(lines.first).to_be_visible()
    boxes = [lines.nth(i).bounding_box() for i in range(lines.count())]
    assert len({box["x"] for box in boxes}) > 1


def test_a_measure_that_one_run_lacks_is_not_what_it_begins_with(compare, address):
    compare.tab.open(address, "&p.tfdiag.metric=saturated_fraction")
    compare.frame.get_by_role("button", name="Compare", exact=True).click()
    expect(compare.map).to_have_accessible_name(re.compile("^(?!Saturated)"))
    compare.tab.measure("Saturated units").click()  # asked for, it is shown
    expect(compare.map).to_have_accessible_name(re.compile("^Saturated units of"))


def test_equal_settings_unfold(compare, address):
    compare.open(address)
    compare.run.select_option("dying-relu")
    setting = compare.settings.get_by_role("row").filter(has_text="dense: bias_initializer")
    expect(setting).to_contain_text("Constant(value=-1)")
    expect(compare.settings).not_to_contain_text("sparse_categorical_crossentropy")
    compare.settings.get_by_role("button", name="the same").click()
    same = compare.settings.get_by_text("loss sparse_categorical_crossentropy")
    assert same.bounding_box()["y"] > setting.bounding_box()["y"]  # below what differs


def test_one_run_is_not_enough(compare, address):
    compare.open(address)
    for run in ("dying-relu", "exploding"):
        compare.frame.get_by_role("checkbox", name=f"Show {run},").uncheck()
    expect(compare.frame.get_by_role("heading", name="Two runs are needed")).to_be_visible()
    expect(compare.frame.get_by_text("Tick two or more runs")).to_be_visible()
    compare.frame.get_by_role("checkbox", name="Show exploding,").check()
    expect(compare.run).to_have_value("exploding")


def test_odd_runs_are_compared_in_words(compare, tmp_path):
    record(tmp_path / HOSTILE, layers=(HOSTILE, "dense", "logits"), cams=True)
    record(tmp_path / "young", range(1, 4), finished=None, cams=True)
    dialogs = []
    compare.tab.page.on("dialog", lambda said: dialogs.append(said.message) or said.dismiss())
    with tensorboard(tmp_path, runs=2) as address:
        compare.open(address)
        expect(compare.run).to_have_value(HOSTILE)
        expect(compare.parting).to_contain_text("records in common")
        expect(compare.settings.get_by_role("row", name=f"{HOSTILE} not there")).to_have_count(1)
        expect(compare.findings).to_contain_text("the rules have not judged both runs")
        expect(compare.difference).to_contain_text(re.compile("only in [AB]"))
    assert dialogs == []


def test_the_heat_maps_of_diagnosis_are_there_after_a_visit(tab, address):
    compare = Compare(tab)
    compare.open(address)
    for _ in range(2):
        compare.map.wait_for()
        tab.frame.get_by_role("button", name="Diagnosis", exact=True).click()
        for run in RUNS:
            canvas = tab.heat_map(run).locator("canvas")
            expect(canvas).to_have_attribute("data-painted", re.compile("."))
        tab.frame.get_by_role("button", name="Compare", exact=True).click()


def test_without_a_second_run_there_is_no_slider(tab, address):
    tab.open(address, "&p.tfdiag.view=compare&p.tfdiag.runs=[%22healthy%22]")
    expect(tab.frame.get_by_role("heading", name="Two runs are needed")).to_be_visible()
    expect(tab.frame.get_by_role("slider", name="Step")).to_be_hidden()
