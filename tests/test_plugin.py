"""The Health tab's backend, asked over HTTP in a real TensorBoard, on both of its data servers."""

import base64
import dataclasses
import json
import math
import re
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
import pytest
from tensorboard.plugins import base_plugin

from tensorboard_plugin import answers, experiment, plugin
from tensorboard_plugin.loader import SAMPLES, HealthLoader
from tests import recordings
from tests.recordings import START, halves, record, snapshot, stats
from tfdiag import config, export, report
from tfdiag.metrics import METRIC_NAMES
from tfdiag.report.markdown import markdown
from tfdiag.report.runs import Run
from tfdiag.rules import ALL_RULES, Report
from tfdiag.rules.activations import dead_relu
from tfdiag.storage import event, histograms, schema
from tfdiag.storage.reader import open_recording
from tfdiag.storage.writer import RunWriter
from tfdiag.trace import Trace, TraceRows

ROOT = Path(__file__).parent.parent
GRADIENTS = histograms.KINDS["gradients"]
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "ünï·コード 🩺",
    "a&b=c?d#e%2f+\"'",
    "/".join(["long" * 40] * 4),
    "..%2f..%2fetc",
)
LONG = 2500
#: What each address answers, for us and for the frontend's tests: for JSON an example of the same
#: keys, for bytes the layout, an example and the numbers in it.
CONTRACT = json.loads((ROOT / "tests" / "data" / "contract.json").read_text())

#: TensorBoard as users start it, in a process that has no TensorFlow.
TENSORBOARD = """
import sys, types
sys.modules["tensorflow"] = None
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.main import run_main
run_main()
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self.body, parse_constant=refuse)


Get = Callable[..., Answer]


@pytest.fixture(scope="session")
def logdir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    record(folder / "plain", cams=True, predictions="classes")
    record(folder / "regression", predictions="values")
    why = "the model has 2 outputs, and only a single one is followed"
    record(folder / "two ends", not_measured={"predictions": why})
    record(folder / "nested" / "long", range(1, LONG + 1))
    record(folder / "live", finished=False)
    record(folder / "young", finished=None)
    record(folder / "restarted", range(1, 11))
    record(folder / "restarted", range(6, 9), start=START + 100, finished=None)
    write_twice(folder / "merged")
    record(folder / "changed", range(1, 4))
    record(folder / "changed", range(1, 3), layers=("a", "b"), start=START + 100)
    for name in HOSTILE:
        record(folder / name, range(1, 3))
    write(folder / "other", event.Value("loss", "scalars", np.float32(1), kind=event.SCALAR))
    content = schema.encode(recordings.manifest())
    newer = content.replace(b'"schema":2', b'"schema":3')
    write(folder / "newer", event.Value(schema.STATS + "0", schema.PLUGIN, stats(1), newer))
    wrong = np.zeros((2, 2), np.float32)
    write(folder / "damaged", event.Value(schema.STATS + "0", schema.PLUGIN, wrong, content))
    good = event.Value(schema.STATS + "0", schema.PLUGIN, stats(1), content)
    counts = recordings.histogram_counts(1).astype(np.uint32)
    write(folder / "native", good, *histograms.native(GRADIENTS, recordings.LAYERS, counts))
    bomb = np.frombuffer(zlib.compress(bytes(2**26), 9), np.uint8)
    packed = histograms.packed(GRADIENTS, recordings.LAYERS, counts)
    write(folder / "bomb", good, dataclasses.replace(packed, array=bomb))
    return folder


def write(folder: Path, *values: event.Value) -> None:
    folder.mkdir()
    records = recordings.open_records(f"{folder}/events.out.tfevents.1.x.tfdiag")
    records.write(event.header(START))
    records.write(event.pack(1, START, values))
    records.close()


def write_twice(folder: Path) -> None:
    """Records three steps, the last one in two parts, as `TraceRows` merges them."""
    rows, run = TraceRows(), RunWriter(folder, recordings.open_records)
    for step, part in ((1, stats(1)), (2, stats(2)), *((3, half) for half in halves(3))):
        merged = rows.add(step, START + step, part, {})
        fields = {"manifest": recordings.manifest(), "stats": merged}
        run.step(step, **fields, series={"loss": 1.0}, wall_time=START + step)
    run.close()


@pytest.fixture(scope="session", params=["rust", "python"])
def get(request, logdir, tmp_path_factory) -> Iterator[Get]:
    """Asks a TensorBoard with one of the two data servers; the Python one has a path prefix."""
    rust = request.param == "rust"
    log = tmp_path_factory.mktemp("tensorboard") / "log"
    flags = ["--load_fast=true"] if rust else ["--load_fast=false", "--path_prefix=/some/where"]
    command = [sys.executable, "-c", TENSORBOARD, "--logdir", str(logdir), "--port=0", *flags]
    with log.open("w") as file:
        server = subprocess.Popen([*command, "--host=127.0.0.1"], stdout=file, stderr=file)
    try:
        found = wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+\S*/", log.read_text()), log)
        ask = asker(found.group())
        wait_for(lambda: loaded(ask), log)
        yield ask
    finally:
        server.terminate()
        server.wait(10)


def asker(url: str) -> Get:
    def ask(path: str, *, method: str = "GET", **parameters: str) -> Answer:
        ours = "" if path.startswith("/") else "/plugin/tfdiag/"
        address = f"{url}data{ours}{path}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method=method)) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    return ask


def wait_for(condition: Callable[[], Any], log: Path) -> Any:
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline, log.read_text()[-5000:]
        time.sleep(0.1)
    return value


def loaded(get: Get) -> bool:
    answer = get("api/runs")
    runs = answer.json["runs"] if answer.status == 200 else []
    steps = {run["run"]: run["last_step"] for run in runs}
    return len(runs) == 14 + len(HOSTILE) and steps["nested/long"] == LONG


def same_keys(ours: Any, theirs: Any, path: str = "") -> None:
    """Checks that two answers have the same keys, wherever both say more than null."""
    free = (
        "series",
        "settings",
        "versions",
        "monitor",
        "cost",
        "exempt",
        "thresholds",
        "runs[].rules",
        ".runs",
    )
    if isinstance(ours, dict) and isinstance(theirs, dict) and not path.endswith(free):
        if ours and theirs:
            assert set(ours) == set(theirs), path
        for key in set(ours) & set(theirs):
            same_keys(ours[key], theirs[key], f"{path}.{key}")
    if isinstance(ours, list) and isinstance(theirs, list):
        for mine in ours:
            for yours in theirs:
                same_keys(mine, yours, f"{path}[]")


def contracts(address: str) -> list[Any]:
    """Returns the answers that the documentation and the frontend's tests expect."""
    document = (ROOT / "docs" / "http.md").read_text()
    example = document.split(f"## `{address}`")[1].split("```json")[1].split("```")[0]
    return [json.loads(example), CONTRACT[address]["answer"]]


@pytest.mark.parametrize("address", [name for name in CONTRACT if "answer" in CONTRACT[name]])
def test_the_contract_holds(get, address):
    answer = get(address, **CONTRACT[address]["query"])
    assert answer.status == 200
    for contract in contracts(address):
        same_keys(answer.json, contract)


@pytest.mark.parametrize("address", [name for name in CONTRACT if "none" in CONTRACT[name]])
def test_a_run_that_has_none_answers_why(get, address):
    contract = CONTRACT[address]["none"]
    answer = get(address, **contract["query"])
    assert answer.status == 200
    assert answer.json == contract["answer"]


def test_a_run_that_was_not_looked_at_yet_answers_so(get):
    reason = get("api/predictions", run="live").json["reason"]
    assert reason == "No predictions: no look at the probe set was recorded yet."


@pytest.mark.parametrize("address", [name for name in CONTRACT if "example" in CONTRACT[name]])
def test_the_contract_holds_to_the_byte(get, address):
    contract = CONTRACT[address]
    check_layout(contract, base64.b64decode(contract["example"]))
    check_layout(contract, get(address, **contract["query"]).body)


def test_the_report_is_what_the_command_line_writes(get, logdir):
    answer = get("api/report", **CONTRACT["api/report"]["query"])
    assert answer.headers["Content-Type"] == "text/markdown"
    report = answer.body.decode()
    assert report.startswith(CONTRACT["api/report"]["text"])
    assert (
        report == markdown([Run("", "plain", Report.from_json(recordings.REPORT.to_json()))]) + "\n"
    )
    (hostile,) = [name for name in HOSTILE if "onerror" in name]
    assert "<img" not in get("api/report", run=hostile, format="markdown").body.decode()


def check_layout(contract: dict[str, Any], body: bytes) -> None:
    """Checks that a binary answer has the header and the length that it should."""
    header = np.frombuffer(body, "<u4", len(contract["header"])).tolist()
    sizes = dict(zip(contract["header"], header, strict=True))
    assert sizes.get(0, 0) == 0  # what fills the header up
    numbers = [
        (dtype, math.prod(sizes[axis] for axis in axes)) for dtype, *axes in contract["parts"]
    ]
    assert len(body) == 4 * len(header) + sum(np.dtype(d).itemsize * n for d, n in numbers)


def test_every_address_has_a_contract():
    context = base_plugin.TBContext(data_provider=Provider(0))
    routes = {path.lstrip("/") for path in plugin.HealthPlugin(context).get_plugin_apps()}
    assert routes - {"static/index.js"} == set(CONTRACT)
    table = (ROOT / "docs" / "http.md").read_text().split("## ")[0]
    assert all(f"`{route}" in table for route in routes)


@pytest.mark.parametrize(
    "location, name",
    [("/a/b", "b"), ("C:\\a\\b", "b"), ("s3://a/b c/", "b c"), ("b", "b"), (".", None), ("", None)],
)
def test_the_log_folder_has_a_name(location, name, monkeypatch):
    metadata = experiment.provider.ExperimentMetadata(data_location=location)
    monkeypatch.setattr(Provider, "experiment_metadata", lambda *_, **__: metadata)
    found = experiment.Experiment(Provider(0), None, "")
    assert found.folder() == name
    assert found.title(".") == (name or "(log folder)")
    assert found.title("a") == "a"


def test_runs_have_their_verdicts(get):
    runs = {run["run"]: run for run in get("api/runs").json["runs"]}
    plain = runs["plain"]
    assert plain["recorded"] is True
    assert plain["start_time"] == START
    assert plain["last_time"] == START + 4
    assert plain["last_step"] == 5
    assert plain["finished"] is True
    assert plain["verdict"]["severity"] == "critical"
    assert plain["counts"]["critical"] == 1
    assert runs["live"]["finished"] is False
    assert runs["young"]["verdict"]["severity"] == "not-evaluated"
    assert runs["young"]["finished"] is False
    assert runs["restarted"]["finished"] is False
    assert runs["changed"]["last_time"] == START + 101
    assert "schema version 3" in runs["newer"]["error"]
    assert runs["other"]["recorded"] is False
    assert set(runs["other"].values()) == {"other", False, None}


def test_rules_say_in_short_what_they_found_in_every_run(get):
    answer = get("api/rules").json
    catalogue = {rule["id"]: rule for rule in answer["rules"]}
    assert list(catalogue) == [rule.id for rule in ALL_RULES]
    assert catalogue["dead-relu"]["group"] == "Activations"
    assert catalogue["dead-relu"]["thresholds"] == dead_relu.thresholds
    runs = {run["run"]: run for run in answer["runs"]}
    assert set(runs) == {run["run"] for run in get("api/runs").json["runs"] if run["recorded"]}
    assert runs["plain"]["step"] == 5
    assert runs["plain"]["rules"]["nonfinite-loss"]["reason"] == "loss_nonfinite was not measured"
    assert runs["plain"]["rules"]["dead-relu"] == {
        "outcome": "found",
        "severity": "critical",
        "count": 1,
        "findings": [
            {
                "severity": "critical",
                "layer": "dense",
                "step": 3,
                "evidence": "97 % ≥ 95 %",
                "metric": "dead_fraction",
            }
        ],
        "reason": None,
        "exempt": 1,
        "all_exempt": False,
        "exemptions": [{"reason": "no ReLU", "count": 1, "layers": ["conv"]}],
    }
    assert runs["young"]["step"] is None
    assert set(runs["young"]["rules"]) == set(catalogue)
    assert "not judged" in runs["young"]["rules"]["dead-relu"]["reason"]
    assert "schema version 3" in runs["newer"]["error"]
    assert runs["newer"]["rules"] == {}


def test_losses_of_every_run_are_there_at_once(get):
    runs = get("api/losses").json["runs"]
    assert runs["plain"]["steps"] == [1, 2, 3, 4, 5]
    assert runs["plain"]["loss"] == [1, None, *(float(np.float32(1 / step)) for step in (3, 4, 5))]
    long = runs["nested/long"]
    assert len(long["steps"]) == len(long["loss"]) == 48
    assert long["steps"] == sorted(long["steps"]) and long["steps"][-1] == LONG
    assert long["loss"][-1] == pytest.approx(1 / LONG)
    assert "other" not in runs and "newer" not in runs, "nothing of them is called tfdiag/loss"


def test_run_has_what_was_recorded(get):
    run = get("api/run", run="plain").json
    assert run["run"] == "plain"
    assert re.fullmatch("[0-9a-f]{8}", run["recording"])
    assert run["steps"] == [1, 2, 3, 4, 5]
    assert run["wall_times"] == [START + i for i in range(5)]
    assert run["series"]["gradient_norm"] == [1, 2, 3, 4, 5]
    assert run["series"]["loss"] == [
        1,
        None,
        float(np.float32(1 / 3)),
        0.25,
        float(np.float32(0.2)),
    ]
    assert [layer["name"] for layer in run["model"]["layers"]] == list(recordings.LAYERS)
    assert run["model"]["layers"][0]["shape"] == [None, 8]
    assert run["model"]["settings"] == {"learning_rate": 0.001, "batch_size": 32}
    assert run["cost"] == {"seconds": 1.5, "share": 0.02, "every": 40, "probe_every": 0}
    (finding,) = run["findings"]
    assert finding["layer"] == "dense"
    assert finding["title"] != finding["rule"] == "dead-relu"
    assert finding["limit"] is None


def test_a_run_is_judged_anew_with_what_is_tried(get, logdir):
    tried = {"gradient-spike": {"window": 2}, "dead-relu": {"patience": 1}}
    suppressed = [{"rule": "dead-relu", "layer": "c*", "reason": "by design"}]
    texts = {"thresholds": json.dumps(tried), "suppress": json.dumps(suppressed)}
    judged = get("api/judge", run="plain", **texts).json
    recording = open_recording(logdir / "plain")
    choice = config.read({"thresholds": tried, "suppress": suppressed}, "test")
    found = choice.check_again(recording.trace, recording.thresholds)
    expected = schema.plain(report.as_json(found))
    assert {key: judged[key] for key in expected} == expected
    values = {
        (rule["id"], one["name"]): one["value"]
        for rule in judged["thresholds"]
        for one in rule["thresholds"]
    }
    assert values["dead-relu", "critical"] == 0.9  # the run's own, not the default
    assert values["dead-relu", "patience"] == 2  # nor what is tried
    assert judged["toml"] == export.as_toml(choice)
    assert get("api/run", run="plain").json["rules"] != judged["rules"]
    assert get("api/judge", run="plain").json["toml"] == ""


def test_metrics_have_the_limits_of_the_run(get):
    metrics = {metric["name"]: metric for metric in get("api/run", run="plain").json["metrics"]}
    assert tuple(metrics) == METRIC_NAMES
    limits = {limit["severity"]: limit for limit in metrics["dead_fraction"]["limits"]}
    assert limits["critical"]["value"] == 0.9  # the run's own, not the default
    assert limits["critical"]["rule"] == "dead-relu"
    assert metrics["saturated_fraction"]["not_measured"] == "no tanh or sigmoid"
    assert metrics["dead_fraction"]["not_measured"] is None


def test_a_run_beside_a_baseline(get):
    found = get("api/compare", run="plain", baseline="changed").json
    assert (found["run"], found["baseline"]) == ("plain", "changed")
    partings = {one["name"]: one for one in found["partings"]}
    assert "only 1 record in common" in partings["loss"]["reason"]
    assert partings["gradient_rms"]["reason"] == "the models have no layer in common"
    different = {one["name"]: one for one in found["settings"] if not one["same"]}
    assert {name: one["only"] for name, one in different.items()} == {
        **dict.fromkeys(recordings.LAYERS, "run"),
        **dict.fromkeys("ab", "baseline"),
    }
    assert different["conv"]["run"] == "Dense ? × 8 relu"
    assert {"title": "last step", "scale": "count", "run": 5, "baseline": 2} in found["numbers"]
    young = get("api/compare", run="plain", baseline="young").json
    assert young["findings"] is None  # not judged yet


def test_findings_of_both_runs_are_paired(get):
    found = get("api/compare", run="plain", baseline="live").json["findings"]
    ((pair,), ours, theirs) = found["both"], found["run"], found["baseline"]
    assert (ours, theirs) == ([], [])
    assert pair["run"] == pair["baseline"] == get("api/run", run="plain").json["findings"][0]


def measured(answer: Answer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns steps, wall times and values of an answer of `api/metric`."""
    count, layers, _, zero = struct.unpack_from("<4I", answer.body)
    assert zero == 0
    steps = np.frombuffer(answer.body, "<f8", count, 16).astype(int)
    wall_times = np.frombuffer(answer.body, "<f8", count, 16 + 8 * count)
    values = np.frombuffer(answer.body, "<f4", offset=16 + 16 * count)
    return steps, wall_times, values.reshape(count, layers)


def test_only_what_is_new_comes_from_a_step_on(get):
    parts = {"run": "plain", "metric": "gradient_rms"}
    whole, new = get("api/metric", **parts), get("api/metric", **parts, since="4")
    for all_of_it, part in zip(measured(whole), measured(new), strict=True):
        assert part.tobytes() == all_of_it[3:].tobytes()
    assert new.body[8:16] == whole.body[8:16]
    assert measured(get("api/metric", **parts, since="6"))[2].shape == (0, 3)
    assert get("api/metric", **parts, since="0").body == whole.body
    run, rest = get("api/run", run="plain").json, get("api/run", run="plain", since="4").json
    for grown in ("steps", "wall_times"):
        assert rest.pop(grown) == run.pop(grown)[3:]
    assert rest.pop("series") == {name: v[3:] for name, v in run.pop("series").items()}
    assert rest == run


def test_recording_of_another_model_is_told_apart(get):
    heads = [
        get("api/metric", run=run, metric="gradient_rms").body[8:12] for run in ("plain", "changed")
    ]
    assert heads[0] != heads[1]
    assert heads[0] == get("api/metric", run="plain", metric="output_rms").body[8:12]


@pytest.mark.parametrize("row", [0, 5, len(METRIC_NAMES) - 1])
def test_metric_comes_back_bit_for_bit(get, row):
    answer = get("api/metric", run="plain", metric=METRIC_NAMES[row])
    assert answer.headers["Content-Type"] == "application/octet-stream"
    steps, wall_times, values = measured(answer)
    assert steps.tolist() == [1, 2, 3, 4, 5]
    assert wall_times.tolist() == [START + i for i in range(5)]
    expected = np.stack([stats(step)[row] for step in range(1, 6)])
    assert values.tobytes() == expected.tobytes()


@pytest.mark.parametrize("column", range(3))
def test_all_metrics_of_a_layer_come_back_bit_for_bit(get, column):
    answer = get("api/layer", run="plain", layer=recordings.LAYERS[column])
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert struct.unpack_from("<2I", answer.body) == (5, len(METRIC_NAMES))
    assert np.frombuffer(answer.body, "<f8", 5, 8).tolist() == [1, 2, 3, 4, 5]
    expected = np.stack([stats(step)[:, column] for step in range(1, 6)], axis=1)
    assert answer.body[8 + 5 * 8 :] == expected.tobytes()


def test_layer_of_the_newest_model_only(get):
    assert get("api/layer", run="changed", layer="conv").status == 400
    count, _ = struct.unpack_from("<2I", get("api/layer", run="changed", layer="b").body)
    assert count == 2


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, np.nan, np.inf, -np.inf, 1 / 3], np.float32),
        np.array([[0.1, np.nan]], np.float64),
        np.array([], np.float16),
        np.array(0.5, np.float32),
        np.float32("nan"),
        np.arange(3),
        math.nan,
        [1, math.inf, {"a": np.int64(2), "b": ("text", None, True)}],
        MappingProxyType({"a": Path("x")}),
    ],
)
def test_json_is_that_of_the_plain_value(value):
    answer = {"value": value, "text": "é"}
    assert answers.as_json(answer) == json.dumps(schema.plain(answer), allow_nan=False)


def test_metric_that_a_recording_lacks_is_nan_in_its_layers():
    weights = {"weight_rms": np.ones((2, 3), np.float32)}
    trace = Trace(np.array([1, 4]), recordings.architecture(), weights)
    body = answers.layer(SimpleNamespace(trace=trace), "dense")
    values = np.frombuffer(body, "<f4", offset=8 + 2 * 8).reshape(len(METRIC_NAMES), 2)
    assert values[METRIC_NAMES.index("weight_rms")].tolist() == [1, 1]
    assert np.isnan(values).sum() == 2 * (len(METRIC_NAMES) - 1)


@pytest.mark.parametrize("row", [0, len(METRIC_NAMES) - 1], ids=["first half", "last half"])
def test_what_was_measured_later_at_a_step_is_merged(get, row):
    assert get("api/run", run="merged").json["steps"] == [1, 2, 3]
    _, _, values = measured(get("api/metric", run="merged", metric=METRIC_NAMES[row]))
    np.testing.assert_array_equal(values, [stats(step)[row] for step in (1, 2, 3)])


def test_as_many_steps_are_kept_as_the_flag_says(get):
    steps, _, values = measured(get("api/metric", run="nested/long", metric="gradient_rms"))
    assert values.shape == (SAMPLES, 3)
    assert (np.diff(steps) > 0).all()
    assert steps[-1] == LONG
    expected = np.stack([stats(step)[0] for step in steps])
    assert values.tobytes() == expected.tobytes()
    run = get("api/run", run="nested/long").json
    assert run["steps"] == steps.tolist()
    assert get("api/histograms", run="nested/long", layer="conv").json["steps"] == steps.tolist()
    assert run["series"]["gradient_norm"] == steps.tolist()


def test_restart_replaces_what_came_after_it(get):
    run = get("api/run", run="restarted").json
    assert run["steps"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert run["wall_times"][4:6] == [START + 4, START + 100]
    assert run["finished"] is False
    _, wall_times, values = measured(get("api/metric", run="restarted", metric="gradient_rms"))
    assert values.shape == (8, 3)
    assert wall_times.tolist() == run["wall_times"]
    steps = get("api/histograms", run="restarted", layer="conv").json["steps"]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]


def test_newest_model_counts(get):
    run = get("api/run", run="changed").json
    assert [layer["name"] for layer in run["model"]["layers"]] == ["a", "b"]
    assert run["steps"] == [1, 2]


def test_histograms_come_back_exactly(get):
    answer = get("api/histograms", run="plain", layer="conv").json
    assert answer["steps"] == [1, 2, 3, 4, 5]
    assert answer["buckets"] == [recordings.histogram(step).tolist() for step in range(1, 6)]
    answer = get("api/histograms", run="plain", layer="conv", kind="weights").json
    assert answer["kind"] == "weights"
    twice = [recordings.histogram(step) * [1, 1, 2] for step in range(1, 6)]
    assert answer["buckets"] == [buckets.tolist() for buckets in twice]


def test_recording_with_tensorboards_own_histograms_only(get):
    answer = get("api/histograms", run="native", layer="conv").json
    assert answer["steps"] == [1]
    assert answer["buckets"] == [recordings.histogram(1).tolist()]


def test_cams_come_back_exactly(get):
    answer = get("api/cams", run="plain").json
    assert answer["steps"] == [1, 2, 3, 4, 5]
    assert answer["predicted"] == [[3, 1], [None, 1], [3, 1], [3, 1], [3, 1]]
    assert answer["confidence"][:2] == [[0.5, 0.75], [None, 0.75]]
    assert answer["true_confidence"][0] == [0.25, 0.75]
    assert answer["map_size"] == [4, 3]
    assert answer["image_size"] == [8, 6, 1]
    maps = get("api/cams/maps", run="plain").body
    assert struct.unpack_from("<6I", maps) == (5, 2, 2, 4, 3, 0)
    expected = np.stack([snapshot(step)["maps"] for step in range(1, 6)])
    assert maps[24:] == expected.astype("<f4").tobytes()
    images = get("api/cams/images", run="plain").body
    assert struct.unpack_from("<4I", images) == (2, 8, 6, 1)
    assert images[16:] == snapshot(1)["images"].tobytes()


def test_predictions_come_back_exactly(get):
    answer = get("api/predictions", run="plain").json
    assert answer["kind"] == "classes"
    assert answer["steps"] == [1, 2, 3, 4, 5]
    assert answer["samples"][:2] == [
        {"name": "0", "true": 0, "features": [0, -1]},
        {"name": "3", "true": 1, "features": [1.5, -1]},
    ]
    assert [row[:3] for row in answer["predicted"][:2]] == [[1, 1, 2], [1, None, 2]]
    assert [row[:3] for row in answer["confidence"][:2]] == [[0.5, 0.75, 0.75], [0.5, None, 0.75]]
    assert answer["true_confidence"][0][:3] == [0.25, 0.75, 0.75]


def test_predicted_values_come_back_exactly(get):
    answer = get("api/predictions", run="regression").json
    assert answer["kind"] == "values"
    assert [sample["true"] for sample in answer["samples"][:3]] == [0, 0.3, 0.6]
    assert [row[0] for row in answer["predicted"][:2]] == [1, 0.5]
    assert answer["confidence"] is None
    assert answer["true_confidence"] is None


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_only_names(get, name):
    assert name in [run["run"] for run in get("api/runs").json["runs"]]
    run = get("api/run", run=name).json
    assert run["run"] == name
    assert get("api/metric", run=name, metric="gradient_rms").status == 200


@pytest.mark.parametrize(
    ("status", "path", "parameters", "words"),
    [
        (400, "api/run", {}, "`run` is missing"),
        (400, "api/compare", {"run": "plain"}, "`baseline` is missing"),
        (400, "api/compare", {"run": "plain", "baseline": "plain"}, "two different runs"),
        (404, "api/compare", {"run": "plain", "baseline": "missing"}, "'missing'"),
        (404, "api/compare", {"run": "other", "baseline": "plain"}, "HealthMonitor"),
        (422, "api/compare", {"run": "plain", "baseline": "newer"}, "schema version 3"),
        (400, "api/metric", {"run": "plain"}, "`metric` is missing"),
        (400, "api/metric", {"run": "plain", "metric": "speed"}, "gradient_rms"),
        (400, "api/layer", {"run": "plain"}, "`layer` is missing"),
        (400, "api/layer", {"run": "plain", "layer": "conv_9"}, "no such layer"),
        (400, "api/layer", {"run": "plain", "layer": "x" * 5000}, "…"),
        (404, "api/layer", {"run": "other", "layer": "conv"}, "HealthMonitor"),
        (404, "api/layer", {"run": "missing", "layer": "conv"}, "api/runs"),
        (422, "api/layer", {"run": "damaged", "layer": "conv"}, "damaged"),
        (400, "api/run", {"run": "plain", "since": "x"}, "`since` is 'x'"),
        (
            400,
            "api/metric",
            {"run": "plain", "metric": "gradient_rms", "since": "-1"},
            "at least 0",
        ),
        (400, "api/report", {"run": "plain", "format": "pdf"}, "must be markdown"),
        (404, "api/report", {"run": "young", "format": "markdown"}, "not judged"),
        (400, "api/histograms", {"run": "plain", "layer": "conv_9"}, "no such layer"),
        (404, "api/histograms", {"run": "plain", "layer": "dense"}, "No histograms of the grad"),
        (
            400,
            "api/histograms",
            {"run": "plain", "layer": "conv", "kind": "biases"},
            "must be one of gradients, weights",
        ),
        (400, "api/judge", {}, "`run` is missing"),
        (400, "api/judge", {"run": "plain", "thresholds": "{"}, "must be JSON such as"),
        (
            400,
            "api/judge",
            {"run": "plain", "thresholds": '{"dead-rleu": {}}'},
            "Did you mean 'dead-relu'",
        ),
        (400, "api/judge", {"run": "plain", "suppress": "x" * 6001}, "at most 6,000"),
        (404, "api/judge", {"run": "missing"}, "api/runs"),
        (404, "api/judge", {"run": "other"}, "HealthMonitor"),
        (422, "api/judge", {"run": "newer"}, "schema version 3"),
        (404, "api/run", {"run": "missing"}, "api/runs"),
        (404, "api/run", {"run": ""}, "api/runs"),
        (404, "api/run", {"run": "../plain"}, "api/runs"),
        (404, "api/run", {"run": "x" * 5000}, "…"),
        (404, "api/metric", {"run": "other", "metric": "gradient_rms"}, "HealthMonitor"),
        (404, "api/cams/maps", {"run": "live"}, "No Grad-CAM: no snapshot"),
        (422, "api/run", {"run": "newer"}, "schema version 3"),
        (422, "api/run", {"run": "damaged"}, "damaged"),
        (422, "api/histograms", {"run": "bomb", "layer": "conv"}, "damaged"),
        (404, "static/../plugin.py", {}, ""),
        (404, "static/%2e%2e/plugin.py", {}, ""),
        (404, "api/nothing", {}, ""),
    ],
)
def test_errors_say_what_is_wrong(get, status, path, parameters, words):
    answer = get(path, **parameters)
    assert answer.status == status
    assert words in answer.body.decode()
    assert len(answer.body) < 1000
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["api/runs", "static/index.js"])
def test_only_get_is_allowed(get, method, path):
    answer = get(path, method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("static/index.js", "text/javascript; charset=utf-8"), ("api/runs", "application/json")],
)
def test_types_are_not_guessed(get, path, content_type):
    answer = get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_tab_is_there(get):
    answer = get("/plugins_listing").json["tfdiag"]
    assert answer["enabled"]
    assert answer["tab_name"] == "Health"
    assert answer["loading_mechanism"]["module_path"].endswith("/tfdiag/static/index.js")
    assert b"render" in get("static/index.js").body


def test_stock_tabs_have_our_values(get):
    scalars = get("/plugin/scalars/scalars", run="plain", tag="tfdiag/gradient_norm").json
    assert [value for _, _, value in scalars] == [1, 2, 3, 4, 5]
    assert "tfdiag/gradcam/0" in get("/plugin/images/tags").json["plain"]
    assert "tfdiag/gradients/conv" in get("/plugin/histograms/tags").json["plain"]


class Flags:
    """What TensorBoard parsed."""

    def __init__(self, tfdiag_samples: int = SAMPLES, **samples_per_plugin: int):
        self.tfdiag_samples = tfdiag_samples
        self.samples_per_plugin = samples_per_plugin


def test_flags_of_the_user_win():
    flags = Flags()
    HealthLoader().fix_flags(flags)
    assert flags.samples_per_plugin == {"tfdiag": 2000, "tfdiag_events": 0}
    flags = Flags(50, tfdiag=7)
    HealthLoader().fix_flags(flags)
    assert flags.samples_per_plugin == {"tfdiag": 7, "tfdiag_events": 0}
    with pytest.raises(base_plugin.FlagsError, match="at least 0"):
        HealthLoader().fix_flags(Flags(-1))


class Provider:
    """Counts the reads of `api/runs` over many runs."""

    def __init__(self, runs: int):
        self.names = [f"run{i}" for i in range(runs)]
        self.reads: list[Any] = []
        self.listings = 0

    def experiment_metadata(self, context, *, experiment_id):
        return experiment.provider.ExperimentMetadata(data_location="/home/me/logs/")

    def list_runs(self, context, *, experiment_id):
        return [experiment.provider.Run(name, name, START) for name in self.names]

    def list_tensors(self, context, *, experiment_id, plugin_name, run_tag_filter):
        self.listings += 1
        content = schema.encode(recordings.manifest())
        series = experiment.provider.TensorTimeSeries(
            max_step=9, max_wall_time=START, plugin_content=content, description="", display_name=""
        )
        return {name: {schema.STATS + "0": series} for name in self.names}

    def read_tensors(self, context, *, experiment_id, plugin_name, run_tag_filter, downsample):
        self.reads.append((plugin_name, run_tag_filter.tags, downsample))
        return {}

    def read_scalars(self, context, *, experiment_id, plugin_name, run_tag_filter, downsample):
        self.reads.append((plugin_name, run_tag_filter.tags, downsample))
        data = [experiment.provider.ScalarDatum(1, START, math.inf)]
        return {name: {tag: data for tag in run_tag_filter.tags} for name in self.names}


def test_the_folder_is_named_where_a_run_is_in_itself():
    provider = Provider(1)
    provider.names = ["."]
    context = base_plugin.TBContext(data_provider=provider)
    application = plugin.HealthPlugin(context).get_plugin_apps()["/api/runs"]
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "x"}
    body = json.loads(b"".join(application(environ, lambda status, headers: None)))
    assert body["folder"] == "logs" and body["runs"][0]["run"] == "."


def test_a_request_lists_the_tags_of_a_run_once():
    provider = Provider(1)
    found = experiment.Experiment(provider, None, "")
    found.listed("run0")
    found.histograms("run0", "dense", GRADIENTS)
    found.snapshots("run0")
    assert provider.listings == 1
    found.listed()
    assert provider.listings == 2


@pytest.mark.parametrize("path", ["/api/runs", "/api/rules"])
def test_what_speaks_of_all_runs_reads_one_report_of_each_and_nothing_else(path):
    provider = Provider(200)
    context = base_plugin.TBContext(data_provider=provider)
    tab = plugin.HealthPlugin(context)
    assert tab.is_active() is False
    assert tab.data_plugin_names() == ("tfdiag", "tfdiag_events")
    application = tab.get_plugin_apps()[path]
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "x"}
    body = b"".join(application(environ, lambda status, headers: None))
    assert len(json.loads(body)["runs"]) == 200
    assert json.loads(body).get("folder") is None, "no run needs its name"
    assert provider.reads == [("tfdiag_events", frozenset([schema.REPORT]), 1)]


def test_the_losses_of_all_runs_are_one_read_and_nothing_else():
    provider = Provider(200)
    context = base_plugin.TBContext(data_provider=provider)
    application = plugin.HealthPlugin(context).get_plugin_apps()["/api/losses"]
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "x"}
    body = json.loads(b"".join(application(environ, lambda status, headers: None)))
    assert body["runs"] == {name: {"steps": [1], "loss": [None]} for name in provider.names}
    assert provider.reads == [("scalars", frozenset(["tfdiag/loss"]), 48)]
    assert provider.listings == 0
