"""The plugin's few decoded recordings: read once, and again only when something was added."""

import pytest

from tensorboard_plugin.experiment import Listed
from tensorboard_plugin.recordings import MOST, Recordings
from tests.recordings import record
from tfdiag.errors import TfdiagError
from tfdiag.storage import reader, schema


class Experiment:
    """Has one recording under every name, and counts how often it is read."""

    def __init__(self, folder, name: str = ""):
        self.id, self._folder, self.reads = name, folder, 0

    def listed(self, run):
        tags = reader.read_tags(self._folder)
        return {
            run: {
                name: Listed(tag.content, tag.records[-1].step, tag.records[-1].wall_time)
                for name, tag in tags.items()
            }
        }

    def measurements(self, run, listed):
        self.reads += 1
        tags = reader.read_tags(self._folder)
        return {name: tag for name, tag in tags.items() if name != schema.REPORT}


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    record(tmp_path, range(1, 6))
    return Experiment(tmp_path)


def test_a_recording_is_read_once(experiment):
    recordings = Recordings()
    first = recordings.of(experiment, "a")
    assert first.trace.steps.tolist() == [1, 2, 3, 4, 5]
    assert recordings.of(experiment, "a") is first
    assert experiment.reads == 1


def test_it_is_read_again_when_it_has_grown(experiment, tmp_path):
    recordings = Recordings()
    recordings.of(experiment, "a")
    record(tmp_path, range(6, 8), start=2e9)
    assert recordings.of(experiment, "a").trace.steps.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_it_is_read_again_when_it_was_made_anew_with_as_many_steps(experiment, tmp_path):
    recordings = Recordings()
    recordings.of(experiment, "a")
    record(tmp_path, range(1, 6), start=2e9)
    assert recordings.of(experiment, "a").trace.wall_times[0] == 2e9


def test_two_log_folders_are_told_apart(experiment, tmp_path):
    recordings = Recordings()
    other = Experiment(tmp_path, "other")
    assert recordings.of(experiment, "a") is not recordings.of(other, "a")


def test_only_the_last_few_are_kept(experiment):
    recordings = Recordings()
    for i in range(MOST + 1):
        recordings.of(experiment, str(i))
    recordings.of(experiment, "1")
    assert experiment.reads == MOST + 1
    recordings.of(experiment, "0")
    assert experiment.reads == MOST + 2


def test_a_damaged_one_is_told_each_time(experiment, monkeypatch):
    recordings = Recordings()
    monkeypatch.setattr(schema, "SCHEMA", 1)
    for _ in range(2):
        with pytest.raises(TfdiagError, match="schema version"):
            recordings.of(experiment, "a")
