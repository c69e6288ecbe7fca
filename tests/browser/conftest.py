"""A real TensorBoard on the demo's runs, and a browser that may see no error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium
from tests.browser.tab import Tab
from tests.tensorboards import tensorboard


@pytest.fixture(scope="package")
def demo(tmp_path_factory) -> Path:
    """The demo's three runs, trained as a user trains them."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "tfdiag.cli", "demo", "--no-tensorboard"]
    done = subprocess.run(
        [*command, "--log-dir", str(folder)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


@pytest.fixture(scope="package")
def address(demo) -> Iterator[str]:
    """TensorBoard on the demo's runs."""
    with tensorboard(demo, runs=3) as served:
        yield served


@pytest.fixture(scope="package")
def slow_address(demo) -> Iterator[str]:
    """The same, with TensorBoard's other data server, written in Python."""
    with tensorboard(demo, "--load_fast=false", runs=3) as served:
        yield served


@pytest.fixture(params=["address", "slow_address"])
def each_address(request) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    # Here, because the other tests run without it too.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path(), args=list(chromium.OPTIONS)
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context(browser) -> Iterator[Any]:
    """What browser windows share; above all the cache, so that only the first one is slow."""
    with browser.new_context(viewport={"width": 1600, "height": 1200}) as context:
        yield context


@pytest.fixture
def tab(context) -> Iterator[Tab]:
    """The Health tab in a new window. The test fails on any error that the browser sees."""
    with context.new_page() as page:
        tab = Tab(page)
        yield tab
        assert tab.troubles == []
        page.evaluate("localStorage.clear()")
