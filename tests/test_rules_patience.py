import numpy as np
import pytest

from tfdiag.rules.patience import last_measured, streak_start


def slow(condition, measured, patience):
    """Walks back from the last row, layer by layer."""
    starts = []
    for i in range(condition.shape[1]):
        rows = []
        for row in reversed(range(len(condition))):
            if not measured[row, i]:
                continue
            if not condition[row, i]:
                break
            rows.append(row)
        starts.append(rows[-1] if len(rows) >= patience else -1)
    return starts


@pytest.mark.parametrize("seed", range(30))
def test_streaks_agree_with_a_walk(seed):
    random = np.random.default_rng(seed)
    shape = (int(random.integers(0, 12)), int(random.integers(1, 6)))
    condition = random.random(shape) < 0.8
    measured = random.random(shape) < 0.7
    for patience in (1, 2, 4):
        found = streak_start(condition, measured, patience)
        assert found.tolist() == slow(condition, measured, patience)


def test_what_was_not_measured_neither_breaks_nor_counts():
    condition = np.array([[False], [True], [False], [True], [False]])
    measured = np.array([[True], [True], [False], [True], [False]])
    assert streak_start(condition, measured, 2).tolist() == [1]
    assert streak_start(condition, measured, 3).tolist() == [-1]


def test_waiting_delays_the_judgement_and_not_the_date():
    condition = np.array([[True, False], [True, True], [True, True], [True, True]])
    counted = np.array([False, False, True, True])
    assert streak_start(condition, condition | True, 2, counted).tolist() == [0, 1]
    assert streak_start(condition, condition | True, 3, counted).tolist() == [-1, -1]


def test_last_measured_skips_gaps():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(last_measured(values), [2.0, np.nan])
    assert np.isnan(last_measured(np.zeros((0, 2)))).all()


def test_a_streak_opens_at_its_limit_and_ends_at_a_looser_one():
    values = np.array([[9.0, 9, 9], [11, 11, 9], [12, 7, 9], [9, 11, 9]])
    measured = np.isfinite(values)
    found = streak_start(values > 8, measured, 2, opens=values > 10)
    assert found.tolist() == [1, -1, -1]
