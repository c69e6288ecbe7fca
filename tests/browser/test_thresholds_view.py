"""The Thresholds view in Chromium, in a real TensorBoard, on the demo's runs and on odd ones."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import config, load, report

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

RUNS = ("healthy", "dying-relu", "exploding")
HOSTILE = "<img src=x onerror=alert(1)>"


def open_view(tab, address):
    """Opens the view and returns its verdicts: one cell per run, recorded and with changes."""
    tab.open(address)
    tab.frame.get_by_role("button", name="Thresholds", exact=True).click()
    expect(line(tab, "Dead ReLU")).to_be_visible()
    return tab.frame.get_by_role("region", name="Verdicts")


def number(tab, rule, name):
    return tab.frame.get_by_role("spinbutton", name=f"{rule}, {name}:")


def line(tab, rule):
    """The line of a rule, which folds and unfolds it."""
    block = tab.frame.get_by_role("region", name=rule, exact=True)
    return block.get_by_role("button", name=rule, exact=True)


def unfold(tab, rule):
    """Shows the numbers of a rule, whether it found something or not."""
    button = line(tab, rule)
    if button.get_attribute("aria-expanded") == "false":
        button.click()


def kept(tab):
    """What was changed, as a file and as code."""
    return tab.frame.get_by_role("region", name="Keep", exact=True)


def findings(tab):
    return tab.frame.get_by_role("region", name="Findings")


def test_verdicts_change_with_a_number_as_the_rules_say(tab, each_address, demo):
    verdicts = open_view(tab, each_address)
    tried = {"dead-relu": {"patience": 9999}}
    number(tab, "Dead ReLU", "patience").fill("9999")
    for i, run in enumerate(RUNS):
        judged = config.Config(thresholds=tried).check(load(demo / run))
        title = report.verdict(judged).title
        expect(verdicts.get_by_role("heading", level=3).nth(len(RUNS) + i)).to_contain_text(title)
    expect(verdicts.get_by_role("heading", level=3).nth(1)).to_contain_text("dense dead")
    gone = findings(tab).get_by_role("listitem").filter(has_text="not evaluated, was critical")
    expect(gone).to_contain_text("too few records")
    tab.frame.get_by_role("button", name="Reset Dead ReLU, patience").click()
    expect(number(tab, "Dead ReLU", "patience")).to_have_value("2")
    expect(number(tab, "Dead ReLU", "patience")).to_be_focused()
    expect(verdicts).to_contain_text("Nothing is changed")


def test_the_link_holds_the_changes_and_the_file_can_be_read(tab, address, tmp_path):
    verdicts = open_view(tab, address)
    unfold(tab, "Update ratio")
    number(tab, "Update ratio", "high").fill("0.01")
    number(tab, "Dead ReLU", "warn").fill("40")  # percent
    region = kept(tab)
    code = region.get_by_role("code")
    expect(region).to_contain_text('"dead-relu".warn = 0.4')
    tab.page.reload()
    expect(number(tab, "Update ratio", "high")).to_have_value("0.01")
    expect(region).to_contain_text('"update-ratio".high = 0.01')
    file = tmp_path / "tfdiag.toml"
    with tab.page.expect_download() as download:
        verdicts.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "tfdiag.toml"
    Path(download.value.path()).rename(file)
    tried = {"update-ratio": {"high": 0.01}, "dead-relu": {"warn": 0.4}}
    assert config.load(file).thresholds == tried
    assert code.nth(1).inner_text() == file.read_text()
    assert '"update-ratio": {"high": 0.01}' in code.nth(2).inner_text()
    tab.frame.get_by_role("button", name="Reset all").click()
    expect(region).to_have_count(0)
    expect(verdicts).to_contain_text("Nothing is changed")
    assert "thresholds%22" not in tab.page.url


def test_the_file_is_shown_and_nothing_but_the_page_scrolls(tab, address):
    verdicts = open_view(tab, address)
    number(tab, "Dead ReLU", "warn").fill("40")
    verdicts.get_by_role("button", name="Show file and code").click()
    expect(kept(tab)).to_be_focused()
    expect(kept(tab).get_by_role("heading", name="tfdiag.toml")).to_be_in_viewport()
    expect(tab.frame.get_by_role("button", name="Diagnosis", exact=True)).to_be_in_viewport(ratio=1)
    expect(verdicts.get_by_role("button", name="Download")).to_be_in_viewport(ratio=1)
    overflow = (
        "({ scrollHeight, clientHeight, scrollTop }) => [scrollHeight - clientHeight, scrollTop]"
    )
    root = tab.frame.locator("html")
    assert root.evaluate(overflow) == [0, 0]


def test_no_field_lies_over_another(tab, address):
    open_view(tab, address)
    tab.frame.get_by_role("button", name="Unfold all").click()
    expect(tab.frame.get_by_role("button", name="Fold all")).to_be_focused()
    more = tab.frame.get_by_role("button", name=re.compile(r"^\d+ more thresholds"))
    for _ in range(more.count()):
        more.first.click()  # it is called otherwise from then on
    boxes = tab.frame.locator("html").evaluate("""html =>
        [...html.querySelectorAll(".tuning .threshold input")].map(one => {
            const { x, y, width, height } = one.getBoundingClientRect();
            return [x, y, width, height];
        })""")
    assert len(boxes) > 100 and all(width * height > 0 for _, _, width, height in boxes)
    for i, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[:i]:
            is_beside = x + width <= other_x or other_x + other_width <= x
            assert is_beside or y + height <= other_y or other_y + other_height <= y
    assert len({(x, width) for x, _, width, _ in boxes}) == 1  # one column for all rules
    low, high = (number(tab, "Update ratio", name).bounding_box() for name in ("low", "high"))
    assert low["y"] < high["y"]


@pytest.mark.parametrize("width", [1000, 1600])
def test_nothing_that_a_folded_rule_tells_is_cut(tab, address, width):
    tab.page.set_viewport_size({"width": width, "height": 900})
    open_view(tab, address)
    told = tab.frame.locator(".folded .in-short")
    assert told.count() > 20
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert told.evaluate_all(cut) == []
    line(tab, "Gradient spike").click()
    number(tab, "Gradient spike", "times").fill("1.1")
    verdicts = tab.frame.get_by_role("region", name="Verdicts")
    expect(verdicts).to_contain_text("1 number changed")
    number(tab, "Gradient spike", "times").scroll_into_view_if_needed()
    expect(verdicts.get_by_role("heading", name="With changes")).to_be_in_viewport(ratio=1)
    expect(number(tab, "Gradient spike", "times")).to_be_in_viewport(ratio=1)


def test_all_changes_are_taken_back_at_once(tab, address):
    verdicts = open_view(tab, address)
    findings(tab).get_by_role("button", name="Suppress Dead ReLU dense").click()
    findings(tab).get_by_role("textbox", name="Reason").fill("a wide layer")
    findings(tab).get_by_role("textbox", name="Reason").press("Enter")
    number(tab, "Dead ReLU", "warn").fill("40")
    expect(verdicts).to_contain_text("1 number changed · 1 finding suppressed")
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.frame.get_by_role("button", name="Reset all").click()
    expect(verdicts).to_contain_text("Nothing is changed")
    judged = [parse_qs(urlsplit(url).query) for url in asked if "api/judge" in url]
    assert all(("thresholds" in one) == ("suppress" in one) for one in judged)


def test_a_rule_that_found_nothing_is_one_line_that_unfolds_in_place(tab, address):
    open_view(tab, address)
    expect(tab.frame.get_by_text(re.compile(r"^\d+ more rules, nothing found"))).to_be_visible()
    assert tab.frame.get_by_role("main").evaluate("main => main.scrollHeight") < 2800
    block = tab.frame.get_by_role("region", name="Saturated activation", exact=True)
    expect(block).to_contain_text(re.compile(r"share ≥ 50 % · critical ≥ 95 %"))
    expect(number(tab, "Saturated activation", "share")).to_be_hidden()
    assert block.bounding_box()["height"] < 30
    line(tab, "Saturated activation").press("Enter")
    expect(line(tab, "Saturated activation")).to_have_attribute("aria-expanded", "true")
    expect(line(tab, "Saturated activation")).to_be_focused()
    number(tab, "Saturated activation", "share").fill("40")
    expect(block.get_by_text("changed", exact=True)).to_be_visible()
    expect(line(tab, "Saturated activation")).to_be_disabled()  # what is changed stays in sight
    block.get_by_role("button", name="Reset Saturated activation, share").click()
    expect(number(tab, "Saturated activation", "share")).to_be_focused()
    line(tab, "Saturated activation").click()
    expect(number(tab, "Saturated activation", "share")).to_be_hidden()
    line(tab, "Dead ReLU").click()
    expect(number(tab, "Dead ReLU", "warn")).to_be_hidden()
    box = tab.frame.get_by_role("textbox", name="Filter rules by their words")
    box.fill("weight explosion")
    expect(line(tab, "Weight explosion")).to_have_attribute("aria-expanded", "true")


def test_a_rule_shows_its_limits_and_the_rest_on_demand(tab, address):
    open_view(tab, address)
    expect(number(tab, "Exploding gradient", "norm")).to_be_visible()
    expect(number(tab, "Exploding gradient", "growth")).to_be_hidden()
    block = tab.frame.get_by_role("region", name="Exploding gradient", exact=True)
    block.get_by_role("button", name="3 more thresholds of Exploding gradient").click()
    number(tab, "Exploding gradient", "growth").fill("20")
    expect(block).to_contain_text("recorded 10")
    tab.page.reload()
    expect(number(tab, "Exploding gradient", "growth")).to_have_value("20")
    expect(number(tab, "Exploding gradient", "growth")).to_be_visible()  # it is changed
    expect(number(tab, "Activation scale", "drift")).to_be_hidden()
    tab.frame.get_by_role("textbox", name="Filter rules by their words").fill("drift")
    expect(number(tab, "Activation scale", "drift")).to_be_visible()


def test_a_number_that_does_not_fit_is_not_sent(tab, address):
    open_view(tab, address)
    number(tab, "Dead ReLU", "warn").fill("400")
    row = tab.frame.get_by_role("region", name="Dead ReLU", exact=True)
    expect(row).to_contain_text("Wanted: percent from 0 to 100.")
    expect(number(tab, "Dead ReLU", "warn")).to_have_attribute("aria-invalid", "true")
    number(tab, "Dead ReLU", "watch").press("ArrowUp")
    expect(number(tab, "Dead ReLU", "warn")).to_have_value("50")
    expect(row).to_contain_text("Wanted: percent from 0 to 100.")  # why it came back
    expect(number(tab, "Dead ReLU", "watch")).to_have_value("26")
    expect(tab.frame.get_by_role("region", name="Verdicts")).to_contain_text("1 number changed")
    number(tab, "Dead ReLU", "critical").fill("30")
    expect(row).to_contain_text("Not above warn: it never comes to warn.")


def test_a_strip_shows_how_far_each_run_is_from_the_limits(tab, address, demo):
    open_view(tab, address)
    block = tab.frame.get_by_role("region", name="Dead ReLU", exact=True)
    strip = block.get_by_role("img", name="Worst value of each run")
    for words in ("dying-relu 100 % in dense", "warn ≥ 50 %", "critical ≥ 95 %", "healthy "):
        expect(strip).to_have_accessible_name(re.compile(words))
    expect(strip.locator(".strip-label")).to_have_text(
        [re.compile(f"{limit} %$") for limit in (25, 50, 95)]
    )
    (worst,) = (
        finding
        for finding in config.Config().check(load(demo / "dying-relu")).findings
        if finding.rule == "dead-relu"
    )
    assert worst.evidence == "100 % ≥ 95 %"
    number(tab, "Dead ReLU", "warn").fill("40")
    expect(strip).to_have_accessible_name(re.compile("warn ≥ 40 %"))
    expect(number(tab, "Dead ReLU", "warn")).to_be_focused()
    growth = tab.frame.get_by_role("region", name="Weight explosion", exact=True)
    unfold(tab, "Weight explosion")
    expect(growth.get_by_role("spinbutton").first).to_be_visible()
    expect(growth.get_by_role("img", name="Worst value")).to_have_count(0)


def hold(tab, run):
    """Keeps back what the server says of a run; returns what lets it go."""
    held = []
    tab.page.route(re.compile(f"api/judge.*run={run}"), lambda route: held.append(route))

    def release():
        assert held
        for route in held:
            route.continue_()

    return release


def test_a_number_that_is_typed_stays_when_another_run_comes_in(tab, address):
    release = hold(tab, "dying-relu")
    open_view(tab, address)
    line(tab, "Dead ReLU").click()  # in the other runs it found nothing
    number(tab, "Dead ReLU", "warn").fill("400")
    release()
    row = tab.frame.get_by_role("region", name="Dead ReLU", exact=True)
    expect(row.get_by_role("img", name="Critical in dying-relu")).to_be_visible()
    expect(row).to_contain_text("Wanted: percent from 0 to 100.")
    expect(number(tab, "Dead ReLU", "warn")).to_be_focused()
    expect(number(tab, "Dead ReLU", "warn")).to_have_value("400")


def test_a_reason_that_is_typed_stays_when_another_run_comes_in(tab, address):
    release = hold(tab, "exploding")
    open_view(tab, address)
    findings(tab).get_by_role("button", name="Suppress Dead ReLU dense").click()
    reason = findings(tab).get_by_role("textbox", name="Reason")
    reason.fill("a wide")
    release()
    expect(findings(tab)).to_contain_text("Exploding gradient")
    expect(reason).to_be_focused()
    tab.page.keyboard.type(" layer")
    expect(reason).to_have_value("a wide layer")


def test_a_finding_is_suppressed_with_a_reason_only(tab, each_address):
    verdicts = open_view(tab, each_address)
    findings(tab).get_by_role("button", name="Suppress Dead ReLU dense").click()
    reason = findings(tab).get_by_role("textbox", name="Reason")
    expect(reason).to_be_focused()
    reason.fill("  ")
    reason.press("Enter")
    expect(findings(tab)).not_to_contain_text("suppressed")
    reason.fill("a wide layer")
    reason.press("Enter")
    second = verdicts.get_by_role("heading", level=3).nth(len(RUNS) + 1)
    expect(second).not_to_contain_text("dense dead")
    apart = tab.frame.get_by_role("region", name="Suppressed")
    expect(apart.get_by_role("listitem")).to_contain_text("a wide layer")
    expect(apart.get_by_role("listitem")).to_contain_text("1 finding")
    apart.get_by_role("button", name="Remove").click()
    expect(apart.get_by_role("listitem")).to_have_count(0)
    expect(verdicts).to_contain_text("Nothing is changed")


def test_rules_with_findings_come_first_and_words_filter_them(tab, address, demo):
    open_view(tab, address)
    found = {f.rule for run in RUNS for f in config.Config().check(load(demo / run)).findings}
    rules = tab.frame.get_by_role("region", name="Thresholds").locator(".rule-title code")
    listed = rules.all_inner_texts()
    assert set(listed[: len(found & set(listed))]) == found & set(listed)
    box = tab.frame.get_by_role("textbox", name="Filter rules by their words")
    box.fill("share units relu")
    expect(rules).to_have_text(["dead-relu"])
    box.fill("no such words")
    expect(tab.frame.get_by_text("No rule has all of these words.")).to_be_visible()


def test_a_link_that_makes_no_sense_says_so_and_is_reset(tab, address):
    open_view(tab, address)
    choices = {"thresholds": '{"dead-rleu":{"warn":1}}'}
    link = {"view": "thresholds", "runs": ["dying-relu"], "choices": choices}
    texts = {key: value if key == "view" else json.dumps(value) for key, value in link.items()}
    more = "".join(f"&p.tfdiag.{key}={quote(text)}" for key, text in texts.items())
    tab.page.goto(f"{address}#tfdiag{more}")
    expect(findings(tab)).to_contain_text("Did you mean 'dead-relu'?")
    assert all("400" in trouble for trouble in tab.troubles) and tab.troubles
    tab.troubles.clear()
    tab.frame.get_by_role("button", name="Reset all").click()
    expect(findings(tab)).to_contain_text("Dead ReLU")


def test_names_and_reasons_are_text_and_nothing_else(tab, tmp_path):
    record(tmp_path / "odd", layers=(HOSTILE, "dense", "logits"), cams=True)
    dialogs = []
    tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message) or dialog.dismiss())
    with tensorboard(tmp_path, runs=1) as address:
        open_view(tab, address)
        findings(tab).get_by_role("button", name=re.compile("^Suppress ")).first.click()
        findings(tab).get_by_role("textbox", name="Reason").fill(HOSTILE)
        findings(tab).get_by_role("button", name="Suppress", exact=True).click()
        expect(tab.frame.get_by_role("region", name="Suppressed")).to_contain_text(HOSTILE)
        expect(kept(tab)).to_contain_text(HOSTILE)
    assert dialogs == []
