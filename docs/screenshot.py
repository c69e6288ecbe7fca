"""Takes the README's picture: the Health tab on the demo's three runs. Run `make screenshot`."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.tab import Tab
from tests.tensorboards import tensorboard
from tfdiag import cli

RUNS = Path(".demo")
PICTURE = Path(__file__).with_name("health-tab.png")
SIZE = {"width": 1440, "height": 1410}
LARGEST = 300_000
#: Shades of red, green and blue: fewer than 256 show no difference and save bytes.
SHADES = 64


def take(log_dir: Path) -> Image.Image:
    """Returns a picture of the tab as it looks when it is opened."""
    with tensorboard(log_dir, runs=3) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path(), args=list(chromium.OPTIONS)
        )
        tab = Tab(browser.new_page(viewport=SIZE))
        tab.open(address)
        for run in ("healthy", "dying-relu", "exploding"):
            tab.heat_map(run).wait_for()
        tab.settle()
        tab.page.wait_for_load_state("networkidle")
        picture = tab.page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(picture)).convert("RGB")


def main() -> None:
    """Trains the runs if they are not there, and writes the picture."""
    cli.main(["demo", "--no-tensorboard", "--log-dir", str(RUNS)])
    steps = SHADES - 1
    picture = take(RUNS).point([round(v / 255 * steps) * 255 // steps for v in range(256)] * 3)
    picture.save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{PICTURE} has {size} bytes, but at most {LARGEST} are wanted.")
    print(f"{PICTURE}: {picture.width} x {picture.height}, {size} bytes")


if __name__ == "__main__":
    main()
