"""The Layer view: what is known of one layer, on the demo's runs and on odd ones."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import check, load

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

RUNS = ("healthy", "dying-relu", "exploding")
LONG = "block/" * 40 + "<b>dense</b>"


class LayerView:
    """The view as a user meets it."""

    def __init__(self, tab):
        self.tab = tab
        self.frame = tab.frame
        self.choice = self.frame.get_by_role("combobox", name="Layer")

    def open(self, address):
        self.tab.open(address)
        self.frame.get_by_role("button", name="Layer", exact=True).click()
        self.frame.get_by_role("heading", name="Health: Layer", level=1).wait_for()
        return self

    def findings(self, run):
        return self.frame.get_by_role("article", name=f"Findings in {run}")

    def curve(self, measure, run):
        return self.frame.get_by_role("img", name=f"{measure} of {run}", exact=True)

    def value(self, measure, run):
        """What is read out above a curve."""
        return self.curve(measure, run).locator("xpath=..")

    def timeline(self, run, kind="Gradient"):
        return self.frame.get_by_role("img", name=re.compile(f"^{kind} histograms of {run}, "))

    def region(self, name):
        return self.frame.get_by_role("region", name=name, exact=True)


@pytest.fixture
def view(tab):
    return LayerView(tab)


def test_it_begins_with_the_layer_of_the_worst_finding(view, each_address, demo):
    view.open(each_address)
    expect(view.choice).to_have_value("dense")
    trace = load(demo / "dying-relu")
    (finding,) = [f for f in check(trace).findings if f.severity == "critical"]
    expect(view.findings("dying-relu")).to_contain_text(finding.message)
    expect(view.findings("healthy")).to_contain_text("No finding in this layer")
    facts = view.region("Facts and findings")
    exempt = facts.get_by_role("button", name="2 rules exempt")  # the same in all runs
    expect(exempt).to_contain_text("no tanh or sigmoid")
    exempt.click()
    expect(exempt).to_have_attribute("aria-expanded", "true")
    expect(exempt).to_be_focused()
    expect(facts).to_contain_text("Saturated activation")
    dead = trace.columns["dead_fraction"][:, trace.layers.index("dense")]
    last = dead[np.isfinite(dead)][-1]
    expect(view.value("Dead units", "dying-relu")).to_contain_text(f"{last:.0%}".replace("%", " %"))
    expect(view.value("Gradient RMS", "exploding")).to_contain_text("NaN")
    expect(view.region("Measures over the steps")).to_contain_text("Saturated units")


def test_histograms_of_each_run_and_of_all_at_one_step(view, each_address, demo):
    view.open(each_address)
    for run in RUNS:
        expect(view.timeline(run)).to_be_visible()
    together = view.region("Gradient histograms at one step")
    expect(together).to_contain_text("dying-relu100 % exactly 0")
    view.timeline("healthy").click(position={"x": 60, "y": 120})
    step = int(re.search(r"p\.tfdiag\.step=(\d+)", view.tab.page.url)[1])
    assert step in load(demo / "healthy").steps
    expect(together.get_by_role("heading")).to_have_text(f"At step {step}")
    expect(together).to_contain_text(f"step {step}")
    view.tab.page.keyboard.press("ArrowRight")
    expect(together.get_by_role("heading")).not_to_have_text(f"At step {step}")


def test_histograms_of_the_weights_are_chosen_and_in_the_link(view, each_address):
    view.open(each_address)
    expect(view.timeline("healthy")).to_be_visible()
    kinds = view.frame.get_by_role("group", name="Histograms of", exact=True)
    kinds.get_by_role("button", name="Weights").click()
    for run in RUNS:
        expect(view.timeline(run, "Weight")).to_be_visible()
        expect(view.timeline(run)).to_have_count(0)
    expect(kinds.get_by_role("button", name="Weights")).to_be_focused()
    together = view.region("Weight histograms at one step")
    expect(together).to_contain_text("dying-relu0 % exactly 0")  # its gradient is exactly 0
    view.tab.page.reload()
    expect(view.timeline("healthy", "Weight")).to_be_visible()
    kinds.get_by_role("button", name="Gradients").click()
    expect(together).to_have_count(0)
    expect(view.region("Gradient histograms at one step")).to_be_visible()


def test_a_layer_is_chosen_from_the_list_by_keys_and_by_link(view, address):
    view.open(address)
    view.choice.select_option("pool")
    histograms = view.region("Gradient histograms")
    expect(histograms).to_contain_text("no weights")
    expect(view.region("Gradient histograms at one step")).to_be_hidden()
    facts = view.region("Facts and findings")
    facts.get_by_role("button", name=re.compile(r"^Exempt\s*\d+ rules exempt")).click()
    expect(facts.get_by_role("definition").filter(has_text="Vanishing gradient")).to_be_visible()
    view.frame.get_by_role("heading", name="Layer", exact=True).click()  # away from the list
    view.tab.page.keyboard.press("j")
    expect(view.choice).to_have_value("conv_3")
    view.tab.page.keyboard.press("k")
    view.tab.page.keyboard.press("k")
    expect(view.choice).to_have_value("conv_2")
    expect(view.timeline("healthy")).to_be_visible()
    assert "p.tfdiag.layer=conv_2" in view.tab.page.url
    view.tab.page.reload()
    expect(view.choice).to_have_value("conv_2")


def test_a_layer_is_opened_from_the_heat_maps(view, address):
    view.tab.open(address)
    view.tab.settle()
    names = view.frame.get_by_role("group", name="Layers, input first")
    names.get_by_role("button", name="conv_1", exact=True).click()
    view.frame.get_by_role("button", name="Open layer conv_1").click()
    expect(view.choice).to_have_value("conv_1")
    view.frame.get_by_role("button", name="Diagnosis", exact=True).click()
    names.get_by_role("button", name="conv_3", exact=True).press("Enter")
    expect(view.choice).to_have_value("conv_3")


def test_a_finding_is_explained_in_its_place(view, address):
    view.open(address)
    found = view.findings("dying-relu")
    why = found.get_by_role("button", name="Why, and what to do").first
    why.click()
    expect(found.get_by_role("heading", name="What to do")).to_be_visible()
    expect(why).to_be_focused()
    why.click()
    expect(found.get_by_role("heading", name="What to do")).to_have_count(0)


def test_one_explosion_does_not_flatten_the_others(view, address):
    view.open(address)
    headings = view.region("Measures over the steps").get_by_role("heading", level=3)
    expect(headings.first).to_have_text("Dead units")  # the worst finding comes first
    expect(view.curve("Weight RMS", "exploding")).to_contain_text(re.compile("↑ .*e"))
    expect(view.curve("Weight RMS", "healthy")).not_to_contain_text("↑")


def test_a_value_beyond_a_limit_says_which_finding_tells_of_it(view, address):
    view.open(address)
    moves = view.value("Update ratio", "dying-relu")
    expect(moves).to_contain_text(re.compile("beyond the limit, see ?3 ?Vanishing gradient"))
    expect(view.value("Output RMS", "dying-relu")).to_contain_text("Dead ReLU")
    expect(view.value("Update ratio", "healthy")).not_to_contain_text("limit")


def test_what_has_no_curve_stands_in_the_column_of_its_run(view, address):
    view.open(address)
    curves = view.region("Measures over the steps")
    expect(curves.get_by_role("heading", name="Saturated units")).to_be_visible()
    expect(curves.get_by_text("no tanh or sigmoid", exact=True)).to_have_count(len(RUNS))


def test_runs_of_other_models_and_names_of_any_kind(view, tmp_path):
    record(tmp_path / "a", layers=(LONG, "last"), cams=True)
    record(tmp_path / "b", layers=("dense", "last"), cams=True)
    with tensorboard(tmp_path, runs=2) as address:
        view.open(address)
        expect(view.choice).to_have_value("dense")
        expect(view.findings("a")).to_contain_text("This model has no such layer")
        expect(view.region("Gradient histograms")).to_contain_text("not in this model")
        expect(view.timeline("b")).to_be_visible()
        view.choice.select_option(LONG)
        expect(view.findings("a")).to_contain_text("NaN or Inf since step 1; no finding")
        expect(view.findings("b")).to_contain_text("This model has no such layer")
        expect(view.timeline("a")).to_be_visible()
        main = view.frame.get_by_role("main")
        assert main.evaluate("main => main.scrollWidth <= main.clientWidth")
