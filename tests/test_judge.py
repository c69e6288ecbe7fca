"""What is news of a run, and what is said of it at its end."""

from dataclasses import replace

from tests import traces
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


def test_an_end_with_too_few_records_says_how_to_get_more():
    run = traces.with_series(traces.trace(records=2), probe_loss=2.3, loss=2.3)
    (early,) = texts(run, judge())
    assert early.startswith("tfdiag: Too early to tell, step 40\n") and "yet." in early
    over = texts(replace(run, planned_steps=40), judge())[-1]
    assert over.startswith("tfdiag: Recorded too rarely to tell, step 40\n")
    assert "yet" not in over and "3 of 40 steps were recorded" in over
    assert over.endswith("every=1, probe_every=4)")


def test_where_something_was_found_that_is_the_end():
    (text,) = texts(traces.dying(40), by := judge())[:1]
    assert "dead-relu" in text and "tfdiag: " not in text
    assert texts(traces.dying(40), by) == []
    (text,) = texts(traces.trace(), by)
    assert text.startswith("tfdiag: Healthy"), "it went away"
