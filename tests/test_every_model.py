"""Every recorded statistic of every kind of model, against slow references.

Each model is trained three steps twice, from the same seed: bare, and with the monitor. The
references are taken afterwards, in eager mode, on a twin that is put into each state of the bare
training. So they do not share a line with what is measured.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tests import keras_models as models  # noqa: E402
from tests import references  # noqa: E402
from tfdiag.storage import histograms, reader  # noqa: E402

pytestmark = [
    pytest.mark.tensorflow,
    # Keras' own words about weights that the loss does not reach and layers that are not called.
    pytest.mark.filterwarnings("ignore:Gradients do not exist for variables"),
    pytest.mark.filterwarnings("ignore:.*looks like it has unbuilt state"),
]

STEPS, BATCH, PROBE = 3, 8, 20
#: Magnitudes below it share the first bin of their sign.
SMALLEST = 2.0**-39

#: Layers that hand their input on: no output is recorded of them.
PASSIVE = ("Dropout", "SpatialDropout2D", "Flatten")


def vectors(*sizes: int, outputs: tuple[int, ...] = (2,)) -> Callable:
    """Returns a function that draws `float32[N, size]` for each input and output."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Any, Any]:
        x, y = (
            [random.normal(size=(samples, size)).astype("float32") for size in ends]
            for ends in (sizes, outputs)
        )
        return x[0] if len(x) == 1 else x, y[0] if len(y) == 1 else y

    return draw


def arrays(*shape: int) -> Callable:
    """Returns a function that draws `float32[N, *shape]` and two numbers to be predicted."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Any, Any]:
        x, y = random.normal(size=(samples, *shape)), random.normal(size=(samples, 2))
        return x.astype("float32"), y.astype("float32")

    return draw


def tokens(count: int) -> Callable:
    """Returns a function that draws `int32[N, 6]` below `count` and two numbers."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Any, Any]:
        x = random.integers(0, count, (samples, 6)).astype("int32")
        return x, random.normal(size=(samples, 2)).astype("float32")

    return draw


def named(random: np.random.Generator, samples: int) -> tuple[Any, Any]:
    (left, right), value = vectors(4, 3)(random, samples)
    kind = random.integers(0, 3, samples)
    return {"left": left, "right": right}, {"value": value, "kind": kind}


def digits(random: np.random.Generator, samples: int) -> tuple[Any, Any]:
    return models.images(samples, seed=int(random.integers(1000)))


def function_layer(container: str = "", number: int = 0, function: str = "relu") -> str:
    """Returns the name under which a function that is not a layer is recorded.

    Args:
        container: path of the model or layer in whose `call` it is; "" for the outermost.
        number: how many of the same function were called there before.
        function: its name.
    """
    name = f"{function}_{number}" if number else function
    return f"{container}/{name}" if container else name


@dataclass(frozen=True)
class Case:
    """One kind of model.

    Attributes:
        build: returns the model.
        data: returns x and y, from a generator and a number of samples.
        layers: paths of all layers that are to be recorded, from input to output.
        functions: functions that are no layers but are to be recorded like ReLU layers: name,
            which is in `layers` too, to the layer whose output it is applied to.
        loss: as for `compile`.
        optimizer: a class, called with a learning rate.
    """

    build: Callable[[], Any]
    data: Callable[[np.random.Generator, int], tuple[Any, Any]]
    layers: tuple[str, ...]
    functions: Mapping[str, str] = field(default_factory=dict)
    loss: Any = "mse"
    optimizer: Callable[[float], Any] = keras.optimizers.SGD

    @property
    def own_layers(self) -> list[str]:
        """Paths without those of functions."""
        return [name for name in self.layers if name not in self.functions]

    def compiled(self) -> keras.Model:
        keras.utils.set_random_seed(0)
        model = self.build()
        model.compile(self.optimizer(0.05), self.loss)
        return model


CLASSES = "sparse_categorical_crossentropy"
IN_A_CALL = (
    "first",
    function_layer(),
    "block/one",
    function_layer("block"),
    "block/two",
    function_layer("block", 1),
    "head",
)
APPLIED_TO = {
    function_layer(): "first",
    function_layer("block"): "block/one",
    function_layer("block", 1): "block/two",
}
BLOCK = ("attention", "norm_1", "expand", "contract", "dropout", "norm_2")

CASES = {
    "sequential": Case(
        models.sequential,
        digits,
        ("conv_1", "norm", "conv_2", "flatten", "dropout", "dense", "head"),
        loss=CLASSES,
    ),
    "unbuilt": Case(models.unbuilt, digits, ("conv_1", "pool", "head"), loss=CLASSES),
    "many_ends": Case(
        models.many_ends,
        vectors(4, 3, outputs=(2, 3)),
        ("from_left", "from_right", "joined", "first", "second"),
        loss=["mse", "mae"],
    ),
    "named_ends": Case(
        models.named_ends,
        named,
        ("from_left", "from_right", "joined", "kind", "value"),  # Keras sorts a dict
        loss={"value": "mse", "kind": CLASSES},
    ),
    "poisoned": Case(
        models.poisoned,
        vectors(4, outputs=(2, 3)),
        ("trunk", "well", "ill", "first", "poison"),
        loss=["mse", "mse"],
    ),
    "subclassed": Case(
        models.Subclassed, digits, ("conv_1", "conv_2", "pool", "head"), loss=CLASSES
    ),
    "two_deep": Case(
        models.two_deep,
        vectors(4),
        ("middle/inner/a", "middle/inner/b", "middle/c", "head"),
    ),
    "frame": Case(models.Frame, vectors(4), ("trunk/a", "tail/first", "tail/second")),
    "backbone": Case(
        models.backbone_in_head,
        arrays(8, 8, 1),
        ("backbone/conv", "backbone/norm", "pool", "hidden", "head"),
    ),
    "shared": Case(models.shared, vectors(4, 4), ("shared", "joined", "head")),
    "siamese": Case(
        models.siamese, vectors(4, 4), ("tower/step_1", "tower/step_2", "joined", "head")
    ),
    "twice": Case(models.twice, vectors(4), ("again", "head")),
    "twice_subclassed": Case(models.TwiceSubclassed, vectors(4), ("again", "head")),
    "functional_ops": Case(
        models.functional_ops,
        vectors(4),
        ("first", function_layer(), "second", function_layer(number=1), "head"),
        {function_layer(): "first", function_layer(number=1): "second"},
    ),
    **{
        name: Case(
            functools.partial(models.CalledFunctions, function), vectors(4), IN_A_CALL, APPLIED_TO
        )
        for name, function in {
            "tf_nn_relu": tf.nn.relu,
            "keras_ops_relu": keras.ops.relu,
            "keras_activations_relu": keras.activations.relu,
        }.items()
    },
    "activation_layers": Case(
        models.activation_layers, vectors(4), ("first", "relu", "second", "tanh", "head")
    ),
    "without_relu": Case(models.without_relu, vectors(4), ("first", "second", "third", "head")),
    "offset": Case(models.offset, vectors(4), ("far", "back", "head")),
    **{
        f"conv_{d}d": Case(
            functools.partial(models.convolutions, d),
            arrays(*(5,) * d, 2),
            ("conv_1", "conv_2", "pool", "head"),
        )
        for d in (1, 2, 3)
    },
    "light_convolutions": Case(
        models.light_convolutions,
        arrays(8, 8, 3),
        ("depthwise", "separable", "pool", "flatten", "head"),
    ),
    "embedding": Case(
        functools.partial(models.embedding, 40, 5),
        tokens(40),
        ("embedding", "pool", "hidden", "head"),
        optimizer=keras.optimizers.Adam,
    ),
    "large_embedding": Case(
        functools.partial(models.embedding, 50_000, 16),
        tokens(50_000),
        ("embedding", "pool", "hidden", "head"),
    ),
    "recurrent": Case(models.recurrent, arrays(5, 3), ("lstm", "gru", "head")),
    "bidirectional": Case(
        models.bidirectional, arrays(5, 3), ("both_ways", "each_step", "flatten", "head")
    ),
    "attention": Case(models.attention, tokens(30), ("embedding", "attention", "flatten", "head")),
    "transformer": Case(
        models.transformer,
        tokens(30),
        ("embedding", *(f"block/{name}" for name in BLOCK), "pool", "head"),
    ),
    "normalizations": Case(
        models.normalizations,
        arrays(6, 6, 2),
        (
            *("conv", "batch_norm", "relu", "layer_norm", "spatial_dropout", "group_norm"),
            *("flatten", "dropout", "hidden", "head"),
        ),
    ),
    "frozen": Case(models.frozen, vectors(4), ("frozen", "norm", "trained", "head")),
    "unused": Case(models.Unused, vectors(4), ("hidden", "spare", "idle", "head")),
    "unreached": Case(models.unreached, vectors(4), ("partly", "head")),
    "own_weights": Case(
        models.OwnWeights, vectors(4), ("own_weights", "block", "block/hidden", "head")
    ),
    "regularized": Case(models.regularized, vectors(4), ("hidden", "head")),
    "penalized": Case(models.penalized, vectors(4), ("hidden", "penalized", "head")),
}


@dataclass(frozen=True, eq=False)
class Step:
    """One training step by the references: weights by layer, gradients where there are any."""

    loss: float
    all_gradients: list[np.ndarray]
    gradients: dict[str, list[np.ndarray]]
    before: dict[str, list[np.ndarray]]
    after: dict[str, list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Look:
    """One look at the probe set by the references: outputs by layer, one for each call."""

    loss: float
    outputs: dict[str, list[np.ndarray]]
    activations: dict[str, str | None]


@dataclass(frozen=True, eq=False)
class Run:
    """What was recorded, and what the references say."""

    trace: tfdiag.trace.Trace
    histograms: dict[str, list[tuple[int, np.ndarray]]]
    weight_histograms: dict[str, list[tuple[int, np.ndarray]]]
    bare: list[np.ndarray]
    watched: list[np.ndarray]
    steps: list[Step]
    looks: list[Look]

    def column(self, metric: str, layer: str) -> np.ndarray:
        """Returns `float32[S]`: what was recorded at steps 0, 1, ... of a layer."""
        assert self.trace.steps.tolist() == list(range(STEPS + 1))
        return self.trace.columns[metric][:, self.trace.layers.index(layer)]


@functools.cache
def run(name: str) -> Run:
    """Trains a model bare and with the monitor, and asks the references."""
    case = CASES[name]
    x, y = case.data(np.random.default_rng(1), STEPS * BATCH)
    probe = case.data(np.random.default_rng(2), PROBE)

    def trained(*callbacks: keras.callbacks.Callback) -> list[np.ndarray]:
        model = case.compiled()
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=list(callbacks))
        return [v.numpy() for v in (*model.weights, *model.optimizer.variables)]

    snapshots = references.Snapshots()
    bare = trained(snapshots)
    with tempfile.TemporaryDirectory() as folder:
        monitor = tfdiag.HealthMonitor(
            folder, probe=probe, every=1, probe_every=1, gradcam=0, announce=False
        )
        watched = trained(monitor)
        trace = reader.load(folder)
        gradients, weights = (decoded(folder, trace, kind) for kind in ("gradients", "weights"))
    twin = case.compiled()
    twin(references.rows(x, 0, 1))  # builds it
    states = [references.state(twin), *snapshots.states]
    steps = []
    for number, (before, after) in enumerate(zip(states[:-1], states[1:], strict=True)):
        here = number * BATCH, (number + 1) * BATCH
        batch = references.rows(x, *here), references.rows(y, *here)
        steps.append(step(twin, case, before, after, *batch))
    return Run(
        trace=trace,
        histograms=gradients,
        weight_histograms=weights,
        bare=bare,
        watched=watched,
        steps=steps,
        looks=[look(twin, case, values, *probe) for values in states],
    )


def decoded(folder: str, trace: Any, kind: str) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Returns the histograms of each layer that has some, with their steps."""
    of = histograms.KINDS[kind]
    tags = reader.read_tags(folder, of.packed)
    layers = {name: histograms.decode(of, tags, name, trace) for name in trace.layers}
    return {name: list(zip(*found, strict=True)) for name, found in layers.items() if found}


def step(twin: keras.Model, case: Case, before: Any, after: Any, x: Any, y: Any) -> Step:
    """Returns what the references say of one training step."""
    layers = {name: references.layer_at(twin, name) for name in case.own_layers}
    trained = references.trained_weights(layers.values())

    def weights(values: Any) -> dict[str, list[np.ndarray]]:
        references.restore(twin, values)
        return {name: [w.numpy() for w in trained[id(at)]] for name, at in layers.items()}

    new, old = weights(after), weights(before)
    loss, gradients = references.loss_and_gradients(twin, x, y)
    return Step(
        loss=loss,
        all_gradients=list(gradients.values()),
        gradients={
            name: [gradients[id(weight)] for weight in trained[id(at)] if id(weight) in gradients]
            for name, at in layers.items()
        },
        before=old,
        after=new,
    )


def look(twin: keras.Model, case: Case, values: Any, x: Any, y: Any) -> Look:
    """Returns what the references say of the probe set."""
    references.restore(twin, values)
    loss, seen = references.loss_and_outputs(twin, x, y)
    layers = {name: references.layer_at(twin, name) for name in case.own_layers}
    outputs = {
        name: seen.get(id(layer), []) if type(layer).__name__ not in PASSIVE else []
        for name, layer in layers.items()
    }
    activations = {name: references.activation_of(layer) for name, layer in layers.items()}
    for name, source in case.functions.items():
        outputs[name] = [np.maximum(output, 0) for output in seen[id(layers[source])]]
        activations[name] = "relu"
    return Look(loss, outputs, activations)


every_model = pytest.mark.parametrize("name", CASES)


def assert_close(recorded, expected, what, *, rel=1e-3, abs=1e-6):
    recorded, expected = np.asarray(recorded, np.float64), np.asarray(expected, np.float64)
    np.testing.assert_allclose(recorded, expected, rtol=rel, atol=abs, err_msg=what)


@every_model
def test_training_is_bit_for_bit_that_without_a_monitor(name):
    found = run(name)
    first, last = found.steps[0].before, found.steps[-1].after
    assert any(
        not np.array_equal(old, new)
        for layer in first
        for old, new in zip(first[layer], last[layer], strict=True)
    ), "it was trained"
    assert len(found.bare) == len(found.watched)
    for number, (one, other) in enumerate(zip(found.bare, found.watched, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"variable {number}")


@every_model
def test_every_layer_is_there_in_order(name):
    case, trace = CASES[name], run(name).trace
    names = [layer for layer in trace.layers if layer not in case.functions]
    assert names == case.own_layers
    assert trace.steps.tolist() == list(range(STEPS + 1))


@every_model
def test_gradients_are_those_of_a_tape(name):
    found = run(name)
    measured = 0
    for number, expected in enumerate(found.steps, 1):
        tiny = references.rounding(expected.all_gradients)
        for layer, gradients in expected.gradients.items():
            recorded = {
                metric: found.column(metric, layer)[number]
                for metric in ("rms", "max", "zeros", "nonfinite")
                for metric in [f"gradient_{metric}"]
            }
            if not gradients:
                assert np.isnan(list(recorded.values())).all(), layer
                continue
            measured += 1
            entries = np.abs(np.concatenate([g.ravel() for g in gradients]))
            by_chance = np.mean((entries > 0) & (entries < tiny))  # exactly zero, or nearly
            for metric, value in references.gradient_measures(gradients).items():
                slack = by_chance + 1e-6 if metric == "gradient_zeros" else tiny
                what = f"{metric} of {layer} at step {number}"
                assert_close(recorded[metric], value, what, abs=slack)
    assert measured >= 2 * STEPS


@every_model
def test_weights_and_updates_are_those_of_numpy(name):
    found = run(name)
    measured = 0
    for number, expected in enumerate(found.steps, 1):
        for layer, before in expected.before.items():
            recorded = {
                metric: found.column(metric, layer)[number]
                for metric in ("update_ratio", "weight_rms", "weight_nonfinite")
            }
            if not before:
                assert np.isnan(list(recorded.values())).all(), layer
                continue
            measured += 1
            with np.errstate(all="ignore"):
                measures = references.weight_measures(before, expected.after[layer])
            for metric, value in measures.items():
                what = f"{metric} of {layer} at step {number}"
                assert_close(recorded[metric], value, what, rel=1e-4)
    assert measured >= 2 * STEPS


def check_outputs(found: Run, layers: Any) -> int:
    """Compares what was recorded of layers' outputs; returns how many were measured."""
    measured = 0
    for number, expected in enumerate(found.looks):
        for layer in layers:
            outputs = expected.outputs[layer]
            measures = references.output_measures(
                outputs or [np.full((1, 1), np.nan)], expected.activations[layer]
            )
            if not outputs:
                measures = dict.fromkeys(measures, np.nan)
            for metric, value in measures.items():
                what = f"{metric} of {layer} at step {number}"
                assert_close(found.column(metric, layer)[number], value, what, abs=1e-5)
            measured += bool(outputs)
    return measured


@every_model
def test_outputs_are_those_of_calling_the_layers(name):
    assert check_outputs(run(name), CASES[name].own_layers) >= 2 * (STEPS + 1)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.functions])
def test_functions_are_recorded_like_layers(name):
    found, case = run(name), CASES[name]
    assert found.trace.layers == case.layers, "in the order of their calls"
    activations = {layer.name: layer.activation for layer in found.trace.architecture.layers}
    assert {activations[function] for function in case.functions} == {"relu"}
    assert check_outputs(found, case.functions) == len(case.functions) * (STEPS + 1)
    assert 0 < np.nanmax(found.column("dead_fraction", function_layer())) < 1


@every_model
def test_loss_and_gradient_norm_are_those_of_the_whole_model(name):
    found = run(name)
    series = {key: found.trace.series[key] for key in ("loss", "gradient_norm", "probe_loss")}
    losses = [step.loss for step in found.steps]
    norms = [references.global_norm(step.all_gradients) for step in found.steps]
    assert_close(series["loss"][1:], losses, "loss", rel=1e-4)
    assert_close(series["gradient_norm"][1:], norms, "gradient_norm")
    assert_close(series["probe_loss"], [look.loss for look in found.looks], "probe_loss", rel=1e-4)
    assert_close(found.trace.series["loss_nonfinite"][1:], ~np.isfinite(losses), "loss_nonfinite")


@every_model
def test_histograms_count_every_entry(name):
    found = run(name)
    expected_layers = {n for n, gradients in found.steps[0].gradients.items() if gradients}
    assert set(found.histograms) == expected_layers
    for layer, recorded in found.histograms.items():
        assert [number for number, _ in recorded] == list(range(1, STEPS + 1))
        for (_, buckets), expected in zip(recorded, found.steps, strict=True):
            tiny = references.rounding(expected.all_gradients)
            counts = references.rebinned(buckets, tiny)
            slow = references.histogram(expected.gradients[layer], tiny)
            # An entry at the edge of two bins may fall to either side; a large weight may be
            # sampled.
            size = sum(gradient.size for gradient in expected.gradients[layer])
            slack = 1 if size <= 65_536 else 0.01 * size
            assert abs(counts.sum() - slow.sum()) <= (0 if size <= 65_536 else slack), layer
            assert np.abs(np.cumsum(counts) - np.cumsum(slow)).max() <= slack, layer


@every_model
def test_weight_histograms_count_every_entry(name):
    found = run(name)
    looks = [found.steps[0].before, *(step.after for step in found.steps)]
    assert set(found.weight_histograms) == {name for name, values in looks[0].items() if values}
    for layer, recorded in found.weight_histograms.items():
        assert [number for number, _ in recorded] == list(range(STEPS + 1))
        for (_, buckets), expected in zip(recorded, looks, strict=True):
            slow = references.histogram(expected[layer], SMALLEST)
            counts = references.rebinned(buckets, SMALLEST)
            size = sum(values.size for values in expected[layer])
            slack = 0 if size <= 65_536 else 0.01 * size  # a large weight may be sampled
            assert np.abs(counts.cumsum() - slow.cumsum()).max() <= slack, layer


@every_model
def test_no_trained_weight_is_left_out(name):
    found = run(name)
    for number, expected in enumerate(found.steps, 1):
        squares = 0.0
        for layer, gradients in expected.gradients.items():
            if gradients:
                size = sum(gradient.size for gradient in gradients)
                squares += size * float(found.column("gradient_rms", layer)[number]) ** 2
        norm = found.trace.series["gradient_norm"][number]
        assert_close(np.sqrt(squares), norm, f"all layers together at step {number}")


def test_penalties_are_part_of_the_loss():
    for name in ("regularized", "penalized"):
        case = CASES[name]
        twin = case.compiled()
        x, y = case.data(np.random.default_rng(1), STEPS * BATCH)
        x, y = x[:BATCH], y[:BATCH]
        error = np.mean((twin(x, training=True).numpy() - y) ** 2)
        added = float(sum(twin.losses))  # Keras divides them by the batch or not
        assert added > 1e-3 * error
        assert_close(run(name).trace.series["loss"][1], error + added, name, rel=1e-4)


@pytest.mark.parametrize("name", ["regularized", "penalized"])
def test_what_the_model_adds_to_the_probe_loss_is_recorded(name):
    case = CASES[name]
    twin, series = case.compiled(), run(name).trace.series
    x, y = case.data(np.random.default_rng(2), PROBE)
    error = np.mean((twin(x, training=False).numpy() - y) ** 2)
    added = series["probe_regularization"][0]
    assert added == pytest.approx(float(sum(twin.losses)), rel=1e-4)
    assert series["probe_loss"][0] - added == pytest.approx(error, rel=1e-4)


def test_the_models_show_every_measure():
    """The references themselves must find something, or all of this would compare nothing."""
    seen: dict[str, list[float]] = {}
    for name in ("named_ends", "two_deep", "poisoned"):
        found = run(name)
        for expected in found.steps:
            for layer in CASES[name].layers:
                weights = expected.before[layer], expected.after[layer]
                if not weights[0]:
                    continue
                measures = {
                    **references.gradient_measures(expected.gradients[layer]),
                    **references.weight_measures(*weights),
                }
                for metric, value in measures.items():
                    seen.setdefault(metric, []).append(value)
        for layer, outputs in found.looks[0].outputs.items():
            activation = found.looks[0].activations[layer]
            for metric, value in references.output_measures(outputs, activation).items():
                seen.setdefault(metric, []).append(value)
    assert set(seen) == set(tfdiag.metrics.METRIC_NAMES)
    for metric, values in seen.items():
        assert any(np.isfinite(value) and value not in (0, 1) for value in values), metric


#: The test that compares each statistic.
COMPARES: dict[str, Callable[[str], None]] = {
    **dict.fromkeys(
        [f"gradient_{what}" for what in ("rms", "max", "zeros", "nonfinite")],
        test_gradients_are_those_of_a_tape,
    ),
    **dict.fromkeys(
        ["update_ratio", "weight_rms", "weight_nonfinite"],
        test_weights_and_updates_are_those_of_numpy,
    ),
    **dict.fromkeys(
        [f"output_{what}" for what in ("rms", "mean", "std", "zeros", "nonfinite")],
        test_outputs_are_those_of_calling_the_layers,
    ),
    **dict.fromkeys(
        ["dead_fraction", "saturated_fraction"], test_outputs_are_those_of_calling_the_layers
    ),
    **dict.fromkeys(
        ["loss", "gradient_norm", "probe_loss"],
        test_loss_and_gradient_norm_are_those_of_the_whole_model,
    ),
}


@pytest.mark.parametrize("wrong", [lambda values: 1.01 * values + 0.01, lambda values: np.nan])
@pytest.mark.parametrize("statistic", COMPARES)
def test_a_wrong_number_is_noticed(statistic, wrong, monkeypatch):
    assert set(COMPARES) >= set(tfdiag.metrics.METRIC_NAMES)
    right = run("two_deep")
    kind = "columns" if statistic in right.trace.columns else "series"
    numbers = dict(getattr(right.trace, kind))
    numbers[statistic] = numbers[statistic].copy()
    numbers[statistic][1] = wrong(numbers[statistic][1])  # at one step, where it was measured
    trace = dataclasses.replace(right.trace, **{kind: numbers})
    changed = dataclasses.replace(right, trace=trace)
    monkeypatch.setattr(sys.modules[__name__], "run", lambda name: changed)
    with pytest.raises(AssertionError, match=f"{statistic}"):
        COMPARES[statistic]("two_deep")


@pytest.mark.parametrize(
    ("kind", "compare"),
    [
        ("histograms", test_histograms_count_every_entry),
        ("weight_histograms", test_weight_histograms_count_every_entry),
    ],
)
def test_a_wrong_histogram_is_noticed(monkeypatch, kind, compare):
    right = run("two_deep")
    layer, [(number, buckets), *others] = next(iter(getattr(right, kind).items()))
    for wrong in (buckets[1:], buckets * [2, 2, 1], buckets * [-1, -1, 1]):
        histograms = {**getattr(right, kind), layer: [(number, wrong), *others]}
        changed = dataclasses.replace(right, **{kind: histograms})
        monkeypatch.setattr(sys.modules[__name__], "run", lambda name, changed=changed: changed)
        with pytest.raises(AssertionError):
            compare("two_deep")
