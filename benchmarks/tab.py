"""Measures the Health tab on a log folder of many long runs, in a real browser.

    python -m benchmarks.tab --folder /tmp/tab                # 100 runs, 200 layers, 2000 steps
    python -m benchmarks.tab --folder /tmp/tab --size 10x50x500
    python -m benchmarks.tab --folder /tmp/tab --size 10x50x500 --scalars

The last one shows the same numbers in TensorBoard's own Time Series tab. The log
folder is made once and kept. Needs Chromium, as the browser tests do. Prints Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np

from benchmarks import logfolder
from benchmarks.logfolder import Size
from tests.browser import chromium
from tests.tensorboards import tensorboard

#: Seconds that TensorBoard may take to read the whole log folder.
PATIENCE = 1800
#: Runs that are asked for, one after the other, to time the addresses.
ASKED_RUNS = 10
#: Milliseconds between reaching a button and pressing it.
POINTED_MS = 400
#: Milliseconds of hovering.
HOVER_MS = 3000
#: Live updates that are measured.
UPDATES = 3
#: Seconds in which TensorBoard has read what is new and the tab has asked for it.
LIVE_SECONDS = 15

#: All that the main thread does. (The duration of scripts leaves out what follows an answer, as a
#: microtask, which is nearly all of an update.)
WORK = "TaskDuration"

#: Notes in every frame, in milliseconds, when the page first shows something.
WATCH = """
window.seen = {};
document.addEventListener("click", () => { window.clicked = Date.now() }, true);
const shown = {
  verdicts: () => document.querySelector("article h3"),
  chart: () => document.querySelector("scalar-card line-chart svg path"),
};
const look = () => {
  for (const [name, is] of Object.entries(shown)) if (is()) window.seen[name] ??= Date.now();
  const maps = [...document.querySelectorAll("[role=img][aria-label*=' layers.'] canvas")];
  const title = maps[0]?.parentElement.getAttribute("aria-label").split(" of ")[0];
  if (maps.length && maps.every((map) => map.dataset.painted)) window.seen[title] ??= Date.now();
  if (!window.seenEnough) requestAnimationFrame(look);
};
look();
window.tasks = []; // those that keep the page waiting for more than 50 ms
new PerformanceObserver((list) => {
  window.tasks.push(...list.getEntries().map((task) => task.duration));
}).observe({ type: "longtask" });
"""
#: When each answer had come, and after how many milliseconds.
REQUESTS = """performance.getEntriesByType("resource")
  .filter((one) => one.name.includes("/api/"))
  .map((one) => [performance.timeOrigin + one.responseEnd, one.duration])"""
FRAMES = """(ms) => new Promise((done) => {
  const frames = [];
  const start = performance.now();
  let last = start;
  const next = (now) => {
    frames.push(now - last);
    last = now;
    if (now - start < ms) requestAnimationFrame(next); else done(frames.slice(2));
  };
  requestAnimationFrame(next);
})"""


class Row(NamedTuple):
    """A line of the table; `target` is the largest good value, None where there is none."""

    what: str
    value: float
    unit: str
    target: float | None = None

    def __str__(self) -> str:
        if self.target is None:
            return f"| {self.what} | {self.value:,.0f} {self.unit} | | |"
        good = "yes" if self.value <= self.target else "**no**"
        target = f"{self.target:,.0f} {self.unit}"
        return f"| {self.what} | {self.value:,.0f} {self.unit} | {target} | {good} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures the Health tab at scale.")
    parser.add_argument("--folder", type=Path, required=True, help="where log folders are kept")
    parser.add_argument("--size", type=_size, default=Size(100, 200, 2000), metavar="RxLxS")
    parser.add_argument("--server", choices=("fast", "python", "both"), default="both")
    parser.add_argument(
        "--scalars", action="store_true", help="measure Time Series on scalars instead"
    )
    options = parser.parse_args()
    if options.scalars:
        return _scalars(options)
    logdir = logfolder.make(options.folder, options.size)
    for server in ("fast", "python") if options.server == "both" else (options.server,):
        flags = ("--load_fast=false",) if server == "python" else ()
        target = 300.0 if server == "python" else 100.0
        _head(f"{options.size}, TensorBoard {' '.join(flags) or 'as it starts'}")
        with contextlib.closing(logfolder.begin_live(logdir, options.size)) as live:
            with tensorboard(logdir, *flags) as address:
                print(_load(lambda: _is_read(address, options.size)), flush=True)
                for row in chain(_backend(address, target), _frontend(address, live)):
                    print(row, flush=True)
    return 0


def _size(text: str) -> Size:
    return Size(*map(int, text.split("x")))


def _head(title: str) -> None:
    print(f"\n## {title}\n\n| | measured | target | met |\n|---|---|---|---|", flush=True)


def _load(is_read: Callable[[], bool]) -> Row:
    """Waits until TensorBoard has read everything."""
    start = time.monotonic()
    while not is_read():
        if time.monotonic() - start > PATIENCE:
            raise TimeoutError(f"TensorBoard did not read the log folder within {PATIENCE} s")
        time.sleep(1)
    return Row("TensorBoard reads the log folder", time.monotonic() - start, "s")


def _is_read(address: str, size: Size) -> bool:
    runs = _get(address, "api/runs").json["runs"]
    whole = [run for run in runs if run["recorded"] and run["last_step"] >= size.steps - 100]
    return len(whole) == size.runs + 1


def _are_scalars_read(address: str, size: Size) -> bool:
    def asked(path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"{address}data/{path}?{urlencode(parameters)}") as got:
            return json.load(got)

    tags = asked("plugin/scalars/tags")
    last = [
        asked("plugin/scalars/scalars", run=run, tag=max(of_run))[-1][1]
        for run, of_run in tags.items()
        if of_run
    ]
    return len(last) == size.runs and min(last) == size.steps


class Answer(NamedTuple):
    """What came back, and after how many milliseconds."""

    milliseconds: float
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _get(address: str, path: str, **parameters: str) -> Answer:
    start = time.perf_counter()
    with urllib.request.urlopen(
        f"{address}data/plugin/tfdiag/{path}?{urlencode(parameters)}"
    ) as got:
        body = got.read()
    return Answer(1000 * (time.perf_counter() - start), body)


def _backend(address: str, target: float) -> Iterator[Row]:
    """Asks for one run after the other what the tab asks for when it is shown.

    Args:
        target: milliseconds of 95 in 100 answers.
    """
    times: dict[str, list[float]] = {}

    def ask(path: str, note: str = "", **parameters: str) -> Answer:
        answer = _get(address, path, **parameters)
        times.setdefault(path + note, []).append(answer.milliseconds)
        return answer

    for _ in range(ASKED_RUNS):
        runs = ask("api/runs").json["runs"]
    for run in [run["run"] for run in runs if run["recorded"]][:ASKED_RUNS]:
        shown = ask("api/run", ", not asked before", run=run).json
        ask("api/run", ", again", run=run)
        ask("api/metric", ", the first of a run", run=run, metric="gradient_rms")
        for metric in ("gradient_nonfinite", "dead_fraction", "output_nonfinite"):
            ask("api/metric", run=run, metric=metric)
        since = str(shown["last_step"])
        ask("api/run", ", since", run=run, since=since)
        ask("api/metric", ", since", run=run, metric="gradient_rms", since=since)
        ask("api/histograms", run=run, layer=shown["model"]["layers"][0]["name"])
    for _ in range(ASKED_RUNS):
        ask("api/rules")
        ask("api/losses")
    for path, found in times.items():
        median, most = (float(share) for share in np.percentile(found, (50, 95)))
        yield Row(f"`{path}`, 50 of 100", median, "ms")
        yield Row(f"`{path}`, 95 of 100", most, "ms", target)


@contextlib.contextmanager
def _page(address: str, tab: str) -> Iterator[Any]:
    """A browser with TensorBoard open at one of its tabs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path(), args=list(chromium.OPTIONS)
        )
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        page.goto(f"{address}#{tab}")
        yield page
        browser.close()


def _frontend(address: str, live: logfolder.LiveRun) -> Iterator[Row]:
    with _page(address, "timeseries") as page:
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})  # of this thread alone
        tab = page.get_by_role("tab", name="Health")
        tab.wait_for()
        page.wait_for_timeout(3000)
        tab.click()
        frame = _frame(page)
        clicked = page.evaluate("window.clicked")
        _wait(frame, "window.seen.verdicts")
        first = _wait(frame, "Object.keys(window.seen).length > 1 && window.seen.verdicts")
        yield Row("first verdict after the click on the tab", first - clicked, "ms", 1500)
        maps = max(frame.evaluate("window.seen").values())
        yield Row("first heat maps after the click", maps - clicked, "ms")
        waits = [wait for end, wait in frame.evaluate(REQUESTS) if end <= maps]
        for share in (50, 95):
            what = f"the {len(waits)} requests until then, {share} of 100"
            yield Row(what, np.percentile(waits, share), "ms")
        page.wait_for_timeout(2000)
        yield _switch(frame, "Output RMS", "")
        yield _switch(frame, "Update ratio", ", which was pointed at", POINTED_MS)
        yield _switch(frame, "Output RMS", ", again")
        yield from _hover(page, frame)
        yield from _live(page, frame, cdp, live)
        cdp.send("HeapProfiler.collectGarbage")
        memory = cdp.send("Runtime.getHeapUsage")
        yield Row("JavaScript heap", memory["usedSize"] / 2**20, "MiB", 500)
        kept = memory["usedSize"] + memory["backingStorageSize"]
        yield Row("the same with the arrays beside it", kept / 2**20, "MiB", 500)


def _frame(page: Any) -> Any:
    """The tab's own frame, once it has begun to watch itself."""
    while True:
        for frame in page.frames:
            if "name=tfdiag" in frame.url and frame.evaluate("'seen' in window"):
                return frame
        page.wait_for_timeout(5)


def _wait(frame: Any, expression: str) -> float:
    return frame.wait_for_function(expression, polling=20).json_value()


def _switch(frame: Any, title: str, note: str, pointed: int = 0) -> Row:
    group = frame.get_by_role("group", name="Measure shown in the heat maps")
    button = group.get_by_role("button", name=title)
    if pointed:
        button.hover()
        frame.page.wait_for_timeout(pointed)
    frame.evaluate("title => { delete window.seen[title] }", title)
    button.click()
    shown = _wait(frame, f"window.seen[{title!r}]")
    clicked = frame.evaluate("window.clicked")
    return Row(f"switch to {title}{note}", shown - clicked, "ms", 150)


def _hover(page: Any, frame: Any) -> Iterator[Row]:
    area = frame.locator("[role=img][aria-label*=' layers.']").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    frame.evaluate(f"window.frames_ = ({FRAMES})({HOVER_MS})")
    end = time.monotonic() + HOVER_MS / 1000
    i = 0
    while time.monotonic() < end:
        i += 1
        x = box["x"] + (i * 7) % int(box["width"])
        page.mouse.move(x, max(60, box["y"]) + (i * 3) % min(300, int(box["height"])))
    frames = frame.evaluate("window.frames_")
    for share in (50, 95):
        yield Row(f"hover, time of a frame, {share} of 100", np.percentile(frames, share), "ms", 17)


def _live(page: Any, frame: Any, cdp: Any, live: logfolder.LiveRun) -> Iterator[Row]:
    """Main-thread time of an update, beyond what the page takes in the same time without one."""
    frame.get_by_role("checkbox", name=f"Show {logfolder.LIVE}").check(force=True)
    live.step()  # from now on it is called live, which shows by itself
    page.wait_for_timeout(3000 * LIVE_SECONDS)  # until nothing more is fetched ahead

    for one in page.frames:
        one.evaluate("window.seenEnough = true")
    page.emulate_media(reduced_motion="reduce")  # no dot pulses: else each frame would be drawn

    def busy(change: Callable[[], None]) -> float:
        before = _metric(cdp, WORK)
        change()
        page.wait_for_timeout(1000 * LIVE_SECONDS)
        return 1000 * (_metric(cdp, WORK) - before)

    frame.evaluate("window.tasks.length = 0")
    times = [(busy(lambda: None), busy(live.step)) for _ in range(UPDATES)]
    longest = frame.evaluate("Math.max(0, ...window.tasks)")
    extra = np.median([updated - quiet for quiet, updated in times])
    yield Row("main thread during a live update", extra, "ms", 100)
    yield Row("its longest task (0: none above 50 ms)", longest, "ms")


def _metric(cdp: Any, name: str) -> float:
    found = cdp.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in found if metric["name"] == name)


def _scalars(options: argparse.Namespace) -> int:
    """The gradient RMS of every layer as a scalar of its own, in the stock Time Series tab."""
    logdir = logfolder.make_scalars(options.folder, options.size)
    _head(f"Time Series: {options.size}, one measure as scalars per layer")
    with tensorboard(logdir) as address:
        print(_load(lambda: _are_scalars_read(address, options.size)), flush=True)
        with _page(address, "timeseries") as page:
            start = time.time()
            page.reload()
            shown = _wait(page.main_frame, "window.seen.chart")
    print(Row("first chart after the page was opened", shown - 1000 * start, "ms"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
