from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.gradients import exploding_gradient, gradient_spike, vanishing_gradient
from tfdiag.rules.updates import update_ratio


def found(run, rule, **thresholds):
    return check(run, [rule], {rule.id: thresholds}).findings


def test_an_explosion_is_named():
    (finding,) = found(traces.exploding(300, "dense_1"), exploding_gradient)
    assert (finding.layer, finding.step, finding.severity) == ("dense_1", 300, "warn")


def test_a_huge_gradient_does_not_overflow():
    run = traces.changed(traces.exploding(300), "gradient_rms", 1e30, since=300)
    assert found(run, exploding_gradient)[0].layer == "dense"


def test_a_large_norm_that_was_always_there_is_no_explosion():
    run = traces.with_series(traces.trace(), gradient_norm=1e6)  # raw targets, a summed loss
    assert not found(run, exploding_gradient)


def test_an_extreme_norm_with_a_stuck_loss_is_one():
    run = traces.with_series(traces.stuck(), gradient_norm=1e6)
    assert found(run, exploding_gradient)[0].severity == "warn"


def test_growth_that_does_no_harm_is_watched():
    run = traces.trace()
    run = traces.with_series(run, gradient_norm=np.where(run.steps >= 300, 500.0, 1.0))
    assert found(run, exploding_gradient)[0].severity == "watch"


def test_an_explosion_needs_patience():
    run = traces.trace()
    late = [
        traces.with_series(run, gradient_norm=np.where(run.steps >= s, 5e2, 1)) for s in (560, 580)
    ]
    assert [len(found(one, exploding_gradient)) for one in late] == [1, 0]


def test_an_explosion_that_became_nan_stays_found():
    run = traces.not_finite(220)
    norm = np.where(run.steps == 200, 1e5, 1.0)
    (finding,) = found(traces.with_series(run, gradient_norm=norm), exploding_gradient)
    assert (finding.step, finding.severity) == (200, "warn")


def test_vanishing_layers_are_named_and_the_last_is_not():
    layers = [f.layer for f in found(traces.vanishing(), vanishing_gradient)]
    assert layers[0] == "dense" and "output" not in layers
    assert {f.severity for f in found(traces.vanishing(), vanishing_gradient)} == {"warn"}


def test_tiny_gradients_of_a_model_that_learns_are_normal():
    stuck = traces.vanishing()
    healthy = traces.trace(stuck.architecture)
    run = replace(stuck, series=healthy.series)
    assert not found(run, vanishing_gradient)
    assert not found(run, update_ratio)


def test_adam_does_not_mind_the_scale():
    run = traces.stuck()
    for name in run.layers:
        run = traces.changed(run, "gradient_rms", 1e-9, (name,))
    assert not found(run, vanishing_gradient)  # updates are as usual: something else is wrong


def test_a_gradient_of_exactly_zero_is_found():
    run = traces.dying(40, 1.0, "dense_2")
    for name in run.layers[:3]:
        run = traces.changed(run, "gradient_rms", 0.0, (name,), since=40)
        run = traces.changed(run, "update_ratio", 0.0, (name,), since=40)
    findings = found(run, vanishing_gradient)
    assert [f.layer for f in findings] == ["dense", "dense_1", "dense_2"]
    assert all("exactly 0" in f.message and f.step == 40 for f in findings)
    assert not found(run, update_ratio)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"role": "embedding"}, "embedding"),
        ({"role": "normalization"}, "normalization"),
        ({"trainable": False}, "frozen"),
        ({"trainable": False, "parameters": 0}, "no weights"),
    ],
)
def test_what_has_no_trained_kernel_is_exempt(changes, reason):
    run = traces.vanishing(3)
    layers = run.architecture.layers
    model = replace(run.architecture, layers=(replace(layers[0], **changes), *layers[1:]))
    report = check(replace(run, architecture=model), [vanishing_gradient])
    assert report.outcomes[0].exempt["dense"].startswith(reason)


def test_vanishing_needs_patience():
    run = traces.stuck()
    cases = []
    for since in (520, 540):
        late = traces.changed(run, "gradient_rms", 1e-9, since=since)
        cases.append(traces.changed(late, "update_ratio", 1e-9, since=since))
    assert [len(found(one, vanishing_gradient)) for one in cases] == [1, 0]


def test_large_updates_warn_with_a_stuck_loss_and_suggest_a_rate():
    run = traces.changed(traces.stuck(), "update_ratio", 0.5, ("dense_1",))
    (finding,) = found(run, update_ratio)
    assert (finding.layer, finding.severity) == ("dense_1", "warn")
    assert "learning rate near 2e-05" in finding.message


def test_large_updates_of_a_model_that_learns_are_watched():
    run = traces.changed(traces.trace(), "update_ratio", 0.5)
    assert [f.severity for f in found(run, update_ratio)] == ["watch"]


def test_small_updates_everywhere_warn():
    run = traces.stuck()
    for name in run.layers:
        run = traces.changed(run, "update_ratio", 1e-7, (name,))
    assert {f.severity for f in found(run, update_ratio)} == {"warn"}
    assert found(run, update_ratio)[0].evidence == "1e-7 < 1e-5"


def test_a_rate_that_warms_up_is_not_judged():
    run = traces.stuck()
    for name in run.layers:
        run = traces.changed(run, "update_ratio", 1e-7, (name,))
    run = traces.with_series(run, learning_rate=1e-6 * run.steps)
    assert not found(run, update_ratio)


@pytest.mark.parametrize("rule", [exploding_gradient, vanishing_gradient, update_ratio])
def test_too_little_data_and_nan(rule):
    assert "too few records" in check(traces.trace(records=2), [rule]).outcomes[0].reason
    run = traces.trace()
    nan = {name: np.full_like(values, np.nan) for name, values in run.columns.items()}
    assert "no finite value" in check(replace(run, columns=nan), [rule]).outcomes[0].reason


@pytest.mark.parametrize("rule", [exploding_gradient, vanishing_gradient, update_ratio])
def test_a_healthy_run_is_healthy(rule):
    assert check(traces.trace(), [rule]).outcomes[0].outcome == "healthy"


def spiked(run, *records, size=50.0):
    """Returns `run` with a gradient's norm of `size` at some records."""
    norm = np.where(np.isin(np.arange(len(run.steps)), records), size, 1.0)
    return traces.with_series(run, gradient_norm=norm)


LONG = {"records": 60}


def test_a_spike_is_watched_and_spikes_with_a_stuck_loss_warn():
    falling = traces.trace(**LONG)
    falling = traces.with_series(falling, loss=2 - falling.steps / 2e3)  # no low loss yet
    falling = traces.with_series(falling, probe_loss=2 - falling.steps / 2e3)
    (finding,) = found(spiked(falling, 50), gradient_spike)
    assert (finding.step, finding.severity) == (1000, "watch")
    (finding,) = found(spiked(traces.stuck(traces.trace(**LONG)), 45, 50, 55), gradient_spike)
    assert (finding.step, finding.severity) == (900, "warn")
    assert "3 times in the last 20 records" in finding.message


@pytest.mark.parametrize(
    "run",
    [
        traces.trace(**LONG),
        traces.stuck(traces.trace(**LONG)),
        spiked(traces.trace(**LONG), 50),  # it has learned: gradients near zero
        spiked(traces.stuck(traces.trace(**LONG)), 2, 3),  # the first steps
        spiked(traces.stuck(traces.trace(**LONG)), 30),  # long ago
        spiked(traces.stuck(traces.trace(**LONG)), *range(50, 61)),  # an explosion
        spiked(traces.stuck(traces.trace(**LONG)), 50, size=8.0),
        spiked(traces.stuck(traces.trace(**LONG)), 60),  # nothing after it yet
    ],
)
def test_other_norms_are_no_spikes(run):
    assert check(run, [gradient_spike]).outcomes[0].outcome == "healthy"


def test_a_spike_needs_records_before_it():
    assert "too few records" in check(traces.trace(records=20), [gradient_spike]).outcomes[0].reason
    nan = traces.with_series(traces.trace(), gradient_norm=np.nan)
    assert "no finite value" in check(nan, [gradient_spike]).outcomes[0].reason


def test_a_gradient_that_doubles_again_and_again_explodes_at_any_size():
    run = traces.stuck()
    late = np.maximum(run.steps - 500, 0) / traces.EVERY
    run = traces.with_series(run, gradient_norm=1e-3 * 2.2**late)
    (finding,) = found(run, exploding_gradient)
    assert (finding.severity, finding.step) == ("warn", 500)
    slow = traces.with_series(run, gradient_norm=1e-3 * 1.8**late)
    assert not found(slow, exploding_gradient)
    learns = replace(run, series={**run.series, "loss": traces.trace().series["loss"]})
    assert not found(learns, exploding_gradient)
