from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.config import Config
from tfdiag.judge import Judge
from tfdiag.rules import check
from tfdiag.rules.length import stopped_early

N = np.arange(31)
EVEN = np.linspace(2.3, 1.0, 31)


def ended(curve, train=None, planned=600, epochs=2, **series):
    """Returns a run of 600 steps with these losses."""
    run = replace(traces.trace(), planned_steps=planned)
    train = curve if train is None else train
    run = traces.with_series(run, probe_loss=curve, loss=train, **series)
    ends = np.full(31, np.nan, np.float32)
    ends[np.linspace(0, 30, epochs + 1).astype(int)[1:]] = np.arange(epochs)
    return replace(run, series={**run.series, "epoch": ends})


def outcome(run):
    return check(run, [stopped_early]).outcomes[0]


def test_an_end_at_full_pace_is_found():
    (finding,) = outcome(ended(EVEN)).findings
    assert (finding.severity, finding.layer, finding.step) == ("warn", None, 600)
    assert finding.value > 0.15 and "last fifth" in finding.message


def test_after_many_epochs_it_is_only_watched():
    """As published healthy programs end: AUTOTRAINER's Circle models, still improving a little."""
    assert [one.severity for one in outcome(ended(EVEN, epochs=3)).findings] == ["watch"]
    assert [one.severity for one in outcome(ended(EVEN, epochs=1)).findings] == ["warn"]


def test_the_end_of_a_fit_of_one_epoch_is_recorded_but_no_news():
    for epochs, told in ((1, []), (2, ["stopped-early"])):
        report, news, _ = Judge(Config(), {}, {}).judge(ended(EVEN, epochs=epochs), finished=True)
        assert "stopped-early" in {finding.rule for finding in report.findings}
        assert [one.rule for one in news if one.rule == "stopped-early"] == told


def test_in_a_loop_of_fits_of_one_epoch_each_end_is_no_news():
    run = ended(EVEN, epochs=3)
    again = np.where(np.isfinite(run.series["epoch"]), 0.0, np.nan).astype(np.float32)
    run = replace(run, series={**run.series, "epoch": again})
    report, news, _ = Judge(Config(), {}, {}).judge(run, finished=True)
    assert "stopped-early" in {finding.rule for finding in report.findings}
    assert "stopped-early" not in {finding.rule for finding in news}


def test_few_looks_are_enough():
    few = np.where(np.isin(N, (0, 15, 30)), EVEN, np.nan)
    run = ended(EVEN)
    series = {**run.series, "probe_loss": few.astype(np.float32)}
    assert outcome(replace(run, series=series)).outcome == "found"


@pytest.mark.parametrize(
    "run",
    [
        ended(0.1 + 2.2 * np.exp(-N / 8)),
        ended(2.3 * (N + 1.0) ** -0.1),  # a power law: each step gains a little
        ended(EVEN, 0.1 + 2.2 * np.exp(-N / 8)),  # only the probe loss
        ended(0.1 + 2.2 * np.exp(-N / 8), EVEN),  # only in training: it overfits
        ended(np.linspace(2.3, 2.25, 31)),  # too slow for more steps to help
        ended(2.3 + 0 * N),
        ended(EVEN, planned=601),  # stopped by hand, or not at its end yet
    ],
)
def test_other_ends_are_well(run):
    assert outcome(run).outcome == "healthy"


def test_coming_down_to_a_constant_is_no_learning():
    """The first half of the fall is only that from equal odds to the classes' shares."""
    answers = traces.labels(shares=(0.9, *(0.1 / 9,) * 9), largest=0.9)
    curve = np.r_[2.3, np.linspace(0.5, 0.3, 30)]
    assert outcome(ended(curve)).outcome == "healthy"
    assert outcome(replace(ended(curve), data=traces.data(answers=answers))).outcome == "found"


def test_an_end_before_even_a_constant_is_reached_is_found():
    """With few looks, of which no rule can tell that the loss is a constant's."""
    falls, rests = np.linspace(40, 2.6, 31), 2.4 + 37 * np.exp(-N / 3)
    for curve, told in ((falls, ["warn"]), (rests, [])):
        few = np.where(np.isin(N, (0, 10, 20, 25, 30)), curve, np.nan)
        assert [one.severity for one in outcome(ended(few, epochs=1)).findings] == told


def test_a_fit_that_follows_another_is_only_watched():
    run = ended(EVEN)
    again = np.where(np.isfinite(run.series["epoch"]), 0.0, np.nan).astype(np.float32)
    run = replace(run, series={**run.series, "epoch": again})
    assert [one.severity for one in outcome(run).findings] == ["watch"]
    # Judged a moment before the second one's only epoch is over.
    first = np.where(run.steps == 300, 0.0, np.nan).astype(np.float32)
    run = replace(run, series={**run.series, "epoch": first})
    assert [one.severity for one in outcome(run).findings] == ["watch"]


def test_what_came_before_the_recording_is_not_made_up():
    late = replace(ended(EVEN, planned=1100), steps=traces.trace().steps + 500)
    (finding,) = outcome(late).findings
    assert finding.value == outcome(ended(EVEN)).findings[0].value and finding.severity == "watch"
    most = replace(ended(EVEN, planned=6000), steps=traces.trace().steps + 5400)
    assert "less than half" in outcome(most).reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "huber"}, None),
        ({"label_smoothing": 0.1}, None),
        ({}, None),
        ({"regularized": True}, "regularization"),
    ],
)
def test_losses_without_a_constant_are_judged_unless_regularized(options, words):
    run = ended(EVEN)
    options = {**run.architecture.loss_options, **options} if options else {}
    run = replace(run, architecture=replace(run.architecture, loss_options=options))
    found = outcome(run)
    assert found.outcome == "found" if words is None else words in found.reason


def test_an_end_that_is_planned_as_such_is_not_judged():
    cosine = 0.01 * (1 + np.cos(np.pi * N / 30))
    assert "decays" in outcome(ended(EVEN, learning_rate=cosine)).reason
    assert "not known when" in outcome(ended(EVEN, planned=0)).reason
    assert outcome(traces.with_series(ended(EVEN), probe_loss=np.nan)).outcome == "not-evaluated"
