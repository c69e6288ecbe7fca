"""Where looks at the probe set are few, Keras' validation at the ends of epochs is judged."""

from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import check
from tfdiag.rules.validation import standing_in


def short(loss, accuracy, looks=(0, 30)):
    """Returns a run of 600 steps with few looks and an epoch every 60 steps."""
    rows = np.arange(31)
    ends = np.isin(rows, np.arange(3, 31, 3))
    run = replace(traces.trace(), planned_steps=600, data=traces.data(answers=traces.labels()))
    curve, right = (np.interp(rows, (0, 30), pair) for pair in (loss, accuracy))
    seen = np.isin(rows, looks)
    return traces.with_series(
        run,
        probe_loss=np.where(seen, curve, np.nan),
        probe_accuracy=np.where(seen, right, np.nan),
        val_loss=np.where(ends, curve, np.nan),
        val_accuracy=np.where(ends, right, np.nan),
        epoch=np.where(ends, rows // 3 - 1, np.nan),
    )


def outcomes(run):
    return {outcome.rule: outcome for outcome in check(run).outcomes}


def test_a_guess_is_found_by_the_accuracy_in_validation():
    found = outcomes(short(loss=(2.3, 2.31), accuracy=(0.1, 0.1)))
    (finding,) = found["no-better-than-guess"].findings
    assert finding.metric == "val_loss" and "probe" not in finding.message
    assert "validation" in finding.message


@pytest.mark.parametrize(("planned", "outcome"), [(700, "not-evaluated"), (600, "found")])
def test_without_validation_the_end_tells(planned, outcome):
    run = short(loss=(2.3, 2.31), accuracy=(0.1, 0.1))
    alone = {name: v for name, v in run.series.items() if not name.startswith("val_")}
    alone = replace(run, series=alone, planned_steps=planned)
    assert outcomes(alone)["no-better-than-guess"].outcome == outcome


def test_a_training_that_learns_is_healthy():
    report = check(short(loss=(2.3, 0.2), accuracy=(0.1, 0.95)))
    assert not [finding for finding in report.findings if finding.severity != "watch"]
    assert outcomes(short((2.3, 0.2), (0.1, 0.95)))["no-better-than-guess"].outcome == "healthy"


def test_what_stands_where():
    run = short(loss=(2.3, 0.2), accuracy=(0.1, 0.95))
    series = standing_in(run).series
    probe, val = series["probe_loss"], run.series["val_loss"]
    assert probe[0] == run.series["probe_loss"][0], "the untrained model was looked at"
    np.testing.assert_array_equal(probe[3:], val[3:])
    assert np.isnan(probe[1:3]).all()


@pytest.mark.parametrize("looks", [(), range(0, 31, 5)])
def test_enough_looks_or_none_stay_as_they_are(looks):
    run = short(loss=(2.3, 0.2), accuracy=(0.1, 0.95), looks=looks)
    assert standing_in(run) is run
