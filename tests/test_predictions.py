"""The predictions that are kept of a few probe samples, against `model.predict` on these."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tests import recordings  # noqa: E402
from tfdiag.predictions import MOST, chosen  # noqa: E402
from tfdiag.storage import schema  # noqa: E402
from tfdiag.storage.reader import load, read_tags  # noqa: E402
from tfdiag.storage.snapshots import Predictions, decode_predictions  # noqa: E402
from tfdiag.storage.writer import RunWriter  # noqa: E402

SAMPLES = 100
layers = keras.layers


def table(seed=0):
    return np.random.default_rng(seed).normal(size=(SAMPLES, 5)).astype("float32")


def classes(of, count):
    return (np.abs(of).sum(axis=tuple(range(1, of.ndim))) * 7).astype(int) % count


def dense(units, activation=None):
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, "relu"), layers.Dense(units, activation, name="head")]
    )


def recorded(path, model, loss, x, y, **options) -> Predictions | None:
    """Trains with a monitor and returns what it has kept of the predictions."""
    model.compile("adam", loss)
    monitor = tfdiag.HealthMonitor(path, probe=(x, y), probe_every=3, **options)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[monitor])
    return decode_predictions(read_tags(path, schema.PROBE), load(path))


def shares(outputs):
    """Returns each row's softmax, entry by entry; of a single score those of both classes."""
    if outputs.shape[1] == 1:
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
    powers = [[np.exp(score) for score in row] for row in outputs.astype(np.float64)]
    return np.array([[power / sum(row) for power in row] for row in powers])


def assert_guesses(found, probabilities, true):
    """Compares the last look with the probabilities that `model.predict` leads to."""
    rows = [round(i * (SAMPLES - 1) / (MOST - 1)) for i in range(MOST)]
    assert found.kind == "classes"
    assert [sample["name"] for sample in found.samples] == [str(row) for row in rows]
    for i, row in enumerate(rows):
        assert found.samples[i]["true"] == true[row]
        predicted, confidence, true_confidence = found.predictions[-1, i]
        assert predicted == np.argmax(probabilities[row])
        assert confidence == pytest.approx(max(probabilities[row]), rel=1e-4)
        assert true_confidence == pytest.approx(probabilities[row][true[row]], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("one_hot", [False, True])
def test_softmax(one_hot, tmp_path):
    x, model = table(), dense(3, "softmax")
    true = classes(x, 3)
    y, kind = (np.eye(3)[true], "") if one_hot else (true, "sparse_")
    found = recorded(tmp_path, model, f"{kind}categorical_crossentropy", x, y)
    assert_guesses(found, model.predict(x, verbose=0), true)
    assert found.steps.tolist() == [0, 3, 6, 9, 12, 14]
    expected = [[float(f"{number:.4g}") for number in row[:4]] for row in x[chosen(SAMPLES)]]
    assert [sample["features"] for sample in found.samples] == expected


def test_logits(tmp_path):
    x, model = table(), dense(4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = recorded(tmp_path, model, loss, x, classes(x, 4))
    assert_guesses(found, shares(model.predict(x, verbose=0)), classes(x, 4))


def test_binary_sigmoid(tmp_path):
    x, model = table(), dense(1, "sigmoid")
    found = recorded(tmp_path, model, "binary_crossentropy", x, classes(x, 2))
    ones = model.predict(x, verbose=0)
    assert_guesses(found, np.concatenate([1 - ones, ones], axis=1), classes(x, 2))


@pytest.mark.parametrize("bias", [0.5, 0.0])  # all scores look like probabilities, or none
def test_binary_logits(bias, tmp_path):
    x, model = table(), dense(1)
    model.get_layer("head").bias.assign([bias])
    if bias:
        model.get_layer("head").kernel.assign(np.zeros((8, 1)))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    found = recorded(tmp_path, model, loss, x, classes(x, 2)[:, None])
    assert_guesses(found, shares(model.predict(x, verbose=0)), classes(x, 2))


@pytest.mark.parametrize("units", [1, 2])
def test_regression(units, tmp_path):
    x, model = table(), dense(units)
    y = (x[:, :units] * 2 + 0.1).astype("float32")
    found = recorded(tmp_path, model, "mse", x, y)
    assert found.kind == "values"
    rows = chosen(SAMPLES)
    assert [sample["true"] for sample in found.samples] == y[rows, 0].tolist()
    expected = model.predict(x, verbose=0)[rows, :1]
    np.testing.assert_allclose(found.predictions[-1], expected, rtol=1e-4, atol=1e-6)


def test_whole_numbers_may_be_values(tmp_path):
    x = table()
    found = recorded(tmp_path, dense(1), "mae", x, classes(x, 60))
    assert found.kind == "values"


def test_sequences(tmp_path):
    x = np.random.default_rng(0).integers(1, 20, (SAMPLES, 6))
    model = keras.Sequential(
        [keras.Input((6,)), layers.Embedding(20, 4), layers.LSTM(5), layers.Dense(3, "softmax")]
    )
    found = recorded(tmp_path, model, "sparse_categorical_crossentropy", x, classes(x, 3))
    assert_guesses(found, model.predict(x, verbose=0), classes(x, 3))
    assert found.samples[1]["features"] == x[chosen(SAMPLES)[1], :4].tolist()


def test_a_stateful_model_leaves_the_rest_out(tmp_path):
    x = np.random.default_rng(0).normal(size=(SAMPLES, 3, 2)).astype("float32")
    inputs = keras.Input(batch_shape=(16, 3, 2))
    outputs = layers.Dense(1)(layers.LSTM(4, stateful=True)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    monitor = tfdiag.HealthMonitor(tmp_path, probe=(x, x[:, 0, :1]))
    model.fit(x[:96], x[:96, 0, :1], batch_size=16, verbose=0, callbacks=[monitor])
    found = decode_predictions(read_tags(tmp_path, schema.PROBE), load(tmp_path))
    seen = np.isfinite(found.predictions[-1, :, 0])
    assert seen.tolist() == (chosen(SAMPLES) < 96).tolist()


def test_nan_is_no_class(tmp_path):
    x, model = table(), dense(3, "softmax")
    model.get_layer("head").bias.assign([np.nan, 0, 0])
    found = recorded(tmp_path, model, "sparse_categorical_crossentropy", x, classes(x, 3))
    assert np.isnan(found.predictions).all()


def several_outputs():
    inputs = keras.Input((5,))
    return keras.Model(inputs, [layers.Dense(1, name=name)(inputs) for name in "ab"])


def tokens():
    return keras.Sequential([keras.Input((5,)), layers.Embedding(9, 4), layers.Dense(9, "softmax")])


@pytest.mark.parametrize(
    ("model", "loss", "y", "words"),
    [
        (several_outputs, ["mse", "mse"], [np.zeros(SAMPLES)] * 2, "the model has 2 outputs"),
        (
            tokens,
            "sparse_categorical_crossentropy",
            np.ones((SAMPLES, 5), int),
            "output has the shape (5, 9) for each sample",
        ),
        (
            lambda: dense(3, "sigmoid"),
            "binary_crossentropy",
            np.tile([1, 1, 0], (SAMPLES, 1)),
            "the labels are not one class per sample",
        ),
    ],
)
def test_why_there_are_none(model, loss, y, words, tmp_path):
    x = np.random.default_rng(0).integers(0, 9, (SAMPLES, 5)).astype("float32")
    assert recorded(tmp_path, model(), loss, x, y) is None
    assert words in load(tmp_path).not_measured["predictions"]


def test_without_a_probe_set_there_are_none(tmp_path):
    model = dense(1)
    model.compile("adam", "mse")
    monitor = tfdiag.HealthMonitor(tmp_path)
    model.fit(table(), table()[:, :1], verbose=0, callbacks=[monitor])
    assert "no probe set was given" in load(tmp_path).not_measured["predictions"]


def test_a_look_takes_few_bytes(tmp_path):
    sizes = []
    for looks in (1, 11):
        folder = tmp_path / str(looks)
        x, writer = np.ones((5000, 5), "float32"), RunWriter(folder, recordings.open_records)
        content = {"kind": "classes", "rows": chosen(5000), "true": [99] * MOST}
        features = [[-1.234e-05] * 4] * len(chosen(len(x)))
        for step in range(looks):
            array = np.full((MOST, 3), 0.1, np.float32)
            writer.predictions(step, content={**content, "features": features}, predictions=array)
        writer.close()
        (path,) = folder.iterdir()
        sizes.append(path.stat().st_size)
    once, ten = sizes[0], sizes[1] - sizes[0]
    assert ten / 10 < 1000
    assert once < 6000


def test_no_failure_of_ours_ends_the_recording(tmp_path, monkeypatch, caplog):
    def fail(self, outputs):
        raise RuntimeError("no such number")

    monkeypatch.setattr("tfdiag.predictions.Predictions.taken", fail)
    x = table()
    found = recorded(tmp_path, dense(1), "mse", x, x[:, :1])
    assert found is None
    trace = load(tmp_path)
    assert trace.not_measured["predictions"] == "no such number"
    assert np.isfinite(trace.series["probe_loss"]).sum() == 6


def test_each_sample_is_chosen_once_and_evenly():
    for size in (1, 2, MOST, MOST + 1, 256, 10_007):
        rows = chosen(size)
        assert len(set(rows.tolist())) == len(rows) == min(size, MOST)
        assert rows[0] == 0 and rows[-1] == size - 1
        assert np.ptp(np.diff(rows)) <= 1 if size > 1 else True
