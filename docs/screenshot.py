"""Takes the pictures of the documents: the Health tab on the demo's runs. Run `make screenshot`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.tab import Tab
from tests.tensorboards import tensorboard
from tfdiag import cli

RUNS = Path(".demo")
DOCS = Path(__file__).parent
#: The picture of the README.
PICTURE = DOCS / "health-tab.png"
SIZE = {"width": 1440, "height": 1480}
#: Each other view, as the address names it.
VIEWS = ("rules", "layer", "model", "probe", "compare", "thresholds", "cost")
VIEW_SIZE = {"width": 1440, "height": 1000}
LARGEST = 300_000
#: Shades of red, green and blue: fewer than 256 show no difference and save bytes.
SHADES = 64


def take(browser: Any, address: str) -> Image.Image:
    """Returns a picture of the tab as it looks when it is opened."""
    tab = Tab(browser.new_page(viewport=SIZE))
    tab.open(address)
    for run in ("healthy", "dying-relu", "exploding"):
        tab.heat_map(run).wait_for()
    tab.settle()
    return picture_of(tab)


def take_view(browser: Any, address: str, view: str) -> Image.Image:
    """Returns a picture of one view."""
    tab = Tab(browser.new_page(viewport=VIEW_SIZE))
    tab.open(address, f"&p.tfdiag.view={view}")
    tab.page.wait_for_load_state("networkidle")
    return picture_of(tab)


def picture_of(tab: Tab) -> Image.Image:
    """Returns what the window shows once nothing is loaded any more."""
    tab.page.wait_for_load_state("networkidle")
    tab.page.wait_for_timeout(1000)  # what came last is drawn
    picture = Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB")
    tab.page.close()
    return picture


def save(picture: Image.Image, path: Path) -> None:
    """Writes a picture.

    Raises:
        SystemExit: if it is too large for a repository.
    """
    steps = SHADES - 1
    shaded = picture.point([round(v / 255 * steps) * 255 // steps for v in range(256)] * 3)
    shaded.save(path, optimize=True)
    size = path.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{path} has {size} bytes, but at most {LARGEST} are wanted.")
    print(f"{path}: {picture.width} x {picture.height}, {size} bytes")


def main() -> None:
    """Trains the runs if they are not there, and writes the pictures."""
    cli.main(["demo", "--no-tensorboard", "--log-dir", str(RUNS)])
    with tensorboard(RUNS, runs=3) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path(), args=list(chromium.OPTIONS)
        )
        save(take(browser, address), PICTURE)
        for view in VIEWS:
            save(take_view(browser, address, view), DOCS / f"view-{view}.png")
        browser.close()


if __name__ == "__main__":
    main()
