"""Every view, in light and in dark, has nothing that axe-core calls a violation."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

AXE = Path(__file__).parents[2] / "tensorboard_plugin/frontend/node_modules/axe-core/axe.min.js"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_has_a_violation(tab, address, theme):
    tab.open(address)
    if theme == "dark":
        tab.page.get_by_role("button", name="Menu for changing light or dark theme").click()
        tab.page.get_by_role("menuitem", name="Dark").click()
    (frame,) = [frame for frame in tab.page.frames if "name=tfdiag" in frame.url]
    frame.evaluate(AXE.read_text())  # a script element would be against the page's policy
    views = tab.frame.get_by_role("navigation", name="Views").get_by_role("button")
    found = {}
    for name in views.all_inner_texts():
        views.filter(has_text=name).click()
        tab.frame.get_by_role("heading", name=name, level=1).wait_for()
        tab.page.wait_for_load_state("networkidle")
        assert frame.evaluate("document.documentElement.dataset.theme") == theme
        for violation in frame.evaluate("axe.run()")["violations"]:
            places = [node["failureSummary"] + "\n" + node["html"] for node in violation["nodes"]]
            found[f"{name}: {violation['id']}"] = places[:5]
    assert found == {}
