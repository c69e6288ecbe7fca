import json
import logging
import math
import os
from dataclasses import replace

import numpy as np
import pytest

from tests import recordings
from tests.recordings import LAYERS, START, open_records, record, snapshot, stats
from tfdiag.data import described, output
from tfdiag.errors import TfdiagError
from tfdiag.metrics import METRIC_NAMES
from tfdiag.storage import event, schema
from tfdiag.storage.event import Value
from tfdiag.storage.histograms import KINDS
from tfdiag.storage.histograms import decode as decode_histograms
from tfdiag.storage.reader import find_runs, load, open_recording, read_tags
from tfdiag.storage.snapshots import decode_cams, decode_predictions
from tfdiag.storage.writer import RunWriter


def only_file(folder):
    (path,) = folder.iterdir()
    return path


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_recording_comes_back_bit_for_bit(tmp_path):
    record(tmp_path)
    trace = load(tmp_path)
    assert trace.steps.tolist() == [1, 2, 3, 4, 5]
    assert trace.wall_times.tolist() == [START + i for i in range(5)]
    assert trace.architecture == recordings.architecture()
    assert trace.layers == LAYERS
    assert trace.probe_samples == 256
    assert trace.not_measured == {"saturated_fraction": "no tanh or sigmoid"}
    expected = np.stack([stats(step) for step in range(1, 6)])  # [S, M, L]
    assert tuple(trace.columns) == METRIC_NAMES
    for row, name in enumerate(METRIC_NAMES):
        assert same_bits(np.ascontiguousarray(trace.columns[name]), expected[:, row].copy())
    loss = np.array([1, np.nan, 1 / 3, 1 / 4, 1 / 5], np.float32)
    assert same_bits(trace.series["loss"], loss)


def test_recording_tells_how_it_was_made(tmp_path):
    record(tmp_path)
    recording = open_recording(tmp_path)
    assert recording.thresholds == {"dead-relu": {"critical": 0.9}}
    assert recording.versions == {"tfdiag": "0.1.0"}
    assert recording.monitor == {"every": 1}
    assert recording.report_json == recordings.REPORT.to_json()
    assert recording.finished
    assert recording.cost == {"seconds": 1.5, "share": 0.02, "every": 40, "probe_every": 0}
    assert recording.other_models == 0


def test_facts_about_model_and_data_come_back(tmp_path):
    x = np.array([[0.5, np.nan], [1.5, 2.0]])
    facts = replace(described(x, np.array([0, 1])), outputs=(output(np.eye(2)),))
    record(tmp_path, data=facts)
    trace = load(tmp_path)
    assert trace.data == facts
    assert trace.architecture.layers[0].options == {"units": 8, "use_bias": True}
    assert trace.architecture.loss_options == {"kind": "mean_squared_error", "from_logits": False}


def test_facts_that_are_not_known_come_back(tmp_path):
    record(tmp_path, data=described(np.full((2, 2), np.nan), np.array([0.5, 1.0])))
    found = load(tmp_path).data
    assert math.isnan(found.inputs[0].minimum) and math.isnan(found.labels[0].largest)


def test_recording_of_the_first_schema_is_read_without_the_new_facts(tmp_path):
    content = json.loads(schema.encode(recordings.manifest()))
    del content["data"], content["architecture"]["loss_options"]
    for layer in content["architecture"]["layers"]:
        del layer["options"]
    content["schema"] = 1
    old = json.dumps(content).encode()
    write_event(tmp_path, [Value(schema.STATS + "00000000", schema.PLUGIN, stats(1), old)])
    trace = load(tmp_path)
    assert trace.data is None and trace.architecture.loss_options is None
    assert [layer.options for layer in trace.architecture.layers] == [None] * len(LAYERS)
    assert trace.layers == LAYERS


def test_series_of_other_steps_widen_the_trace(tmp_path):
    run = RunWriter(tmp_path, open_records)
    fields = recordings.manifest()
    run.step(10, manifest=fields, stats=stats(10), series={"loss": 1.0}, wall_time=1.0)
    run.step(15, manifest=fields, stats=None, series={"val_loss": 2.0, "loss": 3.0}, wall_time=2.0)
    run.step(20, manifest=fields, stats=stats(20), series={"loss": 4.0}, wall_time=3.0)
    run.close()
    trace = load(tmp_path)
    assert trace.steps.tolist() == [10, 15, 20]
    assert trace.wall_times.tolist() == [1.0, 2.0, 3.0]
    assert trace.series["loss"].tolist() == [1.0, 3.0, 4.0]
    np.testing.assert_array_equal(trace.series["val_loss"], [np.nan, 2.0, np.nan])
    assert np.isnan(trace.columns["gradient_rms"][1]).all()


def test_restart_replaces_what_came_after_it(tmp_path):
    record(tmp_path, range(1, 11))
    run = RunWriter(tmp_path, open_records)
    fields = recordings.manifest()
    run.step(9, manifest=fields, stats=None, series={"val_loss": 1.0}, wall_time=START + 20)
    run.close()
    record(tmp_path, range(6, 9), start=START + 100, finished=None)
    recording = open_recording(tmp_path)
    assert recording.trace.steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert recording.trace.wall_times[5] == START + 100
    assert np.isnan(recording.trace.series["val_loss"]).all()
    assert not recording.finished  # the report that says so is older


def slowly(tags):
    """Returns steps, wall times, columns and series as `decode` does, number by number."""

    def counting(records):
        kept = {}
        for one in records:
            kept = {step: other for step, other in kept.items() if step < one.step}
            kept[one.step] = one
        return kept

    prefixes = (schema.STATS, schema.SERIES)
    records = [one for name, t in tags.items() if name.startswith(prefixes) for one in t.records]
    times = {
        step: one.wall_time
        for step, one in counting(sorted(records, key=lambda one: one.wall_time)).items()
    }

    def lasting(tag):
        return {
            step: one
            for step, one in counting(tag.records).items()
            if not any(s < step and time > one.wall_time for s, time in times.items())
        }

    ((manifest, tag),) = [(t.content, t) for name, t in tags.items() if "/stats/" in name]
    stats = lasting(tag)
    series = [
        (schema.decode_series(one.content), lasting(one))
        for name, one in tags.items()
        if name.startswith(schema.SERIES)
    ]
    fields = schema.decode_manifest(manifest)
    missing = [math.nan] * len(fields["architecture"].names)
    columns = {
        name: [stats[s].array[row].tolist() if s in stats else missing for s in sorted(times)]
        for row, name in enumerate(fields["metrics"])
    }
    numbers = {
        name: dict.fromkeys(sorted(times), math.nan) for names, _ in series for name in names
    }
    for names, kept in series:
        for step, one in kept.items():
            for name, number in zip(names, one.array.tolist(), strict=True):
                numbers[name][step] = number
    return times, columns, {name: list(values.values()) for name, values in numbers.items()}


@pytest.mark.parametrize("seed", range(6))
def test_recording_is_what_reading_it_number_by_number_gives(tmp_path, seed):
    random = np.random.default_rng(seed)
    run, step, time = RunWriter(tmp_path, open_records), 0, START
    for _ in range(120):
        again = random.random() < 0.05  # a restart from a checkpoint, or the same step once more
        step = max(0, step - int(random.integers(0, 20))) if again else step + 1
        time += 1
        values = stats(int(random.integers(1, 9)))
        values[random.random(values.shape) < 0.2] = np.nan
        names = [name for name in ("loss", "val_loss", "rate") if random.random() < 0.6]
        run.step(
            step,
            manifest=recordings.manifest(),
            stats=values if random.random() < 0.7 else None,
            series={name: random.normal() for name in names},
            wall_time=time,
        )
    run.close()
    trace = load(tmp_path)
    times, columns, series = slowly(read_tags(tmp_path))
    assert dict(zip(trace.steps.tolist(), trace.wall_times.tolist(), strict=True)) == times
    assert list(trace.columns) == list(columns) and set(trace.series) == set(series)
    for name, rows in columns.items():
        np.testing.assert_array_equal(trace.columns[name], np.array(rows, np.float32))
    for name, numbers in series.items():
        np.testing.assert_array_equal(trace.series[name], np.array(numbers, np.float32))


def test_another_plan_or_setting_goes_on_with_the_same_layers(tmp_path):
    first = RunWriter(tmp_path, recordings.open_records)
    for step, planned in [(1, 4), (2, 4), (3, 8), (4, 8)]:
        first.step(
            step,
            manifest=recordings.manifest(planned_steps=planned),
            stats=recordings.stats(step),
            series={},
            wall_time=START + step,
        )
    first.close()
    recording = open_recording(tmp_path)
    assert recording.trace.steps.tolist() == [1, 2, 3, 4]
    assert recording.trace.planned_steps == 8, "the newest plan"
    assert recording.other_models == 0
    row = recordings.METRIC_NAMES.index("output_rms")
    for i, step in enumerate(recording.trace.steps):
        assert same_bits(recording.trace.columns["output_rms"][i], recordings.stats(step)[row])


def test_newest_model_counts(tmp_path):
    record(tmp_path, range(1, 4))
    record(tmp_path, range(1, 3), layers=("a", "b"), start=START + 100)
    recording = open_recording(tmp_path)
    assert recording.trace.layers == ("a", "b")
    assert recording.trace.steps.tolist() == [1, 2]
    assert recording.other_models == 1


def test_two_recordings_in_one_folder_continue_each_other(tmp_path):
    record(tmp_path, range(1, 4))
    record(tmp_path, range(4, 7), start=START + 100)
    assert load(tmp_path).steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_every_truncation_of_the_tail_keeps_the_rest(tmp_path, caplog):
    record(tmp_path, range(1, 4), finished=None)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    record(tmp_path / "longer", range(1, 5), finished=None)
    longer = only_file(tmp_path / "longer").read_bytes()
    assert longer.startswith(whole)
    with caplog.at_level(logging.WARNING):
        for size in range(len(whole), len(longer)):
            path.write_bytes(longer[:size])
            assert load(tmp_path).steps.tolist() == [1, 2, 3]
    assert not caplog.records


def test_damage_in_the_middle_ends_the_file(tmp_path, caplog):
    record(tmp_path, range(1, 4), finished=None)
    path = only_file(tmp_path)
    good = path.stat().st_size
    record(tmp_path / "longer", range(1, 9), finished=None)
    data = bytearray(only_file(tmp_path / "longer").read_bytes())
    data[good] ^= 0xFF  # the length of a record
    path.write_bytes(data)
    assert load(tmp_path).steps.tolist() == [1, 2, 3]
    assert "damaged" in caplog.text


def test_damage_of_any_byte_is_an_error_of_ours_or_none(tmp_path):
    record(tmp_path, range(1, 3), cams=True)
    path = only_file(tmp_path)
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for position in random.integers(0, len(data), 300):
        spoiled = bytearray(data)
        spoiled[position] ^= 1 << random.integers(8)
        path.write_bytes(spoiled)
        try:
            trace = load(tmp_path)
            decode_cams(read_tags(tmp_path), trace)
            for kind in KINDS.values():
                decode_histograms(kind, read_tags(tmp_path), trace.layers[0], trace)
        except TfdiagError:
            pass


def test_runs_are_found_by_their_relative_path(tmp_path):
    for name in ("", "a", "b/c"):
        record(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "events.out.tfevents.1700000000.host").write_bytes(b"not ours")
    assert find_runs(tmp_path) == [
        (".", str(tmp_path)),
        ("a", str(tmp_path / "a")),
        ("b/c", str(tmp_path / "b" / "c")),
    ]


def test_no_recording_is_said_in_words_that_help(tmp_path):
    with pytest.raises(TfdiagError, match="HealthMonitor"):
        load(tmp_path)
    with pytest.raises(TfdiagError, match="not a folder"):
        load(tmp_path / "missing")
    with pytest.raises(TfdiagError, match="not a folder"):
        find_runs(tmp_path / "missing")


def test_newer_schema_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "SCHEMA", 3)
    record(tmp_path)
    monkeypatch.undo()
    with pytest.raises(TfdiagError, match="schema version 3.*Install"):
        load(tmp_path)


def test_snapshots_come_back_bit_for_bit(tmp_path):
    record(tmp_path, range(1, 4), cams=True)
    cams = decode_cams(read_tags(tmp_path), load(tmp_path))
    assert cams.steps.tolist() == [1, 2, 3]
    assert cams.samples == [{"name": "0", "true": 7}, {"name": "1", "true": 1}]
    for i, step in enumerate(cams.steps):
        assert same_bits(cams.maps[i], snapshot(step)["maps"])
        assert same_bits(cams.predictions[i], snapshot(step)["predictions"])
    assert same_bits(cams.images, snapshot(1)["images"])


def test_run_without_snapshots_has_none(tmp_path):
    record(tmp_path)
    assert decode_cams(read_tags(tmp_path), load(tmp_path)) is None


def write_event(folder, values, change=None):
    """Writes a file by hand, so that a test can write what no `RunWriter` would."""
    packed = event.pack(1, START, values)
    if change is not None:
        packed = change(packed)
    os.makedirs(folder, exist_ok=True)
    records = open_records(f"{folder}/events.out.tfevents.1.x{schema.SUFFIX}")
    records.write(event.header(START))
    records.write(packed)
    records.close()


def manifest_value(array=None, **changes):
    content = schema.encode({**recordings.manifest(), **changes})
    array = stats(1) if array is None else array
    return Value(schema.STATS + "00000000", schema.PLUGIN, array, content)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3), np.float32), np.zeros(3, np.float32), np.zeros((14, 3)), [b"text"]],
    ids=["shape", "rank", "dtype", "text"],
)
def test_matrix_that_does_not_fit_its_manifest(tmp_path, array):
    write_event(tmp_path, [manifest_value(array)])
    with pytest.raises(TfdiagError, match="damaged.*expected"):
        load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": None},
        {"architecture": {"layers": [{"name": "a"}]}},
        {"architecture": {"layers": "abc", "loss": None, "optimizer": None, "settings": {}}},
        {"metrics": "gradient_rms"},
        {"metrics": ["a"] * 14},
        {"metrics": [1] * 14},
        {"thresholds": [1]},
        {"thresholds": {"dead-relu": 3}},
        {"versions": {"keras": 3}},
        {"not_measured": None},
        {"probe_samples": "256"},
        {"monitor": []},
        {"data": 3},
        {"data": {"samples": 1, "inputs": [{"name": 3}], "labels": [], "outputs": []}},
        {"data": {"samples": 1, "inputs": [], "labels": [{"kind": "odd"}], "outputs": []}},
    ],
    ids=str,
)
def test_manifest_of_wrong_types(tmp_path, changes):
    write_event(tmp_path, [manifest_value(**changes)])
    with pytest.raises(TfdiagError, match="manifest is damaged"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"null", b"[1]", b'{"schema":"1"}', b"[" * 100_000, b'{"schema":NaN}'],
    ids=["empty", "bytes", "null", "list", "text", "deep", "nan"],
)
def test_content_that_is_none_of_ours(tmp_path, content):
    value = Value(schema.STATS + "00000000", schema.PLUGIN, stats(1), content)
    write_event(tmp_path, [value])
    with pytest.raises(TfdiagError):
        load(tmp_path)


def test_tensor_that_claims_a_huge_size_costs_nothing(tmp_path):
    def claim(packed: bytes) -> bytes:
        parsed = event.Event.FromString(packed)
        parsed.summary.value[0].tensor.tensor_shape.dim[0].size = 2**40
        return parsed.SerializeToString()

    write_event(tmp_path, [manifest_value()], claim)
    with pytest.raises(TfdiagError, match="do not fill"):
        load(tmp_path)


def test_tensor_of_one_repeated_number_is_not_spread_out(tmp_path):
    def repeat(packed: bytes) -> bytes:
        parsed = event.Event.FromString(packed)
        tensor = parsed.summary.value[0].tensor
        tensor.tensor_content = b""
        tensor.float_val.append(1.0)
        tensor.tensor_shape.dim[0].size = 2**40
        return parsed.SerializeToString()

    write_event(tmp_path, [manifest_value()], repeat)
    with pytest.raises(TfdiagError, match="do not fill"):
        load(tmp_path)


def test_union_of_steps_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdiag.storage.decoder.MAX_NUMBERS", 1000)
    record(tmp_path, range(1, 100))
    with pytest.raises(TfdiagError, match="every"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"{}", b'{"schema":1}', b'{"schema":1,"report":[],"finished":true}', b"\xff", b""],
)
def test_damaged_report(tmp_path, content):
    report = Value(schema.REPORT, schema.EVENTS_PLUGIN, [content])
    write_event(tmp_path, [manifest_value(), report])
    with pytest.raises(TfdiagError):
        open_recording(tmp_path)


@pytest.mark.parametrize("names", [[], "loss", [1], ["a", "a"], ["a", "b"]], ids=str)
def test_damaged_series(tmp_path, names):
    content = schema.encode({"series": names})
    series = Value(schema.SERIES + "0", schema.PLUGIN, np.zeros(1, np.float32), content)
    write_event(tmp_path, [manifest_value(), series])
    with pytest.raises(TfdiagError):
        load(tmp_path)


def test_value_without_a_tensor(tmp_path):
    def strip(packed: bytes) -> bytes:
        parsed = event.Event.FromString(packed)
        parsed.summary.value[0].ClearField("tensor")
        return parsed.SerializeToString()

    write_event(tmp_path, [manifest_value()], strip)
    with pytest.raises(TfdiagError, match="damaged"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "maps"),
    [
        ({"layer": 1}, np.zeros((1, 2, 4, 4))),
        ({"samples": None}, np.zeros((1, 2, 4, 4))),
        ({"samples": [{"name": "0"}]}, np.zeros((1, 2, 4, 4))),
        ({"samples": [{"name": "0", "true": "7"}]}, np.zeros((1, 2, 4, 4))),
        ({}, np.zeros((2, 2, 4, 4))),
        ({}, np.zeros((1, 3, 4, 4))),
        ({}, np.zeros((1, 2, 4, 4, 4))),
        ({}, np.zeros(())),
    ],
    ids=str,
)
def test_damaged_snapshot(tmp_path, content, maps):
    good = {"layer": "conv", "method": "gradcam", "samples": [{"name": "0", "true": 7}]}
    arrays = {
        "maps": maps.astype(np.float16),
        "predictions": np.zeros((1, 3), np.float32),
        "images": np.zeros((1, 8, 8, 1), np.uint8),
    }
    run = RunWriter(tmp_path, open_records)
    run.step(1, manifest=recordings.manifest(), stats=stats(1), series={})
    run.cams(1, content={**good, **content}, **arrays)
    run.close()
    with pytest.raises(TfdiagError, match="damaged"):
        decode_cams(read_tags(tmp_path), load(tmp_path))


def predictions(path):
    return decode_predictions(read_tags(path, schema.PROBE), load(path))


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_predictions_come_back_bit_for_bit(kind, tmp_path):
    record(tmp_path, predictions=kind)
    found = predictions(tmp_path)
    assert found.kind == kind
    assert found.steps.tolist() == [1, 2, 3, 4, 5]
    expected = np.stack([recordings.look(step, kind)["predictions"] for step in range(1, 6)])
    assert same_bits(found.predictions, expected)
    assert [sample["name"] for sample in found.samples] == [str(row) for row in range(0, 60, 3)]
    assert found.samples[2]["features"] == [3, -1]


def test_predictions_from_before_a_restart_are_left_out(tmp_path):
    record(tmp_path, range(1, 11), predictions="classes")
    record(tmp_path, range(6, 9), start=START + 100, predictions="classes")
    assert predictions(tmp_path).steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_recording_without_predictions_is_read(tmp_path):
    record(tmp_path, cams=True)
    assert predictions(tmp_path) is None


def test_a_reader_that_knows_no_predictions_reads_the_rest(tmp_path):
    """To such a reader the tag is one that it does not know, and the schema is its own."""
    record(tmp_path / "with", cams=True, predictions="classes")
    record(tmp_path / "without", cams=True)
    tags = [read_tags(tmp_path / name) for name in ("with", "without")]
    unknown = [name for name in tags[0] if name not in tags[1]]
    assert [name.startswith(schema.PROBE) for name in unknown] == [True]
    assert schema.decode(tags[0][unknown[0]].content)["schema"] == 2
    assert open_recording(tmp_path / "with").id == open_recording(tmp_path / "without").id
    assert decode_cams(tags[0], load(tmp_path / "with")).steps.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "colours"},
        {"rows": [None] * 20},
        {"rows": [1]},
        {"true": "all"},
        {"true": [0.5] * 20},
        {"features": 3},
        {"features": [["a"]] * 20},
        {"features": []},
    ],
)
def test_damaged_predictions_are_refused(changes, tmp_path):
    record(tmp_path)
    found = recordings.look(1, "classes")
    found["content"].update(changes)
    run = RunWriter(tmp_path, open_records)
    run.predictions(5, wall_time=START + 5, **found)
    run.close()
    with pytest.raises(TfdiagError, match="damaged"):
        predictions(tmp_path)
