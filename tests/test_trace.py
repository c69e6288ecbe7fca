"""The rows of a run in memory, against a dictionary of steps."""

import math

import numpy as np
import pytest

from tests import traces
from tfdiag.trace import TraceRows

METRICS = ("gradient_rms", "output_rms", "dead_fraction")
ARCHITECTURE = traces.architecture(depth=1)
SHAPE = len(METRICS), len(ARCHITECTURE.layers)


class SlowRows:
    """The same as `TraceRows`, as one dictionary per step."""

    def __init__(self):
        self.rows = {}

    def add(self, step, when, stats, series):
        self.rows = {known: row for known, row in self.rows.items() if known <= step}
        row = self.rows.setdefault(step, {"when": when, "stats": {}, "series": {}})
        for name, value in series.items():
            if math.isnan(row["series"].get(name, math.nan)):
                row["series"][name] = value
        if stats is None:
            return None
        for place, value in np.ndenumerate(stats):
            if not math.isnan(value):
                row["stats"][place] = value
        return np.array(
            [[row["stats"].get((m, n), np.nan) for n in range(SHAPE[1])] for m in range(SHAPE[0])]
        )


def as_trace(rows):
    return rows.trace(METRICS, ARCHITECTURE, not_measured={"loss": "why"}, probe_samples=7)


def assert_same(rows, slow):
    trace, steps = as_trace(rows), sorted(slow.rows)
    assert len(rows) == len(steps)
    assert rows.last_step == (steps[-1] if steps else -1)
    assert trace.steps.tolist() == steps
    assert trace.steps.dtype == np.int64
    assert trace.wall_times.tolist() == [slow.rows[step]["when"] for step in steps]
    assert list(trace.columns) == list(METRICS)
    for m, column in enumerate(trace.columns.values()):
        assert column.shape == (len(steps), SHAPE[1])
        assert column.dtype == np.float32
        expected = [
            [slow.rows[step]["stats"].get((m, n), np.nan) for n in range(SHAPE[1])]
            for step in steps
        ]
        np.testing.assert_array_equal(column, np.reshape(expected, column.shape))
    for name in {name for row in slow.rows.values() for name in row["series"]}:
        expected = [slow.rows[step]["series"].get(name, np.nan) for step in steps]
        np.testing.assert_array_equal(trace.series[name], np.array(expected, np.float32), name)
    for name, values in trace.series.items():
        assert values.dtype == np.float32
        assert values.shape == (len(steps),), name


def some_stats(random):
    stats = random.normal(size=SHAPE).astype(np.float32)
    stats[random.random(SHAPE) < 0.4] = np.nan
    return stats


def some_series(random, number):
    names = [
        "loss",
        "epoch",
        *(["late"] if number > 50 else []),
        *(["last"] if number > 180 else []),
    ]
    values = random.normal(size=len(names)).astype(np.float32)
    values[random.random(len(names)) < 0.2] = random.choice([np.nan, np.inf])
    return {name: float(v) for name, v in zip(names, values, strict=True) if random.random() < 0.6}


@pytest.mark.parametrize("stats_from", [0, 40, 100, 10**9])
@pytest.mark.parametrize("seed", range(5))
def test_rows_are_those_of_a_dictionary(seed, stats_from):
    random = np.random.default_rng(seed)
    rows, slow, step = TraceRows(), SlowRows(), 0
    for number in range(300):
        again = random.random()
        if again < 0.03:
            step = max(0, step - int(random.integers(60)))  # a restart
        elif again > 0.2:
            step += int(random.integers(1, 9))
        stats = some_stats(random) if number >= stats_from and random.random() < 0.7 else None
        record = step, 1000.0 + number, stats, some_series(random, number)
        found, expected = rows.add(*record), slow.add(*record)
        if expected is None:
            assert found is None
        else:
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)
        if number % 50 == 0 or number == 299:
            assert_same(rows, slow)
    assert len(rows) > 64


def test_no_row_is_a_trace_of_none():
    assert_same(TraceRows(), SlowRows())
    assert as_trace(TraceRows()).columns["output_rms"].shape == (0, SHAPE[1])


def test_the_first_step_may_be_0():
    rows = TraceRows()
    rows.add(0, 1.0, None, {"loss": 2.0})
    assert (len(rows), rows.last_step) == (1, 0)
    assert as_trace(rows).series["loss"].tolist() == [2.0]


def test_the_same_step_twice_is_merged():
    rows = TraceRows()
    gradients, outputs = np.full(SHAPE, np.nan, np.float32), np.full(SHAPE, np.nan, np.float32)
    gradients[0], outputs[1] = 1, 2
    rows.add(5, 1.0, gradients, {"loss": 1.0})
    merged = rows.add(5, 2.0, outputs, {"loss": 9.0, "epoch": 0.0})
    np.testing.assert_array_equal(merged[:2], [[1, 1], [2, 2]])
    assert np.isnan(merged[2]).all()
    rows.add(5, 3.0, None, {"val_loss": 3.0})
    trace = as_trace(rows)
    assert trace.steps.tolist() == [5]
    assert trace.wall_times.tolist() == [1.0]
    assert {name: v.tolist() for name, v in trace.series.items()} == {
        "loss": [1.0],
        "epoch": [0.0],
        "val_loss": [3.0],
    }
    assert trace.columns["gradient_rms"].tolist() == [[1, 1]]


def test_a_restart_forgets_what_was_undone():
    rows = TraceRows()
    for step in range(10, 1010, 10):
        rows.add(step, float(step), np.full(SHAPE, step, np.float32), {"loss": float(step)})
    rows.add(505, 2000.0, None, {"epoch": 1.0})
    trace = as_trace(rows)
    assert trace.steps.tolist() == [*range(10, 510, 10), 505]
    assert trace.columns["output_rms"][-2].tolist() == [500, 500]
    assert np.isnan(trace.columns["output_rms"][-1]).all()
    assert np.isnan(trace.series["loss"][-1])
    assert trace.wall_times[-1] == 2000.0
    rows.add(510, 2001.0, None, {})
    assert np.isnan(as_trace(rows).series["loss"][-2:]).all(), "nothing of before is left"


def test_what_is_returned_is_the_callers():
    rows, stats = TraceRows(), np.ones(SHAPE, np.float32)
    found = rows.add(1, 1.0, stats, {})
    found[:] = 9
    stats[:] = 9
    assert (as_trace(rows).columns["output_rms"] == 1).all()


def test_a_trace_says_what_it_was_told():
    trace = as_trace(TraceRows())
    assert trace.architecture is ARCHITECTURE
    assert trace.not_measured == {"loss": "why"}
    assert (trace.probe_samples, trace.planned_steps) == (7, 0)
