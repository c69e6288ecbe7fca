"""The Health tab in Chromium, in a real TensorBoard, on the demo's runs and on odd ones."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import check, load, report
from tfdiag.demo import STEPS
from tfdiag.rules.diagnosis import diagnose

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

RUNS = ("healthy", "dying-relu", "exploding")
MORE = re.compile("^\\d+ more findings?$")
HOSTILE = ("<img src=x onerror=alert(1)>", "a&b=c?d#e%2f+\"'", "ünï·コード 🩺")


def test_every_run_has_the_verdict_and_the_findings_of_its_rules(tab, each_address, demo):
    tab.open(each_address)
    for run in RUNS:
        judged = check(load(demo / run))
        expect(tab.verdict(run)).to_contain_text(report.verdict(judged).title)
        rows = tab.findings(run)
        harmful = {f.rule for f in judged.findings if f.severity != "watch"}
        expect(rows).to_have_count(min(3, len(harmful)))  # the others are behind "more"
        apart = report.counts(judged)["not_applicable"]
        expect(tab.card(run)).to_contain_text(f"{apart} exempt")
    assert report.verdict(check(load(demo / "healthy"))).title == "Healthy"
    expect(tab.findings("dying-relu").first).to_contain_text("Dead ReLU dense")
    expect(tab.findings("dying-relu").first).to_have_accessible_name(re.compile("Critical"))
    exploding = tab.findings("exploding")
    expect(exploding.filter(has_text="Exploding gradient")).to_have_count(1)
    expect(exploding.filter(has_text="NaN in a layer")).to_have_count(1)  # it follows from that
    expect(exploding.filter(has_text="NaN loss")).to_have_count(1)  # what the headline says
    watched = tab.card("exploding").get_by_role("button", name="Activation scale")
    expect(watched).to_have_count(0)
    tab.card("exploding").get_by_role("button", name=MORE).click()
    expect(watched).to_have_count(1)
    rules = tab.card("exploding").get_by_role("button", name=re.compile("passed"))
    expect(rules).to_have_attribute("aria-expanded", "false")  # two lists, each with its own fold
    rules.click()
    expect(tab.card("exploding").get_by_text("passed")).not_to_have_count(0)
    tab.card("exploding").get_by_role("button", name="Fewer findings").click()
    expect(watched).to_have_count(0)
    expect(tab.card("exploding").get_by_role("button", name="Hide rules")).to_be_visible()


def test_a_number_in_a_plot_opens_its_finding(tab, address):
    tab.open(address)
    tab.settle()
    row = tab.findings("dying-relu").filter(has_text="No better than a guess")
    expect(row).to_have_count(0)  # it is behind "more"
    losses = tab.frame.get_by_role("region", name="Loss", exact=True)
    losses.get_by_role("button", name=re.compile("^Findings 4–6: ")).hover()
    losses.get_by_role("button", name=re.compile("^Finding \\d+: No better than a guess")).click()
    expect(row).to_have_attribute("aria-expanded", "true")
    expect(row).to_be_focused()
    expect(row).to_be_in_viewport()


def test_a_finding_is_let_go_by_its_number_and_by_another_step(tab, address):
    tab.open(address)
    tab.settle()
    row = tab.findings("dying-relu").filter(has_text="No better than a guess")
    losses = tab.frame.get_by_role("region", name="Loss", exact=True)
    several = losses.get_by_role("button", name=re.compile("^Findings 4–6: "))
    number = losses.get_by_role("button", name=re.compile("^Finding \\d+: No better than a guess"))
    several.hover()
    number.click()
    expect(row).to_have_attribute("aria-current", "true")
    tab.page.keyboard.press("ArrowLeft")
    expect(row).not_to_have_attribute("aria-current", "true")
    expect(row).to_have_attribute("aria-expanded", "true")  # nothing jumps
    several.hover()
    number.click()
    expect(row).to_have_attribute("aria-current", "true")
    several.hover()
    number.click()
    expect(row).to_have_attribute("aria-expanded", "false")
    expect(row).not_to_have_attribute("aria-current", "true")


def test_a_finding_tells_evidence_reason_and_remedy(tab, address, demo):
    tab.open(address)
    tab.findings("dying-relu").filter(has_text="Dead ReLU").click()
    (finding, *_) = check(load(demo / "dying-relu")).findings
    card = tab.card("dying-relu")
    expect(card).to_contain_text(finding.message)
    for title in ("Why it matters", "What to do", "Source"):
        expect(card.get_by_role("heading", name=title)).to_be_visible()
    source = card.get_by_role("link", name="https://")
    expect(source).to_have_attribute("href", re.compile("^https://arxiv"))


def test_the_first_screen_tells_of_three_runs_what_is_wrong_and_what_to_try(tab, address, demo):
    tab.page.set_viewport_size({"width": 1440, "height": 900})
    tab.open(address)
    for run in ("dying-relu", "exploding"):
        expect(tab.card(run).get_by_text("Try first")).to_be_in_viewport(ratio=1)
        expect(
            tab.card(run).get_by_text(re.compile("^(Very likely|Probably|Possibly) "))
        ).to_be_visible()
        sure = tab.card(run).get_by_role("button", name="How sure?")
        sure.click()
        expect(
            tab.card(run).get_by_text(re.compile("^(Very likely|Likely|Possible): "))
        ).to_be_visible()
        sure.click()
        for row in tab.findings(run).all():
            expect(row).to_be_in_viewport(ratio=1)
        chain = tab.card(run).get_by_role("list", name="What led to what").get_by_role("listitem")
        told = diagnose(check(load(demo / run))).chain
        expect(chain).to_have_count(len(told))
        for line, event in zip(chain.all(), told, strict=True):
            expect(line).to_contain_text(f"Step {event.step}")
    heights = [tab.card(run).bounding_box()["height"] for run in ("healthy", "exploding")]
    assert heights[0] < heights[1] / 2


def test_settings_unfold_for_all_runs_and_stay_so_in_the_address(tab, address):
    tab.open(address)
    optimizer = tab.frame.get_by_role("definition").filter(has_text="SGD")
    expect(optimizer.first).not_to_be_visible()
    tab.card("healthy").get_by_text("Settings").click()
    expect(optimizer).to_have_count(len(RUNS))
    expect(tab.card("exploding").get_by_text("PiecewiseConstantDecay")).to_be_visible()
    tab.page.reload()
    expect(optimizer.last).to_be_visible()


def test_the_measure_and_what_is_read_stay_in_sight_while_the_layers_scroll(tab, address):
    tab.page.set_viewport_size({"width": 1440, "height": 700})
    tab.open(address, '&p.tfdiag.metric=dead_fraction&p.tfdiag.runs=["dying-relu"]')
    tab.settle()
    choice = tab.frame.get_by_role("combobox", name="Measure", exact=True)
    expect(choice).to_have_count(0)
    names = tab.frame.get_by_role("group", name="Layers, input first")
    names.get_by_role("button", name="conv_3", exact=True).evaluate("e => e.scrollIntoView()")
    expect(tab.measure("Dead units")).not_to_be_in_viewport()
    expect(choice).to_be_in_viewport()
    expect(tab.readout("dying-relu")).to_be_in_viewport()
    choice.focus()
    choice.select_option(label="Update ratio")
    expect(tab.heat_map("dying-relu")).to_have_attribute("aria-label", re.compile("^Update ratio"))
    expect(choice).to_be_focused()


def test_findings_at_one_step_are_one_mark_that_lists_them(tab, address):
    tab.open(address, '&p.tfdiag.runs=["dying-relu"]')
    tab.settle()
    pill = tab.frame.get_by_role("button", name=re.compile("^Findings 4–6: "))
    entry = tab.frame.get_by_role("button", name="Finding 5: Loss does not decrease")
    expect(entry).to_be_hidden()
    pill.focus()
    expect(entry).to_be_visible()
    for key in ("Tab", "Tab", "Enter"):
        tab.page.keyboard.press(key)
    row = tab.card("dying-relu").get_by_role("button", name=re.compile("Loss does not decrease"))
    expect(row).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("width", [900, 1000, 1440])
def test_evidence_is_there_in_full(tab, address, width):
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.open(address)
    tab.card("dying-relu").get_by_role("button", name=MORE).click()
    evidence = tab.card("dying-relu").locator(".finding-row .evidence")
    expect(evidence.nth(1)).to_have_text("0 < 0.001")  # as on the axes, not 1e-03
    for cell in tab.frame.locator(".finding-row .evidence").all():
        assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth + 1")


def test_the_dock_stays_and_tells_of_every_run_at_the_step(tab, address, demo):
    tab.open(address)
    tab.settle()
    dock = tab.frame.get_by_role("region", name="Step", exact=True)
    runs = [load(demo / run) for run in RUNS]
    losses = [re.compile(rf"loss {value}") for value in (r"0\.\d", r"2\.\d", "NaN")]
    expect(dock.locator(".dock-readout")).to_have_text(losses)
    tab.frame.locator("main").evaluate("main => main.scrollTop = main.scrollHeight")
    expect(dock).to_be_in_viewport(ratio=1)
    dock.get_by_role("slider", name="Step").press("Home")
    expect(dock).to_contain_text(f"Step {min(run.steps[0] for run in runs)}")
    later = len({finding.rule for finding in check(runs[2]).findings})
    expect(dock).to_contain_text(f"no finding, {later} later")
    tab.frame.get_by_role("button", name="Layer", exact=True).click()
    expect(dock).to_contain_text(f"no finding, {later} later")  # one step for all views
    dock.get_by_role("button", name="Findings by step").click()
    lost = next(f.step for f in check(runs[2]).findings if f.rule == "nonfinite-loss")
    mark = dock.get_by_role("button", name=re.compile(f"^Step {lost}: "))
    mark.click()
    expect(dock.get_by_text(re.compile("NaN loss"))).to_be_visible()  # the worst of that step
    expect(dock).to_contain_text(f"Step {lost}")
    tab.page.reload()
    expect(mark).to_be_visible()


def test_a_cell_is_read_out_under_the_pointer(tab, each_address, demo):
    tab.open(each_address)
    expect(tab.measure("Dead units")).to_have_attribute("aria-pressed", "true")
    tab.settle()
    told = tab.point_at("dying-relu", "dense", 0.5)
    assert "100 %" in told and "dense" in told
    step = int(re.search(r"step (\d+)", told)[1])
    assert step in load(demo / "dying-relu").steps
    assert "step" in tab.readout("healthy").inner_text()  # all runs are read at the same step
    assert "NaN" in tab.point_at("exploding", "conv_1", 0.9)
    assert "no ReLU" in tab.point_at("healthy", "pool", 0.5)


def test_an_accuracy_of_nan_is_told_as_such(tab, address):
    tab.open(address)
    loss = tab.frame.get_by_role("region", name="Loss", exact=True)
    expect(loss.get_by_text("not finite", exact=True)).to_have_count(2)  # on the hatch, read out


def test_another_measure_is_drawn_and_kept_in_the_address(tab, each_address):
    tab.open(each_address)
    expect(tab.heat_map("healthy")).to_have_accessible_name(re.compile("^Dead units of"))
    tab.measure("Gradient RMS").click()
    expect(tab.heat_map("healthy")).to_have_accessible_name(re.compile("^Gradient RMS of"))
    tab.settle()
    assert tab.colours("healthy") > 20
    assert re.search(r"0\.\d|e-\d", tab.point_at("healthy", "conv_1", 0.3))
    assert "p.tfdiag.metric=gradient_rms" in tab.page.url
    tab.page.reload()
    expect(tab.measure("Gradient RMS")).to_have_attribute("aria-pressed", "true")


def test_theme_follows_tensorboard(tab, each_address):
    tab.open(each_address)
    expect(tab.heat_map("exploding")).to_be_visible()
    assert tab.brightness() > 180
    tab.page.get_by_role("button", name="Menu for changing light or dark theme").click()
    tab.page.get_by_role("menuitem", name="Dark").click()
    expect(tab.frame.locator("html")).to_have_css("color-scheme", "dark")
    assert tab.brightness() < 90
    assert tab.colours("healthy") > 3


def test_runs_are_chosen_by_check_boxes(tab, address):
    tab.open(address)
    expect(tab.card("healthy")).to_be_visible()
    for run in ("healthy", "exploding"):
        tab.frame.get_by_role("checkbox", name=f"Show {run},").uncheck()
        expect(tab.card(run)).to_have_count(0)
    expect(tab.heat_map("dying-relu")).to_be_visible()
    tab.frame.get_by_role("checkbox", name="Show healthy,").check()
    expect(tab.heat_map("healthy")).to_be_visible()


def test_each_run_is_listed_with_its_loss_in_the_order_that_the_address_keeps(tab, address):
    tab.open(address, "&p.tfdiag.runs=[%22healthy%22]")
    rail = tab.frame.get_by_role("navigation", name="Runs")
    lines = rail.get_by_role("listitem")
    curves = lines.locator(".spark")
    expect(curves.locator("path")).to_have_count(len(RUNS))
    expect(curves.locator(".hatch")).to_have_count(1)
    exploding = lines.filter(has_text="exploding")
    expect(exploding.locator(".spark .hatch")).to_be_visible()
    expect(exploding.locator("label")).to_have_attribute(
        "title", re.compile(r"loss 2\.\d at step \d+ → not finite$")
    )
    expect(lines).to_contain_text(["healthy", "exploding", "dying-relu"])
    order = rail.get_by_role("combobox", name="Sort runs")
    order.select_option("By name")
    expect(lines).to_contain_text(["healthy", "dying-relu", "exploding"])
    expect(tab.page).to_have_url(re.compile(r"p\.tfdiag\.sort=name"))
    tab.page.reload()
    expect(lines).to_contain_text(["healthy", "dying-relu", "exploding"])
    expect(order).to_have_value("name")
    order.focus()
    order.select_option("Worst first")
    expect(lines).to_contain_text(["healthy", "exploding", "dying-relu"])
    expect(order).to_be_focused()
    expect(tab.page).not_to_have_url(re.compile("sort="))


def test_runs_are_counted_and_filtered_by_their_verdict(tab, address):
    tab.open(address, "&p.tfdiag.runs=[%22healthy%22]")
    rail = tab.frame.get_by_role("navigation", name="Runs")
    lines = rail.get_by_role("listitem")
    ok = rail.get_by_role("button", name="OK: 1 run")
    expect(rail.get_by_role("button", name="Critical: 2 runs")).to_be_visible()
    ok.click()
    expect(ok).to_be_focused()
    expect(lines).to_have_count(1)
    expect(rail).to_contain_text("No other run has the verdict OK.")
    tab.page.reload()
    expect(ok).to_have_attribute("aria-pressed", "true")
    ok.click()
    expect(lines).to_have_count(len(RUNS))
    rail.get_by_role("textbox").fill("zzzz.*")
    expect(rail).to_contain_text("No other run matches ‘zzzz.*’.")


def test_a_list_of_runs_that_is_folded_away_asks_for_no_losses(tab, address):
    asked = []
    tab.page.on("request", lambda request: "api/losses" in request.url and asked.append(request))
    tab.open(address)
    fold = tab.frame.get_by_role("button", name="Fold the list of runs away")
    curves = tab.frame.locator(".spark path")
    expect(curves).to_have_count(len(RUNS))
    assert asked
    fold.click()
    asked.clear()
    tab.page.reload()
    expect(tab.heat_map("healthy")).to_be_visible()
    tab.settle()
    assert asked == []
    tab.frame.get_by_role("button", name="Show the list of runs").click()
    expect(curves).to_have_count(len(RUNS))


def test_grad_cam_is_shown_over_the_steps(tab, address):
    tab.open(address)
    region = tab.frame.get_by_role("region", name="Grad-CAM")
    expect(region).to_contain_text("Grad-CAM of layer conv_3")
    last = region.get_by_role("button", name=re.compile(f"^Step {STEPS}: "))
    expect(last).to_have_count(len(RUNS))
    first = region.get_by_role("button", name=re.compile("^Step 0: .*wrong"))
    first.first.click()
    expect(region).to_contain_text("step 0")
    region.get_by_role("button", name=re.compile("^Probe image")).nth(1).click()
    expect(region.get_by_role("button", name=re.compile("^Probe image")).nth(1)).to_have_attribute(
        "aria-pressed", "true"
    )


def test_an_empty_folder_shows_how_to_begin_and_fills_by_itself(tab, tmp_path):
    with tensorboard(tmp_path, "--reload_interval=1") as address:
        tab.open(address)
        expect(tab.frame.get_by_role("heading", name="No health data here yet")).to_be_visible()
        code = tab.frame.get_by_role("code").first.inner_text()
        compile(code, "the three lines", "exec")
        assert "HealthMonitor" in code and "callbacks=" in code
        live = {"start": time.time(), "finished": False, "cams": True}
        for steps in (range(1, 4), range(4, 10)):
            record(tmp_path / "live", steps, **live)
            newest = tab.frame.get_by_text(f"live · step {steps[-1]}", exact=True)
            expect(newest).to_be_visible(timeout=20_000)
        expect(tab.verdict("live")).to_be_visible()


def test_names_from_a_recording_are_text_and_nothing_else(tab, tmp_path):
    for name in HOSTILE:
        record(tmp_path / name, layers=(HOSTILE[0], "dense", "logits"), cams=True)
    dialogs = []
    tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message) or dialog.dismiss())
    with tensorboard(tmp_path, runs=len(HOSTILE)) as address:
        tab.open(address)
        for name in HOSTILE:
            expect(tab.verdict(name)).to_contain_text("dense died at step 3")
            tab.settle()
            assert HOSTILE[0] in tab.point_at(name, HOSTILE[0], 0.5)
    assert dialogs == []


def test_blocks_of_a_large_model_fold_and_stay_so_in_the_address(tab, tmp_path):
    parts = [f"block_{i}/{part}" for i in range(15) for part in ("conv", "bn", "relu")]
    for run in ("one", "other"):
        record(tmp_path / run, layers=("stem", *parts, "head"))
    with tensorboard(tmp_path, runs=2) as address:
        tab.open(address)
        lines = tab.frame.get_by_role("group", name="Layers, input first").get_by_role("button")
        expect(lines).to_have_count(17)
        block = lines.filter(has_text="block_7")
        expect(block).to_have_accessible_name("block_7, 3 layers, worst")
        expect(block).to_have_attribute("aria-expanded", "false")
        tab.settle()
        assert "worst of 3" in tab.point_at("one", "block_7, 3 layers, worst", 0.5)
        tall = [tab.heat_map(run).bounding_box()["height"] for run in ("one", "other")]
        assert tall[0] == tall[1]
        block.focus()
        tab.page.keyboard.press("Enter")
        expect(block).to_have_attribute("aria-expanded", "true")
        expect(block).to_be_focused()
        expect(lines).to_have_count(20)
        assert "block_7/bn" in tab.point_at("other", "block_7/bn", 0.5)
        tab.page.reload()
        expect(lines).to_have_count(20)
        tab.frame.get_by_role("button", name="Unfold all").click()
        expect(lines).to_have_count(17 + 45)
        tab.frame.get_by_role("button", name="Fold all", exact=True).click()
        expect(lines).to_have_count(17)
        block.click()
        expect(tab.frame.get_by_role("button", name="block_7/relu")).to_be_visible()


def test_of_very_many_layers_only_those_near_the_window_are_in_the_page(tab, tmp_path):
    record(tmp_path / "long", layers=tuple(f"layer_{i}" for i in range(400)))
    with tensorboard(tmp_path, runs=1) as address:
        tab.open(address)
        lines = tab.frame.get_by_role("group", name="Layers, input first").get_by_role("button")
        first, last = (
            tab.frame.get_by_role("button", name=name, exact=True)
            for name in ("layer_0", "layer_399")
        )
        expect(tab.heat_map("long")).to_have_accessible_name(re.compile("400 layers"))
        expect(last).to_have_count(0)
        tab.heat_map("long").evaluate("map => map.scrollIntoView({block: 'end'})")
        expect(last).to_be_visible()
        expect(first).to_have_count(0)
        assert lines.count() < 200


def test_a_run_in_the_log_folder_itself_is_called_as_the_folder(tab, tmp_path):
    record(tmp_path / "digits")
    with tensorboard(tmp_path / "digits", runs=1) as address:
        tab.open(address)
        expect(tab.verdict("digits")).to_be_visible()
        expect(tab.frame.get_by_role("checkbox", name="Show digits,")).to_be_checked()
        tab.settle()
        expect(tab.heat_map("digits")).to_be_visible()
        report = tab.card("digits").get_by_role("link", name="Report as Markdown")
        expect(report).to_have_attribute("href", re.compile(r"run=\.&"))  # its name all the same
        expect(report).to_have_attribute("download", "digits.md")
