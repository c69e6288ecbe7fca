"""The columns beside the heat maps of Diagnosis: there where they have room, on the same axes."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

CRITICAL = (156, 0, 58)  # the light theme's


def opened(tab, address, runs, width):
    tab.page.set_viewport_size({"width": width, "height": 1000})
    tab.open(address, f"&p.tfdiag.metric=gradient_rms&p.tfdiag.runs={quote(json.dumps(runs))}")
    tab.settle()
    return tab.frame.get_by_role("region", name="Layers by steps")


def test_a_dead_layer_is_seen_beside_the_map_of_another_measure(tab, address):
    section = opened(tab, address, ["dying-relu"], 1440)
    limits = section.locator(".compact-head .limit")
    expect(limits).to_have_count(5)
    assert sorted(limits.all_inner_texts()) == ["0.1", "1e-5", "25", "50", "95"]
    for head in ("dead %", "update ratio", "gradient", "trend"):
        expect(section.get_by_text(head, exact=True)).to_be_visible()
    tab.point_at("dying-relu", "dense", 0.5)
    told = tab.readout("dying-relu")
    expect(told).to_contain_text(re.compile(r"at step \d+· dead units 100 % · update ratio 0"))
    tab.point_at("dying-relu", "digit", 0.5)
    expect(told).not_to_contain_text("dead units")  # it has no ReLU
    picture = tab._picture(section.locator(".compact").bounding_box()).convert("RGB")
    assert CRITICAL in {colour for _, colour in picture.getcolors(picture.width * picture.height)}


def test_before_the_first_step_nothing_is_recorded_and_it_is_said(tab, address):
    opened(tab, address, ["dying-relu"], 1440)
    tab.point_at("dying-relu", "dense", 0)
    expect(tab.readout("dying-relu")).to_contain_text("update ratio no record")


def test_a_layer_is_pointed_at_beside_the_map_too(tab, address):
    section = opened(tab, address, ["dying-relu"], 1440)
    tab.point_at("dying-relu", "conv_1", 0.5)
    map_, beside = tab._box(tab.heat_map("dying-relu")), section.locator(".compact").bounding_box()
    assert (beside["y"], beside["height"]) == (map_["y"], map_["height"])
    row = section.get_by_role("button", name="dense", exact=True).bounding_box()
    tab.page.mouse.move(beside["x"] + 30, row["y"] + row["height"] / 2)
    expect(tab.readout("dying-relu")).to_contain_text("dense")
    tab.page.mouse.click(beside["x"] + 30, row["y"] + row["height"] / 2)
    expect(tab.page).to_have_url(re.compile("p.tfdiag.layer=dense"))


@pytest.mark.parametrize(
    "runs, width, columns",
    [(1, 1440, True), (2, 1440, True), (3, 1440, False), (3, 1900, True), (3, 1000, False)],
)
def test_they_are_there_where_they_have_room_and_never_shift_an_axis(
    tab, address, runs, width, columns
):
    shown = ["healthy", "dying-relu", "exploding"][:runs]
    section = opened(tab, address, shown, width)
    expect(section.get_by_text("dead %")).to_have_count(runs if columns else 0)
    curves = tab.frame.get_by_role("region", name="Loss", exact=True).locator(".curve")
    for i, run in enumerate(shown):
        heat = tab._box(tab.heat_map(run))
        loss = tab._box(curves.nth(i))
        assert (loss["x"], loss["width"]) == (heat["x"], heat["width"])


def test_they_go_when_the_window_becomes_narrow_and_come_back(tab, address):
    section = opened(tab, address, ["healthy", "dying-relu"], 1440)
    expect(section.get_by_text("dead %")).to_have_count(2)
    wide = tab._box(tab.heat_map("healthy"))["width"]
    tab.page.set_viewport_size({"width": 1200, "height": 1000})
    expect(section.get_by_text("dead %")).to_have_count(0)
    tab.settle()
    tab.page.set_viewport_size({"width": 1440, "height": 1000})
    expect(section.get_by_text("dead %")).to_have_count(2)
    assert tab._box(tab.heat_map("healthy"))["width"] == wide
