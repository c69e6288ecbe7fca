"""What is news of a run, and what is said of it at its end."""

from dataclasses import replace

import numpy as np

from tests import traces
from tests.test_rules_guess import regression
from tfdiag.config import Config
from tfdiag.judge import Judge


def judge():
    return Judge(Config(), {}, {})


def texts(run, by, finished=True):
    _, _, found = by.judge(run, finished=finished)
    return found


def test_a_healthy_end_is_said_once():
    by = judge()
    assert texts(traces.trace(), by, finished=False) == []
    (text,) = texts(traces.trace(), by)
    assert text.startswith("tfdiag: Healthy, step 600\n  The probe loss fell from 2.3 to 0.14.")
    assert texts(traces.trace(), by) == [], "the next fit of a loop has nothing new to say"


def of_one_epoch(run):
    ends = np.where(run.steps == run.steps[-1], 0.0, np.nan).astype(np.float32)
    return replace(run, series={**run.series, "epoch": ends})


def test_an_end_with_too_few_records_says_how_to_get_more():
    run = traces.with_series(traces.trace(records=2), probe_loss=2.3, loss=2.3)
    (early,) = texts(of_one_epoch(run), judge())  # of one `fit` of many, perhaps
    assert early.startswith("tfdiag: Too early to tell, step 40\n") and "yet." in early
    (over,) = texts(run, judge())
    assert over.startswith("tfdiag: Recorded too rarely to tell, step 40\n")
    assert "yet" not in over and "3 of 40 steps were recorded" in over
    assert over.endswith("every=1, probe_every=4)")


def test_an_end_that_may_be_none_has_no_last_word():
    """In a loop of `fit(epochs=1)` the loss falls on in the next one."""
    falling = np.linspace(2.3, 1.0, 31)
    run = traces.with_series(traces.trace(), probe_loss=falling, loss=falling)
    run = of_one_epoch(replace(run, planned_steps=600))
    report, _, said = judge().judge(run, finished=True)
    assert "stopped-early" in {finding.rule for finding in report.findings}
    assert said == []


def test_the_diagnosis_is_the_last_word():
    by = judge()
    first, *_, last = texts(traces.dying(40), by)
    assert "dead-relu" in first and not first.startswith("tfdiag: ")
    assert last.startswith("tfdiag: dense died at step 40, step 600\n")
    assert "Chain: " in last and "How sure: " in last and "Try first: " in last
    assert texts(traces.dying(40), by) == []
    (text,) = texts(traces.trace(), by)
    assert text.startswith("tfdiag: Healthy"), "it went away"


def test_the_end_of_one_epoch_is_not_held_against_a_model_aloud():
    """A regression that has not come near its targets yet, in a loop of `fit(epochs=1)`."""
    run = replace(regression(np.r_[40.0, np.full(29, np.nan), 20.0]), planned_steps=600)
    report, _, said = judge().judge(of_one_epoch(run), finished=True)
    assert "no-better-than-constant" in {finding.rule for finding in report.findings}
    assert said == []
    _, _, said = judge().judge(run, finished=True)
    assert "no-better-than-constant" in said[0]
