"""The mathematics, each quantity against a slow and obvious one."""

import math

import numpy as np
import pytest

from tfdiag import statistics
from tfdiag.statistics import BINS, INF_BIN, NAN_BIN, OUTPUT_SUMS, WEIGHT_SUMS, ZERO_BIN


def weight_row(gradient, before, after):
    """Returns the sums of one weight, as the training step would take them."""
    return [
        gradient.size,
        (gradient**2).sum(),
        np.abs(gradient).max(),
        (gradient == 0).sum(),
        (~np.isfinite(gradient)).sum(),
        (before**2).sum(),
        (after**2).sum(),
        ((after - before) ** 2).sum(),
        (~np.isfinite(after)).sum(),
        gradient.size,
    ]


@pytest.fixture
def kernel_and_bias():
    random = np.random.default_rng(0)
    shapes = [(5, 4), (4,), (4, 3)]
    return [tuple(random.normal(size=shape) for _ in range(3)) for shape in shapes]


def test_gradient_measures_are_taken_over_all_weights_of_a_layer(kernel_and_bias):
    sums = np.array([weight_row(*weight) for weight in kernel_and_bias])
    measures = statistics.gradient_measures(sums, np.array([0, 0, 2]), layers=3)
    for layer, weights in {0: kernel_and_bias[:2], 2: kernel_and_bias[2:]}.items():
        gradient, before, after = (
            np.concatenate([weight[i].ravel() for weight in weights]) for i in range(3)
        )
        assert measures["gradient_rms"][layer] == pytest.approx(math.sqrt((gradient**2).mean()))
        assert measures["gradient_max"][layer] == pytest.approx(np.abs(gradient).max())
        assert measures["weight_rms"][layer] == pytest.approx(math.sqrt((after**2).mean()))
        assert measures["update_ratio"][layer] == pytest.approx(
            np.linalg.norm(after - before) / np.linalg.norm(before)
        )
    assert all(np.isnan(values[1]) for values in measures.values()), "a layer without weights"
    assert all(values.dtype == np.float32 for values in measures.values())


def test_a_gradient_that_is_not_finite_has_a_count_and_nothing_else():
    gradient = np.array([1.0, np.nan, np.inf])
    finite = np.ones(3)
    sums = np.array([weight_row(gradient, finite, finite)])
    measures = statistics.gradient_measures(sums, np.array([0]), layers=1)
    assert measures["gradient_nonfinite"][0] == 2
    for name in ("gradient_rms", "gradient_max", "gradient_zeros"):
        assert np.isnan(measures[name][0]), name
    assert measures["weight_rms"][0] == 1
    assert math.isnan(statistics.global_norm(sums))


def test_weights_that_are_not_finite_leave_the_gradient_measured():
    gradient, before, after = np.ones(2), np.ones(2), np.array([np.nan, 1.0])
    sums = np.array([weight_row(gradient, before, after)])
    measures = statistics.gradient_measures(sums, np.array([0]), layers=1)
    assert measures["gradient_rms"][0] == 1
    assert measures["weight_nonfinite"][0] == 1
    assert np.isnan(measures["update_ratio"][0])


def test_global_norm_is_that_of_all_gradients(kernel_and_bias):
    sums = np.array([weight_row(*weight) for weight in kernel_and_bias])
    everything = np.concatenate([weight[0].ravel() for weight in kernel_and_bias])
    assert statistics.global_norm(sums) == pytest.approx(np.linalg.norm(everything))


def test_sums_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one row for each of the 2 owners"):
        statistics.gradient_measures(np.zeros((1, len(WEIGHT_SUMS))), np.array([0, 1]), layers=2)


def test_output_measures_match_numpy():
    random = np.random.default_rng(1)
    outputs = np.maximum(random.normal(0.5, 2, size=(64, 7)), 0)
    row = [outputs.size, outputs.sum(), (outputs**2).sum(), (outputs == 0).sum(), 0]
    unseen = [0] * len(OUTPUT_SUMS)
    measures = statistics.output_measures(np.array([row, unseen]))
    assert measures["output_mean"][0] == pytest.approx(outputs.mean(), rel=1e-6)
    assert measures["output_std"][0] == pytest.approx(outputs.std(), rel=1e-6)
    assert measures["output_rms"][0] == pytest.approx(math.sqrt((outputs**2).mean()), rel=1e-6)
    assert measures["output_zeros"][0] == pytest.approx((outputs == 0).mean())
    assert measures["output_nonfinite"][0] == 0
    assert all(np.isnan(values[1]) for values in measures.values()), "a layer that did not run"


def test_probe_measures_know_the_dead_the_saturated_and_the_unmeasured():
    sums = np.array([[40.0, 1, 1, 0, 0]] * 3 + [[40.0, 1, 1, 0, 5]])
    unit_max = [np.array([0.0, 1.0, -1.0, 2.0]), None, None, np.array([0.0, 1.0, 1.0, 1.0])]
    saturated = [None, np.array([10.0, 9.0, 9.5, 0.0]), None, None]
    measures = statistics.probe_measures(sums, unit_max, saturated)
    np.testing.assert_array_equal(measures["dead_fraction"], [0.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(measures["saturated_fraction"], [np.nan, 0.5, np.nan, np.nan])


def test_dead_fraction_of_nan_is_not_health():
    assert math.isnan(statistics.dead_fraction(np.array([np.nan, 1.0])))
    assert math.isnan(statistics.dead_fraction(np.array([])))


def slow_bin(value):
    """Returns the histogram bin of one number, by comparing it with every edge."""
    if math.isnan(value):
        return NAN_BIN
    if math.isinf(value):
        return INF_BIN
    if value == 0:
        return ZERO_BIN
    octave = statistics.OCTAVES - 1
    for i in range(statistics.OCTAVES):
        if abs(value) < 2.0 ** (statistics.LOWEST_EXPONENT + i + 1):
            octave = i
            break
    return octave + (statistics.OCTAVES if value > 0 else 0)


def test_histogram_buckets_hold_every_finite_number():
    random = np.random.default_rng(2)
    values = np.concatenate([random.normal(size=500) * 10.0 ** random.integers(-9, 6, 500), [0, 0]])
    counts = np.bincount([slow_bin(v) for v in values], minlength=BINS)
    buckets = statistics.histogram_buckets(counts)
    assert buckets[:, 2].sum() == len(values)
    assert (buckets[:, 2] > 0).all()
    assert (np.diff(buckets[:, 0]) > 0).all(), "ascending"
    for left, right, count in buckets:
        inside = values == 0 if left == right else (values > left) & (values < right)
        assert inside.sum() == count


def test_histogram_of_nothing_but_nan_is_empty():
    counts = np.zeros(BINS)
    counts[NAN_BIN] = counts[INF_BIN] = 3
    assert statistics.histogram_buckets(counts).shape == (0, 3)
