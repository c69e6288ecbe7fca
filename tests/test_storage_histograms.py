import os
import tracemalloc
import zlib

import numpy as np
import pytest

from tests import recordings
from tests.recordings import LAYERS, START, open_records, record, stats
from tfdiag.errors import TfdiagError
from tfdiag.statistics import BINS, INF_BIN, NAN_BIN, ZERO_BIN, histogram_buckets
from tfdiag.storage import histograms, schema
from tfdiag.storage.event import Value
from tfdiag.storage.reader import load, read_tags
from tfdiag.storage.writer import RunWriter

PLUGINS = (*schema.PLUGINS, "histograms")
GRADIENTS, WEIGHTS = histograms.KINDS["gradients"], histograms.KINDS["weights"]


def found(folder, layer=LAYERS[0], kind=GRADIENTS):
    return histograms.decode(kind, read_tags(folder, plugins=PLUGINS), layer, load(folder))


def write(folder, counts_of_steps, layers=LAYERS, start=START, kind="gradients"):
    run = RunWriter(folder, open_records)
    fields = recordings.manifest(layers)
    for step, counts in counts_of_steps.items():
        run.step(
            step,
            manifest=fields,
            stats=stats(step, layers),
            series={},
            histograms=None if counts is None else {kind: counts},
            wall_time=start + step,
        )
    run.close()
    return run


def write_packed(folder, array, content=None):
    """Writes histograms by hand, so that a test can write what no `RunWriter` would."""
    value = histograms.packed(GRADIENTS, LAYERS, np.ones((len(LAYERS), BINS), np.uint32))
    value = Value(value.tag, value.plugin, array, value.content if content is None else content)
    run = RunWriter(folder, open_records)
    run.step(1, manifest=recordings.manifest(), stats=stats(1), series={}, wall_time=START)
    run._record(1, START, lambda: [value])
    run.close()
    assert run.error is None


def natives(folder, kind=GRADIENTS):
    return read_tags(folder, kind.native, ("histograms",))


def drawn(layers: int, random: np.random.Generator) -> np.ndarray:
    """Returns counts as gradients have them: 64 to 65536 entries over some 30 powers of two."""
    counts = np.zeros((layers, BINS))
    for row in range(layers):
        size = int(random.choice([64, 640, 4096, 36_864, 65_536]))
        spread = np.exp(0.7 * random.standard_normal(size))
        gradient = random.standard_normal(size) * spread * 10 ** random.uniform(-5, -1)
        exponent = np.frexp(np.abs(gradient))[1] - 1
        counts[row] = np.bincount(exponent + 40 + 64 * (gradient > 0), minlength=BINS)
    return counts


def test_histograms_come_back_exactly(tmp_path):
    record(tmp_path, range(1, 4))
    steps, buckets = found(tmp_path)
    assert steps.tolist() == [1, 2, 3]
    for step, each in zip(steps, buckets, strict=True):
        np.testing.assert_array_equal(each, recordings.histogram(step))
        assert each.dtype == np.float64
    assert found(tmp_path, LAYERS[1]) is None, "it has no gradient"


def test_every_bin_of_every_layer_comes_back(tmp_path):
    counts = np.random.default_rng(0).integers(0, 2**32, (3, BINS)).astype(float)
    write(tmp_path, {1: counts})
    for row, layer in enumerate(LAYERS):
        _, (buckets,) = found(tmp_path, layer)
        np.testing.assert_array_equal(buckets, histogram_buckets(counts[row]))


def test_counts_of_sampled_weights_are_rounded_and_stop_at_the_largest_that_fits(tmp_path):
    counts = np.zeros((3, BINS))
    counts[:, ZERO_BIN] = 1.53, 1e12, 2**32 - 1
    write(tmp_path, {1: counts})
    entries = [found(tmp_path, layer)[1][0][0, 2] for layer in LAYERS]
    assert entries == [2, 2**32 - 1, 2**32 - 1]


def test_steps_without_a_gradient_of_the_layer_are_left_out(tmp_path):
    counts = {step: recordings.histogram_counts(step) for step in (1, 2, 3)}
    counts[2] = counts[2][[1, 0, 2]]
    counts[4] = np.zeros((3, BINS))
    counts[5] = None
    counts[6] = np.zeros((3, BINS))
    counts[6][0, [NAN_BIN, INF_BIN]] = 3
    write(tmp_path, counts)
    steps, buckets = found(tmp_path)
    assert steps.tolist() == [1, 3, 6]
    assert buckets[2].shape == (0, 3), "NaN and Inf have no place on the axis"
    assert found(tmp_path, LAYERS[1])[0].tolist() == [2]
    (packed,) = read_tags(tmp_path, schema.GRADIENT_HISTOGRAMS).values()
    assert [each.step for each in packed.records] == [1, 2, 3, 6]


def test_tensorboards_own_ones_are_written_at_the_first_of_25_records(tmp_path):
    record(tmp_path, range(1, 61))
    for kind, factor in ((GRADIENTS, 1), (WEIGHTS, 2)):
        (tag,) = natives(tmp_path, kind).values()
        assert [each.step for each in tag.records] == [1, 26, 51]
        for each in tag.records:
            expected = recordings.histogram(each.step) * [1, 1, factor]
            np.testing.assert_array_equal(each.array, expected)


def test_weights_and_gradients_are_kept_apart(tmp_path):
    counts = recordings.histogram_counts(1)
    write(tmp_path, {1: counts, 2: None}, kind="weights")
    assert found(tmp_path) is None
    steps, (buckets,) = found(tmp_path, kind=WEIGHTS)
    assert steps.tolist() == [1]
    np.testing.assert_array_equal(buckets, recordings.histogram(1))
    write(tmp_path, {3: 3 * counts}, start=START + 100)
    assert found(tmp_path)[0].tolist() == [3]
    assert found(tmp_path, kind=WEIGHTS)[0].tolist() == [1]


def test_histograms_of_another_shape_stop_recording(tmp_path):
    run = write(tmp_path, {1: None, 2: np.ones((2, BINS))})
    assert "a row for each of the 3 layers" in run.error


def test_restart_replaces_what_came_after_it(tmp_path):
    write(tmp_path, {step: recordings.histogram_counts(1) for step in range(1, 11)})
    write(tmp_path, {step: recordings.histogram_counts(2) for step in (6, 7)}, start=START + 100)
    steps, buckets = found(tmp_path)
    assert steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert [each[0, 2] for each in buckets] == [1, 1, 1, 1, 1, 2, 2]


def test_histograms_of_another_model_are_left_aside(tmp_path):
    write(tmp_path, {1: recordings.histogram_counts(1)})
    write(tmp_path, {1: None}, layers=("conv", "b"), start=START + 100)
    tags = read_tags(tmp_path, plugins=schema.PLUGINS)
    assert histograms.decode(GRADIENTS, tags, "conv", load(tmp_path)) is None
    write(tmp_path, {2: np.ones((2, BINS))}, layers=("conv", "b"), start=START + 200)
    assert found(tmp_path, "conv")[0].tolist() == [2]


def test_recording_with_tensorboards_own_ones_only(tmp_path, monkeypatch):
    monkeypatch.setattr(histograms, "NATIVE_EVERY", 1)
    record(tmp_path, range(1, 4))
    tags = natives(tmp_path)
    steps, buckets = histograms.decode(GRADIENTS, tags, LAYERS[0], load(tmp_path))
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(buckets[2], recordings.histogram(3))
    assert histograms.decode(GRADIENTS, tags, LAYERS[1], load(tmp_path)) is None


def as_bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


SIZE = len(LAYERS) * BINS * 4


@pytest.mark.parametrize(
    "array",
    [
        as_bytes(b"none of zlib's"),
        as_bytes(b""),
        as_bytes(zlib.compress(bytes(SIZE - 1))),
        as_bytes(zlib.compress(bytes(SIZE + 1))),
        as_bytes(zlib.compress(bytes(SIZE))[:-1]),
        as_bytes(zlib.compress(bytes(SIZE)) + b"more"),
        as_bytes(zlib.compress(bytes(SIZE)))[None],
        np.zeros((len(LAYERS), BINS), np.float32),
        [zlib.compress(bytes(SIZE))],
    ],
    ids=["text", "empty", "short", "long", "cut", "more", "rank", "dtype", "strings"],
)
def test_damaged_histograms(tmp_path, array):
    write_packed(tmp_path, array)
    with pytest.raises(TfdiagError, match="damaged"):
        found(tmp_path)


def test_record_that_would_fill_the_memory_is_not_unpacked(tmp_path):
    write_packed(tmp_path, as_bytes(zlib.compress(bytes(2**28), 9)))
    tags, trace = read_tags(tmp_path, plugins=PLUGINS), load(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(TfdiagError, match="damaged.*3 layers"):
            histograms.decode(GRADIENTS, tags, LAYERS[0], trace)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_more_histograms_than_are_read(tmp_path, monkeypatch):
    record(tmp_path, range(1, 11))
    tags, trace = read_tags(tmp_path), load(tmp_path)
    monkeypatch.setattr("tfdiag.storage.decoder.MAX_NUMBERS", 9 * BINS)
    with pytest.raises(TfdiagError, match="every"):
        histograms.decode(GRADIENTS, tags, LAYERS[0], trace)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a tfdiag recording"),
        (b'{"schema":3}', "schema version 3.*Install"),
        (b'{"schema":1}', "damaged"),
        (b'{"schema":1,"layers":"conv","bins":{}}', "damaged"),
        (b'{"schema":1,"layers":[1],"bins":{}}', "damaged"),
        (b'{"schema":1,"layers":["a","a"],"bins":{}}', "damaged"),
        (b'{"schema":1,"layers":["a"],"bins":131}', "damaged"),
        (b'{"schema":1,"layers":["a"],"bins":{"octaves":8}}', "octaves.*Install"),
    ],
    ids=str,
)
def test_content_that_is_none_of_ours(tmp_path, content, words):
    write_packed(tmp_path, as_bytes(zlib.compress(bytes(SIZE))), content)
    with pytest.raises(TfdiagError, match=words):
        found(tmp_path)


def test_thousand_steps_of_fifty_layers_take_ten_megabytes_at_most(tmp_path):
    layers = tuple(f"block{i // 5}_conv_{i}" for i in range(50))
    random = np.random.default_rng(0)
    pool = [drawn(len(layers), random) for _ in range(20)]
    write(tmp_path, {step: pool[step % 20] for step in range(1000)}, layers)
    (name,) = os.listdir(tmp_path)
    assert os.path.getsize(tmp_path / name) <= 10e6
    steps, buckets = found(tmp_path, layers[7])
    assert len(steps) == 1000
    np.testing.assert_array_equal(buckets[999], histogram_buckets(pool[19][7]))
