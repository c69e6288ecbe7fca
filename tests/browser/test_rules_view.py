"""Rules x runs: what each rule found in each run, in Chromium."""

import re

import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import check, load, report
from tfdiag.rules import ALL_RULES

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

RUNS = ("healthy", "dying-relu", "exploding")
HOSTILE = "<img src=x onerror=alert(1)>"
IS_SEEN = """() => {
    const { x, y, width, height } = document.activeElement.getBoundingClientRect();
    const at = document.elementFromPoint(x + width / 2, y + height / 2);
    return document.activeElement.contains(at);
}"""
TITLES = {rule.id: rule.title for rule in ALL_RULES}


def open_rules(tab, address):
    """Opens the view and returns its table."""
    tab.open(address)
    tab.frame.get_by_role("button", name="Rules × runs").click()
    grid = tab.frame.get_by_role("grid")
    grid.wait_for()
    return grid


def unfold(tab):
    """Lists the rules that passed in all runs too."""
    tab.frame.get_by_role("button", name=re.compile("passed in all (judged )?runs$")).click()
    hide = tab.frame.get_by_role("button", name=re.compile("^Hide the [0-9]+ that passed$"))
    expect(hide).to_have_attribute("aria-expanded", "true")
    return hide


def cell(grid, rule, run):
    name = re.compile(f"^{re.escape(f'{TITLES[rule]}, {run}: ')}")
    return grid.get_by_role("gridcell", name=name)


def names(grid):
    """The runs, from left to right."""
    heads = grid.get_by_role("columnheader").evaluate_all("all => all.map(one => one.ariaLabel)")
    return [head.rpartition(", ")[0] for head in heads]


def readout(tab):
    return tab.frame.locator(".matrix-readout")


def titled(reason):
    """Returns a reason as the tab shows it: with the titles of the rules that it names."""
    return re.sub(r"[a-z]+(-[a-z]+)+", lambda name: TITLES.get(name[0], name[0]), reason)


def test_every_cell_says_what_the_rule_found(tab, each_address, demo):
    grid = open_rules(tab, each_address)
    unfold(tab)
    labels = "all => all.map(one => one.ariaLabel).filter(label => label?.includes(': '))"
    cells = grid.get_by_role("gridcell").evaluate_all(labels)  # neither totals nor the fold
    assert len(cells) == len(ALL_RULES) * len(RUNS)
    for run in RUNS:
        for outcome in check(load(demo / run)).outcomes:
            said = [s for s in cells if s.startswith(f"{TITLES[outcome.rule]}, {run}: ")]
            assert len(said) == 1
            if outcome.outcome == "found":
                assert f"{len(outcome.findings)} finding" in said[0]
            elif outcome.outcome == "healthy":
                assert said[0].endswith(": passed")
            else:
                assert titled(outcome.reason) in said[0]
                assert "passed" not in said[0]
    expect(tab.frame.get_by_role("heading", name="2 of 3 runs need action")).to_be_visible()


def test_rules_that_passed_in_all_runs_are_one_line(tab, address, demo):
    grid = open_rules(tab, address)
    outcomes = [{o.rule: o.outcome for o in check(load(demo / run)).outcomes} for run in RUNS]
    passed = [rule.id for rule in ALL_RULES if {one[rule.id] for one in outcomes} == {"healthy"}]
    line = tab.frame.get_by_role("button", name=f"{len(passed)} rules passed in all runs")
    expect(line).to_have_attribute("aria-expanded", "false")
    expect(cell(grid, passed[0], "healthy")).to_have_count(0)
    tab.settle()
    before = line.bounding_box()
    hide = unfold(tab)
    expect(hide).to_be_focused()
    assert hide.bounding_box()["y"] == before["y"]  # the rules unfold below it
    assert cell(grid, passed[0], "healthy").bounding_box()["y"] > before["y"]
    tab.page.reload()
    expect(cell(grid, passed[-1], "exploding")).to_have_count(1)
    hide.click()
    expect(cell(grid, passed[-1], "exploding")).to_have_count(0)


def test_a_run_has_its_verdict_and_a_cell_its_evidence(tab, address, demo):
    grid = open_rules(tab, address)
    verdicts = grid.get_by_role("row").filter(has_text="Verdict")
    judged = check(load(demo / "exploding"))
    expect(verdicts).to_contain_text(report.verdict(judged).title)
    expect(verdicts.get_by_role("img", name="Critical")).to_have_count(2)
    expect(cell(grid, "dead-relu", "dying-relu")).to_contain_text("dense")
    expect(cell(grid, "dead-relu", "dying-relu")).to_contain_text("95\N{NO-BREAK SPACE}%")
    (silent,) = (one for one in judged.outcomes if one.rule == "loss-oscillation")
    expect(cell(grid, "loss-oscillation", "exploding")).to_contain_text(silent.reason)


def test_rules_are_counted_by_run_and_by_rule(tab, address, demo):
    grid = open_rules(tab, address)
    tallies = grid.get_by_role("row").filter(has_text=f"{len(ALL_RULES)} rules")
    for run in RUNS:
        outcomes = [one.outcome for one in check(load(demo / run)).outcomes]
        words = f"{outcomes.count('healthy')} passed"
        expect(tallies.get_by_role("gridcell", name=re.compile(words))).not_to_have_count(0)
    rule = tab.frame.get_by_role("rowheader", name="Dead ReLU")
    row = grid.get_by_role("row").filter(has=rule)
    expect(row.locator(".found-count")).to_have_text("1")  # of the three


def test_signs_stand_below_each_other_and_no_tint_tells_nothing(tab, address):
    grid = open_rules(tab, address)
    unfold(tab)
    middle = "all => all.map(({ x, width }) => Math.round(x + width / 2))"
    boxes = (
        "all => all.map(one => one.querySelector('.cell > :first-child').getBoundingClientRect())"
    )
    for run in RUNS:
        column = grid.get_by_role("gridcell", name=re.compile(f", {run}: "))
        signs = column.evaluate_all(f"all => ({middle})(({boxes})(all))")
        assert len(signs) == len(ALL_RULES) and max(signs) - min(signs) <= 1
    ground = "all => [...new Set(all.map(one => getComputedStyle(one).backgroundColor))].length"
    tab.frame.get_by_role("textbox", name="Filter runs").hover()  # away from the rows
    cells = grid.get_by_role("gridcell", name=re.compile(": "))
    assert cells.evaluate_all(ground) == 1
    tab.frame.get_by_role("checkbox", name="Show exploding,").uncheck()
    expect(cell(grid, "dead-relu", "exploding")).to_be_visible()
    assert cells.evaluate_all(ground) == 2  # the runs side by side are marked


def test_the_legend_says_what_is_no_health(tab, address):
    open_rules(tab, address)
    legend = tab.frame.locator(".matrix-legend")
    expect(legend).to_contain_text("Not evaluated" + "what the rule needs is missing")
    expect(legend).to_contain_text("Exempt" + "the rule does not apply")


def test_a_cell_is_read_out_and_leads_to_its_layer(tab, address, demo):
    tab.open(address)
    tab.frame.get_by_role("checkbox", name="Show dying-relu,").uncheck()
    grid = open_rules(tab, address)
    dead = cell(grid, "dead-relu", "dying-relu")
    dead.hover()
    (finding, *_) = check(load(demo / "dying-relu")).findings
    expect(readout(tab)).to_contain_text("dense")
    expect(readout(tab)).to_contain_text(finding.evidence.replace(" %", "\N{NO-BREAK SPACE}%"))
    expect(readout(tab)).to_contain_text("exempt")
    grid.get_by_role("rowheader", name="Dead ReLU").hover()
    expect(readout(tab)).to_contain_text("By default: ")
    dead.click()
    expect(tab.frame.get_by_role("heading", name="Diagnosis", level=1)).to_be_attached()
    expect(tab.card("dying-relu")).to_be_visible()
    assert "p.tfdiag.layer=dense" in tab.page.url


def test_a_click_leads_to_its_finding_wherever_it_is_folded(tab, address):
    grid = open_rules(tab, address)
    cell(grid, "vanishing-gradient", "dying-relu").click()
    row = tab.card("dying-relu").get_by_role(
        "button", name=re.compile(TITLES["vanishing-gradient"])
    )
    expect(row).to_have_attribute("aria-expanded", "true")
    expect(row).to_be_in_viewport()
    tab.page.reload()  # a link leads there too
    expect(row).to_be_in_viewport()
    row.click()
    expect(row).to_have_attribute("aria-expanded", "false")


def test_the_keyboard_walks_from_cell_to_cell(tab, address):
    grid = open_rules(tab, address)
    first, second, third = names(grid)
    expect(grid.locator("[tabindex='0']")).to_have_count(1)
    cell(grid, "dead-relu", second).focus()
    tab.page.keyboard.press("ArrowRight")
    expect(cell(grid, "dead-relu", third)).to_be_focused()
    expect(readout(tab)).to_contain_text(third)
    tab.page.keyboard.press("Home")
    expect(grid.get_by_role("rowheader", name="Dead ReLU")).to_be_focused()
    tab.page.keyboard.press("Control+Home")
    expect(grid.get_by_role("columnheader").first).to_be_focused()
    expect(grid.locator("[tabindex='0']")).to_have_count(1)
    tab.page.keyboard.press("Enter")
    expect(tab.card(first)).to_be_visible()


def test_order_and_filter(tab, address):
    grid = open_rules(tab, address)
    titles = grid.get_by_role("rowheader").all_inner_texts()
    tab.frame.get_by_role("button", name="By group").click()
    expect(grid.get_by_text("Weights and updates", exact=True)).to_be_visible()
    grouped = grid.get_by_role("rowheader").all_inner_texts()
    assert set(titles) <= set(grouped) and grouped != titles
    assert "rules%20order" in tab.page.url
    tab.page.reload()
    expect(grid.get_by_text("Weights and updates", exact=True)).to_be_visible()
    for run in RUNS:
        tab.frame.get_by_role("checkbox", name=f"Show {run},").uncheck()
    expect(grid).to_be_visible()  # the table is of all runs, chosen or not
    tab.frame.get_by_role("textbox", name="Filter runs").fill("^healthy$|explod")
    expect(grid.get_by_role("columnheader")).to_have_count(2)
    assert names(grid) == ["exploding", "healthy"]
    tab.frame.get_by_role("textbox", name="Filter runs").fill("nothing like it")
    expect(tab.frame.get_by_text("No run with a recording matches this filter.")).to_be_visible()


def test_many_runs_with_odd_names_and_one_without_a_report(tab, tmp_path):
    for i in range(30):
        record(tmp_path / f"sweep-of-learning-rates/adam/seed-{i}", range(1, 3), cams=True)
    record(tmp_path / HOSTILE, range(1, 3), layers=(HOSTILE, "dense", "logits"), cams=True)
    record(tmp_path / "young", range(1, 3), finished=None, cams=True)
    dialogs = []
    tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message) or dialog.dismiss())
    with tensorboard(tmp_path, runs=32) as address:
        grid = open_rules(tab, address)
        runs = grid.get_by_role("rowheader", name=re.compile("found something$"))
        expect(runs).to_have_count(33)  # one of them is the heading of the sums
        box = grid.locator("..")
        assert box.evaluate("box => box.scrollHeight > box.clientHeight")
        name = grid.get_by_role("columnheader", name="Dead ReLU")
        before = name.bounding_box()
        cell(grid, "dead-relu", "young").focus()  # the last row: it found nothing
        assert box.evaluate("box => box.scrollTop") > 0
        assert name.bounding_box()["y"] == before["y"]  # what a column is about stays in sight
        expect(readout(tab)).to_contain_text("the rules have not judged this run yet")
        cell(grid, "dead-relu", HOSTILE).focus()
        expect(readout(tab)).to_contain_text(HOSTILE)
        tab.page.keyboard.press("End")
        for _ in range(3):  # what stays in sight covers nothing that has the focus
            tab.page.keyboard.press("PageUp")
            assert tab.frame.locator("html").evaluate(IS_SEEN)
    assert dialogs == []
