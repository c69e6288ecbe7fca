from dataclasses import replace

import numpy as np
import pytest

from tests import static, traces
from tfdiag.rules import check
from tfdiag.rules.activations import dead_relu
from tfdiag.rules.facts import facts
from tfdiag.rules.loss import (
    initial_loss,
    loss_blowup,
    loss_not_decreasing,
    loss_oscillation,
    no_better_than_guess,
)
from tfdiag.rules.progress import progress


def outcome(run):
    return check(run, [loss_not_decreasing]).outcomes[0]


def run_of(curve, loss="mse", noise=0.0, seed=0, probe=True):
    """Returns a run with this loss; without a probe set if `probe` is false."""
    model = traces.architecture(loss=loss)
    run = traces.trace(model, records=len(curve) - 1)
    random = np.random.default_rng(seed)
    batch = curve * random.lognormal(0, noise, len(curve)) if noise else curve
    return traces.with_series(run, loss=batch, probe_loss=curve if probe else np.nan)


N = np.arange(60)


def test_a_loss_that_never_falls_is_found():
    stuck = outcome(traces.stuck())
    assert (stuck.findings[0].severity, stuck.findings[0].step) == ("warn", 0)


def test_the_evidence_of_a_stuck_loss_tells_its_numbers_apart():
    assert outcome(traces.stuck()).findings[0].evidence == "loss 2.3 since step 0"
    assert "The probe loss is 2.3 and does not" in outcome(traces.stuck()).findings[0].message
    fallen = outcome(run_of(np.linspace(2.31, 2.3, 60)[::-1])).findings[0]
    assert fallen.evidence == "loss 2.31, was 2.30"
    assert "is 2.31, was 2.30 at first, and does not fall" in fallen.message


def test_a_loss_that_has_not_fallen_yet_is_waited_for():
    stuck = traces.stuck()  # 600 steps
    early = outcome(replace(stuck, planned_steps=3000))
    assert early.outcome == "not-evaluated"
    assert "judged from step 900 on" in early.reason
    assert outcome(replace(stuck, planned_steps=2000)).outcome == "found"
    long = traces.stuck(traces.trace(records=50))  # 1000 steps
    assert outcome(replace(long, planned_steps=10**6)).outcome == "found"


def test_a_loss_that_falls_to_chance_and_stays_is_found():
    curve = np.log(10) + 2 * np.exp(-N / 2)
    assert outcome(run_of(curve, "sparse_categorical_crossentropy")).outcome == "found"
    assert outcome(run_of(curve, "CategoricalCrossentropy")).outcome == "found"
    assert progress(run_of(curve)).state == "plateau"


def test_a_loss_that_comes_back_is_found_where_it_turned():
    curve = np.concatenate([np.linspace(2, 0.2, 30), np.full(30, 3.0)])
    assert outcome(run_of(curve)).outcome == "healthy"
    (finding,) = check(run_of(curve), [loss_blowup]).findings
    assert (finding.step, finding.severity) == (600, "critical")
    assert "was 0.2" in finding.message and "at its best" in finding.message


@pytest.mark.parametrize(
    "curve",
    [
        0.05 + 2 * np.exp(-N / 3),  # converged
        1.4 + 0.6 * np.exp(-N / 3),  # converged to a noise that nothing can explain
        2.3 - 0.002 * N,  # slow and steady
        1e5 * (0.5 + np.exp(-N / 20)),  # raw targets
        2e-7 + np.exp(-N / 2),
        np.concatenate([np.full(30, 2.3), np.linspace(2.25, 1.5, 30)]),  # a plateau that ended
    ],
)
def test_learning_and_converged_runs_are_healthy(curve):
    assert outcome(run_of(curve)).outcome == "healthy"


def test_fine_tuning_starts_low():
    curve = 0.30 - 0.01 * (1 - np.exp(-N / 5))
    assert outcome(run_of(curve, "sparse_categorical_crossentropy")).outcome == "healthy"


def test_overfitting_is_no_stuck_loss():
    run = run_of(2 * np.exp(-N / 10))
    run = traces.with_series(run, probe_loss=1 + 0.05 * N)
    assert outcome(run).outcome == "healthy"


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("end", [0.1, 0.6, 0.9])
def test_noise_does_not_cry_wolf(noise, end):
    """A learning run, judged on noisy batches at every record of its life."""
    false = 0
    for seed in range(20):
        curve = end + (1 - end) * np.exp(-N / 15)
        run = run_of(curve, noise=noise, seed=seed, probe=False)
        for stop in (10, 20, 40, 60):
            part = replace(
                run, steps=run.steps[:stop], series={k: v[:stop] for k, v in run.series.items()}
            )
            false += progress(part).state in ("stuck", "worse")
    assert false <= 2  # of 80


def test_what_cannot_be_told_is_said():
    noisy = run_of(np.full(60, 1.0), noise=0.5, probe=False)
    assert "too noisy" in outcome(noisy).reason
    assert "negative" in outcome(run_of(np.full(60, -1.0))).reason
    rising = traces.with_series(traces.stuck(), learning_rate=1e-5 * traces.trace().steps)
    assert "learning rate" in outcome(rising).reason
    assert "too few" in outcome(traces.stuck(traces.trace(records=12))).reason
    assert "no finite" in outcome(traces.stuck(level=np.nan)).reason


def test_a_layer_tells_why_the_loss_could_not_be_judged():
    run = traces.changed(traces.trace(records=5), "dead_fraction", 0.97)
    (finding,) = check(run, [dead_relu]).findings
    assert "the loss could not be judged (step 100 of 200 to wait for)" in finding.message


def test_the_boundary_of_patience():
    assert outcome(traces.stuck(traces.trace(records=15))).outcome == "not-evaluated"
    assert outcome(traces.stuck(traces.trace(records=16))).outcome == "found"  # steps 220 to 320


def test_a_second_fit_of_a_good_model_is_not_stuck():
    run = run_of(np.full(60, 4.0))
    assert outcome(run).outcome == "found"
    assert outcome(replace(run, steps=run.steps + 5000)).outcome == "healthy"


def test_nan_is_trouble_for_every_gate():
    assert progress(traces.not_finite(220)).state == "worse"
    assert progress(traces.not_finite(220)).since == 220


def test_a_probe_loss_that_ends_in_nan_is_worse():
    """As where the training loss stays finite: a fused ReLU may make 0 of NaN."""
    run = traces.trace()
    lost = run.steps >= 220
    series = {"probe_loss": np.where(lost, np.nan, run.series["probe_loss"])}
    run = traces.with_series(run, **series, probe_nonfinite=lost.astype(float))
    found = progress(run)
    assert (found.state, found.series, found.since) == ("worse", "probe_loss", 220)
    told = facts(run)
    assert np.isfinite(told["loss_first"]) and np.isnan(told["loss_last"])
    good = traces.trace()
    once = run.steps == 220
    series = {"probe_loss": np.where(once, np.nan, good.series["probe_loss"])}
    back = traces.with_series(good, **series, probe_nonfinite=once.astype(float))
    assert progress(back).state == progress(good).state
    assert np.isfinite(facts(back)["loss_last"])


@pytest.mark.parametrize("lost", [np.inf, np.nan])
def test_a_probe_loss_that_overflows_though_the_outputs_are_finite_is_worse(lost):
    run = traces.trace()
    loss = np.where(run.steps >= 220, lost, run.series["probe_loss"])
    run = traces.with_series(run, probe_loss=loss, probe_nonfinite=0.0)
    found = progress(run)
    assert (found.state, found.series, found.since) == ("worse", "probe_loss", 220)
    assert np.isnan(facts(run)["loss_last"])


def test_a_probe_set_that_is_never_finite_says_nothing_of_the_training():
    run = traces.trace()
    nan = np.full(len(run.steps), np.nan)
    run = traces.with_series(run, probe_loss=nan, probe_nonfinite=np.ones(len(run.steps)))
    assert progress(run).series == "loss"
    assert progress(run).state != "worse"


def test_a_loss_that_doubles_is_a_warning_and_one_that_diverges_is_critical():
    doubled = np.concatenate([np.linspace(2, 0.8, 30), np.full(30, 1.8)])
    assert check(run_of(doubled), [loss_blowup]).findings[0].severity == "warn"
    (finding,) = check(run_of(doubled * np.where(N < 30, 1, 10)), [loss_blowup]).findings
    assert finding.severity == "critical"
    assert finding.limit == pytest.approx(1.6, rel=0.1)


@pytest.mark.parametrize(
    "curve",
    [
        2 * np.exp(-N / 10),
        np.full(60, 2.3),  # stuck
        np.concatenate([2 * np.exp(-N[:50] / 5), np.full(10, 0.01)]),  # a multiple of nothing
        np.concatenate([np.linspace(2, 0.8, 30), [9.0], np.linspace(0.8, 0.5, 29)]),  # one batch
        np.concatenate([np.linspace(2, 3.5, 10), np.linspace(3, 0.5, 50)]),  # a hill at first
    ],
)
def test_other_losses_do_not_blow_up(curve):
    assert check(run_of(curve), [loss_blowup]).outcomes[0].outcome == "healthy"


def test_a_loss_on_its_way_up_a_warm_up_is_not_judged():
    run = traces.with_series(
        run_of(np.concatenate([np.linspace(2, 0.8, 30), np.full(30, 1.8)])),
        learning_rate=1e-4 * (N + 1),
    )
    assert "learning rate" in check(run, [loss_blowup]).outcomes[0].reason


def test_overfitting_does_not_blow_up():
    run = traces.with_series(run_of(2 * np.exp(-N / 10)), probe_loss=0.5 + 0.05 * N)
    assert check(run, [loss_blowup]).outcomes[0].outcome == "healthy"


JUMPS = 1.5 + 0.3 * (-1.0) ** N


def test_a_probe_loss_that_jumps_is_watched():
    (finding,) = check(run_of(JUMPS), [loss_oscillation]).findings
    assert finding.severity == "watch"
    assert "turned at 100 % of the last 20 records" in finding.message


@pytest.mark.parametrize(
    "curve",
    [
        2 * np.exp(-N / 10),
        0.01 * JUMPS + 2 * np.exp(-N / 4),  # near zero
        1.5 + 0.01 * (-1.0) ** N,  # small
        1.5 + 0.3 * np.sin(N / 3),  # slow
        np.where(N < 40, JUMPS, 1.5),  # over
    ],
)
def test_other_probe_losses_do_not_jump(curve):
    assert check(run_of(curve), [loss_oscillation]).outcomes[0].outcome == "healthy"


def test_what_jumps_on_purpose_or_is_not_known_is_not_judged():
    def reason(run):
        return check(run, [loss_oscillation]).outcomes[0].reason

    cyclic = traces.with_series(run_of(JUMPS), learning_rate=0.1 + 0.05 * (-1.0) ** N)
    assert "rises again" in reason(cyclic)
    warmed = 0.1 * np.minimum(N / 20, 1)  # up to step 400; judged are those from step 800 on
    assert check(
        traces.with_series(run_of(JUMPS), learning_rate=warmed), [loss_oscillation]
    ).findings
    assert "negative" in reason(run_of(JUMPS - 3))
    assert "too few records" in reason(run_of(JUMPS[:20]))
    assert "no finite value" in reason(run_of(JUMPS, probe=False))


def test_a_classifier_that_starts_worse_than_a_guess_is_watched():
    run = traces.changed(traces.stuck(level=9.0), "output_rms", 0.1, ("output",))
    (finding,) = check(run, [initial_loss]).findings
    assert (finding.severity, finding.step) == ("watch", 0)
    assert finding.limit == pytest.approx(2 * np.log(10))


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(),
        traces.stuck(),
        traces.stuck(level=0.3),  # fine-tuning
        run_of(20 * np.exp(-N / 5), "sparse_categorical_crossentropy"),  # it falls
    ],
)
def test_other_starts_are_well(run):
    assert check(run, [initial_loss]).outcomes[0].outcome == "healthy"


def test_a_start_that_is_not_known_is_not_judged():
    def outcome(run):
        return check(run, [initial_loss]).outcomes[0]

    assert "guess is not known" in outcome(run_of(JUMPS)).reason
    assert len(outcome(run_of(JUMPS)).exempt) == 4
    stuck = traces.stuck()
    assert "first step" in outcome(replace(stuck, steps=stuck.steps + 500)).reason
    assert "first step" in outcome(traces.with_series(stuck, probe_loss=np.nan)).reason


FALLEN = 6000 + 20000 * np.exp(-N / 3)


def test_a_regression_that_only_knows_the_mean_has_not_learned():
    run = traces.regression(run_of(FALLEN), 2.0)
    assert progress(run).state == "stuck"
    assert progress(run_of(FALLEN, "mae")).state == "learned"  # its constant is not known
    assert outcome(run).outcome == "found"


def test_what_was_accurate_before_its_outputs_were_nan_is_not_solved():
    good = traces.with_series(run_of(FALLEN, "mae"), probe_loss=1.0, loss=1.0, probe_accuracy=0.95)
    assert progress(good).state == "learned"
    assert progress(traces.with_series(good, probe_nonfinite=N > 50)).state == "worse"
    assert progress(traces.with_series(good, probe_nonfinite=N == 50)).state == "learned"


def test_a_regression_that_explains_something_has_learned():
    assert progress(traces.regression(run_of(FALLEN), 30.0)).state == "learned"
    years = traces.regression(run_of(10 + 4e6 * np.exp(-N)), 8.0, mean=1990.0)
    assert progress(years).state == "learned"
    falls = traces.regression(run_of(20000 * np.exp(-N / 20)), 2.0)
    assert progress(falls).state == "improving"


def test_a_share_of_one_class_is_no_better_than_a_constant():
    run = traces.regression(run_of(np.full(60, 0.2), "binary_crossentropy"), 0.001, mean=0.05)
    layers = run.architecture.layers
    output = replace(layers[-1], activation="sigmoid")
    model = replace(run.architecture, layers=(*layers[:-1], output), loss="binary_crossentropy")
    assert progress(replace(run, architecture=model)).state == "stuck"
    sure = traces.changed(replace(run, architecture=model), "output_std", 0.2, ("output",))
    assert progress(sure).state == "learned"


def test_few_records_are_made_up_for_by_the_mean_of_each_epoch():
    run = traces.stuck()
    few = {name: np.array(values, np.float32) for name, values in run.series.items()}
    for name in ("loss", "probe_loss"):
        few[name][2:-1] = np.nan
    without = replace(run, series=few)
    assert check(without).outcomes and not [
        f for f in check(without).findings if f.rule == "loss-not-decreasing"
    ]
    epochs = {**few, "epoch_loss": np.array(run.series["loss"], np.float32)}
    (found,) = [
        f for f in check(replace(run, series=epochs)).findings if f.rule == "loss-not-decreasing"
    ]
    assert found.metric == "epoch_loss"


def classifier(loss, accuracy=None, labels=None, samples=256, planned=600, nonfinite=0.0):
    """Returns a run of 600 steps of a classifier with these curves on the probe set."""
    start = static.ending("softmax", y=labels or traces.labels())
    run = replace(traces.trace(start.architecture), data=start.data)
    run = traces.with_series(run, probe_loss=loss, probe_nonfinite=nonfinite)
    if accuracy is not None:
        run = traces.with_series(run, probe_accuracy=accuracy)
    return replace(run, probe_samples=samples, planned_steps=planned)


def guesses(run):
    return check(run, [no_better_than_guess]).outcomes[0]


GUESS = np.log(10)
RARE = traces.labels(classes=2, largest=0.7, smallest=0.3, shares=(0.7, 0.3))


def test_a_classifier_that_only_guesses_is_found():
    (finding,) = guesses(classifier(GUESS + 0.1, 0.12)).findings
    assert (finding.severity, finding.layer, finding.step) == ("warn", None, 0)
    assert finding.limit == pytest.approx(GUESS)
    assert "the accuracy is 12 %" in finding.message


def test_a_guess_is_dated_where_the_model_was_last_better():
    run = classifier(GUESS, 0.1)
    loss = np.where(run.steps < 300, 1.0, GUESS)
    (finding,) = guesses(classifier(loss, np.where(run.steps < 300, 0.7, 0.1))).findings
    assert finding.step == 300


@pytest.mark.parametrize(
    ("loss", "accuracy", "labels"),
    [
        (2.0, 0.2, None),  # it has learned a little
        (5.0, 0.6, None),  # sure and wrong on some: it overfits
        (1.9, 0.1, None),  # the loss is lower, the answers will follow
        (0.3, 0.7, RARE),  # the rare class is told apart by its probability
        (0.65, 0.55, RARE),  # its class counts more: it answers unlike a guess
    ],
)
def test_a_classifier_that_knows_something_is_healthy(loss, accuracy, labels):
    assert guesses(classifier(loss, accuracy, labels)).outcome == "healthy"


def test_a_guess_by_the_shares_of_rare_classes_is_found():
    entropy = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3))
    assert guesses(classifier(entropy, 0.7, RARE)).outcome == "found"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accuracy": None}, "no accuracy"),
        ({"samples": 50}, "50 of 100"),
        ({"nonfinite": 1.0}, "not finite"),
        ({"planned": 2000}, "judged from step 1000 on"),
        ({"planned": 0}, "judged from step 2000 on"),
        ({"labels": traces.labels(largest=1.0, shares=(1.0,))}, "100 % of the probe set"),
        ({"labels": traces.labels(shape=(12,))}, "only a classifier"),
        ({"labels": traces.labels("multi-hot", shape=(10,))}, "only a classifier"),
    ],
)
def test_what_a_guess_cannot_be_told_from(changes, words):
    found = guesses(classifier(**{"loss": GUESS, "accuracy": 0.1, **changes}))
    assert found.outcome == "not-evaluated" and words in found.reason
