"""When two runs part: found where they were made to differ, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag import comparison
from tfdiag.architecture import Architecture, counterparts
from tfdiag.comparison import LEAST_RECORDS, RULES, partings
from tfdiag.metrics import METRICS
from tfdiag.trace import Trace

COMPARED = {metric.name for metric in METRICS if metric.scale != "count"} | {"loss", "probe_loss"}


def told(run, baseline):
    return {one.name: one for one in partings(run, baseline)}


def rows(run: Trace, keep) -> Trace:
    """Returns only those records of a run."""
    return replace(
        run,
        steps=run.steps[keep],
        wall_times=run.wall_times[keep],
        columns={name: values[keep] for name, values in run.columns.items()},
        series={name: values[keep] for name, values in run.series.items()},
    )


def test_a_run_never_parts_from_itself():
    run = traces.trace(probe_every=3)
    found = told(run, run)
    assert set(found) == COMPARED
    assert {one.outcome for one in found.values()} == {"together", "not-comparable"}
    assert found["gradient_rms"].step == run.steps[-1]
    assert found["saturated_fraction"].reason == "no layer with tanh or sigmoid"


@pytest.mark.parametrize("seed", range(1, 11))
def test_another_seed_does_not_part(seed):
    found = partings(traces.trace(seed=seed), traces.trace())
    assert [one.name for one in found if one.outcome == "parted"] == []


def test_a_measure_parts_where_it_was_changed():
    changed = traces.changed(traces.trace(seed=1), "update_ratio", 0.01, ("dense_1",), since=200)
    first, *others = partings(changed, traces.trace())
    assert (first.name, first.outcome, first.step) == ("update_ratio", "parted", 200)
    assert first.layer == "dense_1"
    assert first.apart == pytest.approx(first.run / first.baseline) == pytest.approx(10, rel=0.3)
    assert 1.5 <= first.limit < 3
    assert "parted" not in {one.outcome for one in others}


def test_of_layers_that_part_at_once_one_with_a_finding_is_told_of():
    run = traces.changed(traces.trace(), "gradient_rms", 0.0, ("dense_1",), since=160)
    run = traces.changed(run, "gradient_rms", 50.0, ("dense_2",), since=160)

    def layer(found):
        (told,) = (
            one for one in partings(run, traces.trace(), found) if one.name == "gradient_rms"
        )
        return told.layer

    assert layer({}) == layer({"dense_2": 180}) == "dense_1"  # it is infinitely far off
    assert layer({"dense_2": 160}) == "dense_2"
    later = traces.changed(run, "gradient_rms", 0.0, ("dense",), since=100)
    found = {one.name: one.layer for one in partings(later, traces.trace(), {"dense_2": 50})}
    assert found["gradient_rms"] == "dense"  # what parts first stays first


def test_both_directions_are_seen_alike():
    changed = traces.changed(traces.trace(), "dead_fraction", 0.97, ("dense",), since=40)
    there, back = (
        told(*pair)["dead_fraction"]
        for pair in ((changed, traces.trace()), (traces.trace(), changed))
    )
    assert (there.step, there.layer) == (back.step, back.layer) == (40, "dense")
    assert there.apart == -back.apart > 0.9


def test_the_loss_parts_when_it_stops_to_fall():
    found = told(traces.stuck(), traces.trace())
    assert found["loss"].outcome == found["probe_loss"].outcome == "parted"
    assert found["loss"].apart > found["loss"].limit > 1
    assert 0 < found["probe_loss"].step < 200


def test_a_few_records_are_chance():
    column = traces.trace().columns["gradient_rms"].copy()
    column[10 : 10 + RULES[0][1] - 1, 0] *= 1000
    column[20:30:2, 0] *= 1000  # up,
    column[21:30:2, 0] /= 1000  # and down
    run = replace(traces.trace(), columns={**traces.trace().columns, "gradient_rms": column})
    assert told(run, traces.trace())["gradient_rms"].outcome == "together"


def test_a_small_difference_must_last_longer():
    noise = np.random.default_rng(0).normal(0, 0.5, (31, 4))
    values = np.exp2(noise).astype(np.float32)
    good = replace(traces.trace(), columns={**traces.trace().columns, "weight_rms": values})
    for records, outcome in ((RULES[1][1] - 1, "together"), (RULES[1][1], "parted")):
        shifted = values.copy()
        shifted[10 : 10 + records, 2] *= 3
        run = replace(good, columns={**good.columns, "weight_rms": shifted})
        found = told(run, good)["weight_rms"]
        assert found.outcome == outcome
    assert (found.step, found.layer) == (200, "dense_2")
    assert found.apart == pytest.approx(3) and found.limit < 3


def test_nan_parts_at_once():
    lost = traces.not_finite(since=220)
    found = told(lost, traces.trace(seed=3))
    for name in ("gradient_rms", "weight_rms", "loss", "probe_loss"):
        assert (found[name].outcome, found[name].step) == ("parted", 220)
    assert found["gradient_rms"].layer == "dense_1"
    assert np.isnan(found["gradient_rms"].run) and np.isfinite(found["gradient_rms"].baseline)
    back = told(traces.trace(seed=3), lost)["gradient_rms"]
    assert np.isfinite(back.run) and np.isnan(back.baseline) and np.isnan(back.apart)
    assert told(lost, lost)["gradient_rms"].outcome == "together"  # both are lost: no difference


def test_a_streak_that_nan_cuts_short_begins_where_the_values_part():
    loss = np.full(31, 1.0)
    run = loss.copy()
    run[10:13], run[13:] = 8, np.inf
    good = traces.with_series(traces.trace(), loss=loss)
    found = told(traces.with_series(traces.trace(), loss=run), good)["loss"]
    assert (found.outcome, found.step, found.run) == ("parted", 200, 8)
    run[14:] = 1  # one record of it alone is no streak
    found = told(traces.with_series(traces.trace(), loss=run), good)["loss"]
    assert (found.outcome, found.step) == ("parted", 260)


def first_apart(run, baseline):
    """Returns the row at which two losses part; slowly, and row by row."""
    kept = [i for i in range(len(run)) if np.isfinite([run[i], baseline[i]]).any()]
    lost = {i for i in kept if not np.isfinite([run[i], baseline[i]]).all()}
    whole = [i for i in kept if i not in lost]
    scatter = dict(zip(whole, comparison.noise(np.log2(baseline[whole])), strict=True))

    def is_beyond(i, side, times):
        if i in lost:
            return True
        limit = max(np.log2(1.5), times * scatter[i])
        return side * (np.log2(run[i]) - np.log2(baseline[i])) > limit

    for at, i in enumerate(kept):
        for times, patience in RULES:
            rows = kept[at : at + patience]
            for side in (1, -1):
                if len(rows) == patience and all(is_beyond(k, side, times) for k in rows):
                    return i
        if i in lost:
            return i
    return None


@pytest.mark.parametrize("seed", range(40))
def test_runs_part_where_a_slow_search_finds_it(seed):
    noise = np.random.default_rng(seed)
    losses = np.exp2(noise.normal(0, 0.3, (2, 31))).astype(np.float32)
    begin = noise.integers(2, 28)
    losses[0, begin:] *= noise.choice([1, 2, 4, 16])
    for loss in losses:
        for row in noise.integers(5, 31, noise.integers(0, 3)):
            loss[row : row + noise.integers(1, 6)] = np.inf
    found = told(*(traces.with_series(traces.trace(), loss=loss) for loss in losses))["loss"]
    expected = first_apart(*losses.astype(np.float64))
    assert found.step == (30 * traces.EVERY if expected is None else expected * traces.EVERY)
    assert found.outcome == ("together" if expected is None else "parted")


def test_a_gradient_that_is_exactly_zero_parts():
    cut = traces.cut_off(traces.trace(), since=100)
    found = told(cut, traces.trace())["gradient_rms"]
    assert (found.outcome, found.step, found.run, found.apart) == ("parted", 100, 0, 0)
    assert np.isnan(told(traces.trace(), cut)["gradient_rms"].apart)  # no factor leads from 0
    assert told(cut, cut)["gradient_rms"].outcome == "together"


@pytest.mark.parametrize("keep", [slice(None, None, 2), slice(1, None, 2), slice(3, 25)])
def test_other_records_of_the_same_do_not_part(keep):
    whole, part = traces.trace(records=40, seed=1), rows(traces.trace(records=40, seed=2), keep)
    for pair in ((whole, part), (part, whole)):
        assert [one.name for one in partings(*pair) if one.outcome == "parted"] == []
        assert told(*pair)["weight_rms"].step == part.steps[-1]
    changed = traces.changed(whole, "weight_rms", 5.0, since=160)
    assert 160 <= told(changed, part)["weight_rms"].step <= 180


def test_a_short_run_is_compared_as_far_as_it_goes():
    short = traces.trace(records=LEAST_RECORDS + 2)
    assert told(short, traces.trace(seed=1))["weight_rms"].step == short.steps[-1]
    young = told(traces.trace(records=3), traces.trace(seed=1))["weight_rms"]
    assert young.outcome == "not-comparable"
    assert young.reason == "only 3 records in common where both are finite, of 8 needed"
    assert told(rows(traces.trace(), slice(0, 0)), traces.trace())["weight_rms"].reason


def test_nan_counts_even_in_the_first_records():
    young = traces.not_finite(since=40)
    found = told(rows(young, slice(0, 4)), traces.trace())["weight_rms"]
    assert (found.outcome, found.step) == ("parted", 40)


def test_why_a_measure_cannot_be_compared():
    run = replace(traces.trace(), not_measured={"dead_fraction": "no probe set"})
    other = traces.trace(
        Architecture(
            tuple(replace(one, name=f"other_{one.name}") for one in run.architecture.layers)
        )
    )
    assert told(run, traces.trace())["dead_fraction"].reason == "the run has none: no probe set"
    assert (
        told(traces.trace(), run)["dead_fraction"].reason == "the baseline has none: no probe set"
    )
    both = told(run, run)
    assert both["dead_fraction"].reason == "no probe set"
    curved = replace(traces.architecture().layers[0], activation="tanh")
    flat = traces.trace(replace(traces.architecture(), layers=(curved,)))
    reason = told(flat, traces.trace())["saturated_fraction"].reason
    assert reason == "the baseline has none: no layer with tanh or sigmoid"
    assert told(run, other)["weight_rms"].reason == "the models have no layer in common"
    assert told(run, other)["loss"].outcome == "together"


def test_a_loss_below_zero_is_compared_by_its_difference():
    level = np.linspace(0, -5, 31)
    good = traces.with_series(traces.trace(), loss=level)
    found = told(traces.with_series(traces.trace(), loss=level * 0.2), good)["loss"]
    assert (found.scale, found.outcome) == ("linear", "parted")
    assert found.apart == pytest.approx(found.run - found.baseline)


def test_a_baseline_of_nothing_but_zeros():
    cut = traces.cut_off(traces.trace())
    for name in ("output_mean", "weight_rms", "dead_fraction"):
        cut = traces.changed(cut, name, 0.0, cut.layers)
    found = told(traces.trace(), cut)
    assert found["output_mean"].outcome == found["weight_rms"].outcome == "parted"
    assert found["dead_fraction"].outcome == "together"
    assert "parted" not in {one.outcome for one in partings(cut, cut)}
    spike = replace(cut, columns={name: values.copy() for name, values in cut.columns.items()})
    spike.columns["output_mean"][3:9] = 1.0  # most of both is 0
    assert told(spike, cut)["output_mean"].step == 60


def test_noise_is_that_of_the_textbook():
    noise = np.random.default_rng(0).normal(0, 0.3, 5000)
    estimated = comparison.noise(noise + np.linspace(0, 50, 5000))
    pairs = noise[:-1] - np.random.default_rng(1).normal(0, 0.3, 4999)
    assert np.median(estimated) == pytest.approx(pairs.std(), rel=0.1)


def test_layers_correspond_by_name_or_by_place():
    model = traces.architecture()
    numbered = [replace(one, name=f"dense_{7 + i}") for i, one in enumerate(model.layers[:-1])]
    later = replace(model, layers=(*numbered, model.layers[-1]))
    assert counterparts(model, later) == {
        "dense": "dense_7",
        "dense_1": "dense_8",
        "dense_2": "dense_9",
        "output": "output",
    }
    wider = replace(later, layers=(replace(later.layers[0], shape=(65,)), *later.layers[1:]))
    assert counterparts(model, wider) == {"output": "output"}
    own = replace(model, layers=tuple(replace(one, name=f"my_{one.name}") for one in model.layers))
    assert counterparts(model, own) == {}
    moved = traces.changed(traces.trace(later), "weight_rms", 5.0, ("dense_8",), since=100)
    found = told(moved, traces.trace())["weight_rms"]
    assert (found.step, found.layer) == (100, "dense_8")
