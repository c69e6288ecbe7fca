from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.activations import dead_relu
from tfdiag.rules.loss import (
    initial_loss,
    loss_blowup,
    loss_not_decreasing,
    loss_oscillation,
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
    assert outcome(traces.stuck()).findings[0].evidence == "2.3 since step 0"
    assert "The probe loss is 2.3 and does not" in outcome(traces.stuck()).findings[0].message
    fallen = outcome(run_of(np.linspace(2.31, 2.3, 60)[::-1])).findings[0]
    assert fallen.evidence == "2.31, was 2.30"
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
