"""Acting on findings in real training: tell, stop, restore, alert and log."""

import csv
import logging
import time

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import tfdiag  # noqa: E402
from tests import keras_models  # noqa: E402
from tests.test_alerts import server  # noqa: E402
from tfdiag.checkpoint import Checkpoint  # noqa: E402
from tfdiag.storage.reader import open_recording  # noqa: E402
from tfdiag.trainer import Fit  # noqa: E402

NAMES = [
    "health/critical",
    "health/warn",
    "health/dead_fraction_max",
    "health/update_ratio_max",
    "health/gradient_norm",
]


def small(optimizer=None, **options):
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.Dense(6, "relu", name="hidden"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(3, name="head"),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer or keras.optimizers.Adam(0.01), "mse", **options)
    return model


def data(samples=160):
    random = np.random.default_rng(0)
    x = random.normal(size=(samples, 4)).astype("float32")
    return x, x[:, :3]


def fit(model, callbacks, *, epochs=2, **options):
    return model.fit(
        *data(), batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks, **options
    )


def monitor(path, **options):
    options = {"probe": data(32), "every": 1, "probe_every": 2, "gradcam": 0, **options}
    return tfdiag.HealthMonitor(path, **options)


@pytest.fixture
def unlimited(monkeypatch):
    """Lets the state be kept at each healthy judgement, however short the training is."""
    monkeypatch.setattr("tfdiag.recording.Budget.for_snapshots", lambda *_, **__: np.inf)


class Poison(keras.callbacks.Callback):
    """Makes a weight NaN before a step.

    It is one of the last layer: on some processors a ReLU that is fused with the layer before it
    makes 0 of NaN, and the loss stays finite.
    """

    def __init__(self, at, value=np.nan):
        super().__init__()
        self.at, self.value, self.steps, self.states = at, value, 0, {}

    def on_train_batch_begin(self, batch, logs=None):
        self.states[self.steps] = state(self.model)
        self.steps += 1
        if self.steps == self.at:
            kernel = self.model.get_layer("head").kernel
            kernel.assign(np.full(kernel.shape, self.value))


def state(model):
    return arrays([*model.weights, *model.optimizer.variables])


def arrays(variables):
    return [tf.convert_to_tensor(variable).numpy().copy() for variable in variables]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "tfdiag"]


# --- stop_on ---


@pytest.mark.parametrize(
    "options", [{}, {"probe": None}, {"every": None, "probe_every": None}], ids=str
)
def test_training_stops_at_the_first_nan(options, tmp_path, capsys):
    poison = Poison(13)
    fit(small(), [monitor(tmp_path, stop_on="critical", **options), poison], epochs=9)
    assert poison.steps == 13
    out = capsys.readouterr().out
    assert out.count("tfdiag stops training at step 13: critical: nonfinite-") == 1
    assert open_recording(tmp_path).finished


def test_a_milder_finding_stops_only_who_asks_for_it(tmp_path):
    def dead(path, stop_on):
        model = small()
        model.get_layer("hidden").bias.assign([-99.0] * 3 + [0.0] * 3)  # half of them are dead
        thresholds = {"dead-relu": {"watch": 0.1, "warn": 0.2}}
        fit(model, [monitor(path, stop_on=stop_on, thresholds=thresholds)], epochs=5)
        return tfdiag.load(path)

    whole, cut = dead(tmp_path / "a", "critical"), dead(tmp_path / "b", "warn")
    found = {f.severity for f in tfdiag.check(whole).findings}
    assert whole.steps[-1] == 50
    if "warn" in found:
        assert cut.steps[-1] < 50


def test_what_an_earlier_fit_ended_with_does_not_stop_the_next_one(tmp_path):
    model, callback = small(), monitor(tmp_path, stop_on="critical")
    fit(model, [callback, Poison(5)])
    second = Poison(0)
    fit(model, [callback, second], epochs=1)
    assert second.steps == 10


def test_a_loop_of_ones_own_is_asked_to_stop(tmp_path, unlimited):
    model, optimizer = small(), keras.optimizers.Adam(0.01)
    x, y = data()

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    callback = monitor(tmp_path, stop_on="critical", restore="last-healthy")
    with callback.loop(model, optimizer) as loop:
        assert not loop.should_stop
        step = loop.wrap(train_step)
        for number in range(1, 100):
            if number == 8:
                model.get_layer("head").kernel.assign(np.full((6, 3), np.nan))
            step(tf.constant(x[:16]), tf.constant(y[:16]))
            if loop.should_stop:
                break
    assert number == 8 and loop.should_stop
    assert int(optimizer.iterations) == 6, "the last look before"
    assert all(np.isfinite(v).all() for v in (*model.get_weights(), *arrays(optimizer.variables)))


# --- on_finding and alert ---


def test_findings_are_told_once_with_folder_and_step(tmp_path):
    told = []
    options = {"on_finding": lambda *args: told.append(args), "announce": False}
    fit(small(), [monitor(tmp_path, **options), Poison(5)], epochs=3)
    critical = [(f, c) for f, c in told if f.severity == "critical"]
    assert isinstance(critical[0][0], tfdiag.Finding)
    assert critical[0][1].step == 5 and critical[0][1].log_dir == str(tmp_path)
    places = [(f.rule, f.layer, f.severity) for f, _ in told]
    assert len(set(places)) == len(places) and "nonfinite-loss" in {f.rule for f, _ in told}


def test_a_fault_of_the_users_function_is_logged_once(tmp_path, caplog):
    def fail(finding, context):
        raise RuntimeError("no such chat")

    fit(small(), [monitor(tmp_path, on_finding=fail), Poison(5)])
    said = [text for text in warnings(caplog) if "no such chat" in text]
    assert len(said) == 1 and "`on_finding` failed" in said[0]
    assert tfdiag.load(tmp_path).steps[-1] == 20
    assert open_recording(tmp_path).finished


def test_findings_are_posted(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with server() as (url, received):
        fit(small(), [monitor(tmp_path / "run7", alert=url), Poison(5)])
    contents = [content for _, _, content in received]
    assert {content["run"] for content in contents} == {"run7"}
    assert "nonfinite-loss" in {content["finding"]["rule"] for content in contents}


def test_a_server_that_fails_changes_no_training(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("tfdiag.alerts.PAUSES_SECONDS", (0.01,))
    bare = small()
    fit(bare, [Poison(5, 40.0)])
    watched = small()
    with server([500]) as (url, _):
        fit(watched, [monitor(tmp_path, alert=url), Poison(5, 40.0)])
    assert_equal(state(bare), state(watched))
    assert sum("could not send an alert" in text for text in warnings(caplog)) <= 1


# --- restore ---


@pytest.mark.parametrize("options", [{}, {"stop_on": "critical"}], ids=str)
def test_the_last_healthy_state_comes_back(options, tmp_path, capsys, unlimited):
    model, poison = small(), Poison(14)
    fit(model, [monitor(tmp_path, restore="last-healthy", **options), poison], epochs=3)
    assert_equal(state(model), poison.states[12])
    assert "restored weights and optimizer state of step 12" in capsys.readouterr().out


def test_training_goes_on_from_the_restored_step(tmp_path, unlimited):
    model = small()
    callback = monitor(tmp_path, restore="last-healthy", stop_on="critical")
    fit(model, [callback, Poison(14)])
    again = Poison(0)
    fit(model, [callback, again], epochs=1)
    assert again.steps == 10
    trace = tfdiag.load(tmp_path)
    assert trace.steps.tolist() == list(range(23)), "what was undone is not there any more"
    assert not tfdiag.check(trace).findings or "nonfinite-loss" not in {
        f.rule for f in tfdiag.check(trace).findings
    }
    third = Poison(3)
    fit(model, [callback, third], epochs=1)
    assert third.steps == 3, "the same finding stops it again"


def test_a_nan_before_the_first_judgement_gives_the_beginning_back(tmp_path):
    model, poison = small(), Poison(3)
    options = {"restore": "last-healthy", "probe": None, "every": None, "probe_every": None}
    fit(model, [monitor(tmp_path, **options), poison], epochs=1)
    assert_equal(state(model), poison.states[1])


def test_a_healthy_training_is_bit_for_bit_that_without(tmp_path):
    bare, watched = small(), small()
    fit(bare, [])
    fit(watched, [monitor(tmp_path, restore="last-healthy", stop_on="critical")])
    assert_equal(state(bare), state(watched))


def test_averaged_weights_are_averaged_again(tmp_path, unlimited):
    def train(callbacks, epochs):
        model = small(keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5))
        fit(model, callbacks, epochs=epochs)
        return model

    expected = train([], 1)
    options = {"restore": "last-healthy", "probe_every": 5}
    restored = train([monitor(tmp_path, **options), Poison(12)], 2)
    assert_equal(expected.get_weights(), restored.get_weights())


def test_a_model_that_is_too_large_is_told_of_before_the_first_step(tmp_path, capsys):
    said = []

    class First(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            said.append(capsys.readouterr().out)

    model, options = small(), {"restore": "last-healthy", "restore_bytes": 100}
    fit(model, [monitor(tmp_path, **options), First(), Poison(5)])
    assert "will not restore weights: weights and optimizer state take" in said[0]
    assert not all(np.isfinite(weight).all() for weight in model.get_weights())


def test_no_nan_is_ever_kept():
    model = small()
    fit(model, [], epochs=1)
    kept = Checkpoint(Fit(model), 10**6)
    assert kept.take(10)
    before = state(model)
    variables = [*model.trainable_variables, *model.optimizer.variables]
    for variable in variables:
        if not tf.as_dtype(variable.dtype).is_floating:
            continue
        for bad in (np.nan, np.inf):
            good = np.array(arrays([variable])[0])
            wrong = good.copy()
            wrong.flat[-1] = bad
            variable.assign(wrong)
            assert not kept.take(11), variable.path
            variable.assign(good)
    model.get_layer("head").kernel.assign(np.full((6, 3), np.nan))
    assert kept.step == 10
    kept.restore()
    assert_equal(state(model), before)


def test_a_mask_may_be_infinite():
    class Masked(keras.layers.Layer):
        def build(self, shape):
            self.mask = self.add_weight(shape=(3,), trainable=False)
            self.mask.assign([0.0, -np.inf, 0.0])

        def call(self, x):
            return x + self.mask

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), Masked()])
    model.compile("sgd", "mse")
    assert Checkpoint(Fit(model), 10**6).take(0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_half_precision_comes_back(policy):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, dtype=policy)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    optimizer = keras.optimizers.Adam(0.01)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "mse")
    fit(model, [], epochs=1)
    kept, before = Checkpoint(Fit(model), 10**6), state(model)
    assert kept.take(10)
    fit(model, [], epochs=1)
    kept.restore()
    assert_equal(state(model), before)


def test_keeping_states_is_no_more_often_than_the_budget_allows(tmp_path, monkeypatch):
    taken, original = [], Checkpoint.take

    def slow(self, step):
        taken.append(step)
        time.sleep(0.05)
        return original(self, step)

    monkeypatch.setattr(Checkpoint, "take", slow)
    fit(small(), [monitor(tmp_path, restore="last-healthy", budget=0.02)], epochs=3)
    assert taken == [1], "a second one would need ten seconds of training"
    assert open_recording(tmp_path).cost["seconds"] > 0.05, "it is counted"


@pytest.mark.parametrize("method", ["take", "restore", "too_large"])
def test_a_fault_in_restoring_changes_no_training(method, tmp_path, monkeypatch, caplog):
    def explode(*args):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Checkpoint, method, explode)
    fit(small(), [monitor(tmp_path, restore="last-healthy"), Poison(15)])
    assert sum("a fault of ours" in text for text in warnings(caplog)) == 1
    assert open_recording(tmp_path).finished


def test_what_was_done_is_said_also_where_findings_are_not(tmp_path, caplog, capsys):
    options = {"stop_on": "critical", "restore": "last-healthy", "announce": False}
    with caplog.at_level(logging.WARNING, "tfdiag"):
        fit(small(), [monitor(tmp_path, **options), Poison(5)])
    assert "tfdiag" not in capsys.readouterr().out
    assert [text.split(" at ")[0] for text in warnings(caplog)][0] == "tfdiag stops training"
    assert any("restored weights" in text for text in warnings(caplog))


# --- logs of an epoch ---


def test_history_and_a_csv_file_get_the_aggregates(tmp_path):
    after, before = (keras.callbacks.CSVLogger(tmp_path / name) for name in ("a.csv", "b.csv"))
    watched = monitor(tmp_path / "run")
    history = fit(small(), [before, watched, after, Poison(15)], epochs=3).history
    assert set(NAMES) <= set(history)
    assert all(isinstance(value, float) for name in NAMES for value in history[name])
    assert history["health/critical"][0] == 0 < history["health/critical"][1]
    assert 0 < history["health/gradient_norm"][0] and np.isnan(history["health/gradient_norm"][1])
    for name, has in (("a.csv", True), ("b.csv", False)):
        with open(tmp_path / name, newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3 and all(None not in row for row in rows)
        assert all((name in row) == has for row in rows for name in NAMES)


def test_keys_are_there_without_a_probe_and_with_validation(tmp_path):
    table = keras.callbacks.CSVLogger(tmp_path / "a.csv")
    callbacks = [tfdiag.HealthMonitor(tmp_path / "run"), table]
    history = fit(small(), callbacks, validation_data=data(32)).history
    assert np.isnan(history["health/dead_fraction_max"]).all()
    assert history["health/critical"] == [0.0, 0.0]
    assert not any(name.startswith("health") for name in tfdiag.load(tmp_path / "run").series)


def test_early_stopping_sees_them(tmp_path):
    stopping = keras.callbacks.EarlyStopping("health/critical", mode="min", patience=1)
    history = fit(small(), [monitor(tmp_path), stopping, Poison(15)], epochs=9).history
    assert len(history["loss"]) == 2


def test_logs_can_be_left_alone(tmp_path):
    history = fit(small(), [monitor(tmp_path, epoch_logs=False)]).history
    assert list(history) == ["loss"]
    with pytest.raises(ValueError, match="`epoch_logs` must be True or False"):
        monitor(tmp_path, epoch_logs="yes")


def test_keys_stay_when_recording_fails(tmp_path, monkeypatch):
    def explode(*args, **kwargs):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("tfdiag.config.check", explode)
    history = fit(small(), [monitor(tmp_path)]).history
    assert all(np.isnan(history[name]).all() for name in NAMES)


def test_another_callback_of_the_folder_may_drive(tmp_path):
    first = tfdiag.GradientHistograms(tmp_path, every=2)
    history = fit(small(), [first, monitor(tmp_path)]).history
    assert history["health/critical"] == [0.0, 0.0]


def test_the_constructor_refuses_what_is_wrong(tmp_path):
    for arguments in ({"stop_on": "all"}, {"restore": True}, {"alert": "x"}, {"on_finding": 1}):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}`"):
            monitor(tmp_path, **arguments)


def test_a_model_with_images_and_a_strategy_is_restored(tmp_path, unlimited):
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        model = keras_models.compiled("functional", optimizer=keras.optimizers.Adam(0.01))
    x, y = keras_models.images(160)
    callback = tfdiag.HealthMonitor(
        tmp_path, probe=keras_models.images(32, seed=9), every=1, probe_every=2, gradcam=0,
        restore="last-healthy", stop_on="critical",
    )  # fmt: skip

    class Hurt(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 6:
                kernel = self.model.get_layer("logits").kernel
                kernel.assign(np.full(kernel.shape, np.nan))

    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[callback, Hurt()])
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert int(tf.convert_to_tensor(model.optimizer.iterations)) == 6
