"""What is noted about samples and labels, against values that can be seen at a glance."""

import math

import numpy as np
import pytest

from tfdiag import data

EYE = np.eye(3)


def test_the_spread_is_that_of_the_whole_picture():
    y = np.zeros((256, 128, 96), np.float32)
    y[::2, 64:] = 1.0  # the upper half is always black
    assert data.described(y, y).labels[0].std ** 2 == pytest.approx(0.125, rel=0.01)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.array([0, 1, 2]), "classes"),
        (np.array([[0.0], [1.0]]), "classes"),
        (np.array([True, False]), "classes"),
        (np.array([[3, 1, 4], [1, 5, 9]]), "classes"),  # a class per place
        (EYE, "one-hot"),
        (EYE.astype("uint8"), "one-hot"),
        (np.array([[1, 1, 0], [0, 0, 1]]), "multi-hot"),
        (0.9 * EYE + 0.1 / 3, "soft"),
        (np.array([0.5, 1.0]), "real"),
        (np.array([-1, 1]), "real"),
        (np.array([[0.1, 0.2], [0.3, 0.4]]), "real"),
        (np.array([np.nan, np.nan]), "real"),
    ],
)
def test_kinds_of_labels(y, kind):
    assert data.described(y, y).labels[0].kind == kind


def test_inputs_are_described_by_their_finite_entries():
    x = np.array([[1.0, np.nan], [3.0, np.inf], [5.0, 7.0]], np.float32)
    (one,) = data.described(x, np.zeros(3)).inputs
    assert (one.minimum, one.maximum, one.mean) == (1.0, 7.0, 4.0)
    assert one.std == pytest.approx(np.std([1, 3, 5, 7]))
    assert one.nonfinite == pytest.approx(2 / 6)
    assert (one.dtype, one.shape) == ("float32", (2,))


def test_nothing_finite_is_nan():
    (one,) = data.described(np.full((2, 2), np.nan), np.zeros(2)).inputs
    assert one.nonfinite == 1 and math.isnan(one.minimum) and math.isnan(one.std)


def test_several_inputs_keep_their_names():
    x = {"image": np.zeros((4, 2)), "text": np.zeros((4, 5), int)}
    facts = data.described(x, [np.zeros(4), EYE[:1].repeat(4, axis=0)])
    assert [one.name for one in facts.inputs] == ["image", "text"]
    assert [one.kind for one in facts.labels] == ["classes", "one-hot"]
    assert facts.samples == 4


@pytest.mark.parametrize("y", [np.array([0, 0, 0, 2]), np.eye(3)[[0, 0, 0, 2]]])
def test_shares_of_classes(y):
    (labels,) = data.described(y, y).labels
    assert (labels.classes, labels.largest, labels.smallest) == (2, 0.75, 0.25)
    assert labels.shares == (0.75, 0.0, 0.25)


def test_shares_of_many_classes_are_left_out():
    (labels,) = data.described(np.arange(100), np.arange(100)).labels
    assert (labels.classes, labels.shares) == (100, ())
    huge = np.array([0, 2**40])
    assert data.described(huge, huge).labels[0].classes == 0


def test_the_spread_of_targets_is_that_around_the_best_constants():
    y = np.random.default_rng(0).lognormal(size=(50, 3)) * [1, 10, 100] + 5
    (labels,) = data.described(y, y).labels
    assert labels.std**2 == pytest.approx(np.mean([y[:, i].var() for i in range(3)]))
    around = [np.abs(y[:, i] - np.median(y[:, i])).mean() for i in range(3)]
    assert labels.deviation == pytest.approx(np.mean(around))
    y[3, 1] = np.nan
    assert math.isnan(data.described(y, y).labels[0].std)


def test_outputs_add_up_or_do_not():
    one = data.output(np.array([[0.25, 0.75], [0.5, 0.5]], np.float32))
    assert one.adds_up and (one.minimum, one.maximum) == (0.25, 0.75)
    other = data.output(np.array([[-1.0, 2.5]], np.float32))
    assert not data.joined(one, other).adds_up
    assert data.joined(one, other).minimum == -1.0
    assert math.isnan(data.joined(other, data.output(np.array([[np.nan, 1]]))).minimum)


def test_several_classes_per_sample_are_no_class():
    assert data.classes_of(np.array([[1, 1], [0, 1]])) is None
    assert data.classes_of([np.array([1]), np.array([1])]) is None
    assert data.classes_of(np.array([[2.0], [0.0]])).tolist() == [2, 0]
