"""The Health tab as a user meets it: by what is written there, not by how it is made."""

from __future__ import annotations

import io
import re
from typing import Any

from PIL import Image
from playwright.sync_api import expect


class Tab:
    """A browser window with TensorBoard's Health tab in front.

    Attributes:
        troubles: errors in the console, failed requests, requests to other machines.
    """

    def __init__(self, page: Any):
        self.page = page
        self.frame = page.frame_locator("iframe[src*='plugin_entry.html?name=tfdiag']")
        self.troubles: list[str] = []
        self._address = ""
        page.on("console", lambda said: said.type == "error" and self._note(said.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("requestfailed", lambda request: self._note_failure(request))
        page.on("response", lambda got: got.status >= 400 and self._note(f"{got.status} {got.url}"))
        page.on("request", lambda request: self._check_host(request.url))

    def _note_failure(self, request: Any) -> None:
        """What is fetched ahead may be under way when the page is left: that ends it."""
        if request.failure != "net::ERR_ABORTED":
            self._note(f"{request.failure} {request.url}")

    def open(self, address: str, more: str = "") -> None:
        self._address = address
        self.page.goto(f"{address}#tfdiag{more}")
        self.frame.get_by_role("heading", name=re.compile("^Health"), level=1).wait_for()

    def settle(self) -> None:
        """Waits until the values of every heat map are there."""
        for heat_map in self.frame.get_by_role("img", name=re.compile(r", \d+ layers")).all():
            readout = self.frame.locator(f"#{heat_map.get_attribute('aria-describedby')}")
            expect(readout).to_contain_text("step")

    def card(self, run: str) -> Any:
        """The diagnosis of a run."""
        return self.frame.get_by_role("article", name=run, exact=True)

    def verdict(self, run: str) -> Any:
        return self.card(run).get_by_role("heading", level=3)

    def findings(self, run: str) -> Any:
        """The rows of the table; each has a sign."""
        row = self.card(run).get_by_role("button")
        return row.filter(has=self.frame.get_by_role("img", name=re.compile("Critical|Warning")))

    def measure(self, title: str) -> Any:
        """The button that shows a measure in the heat maps."""
        group = self.frame.get_by_role("group", name="Measure shown in the heat maps")
        return group.get_by_role("button", name=title)

    def heat_map(self, run: str) -> Any:
        return self.frame.get_by_role("img", name=re.compile(f" of {re.escape(run)}, "))

    def point_at(self, run: str, layer: str, along: float) -> str:
        """Moves the pointer over a cell of a heat map and returns what is read out.

        Args:
            along: place on the axis of steps, from 0 to 1.
        """
        area = self._area(run)
        names = self.frame.get_by_role("group", name="Layers, input first")
        row = self._box(names.get_by_role("button", name=layer, exact=True))
        self.page.mouse.move(area["x"] + along * area["width"], row["y"] + row["height"] / 2)
        return self.readout(run).inner_text()

    def readout(self, run: str) -> Any:
        return self.frame.locator(f"#{self.heat_map(run).get_attribute('aria-describedby')}")

    def brightness(self) -> float:
        """From 0 to 255: the mean over what the tab shows."""
        histogram = (
            self._picture(self.frame.locator("body").bounding_box()).convert("L").histogram()
        )
        return sum(i * count for i, count in enumerate(histogram)) / sum(histogram)

    def colours(self, run: str) -> int:
        """The number of different colours in a heat map."""
        picture = self._picture(self._area(run))
        return len(picture.convert("RGB").getcolors(picture.width * picture.height))

    def _area(self, run: str) -> dict[str, float]:
        # Not Playwright's own scrolling: that fails if the panel is drawn anew meanwhile.
        self.heat_map(run).evaluate("map => map.scrollIntoView({block: 'center'})")
        return self._box(self.heat_map(run))

    def _box(self, locator: Any) -> dict[str, float]:
        for _ in range(50):
            box = locator.bounding_box()
            if box is not None:
                return box
            self.page.wait_for_timeout(100)  # a panel that is just drawn anew has no place
        raise AssertionError(f"{locator} is nowhere on the page")

    def _picture(self, box: dict[str, float]) -> Image.Image:
        return Image.open(io.BytesIO(self.page.screenshot(clip=box)))

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _check_host(self, url: str) -> None:
        if not url.startswith((self._address, "data:", "blob:")):
            self._note(f"asked another machine: {url}")
