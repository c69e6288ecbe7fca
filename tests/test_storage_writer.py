import errno
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import recordings
from tests.recordings import halves, manifest, open_records, stats
from tfdiag.metrics import METRIC_NAMES
from tfdiag.storage import schema, writer
from tfdiag.storage.reader import open_recording, read_tags
from tfdiag.storage.writer import RunWriter


class FailingRecords:
    """A file on a disk that is full after some records."""

    def __init__(self, good: int):
        self.good = good

    def write(self, record: bytes) -> None:
        self.good -= 1
        if self.good < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def add_step(run: RunWriter, step: int, **changes) -> None:
    arguments = {"manifest": manifest(), "stats": stats(step), "series": {"loss": float(step)}}
    run.step(step, **{**arguments, **changes})


def files(folder) -> list[str]:
    return sorted(os.listdir(folder))


def wait_until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_nothing_is_on_disk_before_the_first_record(tmp_path):
    run = RunWriter(tmp_path / "run", open_records)
    run.flush()
    run.close()
    assert not (tmp_path / "run").exists()
    assert run.error is None


def test_file_has_a_name_that_tensorboard_finds(tmp_path):
    recordings.record(tmp_path)
    assert re.fullmatch(r"events\.out\.tfevents\.\d{10}\..+\.\d+\.\d{4}\.tfdiag", *files(tmp_path))


def test_file_names_sort_in_the_order_of_their_start(tmp_path):
    for _ in range(12):
        recordings.record(tmp_path, range(1, 2))
    assert len(files(tmp_path)) == 12
    numbers = [int(name.split(".")[-2]) for name in files(tmp_path)]
    assert numbers == sorted(numbers)


def test_content_is_written_once_per_tag(tmp_path):
    recordings.record(tmp_path, range(1, 50))
    data = (tmp_path / files(tmp_path)[0]).read_bytes()
    assert data.count(b'"architecture"') == 1
    assert data.count(b'"series"') == 1


def test_images_are_written_once(tmp_path):
    recordings.record(tmp_path, cams=True)
    tags = read_tags(tmp_path)
    assert len(tags[schema.IMAGES].records) == 1
    assert len(next(tag for name, tag in tags.items() if schema.CAMS in name).records) == 5


def test_first_record_of_a_step_stays(tmp_path):
    run = RunWriter(tmp_path, open_records)
    add_step(run, 1, series={"loss": 1.0})
    add_step(run, 1, series={"loss": 2.0})
    add_step(run, 1, stats=None, series={"val_loss": 3.0})
    run.close()
    recording = open_recording(tmp_path)
    for name, tag in read_tags(tmp_path).items():  # what layers measure is merged, and written anew
        assert len(tag.records) == (2 if name.startswith(schema.STATS) else 1), name
    assert recording.trace.steps.tolist() == [1]
    assert recording.trace.series["loss"] == [1.0]
    assert recording.trace.series["val_loss"] == [3.0]


def test_last_measures_of_a_step_count(tmp_path):
    run = RunWriter(tmp_path, open_records)
    parts = halves(1)
    for step, values in ((1, parts[0]), (1, stats(1)), (2, stats(2))):
        add_step(run, step, stats=values)
    run.close()
    trace = open_recording(tmp_path).trace
    assert trace.steps.tolist() == [1, 2]
    measured = np.stack([trace.columns[name] for name in METRIC_NAMES], axis=1)
    np.testing.assert_array_equal(measured, [stats(1), stats(2)])


def test_last_report_of_a_step_counts(tmp_path):
    run = RunWriter(tmp_path, open_records)
    add_step(run, 1)
    run.report(1, {"step": 1}, finished=False)
    run.report(1, {"step": 2}, finished=True, cost={"seconds": 1.0, "share": 0.5})
    run.close()
    recording = open_recording(tmp_path)
    assert recording.report_json == {"step": 2}
    assert recording.finished
    assert recording.cost == {"seconds": 1.0, "share": 0.5}


def test_smaller_step_is_a_restart(tmp_path):
    run = RunWriter(tmp_path, open_records)
    for step in (1, 2, 3, 2):
        add_step(run, step)
    run.close()
    assert open_recording(tmp_path).trace.steps.tolist() == [1, 2]


def test_numbers_that_json_does_not_know(tmp_path):
    run = RunWriter(tmp_path, open_records)
    add_step(run, np.int64(1), manifest=manifest(monitor={"every": np.int32(3), "rate": np.nan}))
    run.report(np.int64(1), {"value": np.float32("inf"), "at": np.arange(2)}, finished=np.True_)
    run.close()
    assert run.error is None
    recording = open_recording(tmp_path)
    assert recording.monitor == {"every": 3, "rate": None}
    assert recording.report_json == {"value": None, "at": [0, 1]}


def test_record_is_on_disk_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.05)
    run = RunWriter(tmp_path, open_records)
    add_step(run, 1)
    wait_until(lambda: files(tmp_path) and os.path.getsize(tmp_path / files(tmp_path)[0]) > 500)
    assert open_recording(tmp_path).trace.steps.tolist() == [1]
    run.close()


def test_full_disk_stops_recording_and_nothing_else(tmp_path, caplog):
    run = RunWriter(tmp_path, lambda path: FailingRecords(good=3))
    with caplog.at_level(logging.ERROR):
        for step in range(10):
            add_step(run, step)
        run.close()
    assert "No space left on device" in run.error
    assert len(caplog.records) == 1
    assert "training goes on" in caplog.text
    add_step(run, 11)
    run.flush()
    run.close()


def test_record_that_cannot_be_packed_leaves_the_earlier_ones(tmp_path, caplog):
    run = RunWriter(tmp_path, open_records)
    add_step(run, 1)
    add_step(run, 2, stats="no matrix")
    wait_until(lambda: run.error)
    wait_until(lambda: open_recording(tmp_path).trace.steps.tolist() == [1])
    run.close()
    assert "no matrix" in caplog.text


def test_thread_that_cannot_be_started(tmp_path, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    run = RunWriter(tmp_path, open_records)
    add_step(run, 1)
    run.close()
    assert "can't start new thread" in run.error


def test_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    run = RunWriter(tmp_path / "file" / "run", open_records)
    add_step(run, 1)
    run.close()
    assert "NotADirectoryError" in run.error or "FileExistsError" in run.error
    assert str(tmp_path) in caplog.text


def test_closed_writer_takes_everything_and_does_nothing(tmp_path):
    run = RunWriter(tmp_path, open_records)
    add_step(run, 1)
    run.close()
    add_step(run, 2)
    run.flush()
    run.close()
    assert run.error is None
    assert open_recording(tmp_path).trace.steps.tolist() == [1]


def test_slow_disk_does_not_hold_training_for_ever(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.05)

    class Slow(FailingRecords):
        def write(self, record: bytes) -> None:
            time.sleep(0.3)

        def close(self) -> None:
            pass

    run = RunWriter(tmp_path, lambda path: Slow(0))
    add_step(run, 1)
    run.close()
    assert "did not take" in run.error


def test_address_of_a_bucket_is_passed_on():
    paths = []

    def open_bucket(path):
        paths.append(path)
        return FailingRecords(9)

    run = RunWriter("gs://bucket/run/", open_bucket)
    add_step(run, 1)
    run.close()
    assert paths[0].startswith("gs://bucket/run/events.out.tfevents.")
    assert not os.path.exists("gs:")


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "raise ValueError", "pass"])
def test_nothing_is_lost_when_the_process_ends(tmp_path, end):
    code = f"from tests import test_storage_writer as t\nt.start({str(tmp_path)!r})\n{end}\n"
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=60)
    assert len(open_recording(tmp_path).trace.steps) == 200


def start(folder: str) -> RunWriter:
    """Records 200 steps and leaves the writer open."""
    run = RunWriter(folder, open_records)
    fields = manifest()
    for step in range(200):
        add_step(run, step, manifest=fields)
    return run


@pytest.mark.tensorflow
def test_tensorflow_writes_the_same_records(tmp_path):
    import tensorflow as tf

    recordings.record(tmp_path / "ours", cams=True)
    recordings.record(tmp_path / "theirs", cams=True, opener=tf.io.TFRecordWriter)
    ours, theirs = ((tmp_path / name) for name in ("ours", "theirs"))
    assert (ours / files(ours)[0]).read_bytes() == (theirs / files(theirs)[0]).read_bytes()
