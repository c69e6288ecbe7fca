"""The plugin's few decoded recordings: read once, and again only when something was added."""

from collections import Counter

import numpy as np
import pytest
from tensorboard.backend.event_processing.reservoir import Reservoir

from tensorboard_plugin.experiment import Listed
from tensorboard_plugin.recordings import MOST, Recordings
from tests import recordings as made
from tests.recordings import record
from tfdiag.errors import TfdiagError
from tfdiag.storage import reader, schema
from tfdiag.storage.decoder import Tag
from tfdiag.storage.writer import RunWriter


class Experiment:
    """Has one recording under every name, and counts how often it is read."""

    def __init__(self, folder, name: str = "", samples: int = 0):
        self.id, self._folder, self.reads, self._samples = name, folder, Counter(), samples

    def listed(self, run):
        tags = reader.read_tags(self._folder)
        return {
            run: {
                name: Listed(tag.content, tag.records[-1].step, tag.records[-1].wall_time)
                for name, tag in tags.items()
            }
        }

    def tagged(self, run, listed, *prefixes):
        self.reads.update(prefixes)
        tags = reader.read_tags(self._folder)
        return {name: self._sampled(tag) for name, tag in tags.items() if name.startswith(prefixes)}

    def _sampled(self, tag):
        kept = Reservoir(self._samples)
        for one in tag.records:
            kept.AddItem("tag", one)
        return Tag(tag.content, kept.Items("tag") if tag.records else [])


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    record(tmp_path, range(1, 6))
    return Experiment(tmp_path)


def test_a_recording_is_read_once(experiment):
    recordings = Recordings(0)
    first = recordings.of(experiment, "a")
    assert first.trace.steps.tolist() == [1, 2, 3, 4, 5]
    assert recordings.of(experiment, "a") is first
    assert experiment.reads == {schema.SERIES: 1}


def test_the_measures_of_layers_are_read_when_one_is_asked_for_and_once(experiment):
    trace = Recordings(0).of(experiment, "a").trace
    assert "output_rms" in trace.columns and "unheard_of" not in trace.columns
    assert set(experiment.reads) == {schema.SERIES}
    for name in ("output_rms", "gradient_rms"):
        assert trace.columns[name].shape == (5, len(trace.layers))
    stats = [tag for tag in experiment.reads if tag.startswith(schema.STATS)]
    assert [experiment.reads[tag] for tag in stats] == [1]
    with pytest.raises(KeyError):
        trace.columns["unheard_of"]


def test_steps_that_come_while_it_is_read_are_left_to_the_next_request(experiment, tmp_path):
    trace = Recordings(0).of(experiment, "a").trace
    record(tmp_path, range(6, 8), start=2e9)
    assert len(trace.columns["output_rms"]) == len(trace.steps) == 5


def test_matrices_without_series_are_all_read_at_once(tmp_path):
    run = RunWriter(tmp_path, made.open_records)
    for step in (1, 2):
        run.step(step, manifest=made.manifest(), stats=made.stats(step), series={})
    run.close()
    experiment = Experiment(tmp_path)
    assert Recordings(0).of(experiment, "a").trace.steps.tolist() == [1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_a_recording_read_in_parts_is_the_same_as_one_read_at_once(tmp_path, seed):
    random = np.random.default_rng(seed)
    step, time = 0, made.START
    for layers in (("a", "b"), made.LAYERS):  # another model in the same folder, later
        run = RunWriter(tmp_path, made.open_records)
        for _ in range(80):
            restarts = step > 20 and random.random() < 0.05
            step = step - int(random.integers(1, 20)) if restarts else step + 1
            time += 1
            run.step(
                step,
                manifest=made.manifest(layers, planned_steps=int(random.integers(2))),
                stats=made.stats(step, layers) if random.random() < 0.6 else None,
                series={"loss": random.random(), **({"val": 1.0} if random.random() < 0.3 else {})},
                wall_time=time,
            )
        run.close()
    in_parts = Recordings(0).of(Experiment(tmp_path), "a")
    at_once = reader.open_recording(tmp_path)
    assert (in_parts.id, in_parts.last_measured) == (at_once.id, at_once.last_measured)
    assert in_parts.other_models == at_once.other_models
    for name in ("steps", "wall_times"):
        np.testing.assert_array_equal(getattr(in_parts.trace, name), getattr(at_once.trace, name))
    for name in ("columns", "series"):
        ours, theirs = getattr(in_parts.trace, name), getattr(at_once.trace, name)
        assert list(ours) == list(theirs)
        for measure in ours:
            np.testing.assert_array_equal(ours[measure], theirs[measure])


def test_where_tensorboard_samples_no_matrix_is_left_aside(tmp_path):
    run = RunWriter(tmp_path, made.open_records)
    for step in range(400):
        looks = {"probe_loss": 1.0} if step % 10 == 0 else {}
        run.step(
            step,
            manifest=made.manifest(),
            stats=made.stats(step),
            series={"loss": 1.0, **looks},
            wall_time=made.START + step,
        )
    run.close()
    trace = Recordings(50).of(Experiment(tmp_path, samples=50), "a").trace
    rms = trace.columns["output_rms"]
    assert np.isfinite(rms).any(axis=1).sum() >= 40  # of the 50 that are kept
    assert len(trace.steps) > 60


def test_a_run_that_is_gone_when_it_is_read_is_none(experiment, tmp_path):
    listed = experiment.listed("a")
    experiment.listed = lambda run: listed
    for file in tmp_path.iterdir():
        file.unlink()
    assert Recordings(0).of(experiment, "a") is None


def test_measures_that_are_gone_when_they_are_read_are_not_taken_for_unmeasured(
    experiment, tmp_path
):
    trace = Recordings(0).of(experiment, "a").trace
    for file in tmp_path.iterdir():
        file.unlink()
    for _ in range(2):
        with pytest.raises(TfdiagError, match="gone"):
            trace.columns["output_rms"]


def test_it_is_read_again_when_it_has_grown(experiment, tmp_path):
    recordings = Recordings(0)
    recordings.of(experiment, "a")
    record(tmp_path, range(6, 8), start=2e9)
    assert recordings.of(experiment, "a").trace.steps.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_it_is_read_again_when_it_was_made_anew_with_as_many_steps(experiment, tmp_path):
    recordings = Recordings(0)
    recordings.of(experiment, "a")
    record(tmp_path, range(1, 6), start=2e9)
    assert recordings.of(experiment, "a").trace.wall_times[0] == 2e9


def test_two_log_folders_are_told_apart(experiment, tmp_path):
    recordings = Recordings(0)
    other = Experiment(tmp_path, "other")
    assert recordings.of(experiment, "a") is not recordings.of(other, "a")


def test_only_the_last_few_are_kept(experiment):
    recordings = Recordings(0)
    for i in range(MOST + 1):
        recordings.of(experiment, str(i))
    recordings.of(experiment, "1")
    assert experiment.reads[schema.SERIES] == MOST + 1
    recordings.of(experiment, "0")
    assert experiment.reads[schema.SERIES] == MOST + 2


def test_a_damaged_one_is_told_each_time(experiment, monkeypatch):
    recordings = Recordings(0)
    monkeypatch.setattr(schema, "SCHEMA", 1)
    for _ in range(2):
        with pytest.raises(TfdiagError, match="schema version"):
            recordings.of(experiment, "a")
