"""What is added up in memory, each number against a loop over single entries."""

import math

import numpy as np
import pytest

from tests.test_statistics import slow_bin
from tfdiag import sums
from tfdiag.statistics import (
    BINS,
    INF_BIN,
    LOWEST_EXPONENT,
    NAN_BIN,
    OCTAVES,
    OUTPUT_SUMS,
    WEIGHT_SUMS,
    ZERO_BIN,
)
from tfdiag.sums import CHANGE_ENTRIES, HISTOGRAM_ENTRIES, PIECE, SparseRows

#: The smallest float32 above zero, and the smallest with all of its digits.
DENORMAL, NORMAL = np.float32(1e-45), np.float32(2.0**-126)
LARGEST = np.finfo(np.float32).max


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


#: Name to a gradient, a weight or an output.
ARRAYS = {
    "scalar": np.float32(-2.5).reshape(()),
    "matrix": random(7, 5),
    "empty": np.zeros(0, np.float32),
    "no rows": np.zeros((0, 3), np.float32),
    "no columns": np.zeros((3, 0), np.float32),
    "zeros": np.zeros((4, 3), np.float32),
    "negative zeros": np.array([-0.0, 0.0, -0.0, 1.0], np.float32),
    "denormals": np.array([DENORMAL, -DENORMAL, 1e-40, -1e-39, 0.0, -0.0], np.float32),
    "small": random(100) * np.float32(1e-22),  # its squares are below the smallest float32
    "large": random(100) * np.float32(1e25),  # its squares are above the largest float32
    "largest": np.array([LARGEST, -LARGEST], np.float32),
    "nan": np.array([1.0, np.nan, -3.0, 0.0, -np.nan], np.float32),
    "infinite": np.array([[1.0, np.inf], [-np.inf, 0.0]], np.float32),
    "one piece": random(PIECE),
    "one more than a piece": random(PIECE + 1),
    "bad in the second piece": np.r_[random(PIECE), np.float32([np.inf, np.nan, 2])],
    "small beside a large piece": np.r_[np.full(PIECE, 1e-23), np.full(9, 1e20)].astype("f"),
    "several pieces": np.maximum(random(5, 19, 7, 120), 0),
    "strided": random(40, 30)[::3, ::-2],
    "transposed": random(6, 5, 4).transpose(2, 0, 1),
    "read only": np.broadcast_to(random(3), (4, 3)),
}


def entries(array):
    return [float(value) for value in array.ravel()]


def bad(values):
    return sum(1 for value in values if not math.isfinite(value))


def squares(values):
    return math.fsum(value * value for value in values) if not bad(values) else math.nan


def weight_row(gradient, before, after):
    """Returns what `WEIGHT_SUMS` names, one entry after the other, in float64."""
    g, old, new = (entries(array) for array in (gradient, before, after))
    row = dict.fromkeys(WEIGHT_SUMS, 0.0)
    row["count"] = len(old)
    row["gradient_count"] = len(g)
    row["squares"] = squares(g)
    row["max"] = max((abs(value) for value in g), default=0.0)
    row["zeros"] = sum(1 for value in g if value == 0)
    row["nonfinite"] = bad(g)
    row["weight_squares"] = squares(old)
    row["new_weight_squares"] = squares(new)
    row["update_squares"] = squares(
        [float(np.float32(b) - np.float32(a)) for a, b in zip(old, new, strict=True)]
    )
    row["weight_nonfinite"] = bad(new)
    return row


def assert_rows(found, expected):
    """Compares rows of sums; where something is not finite, only its count says anything."""
    assert found.dtype == np.float64
    assert found.shape == (len(expected), len(WEIGHT_SUMS))
    for row, wanted in zip(found, expected, strict=True):
        for name, value in zip(WEIGHT_SUMS, row, strict=True):
            what = "weight_nonfinite" if "weight" in name or "update" in name else "nonfinite"
            if wanted[what] and name in ("squares", "max"):
                assert not math.isfinite(value), name
            elif not math.isnan(wanted[name]):
                assert value == pytest.approx(wanted[name], rel=1e-5, abs=0), name
            else:
                assert not math.isfinite(value), name


@pytest.mark.parametrize("name", ARRAYS)
def test_gradients_are_added_up(name):
    gradient = ARRAYS[name]
    weight = np.ones(gradient.shape, np.float32)
    found = sums.weight_sums([gradient], [weight], [weight])
    assert_rows(found, [weight_row(gradient, weight, weight)])


@pytest.mark.parametrize("name", ARRAYS)
def test_weights_and_their_updates_are_added_up(name):
    weight, gradient = ARRAYS[name], np.zeros(ARRAYS[name].shape, np.float32)
    before = np.full(weight.shape, 0.5, np.float32)
    found = sums.weight_sums([gradient], [before], [weight])
    assert_rows(found, [weight_row(gradient, before, weight)])


def test_a_weight_that_stands_still_has_no_update():
    weight = random(300, 200)
    row = dict(zip(WEIGHT_SUMS, sums.weight_sums([weight], [weight], [weight])[0], strict=True))
    assert row["update_squares"] == 0
    assert row["weight_squares"] == row["new_weight_squares"]


def test_the_change_of_a_large_weight_is_measured_on_evenly_spaced_blocks():
    before = random(1500, 400)
    after = before + 0.01 * random(1500, 400, seed=1) * random(400, seed=2)
    part = sums.in_blocks(before)
    assert part.size == CHANGE_ENTRIES < before.size
    places = np.flatnonzero(np.isin(before.ravel(), part))
    assert places[0] == 0
    assert np.diff(places).max() < 2 * before.size / sums.blocks(before.shape).count
    exact, found = (
        dict(zip(WEIGHT_SUMS, sums.weight_sums([None], [old], [after])[0], strict=True))
        for old in (before, part)
    )
    for name in ("update_squares", "weight_squares"):
        assert found[name] == pytest.approx(exact[name], rel=0.02), name
        assert found.pop(name) != exact.pop(name), name
    assert found == exact


@pytest.mark.parametrize(
    "shape", [(1024, 4096), (512, 32_768), (256, 4096), (2048, 2048), (9, 50_000)]
)
def test_blocks_of_long_rows_reach_all_columns(shape):
    of = sums.blocks(shape)
    assert of.count * sums.BLOCK <= CHANGE_ENTRIES and of.spanned <= np.prod(shape)
    assert of.spanned > 0.95 * np.prod(shape)
    starts = np.arange(of.count) * of.period % shape[-1]
    columns = (starts[:, None] + np.arange(sums.BLOCK)) % shape[-1]
    assert len(np.unique(columns)) > 0.95 * min(shape[-1], columns.size)


def test_a_weight_of_few_entries_is_measured_on_all_of_them():
    weight = random(512, 512)
    assert weight.size == CHANGE_ENTRIES
    assert sums.in_blocks(weight) is weight


def test_a_weight_without_a_gradient_is_added_up_without_one():
    before, after = random(50, seed=1), random(50, seed=2)
    gradients = [None, random(50), None]
    found = sums.weight_sums(gradients, [before] * 3, [after] * 3)
    nothing = np.zeros(0, np.float32)
    expected = [
        weight_row(nothing if gradient is None else gradient, before, after)
        for gradient in gradients
    ]
    assert_rows(found, expected)


def test_no_weight_has_no_row():
    assert sums.weight_sums([], [], []).shape == (0, len(WEIGHT_SUMS))
    assert sums.histograms([]).shape == (0, BINS)


def dense(gradient):
    """Returns sparse rows as the whole gradient, a look-up after the other."""
    whole = np.zeros((gradient.rows, *gradient.values.shape[1:]), np.float32)
    for row, value in zip(gradient.indices, gradient.values, strict=True):
        whole[row] += value
    return whole


SPARSE = {
    "each row once": SparseRows(random(3, 4), np.array([5, 0, 2]), 7),
    "repeated": SparseRows(random(6, 4), np.array([3, 1, 3, 3, 0, 1]), 9),
    "cancelling": SparseRows(np.float32([[1, 2], [-1, -2], [3, 0]]), np.array([4, 4, 1]), 6),
    "negative zero": SparseRows(np.float32([[-0.0, 1.0]]), np.array([0]), 2),
    "no look-up": SparseRows(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 5),
    "no column": SparseRows(np.zeros((2, 0), np.float32), np.array([1, 1]), 5),
    "vector": SparseRows(random(4), np.array([1, 1, 0, 2], np.int32), 3),
    "deep": SparseRows(random(4, 2, 3), np.array([1, 0, 1, 1]), 2),
    "not finite": SparseRows(
        np.float32([[np.inf, 1], [-np.inf, 1], [np.nan, 2]]), np.array([0, 0, 3]), 4
    ),
    "many": SparseRows(random(2000, 40), np.random.default_rng(3).integers(0, 500, 2000), 5000),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_rows_are_added_up_like_the_whole_gradient(name):
    gradient = SPARSE[name]
    with np.errstate(invalid="ignore"):
        whole = dense(gradient)
    assert gradient.size == whole.size
    weight = np.zeros(whole.shape, np.float32)
    found = sums.weight_sums([gradient], [weight], [weight])
    assert_rows(found, [weight_row(whole, weight, weight)])


@pytest.mark.parametrize("name", [name for name in SPARSE if name != "many"])
def test_sparse_rows_have_the_histogram_of_the_whole_gradient(name):
    with np.errstate(invalid="ignore"):
        whole = dense(SPARSE[name])
        found = sums.histograms([SPARSE[name]])
    np.testing.assert_array_equal(found, [slow_histogram(whole)])


def test_sparse_rows_are_merged_in_the_order_of_the_weight():
    gradient = SPARSE["repeated"]
    np.testing.assert_array_equal(gradient.merged, dense(gradient)[[0, 1, 3]])


def test_sampled_sparse_rows_count_as_many_entries_as_the_weight_has():
    gradient = SparseRows(np.ones((3000, 40), np.float32), np.arange(3000), 5000)
    (found,) = sums.histograms([gradient])
    assert found[ZERO_BIN] == 2000 * 40
    assert found[OCTAVES - LOWEST_EXPONENT] == pytest.approx(3000 * 40, rel=1e-3)


def slow_histogram(array):
    counts = np.zeros(BINS)
    for value in entries(array):
        counts[slow_bin(value)] += 1
    return counts


@pytest.mark.parametrize("name", [n for n, array in ARRAYS.items() if array.size < 40_000])
def test_histograms_count_every_entry(name):
    found = sums.histograms([ARRAYS[name]])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [slow_histogram(ARRAYS[name])])


def test_every_power_of_two_begins_a_bin():
    edges = 2.0 ** np.arange(-149, 128)
    values = np.r_[edges, -edges, np.nextafter(edges, np.inf, dtype="f")].astype(np.float32)
    np.testing.assert_array_equal(sums.histograms([values]), [slow_histogram(values)])


def test_histograms_of_several_weights_do_not_mix():
    gradients = [ARRAYS["nan"], None, ARRAYS["infinite"], ARRAYS["denormals"], ARRAYS["matrix"]]
    found = sums.histograms(gradients)
    for row, gradient in zip(found, gradients, strict=True):
        expected = np.zeros(BINS) if gradient is None else slow_histogram(gradient)
        np.testing.assert_array_equal(row, expected)
    assert found[0, NAN_BIN] == 2
    assert found[2, INF_BIN] == 2


@pytest.mark.parametrize(
    "shape", [(HISTOGRAM_ENTRIES,), (HISTOGRAM_ENTRIES + 1,), (700, 300), (3, 3, 64, 256)]
)
def test_the_histogram_of_a_large_weight_is_that_of_evenly_strided_entries(shape):
    gradient = random(*shape)
    gradient.ravel()[::5] = 0
    step = slow_stride(shape)
    assert sums.stride(shape) == step
    found = sums.histograms([gradient])
    np.testing.assert_array_equal(found, [step * slow_histogram(gradient.ravel()[::step])])
    assert gradient.size <= found.sum() < gradient.size + step


def slow_stride(shape):
    """Returns the smallest stride that leaves few entries but reaches every unit."""
    size = math.prod(shape)
    return next(
        step
        for step in range(1, size + 1)
        if len(range(0, size, step)) <= HISTOGRAM_ENTRIES
        and len({i % shape[-1] for i in range(0, min(size, shape[-1] * step), step)})
        >= min(shape[-1], len(range(0, size, step)))
    )


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 3), (1,), (65_536,), (65_537,), (9, 8)])
def test_strides_of_small_weights(shape):
    assert sums.stride(shape) == (2 if shape == (65_537,) else 1)


@pytest.mark.parametrize("name", ARRAYS)
def test_outputs_are_added_up(name):
    values = entries(ARRAYS[name])
    found = dict(zip(OUTPUT_SUMS, sums.output_sums(ARRAYS[name]), strict=True))
    assert found["count"] == len(values)
    assert found["zeros"] == sum(1 for value in values if value == 0)
    # A MaxPooling of NaN returns the lowest float32.
    assert found["nonfinite"] == sum(1 for value in values if not abs(value) < LARGEST)
    if not bad(values):
        size = math.fsum(abs(value) for value in values)
        assert found["sum"] == pytest.approx(math.fsum(values), rel=0, abs=1e-12 * size)
        assert found["squares"] == pytest.approx(squares(values), rel=1e-12, abs=0)


def test_a_small_deviation_from_a_large_mean_is_kept():
    output = np.float32(1000) + np.float32(2**-10) * np.round(random(64, 600) * 9)
    count, total, squared, *_ = sums.output_sums(output)
    deviation = math.sqrt(squared / count - (total / count) ** 2)
    assert deviation == pytest.approx(np.std(output.astype(np.float64)), rel=1e-4)


OUTPUTS = {
    "dense": (random(6, 4), -1),
    "sequence": (random(3, 5, 4), -1),
    "image": (random(2, 5, 6, 3), -1),
    "image by its position": (random(2, 5, 6, 3), 3),
    "channels first": (random(2, 3, 5, 6), 1),
    "volume, channels first": (random(2, 3, 4, 2, 2), 1),
    "strided": (random(8, 9, 4)[::2, ::-3], -1),
    "transposed": (random(4, 6).T, -1),
    "nan and infinite": (np.float32([[np.nan, 1, -np.inf], [2, np.inf, -np.inf]]), -1),
    "one sample": (random(1, 5), -1),
    "one unit": (random(5, 1), -1),
    "no sample": (np.zeros((0, 3), np.float32), -1),
    "no sample, channels first": (np.zeros((0, 3, 2, 2), np.float32), 1),
    "no position": (np.zeros((2, 0, 3), np.float32), -1),
    "no unit": (np.zeros((2, 5, 0), np.float32), -1),
    "no unit, channels first": (np.zeros((2, 0, 5), np.float32), 1),
}


def units(output, axis):
    """Returns the values of each unit."""
    return [entries(unit) for unit in np.moveaxis(output, axis, 0)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_unit_max_is_the_largest_of_each_unit(name):
    expected = [
        math.nan if any(map(math.isnan, unit)) else max(unit, default=-math.inf)
        for unit in units(*OUTPUTS[name])
    ]
    found = sums.unit_max(*OUTPUTS[name])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected))


@pytest.mark.parametrize("name", OUTPUTS)
def test_outside_counts_what_is_beyond_the_steep_part(name):
    low, high = np.float32(-0.5), np.float32(0.75)
    expected = [sum(1 for v in unit if v < low or v > high) for unit in units(*OUTPUTS[name])]
    found = sums.outside(*OUTPUTS[name], low, high)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.array(expected))


def test_the_ends_of_the_steep_part_are_inside():
    output = np.float32([[-0.5, 0.75, -0.75, 1.0]])
    assert sums.outside(output, -1, -0.5, 0.75).tolist() == [0, 0, 1, 1]


def test_nothing_that_is_added_up_is_changed():
    arrays = [np.array(array) for array in ARRAYS.values()]
    for array in arrays:
        array.flags.writeable = False
    sums.weight_sums(arrays, arrays, arrays)
    sums.histograms(arrays)
    for array, original in zip(arrays, ARRAYS.values(), strict=True):
        sums.output_sums(array)
        np.testing.assert_array_equal(array, original)
