"""What is added up inside a compiled step, against the same in memory."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from tests.test_sums import ARRAYS, SPARSE, dense, random  # noqa: E402
from tfdiag import graph_sums, sums  # noqa: E402
from tfdiag.statistics import BINS, WEIGHT_SUMS, gradient_measures  # noqa: E402

#: What float32 cannot square; TensorFlow takes denormals for zeros, where it likes.
BEYOND = ("denormals", "small", "large", "largest", "small beside a large piece")
WITHIN = [name for name in ARRAYS if name not in BEYOND]
LARGEST = WEIGHT_SUMS.index("max")


def in_graph(function, *arguments, compiled):
    """Returns what a function of `graph_sums` returns for arrays, in a compiled step."""

    @tf.function(jit_compile=compiled)
    def step(*tensors):
        return function(*tensors)

    tensors = tf.nest.map_structure(lambda a: None if a is None else tf.constant(a), arguments)
    return step(*tensors).numpy()


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_sums_are_those_in_memory(compiled):
    gradients = [ARRAYS[name] for name in WITHIN]
    before = [np.full(array.shape, 0.5, np.float32) for array in gradients]
    after = [b + random(*b.shape, seed=1) for b in before]
    found = in_graph(graph_sums.weight_sums, gradients, before, after, compiled=compiled)
    expected = sums.weight_sums(gradients, before, after)
    for row, wanted, name in zip(found, expected, WITHIN, strict=True):
        if not ARRAYS[name].size or not np.isfinite(ARRAYS[name]).all():
            row[LARGEST] = wanted[LARGEST] = 0  # of nothing, or of NaN: nobody reads it
        finite = np.isfinite(wanted)
        np.testing.assert_allclose(row[finite], wanted[finite], rtol=1e-4, err_msg=name)
        assert not np.isfinite(row[~finite]).any(), name


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_measures_are_those_in_memory(compiled):
    gradients = [None if i % 4 == 3 else ARRAYS[name] for i, name in enumerate(WITHIN)]
    before = [np.full(ARRAYS[name].shape, 0.5, np.float32) for name in WITHIN]
    after = [ARRAYS[name] for name in WITHIN]
    found = in_graph(graph_sums.weight_sums, gradients, before, after, compiled=compiled)
    expected = sums.weight_sums(gradients, before, after)
    owners = np.arange(len(WITHIN))
    measures = gradient_measures(expected, owners, len(owners))
    for name, values in gradient_measures(found, owners, len(owners)).items():
        np.testing.assert_allclose(values, measures[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_what_float32_cannot_square_is_not_taken_for_a_number(compiled):
    large = ARRAYS["large"]
    row = in_graph(graph_sums.weight_sums, [large], [large], [large], compiled=compiled)[0]
    found = dict(zip(WEIGHT_SUMS, row, strict=True))
    assert found["squares"] == found["weight_squares"] == np.inf
    assert found["max"] == np.abs(large).max()
    assert found["nonfinite"] == found["weight_nonfinite"] == 0


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_histograms_are_those_in_memory(compiled):
    names = [name for name in ARRAYS if name != "denormals"]
    gradients = [ARRAYS[name] for name in names] + [None, random(700, 300)]
    found = in_graph(graph_sums.histograms, gradients, compiled=compiled)
    strides = [1 if g is None else sums.stride(g.shape) for g in gradients]
    expected = sums.histograms(gradients)
    np.testing.assert_array_equal(found * np.reshape(strides, [-1, 1]), expected)
    assert max(strides) > 1


@pytest.mark.parametrize("gradients", [[], [None], [None, None]])
def test_histograms_of_nothing_are_empty(gradients):
    found = in_graph(graph_sums.histograms, gradients, compiled=False)
    np.testing.assert_array_equal(found, np.zeros((len(gradients), BINS)))


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_rows_are_merged_as_tensorflow_does(name):
    rows = SPARSE[name]
    slices = tf.IndexedSlices(
        tf.constant(rows.values),
        tf.constant(rows.indices),
        tf.constant([rows.rows, *rows.values.shape[1:]]),
    )
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(tf.convert_to_tensor(slices), dense(rows), rtol=1e-5, atol=1e-6)
