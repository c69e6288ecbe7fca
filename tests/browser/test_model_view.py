"""The Model view: the layers as a graph, coloured by their health at the cursor's step."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.recordings import record
from tests.tensorboards import tensorboard
from tfdiag import load
from tfdiag.architecture import Architecture, Layer

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow]

HOSTILE = "<img src=x onerror=alert(1)>" * 4


def model(*layers: tuple[str, str, tuple[str, ...]]) -> Architecture:
    """Returns a model of layers by name, type and inputs; the last one is its output."""
    last = layers[-1][0]
    return Architecture(
        tuple(
            Layer(name, kind, (8,), 72, True, "relu", role, inputs, {})
            for name, kind, inputs in layers
            for role in ["output" if name == last else "hidden"]
        ),
        loss="mse",
        optimizer="Adam",
    )


def residual() -> Architecture:
    return model(
        ("stem", "Conv2D", ()),
        ("dense", "Dense", ("stem",)),
        ("add", "Add", ("stem", "dense")),
        ("other", "Dense", ()),
        ("logits", "Dense", ("add", "other")),
    )


def deep(blocks: int = 13) -> Architecture:
    """Returns a model of ten layers in each block, and two more."""
    names = [
        f"stage_{i}/{part}_{j}" for i in range(blocks) for j in range(5) for part in ("a", "b")
    ]
    chain = ["dense", *names, "logits"]
    return model(
        *((name, "Dense", tuple(chain[max(0, i - 1) : i])) for i, name in enumerate(chain))
    )


class Graph:
    """The layer graph of one run in the Model view."""

    def __init__(self, tab, run):
        self.tab = tab
        self.element = tab.frame.get_by_role("group", name=re.compile(f"^Layer graph of {run},"))

    def places(self):
        return self.element.locator("[data-place]")

    def place(self, name):
        return self.element.get_by_role("button", name=re.compile(f"^{re.escape(name)}, "))

    def names(self):
        return [place.get_attribute("title") for place in self.places().all()]

    def edges(self):
        return self.element.locator("path.edge")


def open_model(tab, address, more=""):
    tab.open(address, more)
    tab.frame.get_by_role("button", name="Model", exact=True).click()
    expect(tab.frame.get_by_role("heading", name="Layer graph")).to_be_visible()
    tab.frame.locator(".place-value:not(:empty)").first.wait_for()


def fit(tab):
    tab.frame.get_by_role("button", name="Fit the whole graph").click()


def facts(tab):
    return tab.frame.get_by_role("complementary", name="Chosen layer")


def test_every_layer_is_a_place_with_its_health_at_the_step(tab, each_address, demo):
    open_model(tab, each_address)
    graph = Graph(tab, "dying-relu")
    layers = load(demo / "dying-relu").architecture.layers
    assert graph.names() == [layer.name for layer in layers]
    dense = graph.place("dense")
    expect(dense).to_have_accessible_name(re.compile("Dense .*Critical: .*Dead ReLU.*Dead units"))
    expect(dense).to_contain_text("100 %")
    expect(graph.place("pool")).to_contain_text("no ReLU")  # exempt, not healthy
    fit(tab)
    dense.click()
    assert "p.tfdiag.layer=dense" in tab.page.url
    expect(facts(tab)).to_contain_text("Dead ReLU")
    expect(facts(tab)).to_contain_text("since step")
    facts(tab).get_by_role("button", name=re.compile("rules exempt")).click()
    expect(facts(tab)).to_contain_text("Saturated activation")
    # At the first step the finding of a later one is not there yet.
    exploding = Graph(tab, "exploding")
    expect(exploding.place("conv_1")).to_have_accessible_name(re.compile("Critical"))
    tab.frame.get_by_role("slider", name="Step").press("Home")
    expect(exploding.place("conv_1")).to_have_accessible_name(re.compile("no finding"))
    assert re.search(r"p\.tfdiag\.step=\d", tab.page.url)


def test_keys_walk_through_steps_and_layers_and_open_one(tab, tmp_path):
    record(tmp_path / "run", model=residual(), cams=True)
    with tensorboard(tmp_path, runs=1) as address:
        open_model(tab, address)
        graph = Graph(tab, "run")
        assert graph.names() == ["stem", "dense", "add", "other", "logits"]
        expect(graph.edges()).to_have_count(5 + 1)  # and one to the loss
        graph.place("dense").focus()  # where the finding is
        tab.page.keyboard.press("j")
        expect(graph.place("add")).to_be_focused()
        tab.page.keyboard.press("k")
        expect(graph.place("dense")).to_be_focused()
        expect(graph.place("dense")).to_have_accessible_name(re.compile("Critical: Dead ReLU"))
        for _ in range(3):
            tab.page.keyboard.press("ArrowLeft")
        expect(graph.place("dense")).to_have_accessible_name(re.compile("no finding"))
        expect(facts(tab)).to_contain_text("1 finding later, from step 3")
        facts(tab).get_by_role("button", name="1 finding later").click()
        expect(tab.frame.get_by_role("slider", name="Step")).to_have_value("3")
        graph.place("dense").focus()
        tab.page.keyboard.press("Enter")
        assert "p.tfdiag.view=layer" in tab.page.url
        assert "p.tfdiag.layer=dense" in tab.page.url


def test_a_large_model_folds_to_blocks_that_unfold(tab, tmp_path):
    record(tmp_path / "run", model=deep(), cams=True)
    with tensorboard(tmp_path, runs=1) as address:
        open_model(tab, address)
        graph = Graph(tab, "run")
        blocks = [f"stage_{i}" for i in range(13)]
        assert graph.names() == ["dense", *blocks, "logits"]
        expect(graph.place("stage_4")).to_have_accessible_name(
            re.compile("folded block of 10 layers, worst stage_4/")
        )
        fit(tab)
        graph.place("stage_4").click()
        expect(graph.places()).to_have_count(2 + 12 + 10)
        tab.page.reload()  # what is unfolded is in the link
        expect(graph.places()).to_have_count(2 + 12 + 10)
        fit(tab)
        graph.element.get_by_role("button", name="Fold stage_4").click()
        expect(graph.places()).to_have_count(2 + 13)


def test_the_graph_zooms_and_keeps_its_place(tab, tmp_path):
    record(tmp_path / "run", model=residual(), cams=True)
    with tensorboard(tmp_path, runs=1) as address:
        open_model(tab, address)
        place = Graph(tab, "run").place("add")
        width = place.bounding_box()["width"]
        tab.frame.get_by_role("button", name="Zoom in").click()
        near = place.bounding_box()
        assert near["width"] == pytest.approx(1.25 * width, rel=0.02)
        tab.page.keyboard.press("ArrowLeft")  # another step is no reason to move
        assert place.bounding_box() == near
        place.focus()
        tab.page.keyboard.press("-")
        assert place.bounding_box()["width"] == pytest.approx(width, rel=0.02)


def test_odd_graphs_are_told_in_words_and_hang_nothing(tab, tmp_path):
    subclassed = model(("a", "Dense", ()), ("b", "Dense", ()), ("head", "Dense", ()))
    circle = model(
        (HOSTILE, "Dense", ("nowhere", "b")), ("b", "Dense", (HOSTILE, "b")), ("c", "Dense", ("b",))
    )
    record(tmp_path / "subclassed", model=subclassed, cams=True)
    record(tmp_path / "circle", model=circle, cams=True)
    with tensorboard(tmp_path, runs=2) as address:
        open_model(tab, address)
        words = tab.frame.get_by_text("No graph is known of a subclassed model")
        expect(words).to_contain_text("layers in the order of their creation")
        assert Graph(tab, "subclassed").names() == ["a", "b", "head"]
        tops = [place.bounding_box()["y"] for place in Graph(tab, "subclassed").places().all()]
        assert tops == sorted(tops) and len(set(tops)) == 3
        assert Graph(tab, "circle").names() == [HOSTILE, "b", "c"]


def test_every_run_has_its_column_however_narrow_the_window(tab, tmp_path):
    runs = ["four", "one", "three", "two"]
    for run in runs:
        record(tmp_path / run, model=residual(), cams=True)
    with tensorboard(tmp_path, runs=4) as address:
        open_model(tab, address, f"&p.tfdiag.runs={quote(json.dumps(runs))}")
        shown = tab.frame.get_by_role("group", name=re.compile("^Layer graph of"))
        for width in (1600, 1000):
            tab.page.set_viewport_size({"width": width, "height": 800})
            expect(shown).to_have_count(4)
            graphs, heads = tab.frame.locator("main").evaluate(
                """main => [".viewport", ".heads .head"].map(name =>
                    [...main.querySelectorAll(name)].map(e => e.getBoundingClientRect().left))"""
            )
            assert graphs == heads and len(graphs) == 4


def test_edges_are_as_wide_as_the_gradient_that_comes_back(tab, each_address):
    open_model(tab, each_address)
    edges = {run: Graph(tab, run).edges() for run in ("healthy", "dying-relu", "exploding")}

    def width(edge):
        return float(edge.evaluate("line => getComputedStyle(line).strokeWidth").rstrip("px"))

    first = edges["healthy"].first  # it leaves conv_1
    expect(first).to_have_class(re.compile("flow-value"))
    expect(first).to_contain_text("in conv_1")
    expect(edges["dying-relu"].first).to_have_class(re.compile("flow-zero"))
    expect(edges["dying-relu"].first).to_contain_text("0 in conv_1")
    expect(edges["exploding"].first).to_have_class(re.compile("flow-broken"))
    tab.frame.get_by_role("button", name="Findings by step").click()
    tab.frame.get_by_role("button", name=re.compile("^Step 155: ")).click()
    expect(edges["exploding"].last).to_have_class(re.compile("flow-value"))
    assert width(edges["exploding"].last) > width(edges["healthy"].last)
    expect(tab.frame.get_by_role("region", name="Layer graph", exact=True)).to_contain_text(
        "Edges: Gradient RMS"
    )
