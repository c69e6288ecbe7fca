"""What a user may pass as a probe set, and the words for what not."""

import numpy as np
import pytest

from tfdiag.probe import BATCH, check_fits, probe_set

X, Y = np.arange(40.0).reshape(10, 4), np.arange(10)


class Input:
    """What a Keras model declares of an input."""

    def __init__(self, name, shape, dtype="float32"):
        self.name, self.shape, self.dtype = name, (None, *shape), dtype


def check(x, *inputs):
    check_fits(probe_set((x, Y), 256), inputs, {tensor.name: tensor for tensor in inputs})


def test_arrays_are_kept_in_order():
    probe = probe_set((X, Y), 256)
    assert probe.size == 10
    assert probe.x.dtype == np.float32, "as Keras does with training data"
    np.testing.assert_array_equal(probe.x, X)
    np.testing.assert_array_equal(probe.y, Y)


def test_lists_of_numbers_and_integers_are_arrays():
    probe = probe_set(([[1, 2], [3, 4]], [0, 1]), 256)
    assert probe.x.shape == (2, 2)
    assert probe.y.dtype.kind == "i"


def test_batches_cover_every_sample_once():
    x = np.arange(BATCH * 2 + 5)[:, None]
    seen = [batch for batch, _ in probe_set((x, x), 10_000).batches()]
    assert [len(batch) for batch in seen] == [BATCH, BATCH, 5]
    np.testing.assert_array_equal(np.concatenate(seen), x)


def test_of_a_long_set_evenly_spaced_samples_are_taken():
    labels = np.repeat(np.arange(4), 250)  # sorted by class
    probe = probe_set((np.zeros((1000, 2)), labels), 8)
    np.testing.assert_array_equal(np.bincount(probe.y), [2, 2, 2, 2])
    again = probe_set((np.zeros((1000, 2)), labels), 8)
    np.testing.assert_array_equal(probe.y, again.y)


def test_dicts_and_several_inputs_keep_their_form():
    probe = probe_set(({"a": X, "b": X[:, :1]}, {"out": Y}), 4)
    assert probe.size == 4
    assert probe.x["a"].shape == (4, 4) and probe.x["b"].shape == (4, 1)
    assert probe.y["out"].shape == (4,)
    first, _ = next(probe_set(((X, X), Y), 256).batches())
    assert isinstance(first, tuple) and len(first) == 2


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (X, "must be a pair .x, y.*got a ndarray.*x_val, y_val"),
        ((X,), "got a tuple of 1"),
        ((X, Y, Y), "got a tuple of 3"),
        ((X, None), "labels are missing"),
        ((X[:0], Y[:0]), "it is empty"),
        ((X, Y[:3]), "lengths .10, 3."),
        (({"a": X, "b": X[:3]}, Y), "lengths .10, 3, 10."),
        ((np.array(["a", "b"]), np.array([0, 1])), "dtype <U1.*numbers"),
        (([[1, 2], [3]], [0, 1]), "(padded|inhomogeneous)"),
        ((np.float32(3), Y), "single number"),
        ("x_val", "got a str"),
    ],
)
def test_what_is_no_probe_set_is_refused_with_what_to_do(probe, words):
    with pytest.raises(ValueError, match=words):
        probe_set(probe, 256)


@pytest.mark.parametrize("samples", [0, -1, 1.5, True, "all"])
def test_a_wrong_number_of_samples_is_refused(samples):
    with pytest.raises(ValueError, match="`probe_samples` must be an integer of at least 1"):
        probe_set((X, Y), samples)


def test_a_fitting_probe_set_passes():
    check(X, Input("x", (4,)))
    check(X, Input("x", (None,)))
    check(Y, Input("x", (1,))), "Keras adds the last axis"
    check({"a": X}, Input("a", (4,)))
    check(X), "a subclassed model declares nothing"


@pytest.mark.parametrize(
    ("x", "inputs", "words"),
    [
        (X, [Input("x", (3,))], r"shape \(4,\).*expects \(3,\)"),
        (X, [Input("x", (2, 2))], r"shape \(4,\).*expects \(2, 2\)"),
        (X, [Input("a", (4,)), Input("b", (4,))], r"1 input\(s\).*has 2"),
        ({"a": X}, [Input("a", (4,)), Input("b", (4,))], "no input 'b'"),
        (X + 0.5, [Input("tokens", (4,), "int32")], "dtype float32.*expects int32"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(x, inputs, words):
    with pytest.raises(ValueError, match=words):
        check(x, *inputs)


@pytest.mark.tensorflow
def test_a_dataset_gives_its_first_samples():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(({"a": X.astype("f4")}, Y)).batch(3)
    probe = probe_set(dataset, 7)
    assert probe.size == 7
    np.testing.assert_array_equal(probe.x["a"], X[:7])
    np.testing.assert_array_equal(probe.y, Y[:7])
    assert probe_set(dataset, 256).size == 10
    assert probe_set(dataset.repeat(), 25).size == 25, "an endless one ends"


@pytest.mark.tensorflow
def test_datasets_that_will_not_do_are_refused():
    import tensorflow as tf

    slices = tf.data.Dataset.from_tensor_slices
    with pytest.raises(ValueError, match="no labels"):
        probe_set(slices(X).batch(2), 256)
    with pytest.raises(ValueError, match="dataset is empty"):
        probe_set(slices((X, Y)).batch(2).take(0), 256)
    with pytest.raises(ValueError, match="Batch it"):
        probe_set(slices((Y, Y)), 256)
