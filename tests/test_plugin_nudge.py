"""The data server is given something to acknowledge for as long as it owes an answer."""

import threading
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from tensorboard_plugin import experiment, nudge

SECONDS = 30


def test_an_answer_that_is_held_back_is_followed_by_something_small():
    asked = threading.Semaphore(0)
    with nudge.nudged(asked.release):
        assert all(asked.acquire(timeout=SECONDS) for _ in range(3))


def test_a_nudge_that_is_held_back_itself_delays_neither_the_answer_nor_the_next_nudge():
    held, asked = threading.Event(), threading.Semaphore(0)

    def ask():
        asked.release()
        held.wait(SECONDS)

    with nudge.nudged(ask):
        assert all(asked.acquire(timeout=SECONDS) for _ in range(3))
    assert not held.is_set()
    held.set()


def test_a_quick_answer_is_followed_by_none(monkeypatch):
    monkeypatch.setattr(nudge, "FIRST", 0.2)
    asked = threading.Event()
    with nudge.nudged(asked.set):
        pass
    assert not asked.wait(1)


def test_many_answers_that_are_held_back_are_each_nudged():
    held, asked = threading.Event(), threading.Semaphore(0)

    def ask():
        asked.release()
        held.wait(SECONDS)

    with ExitStack() as answers:
        for _ in range(40):
            answers.enter_context(nudge.nudged(ask))
        assert all(asked.acquire(timeout=SECONDS) for _ in range(80))
    held.set()


def test_nothing_is_nudged_where_no_thread_can_begin(monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with nudge.nudged(lambda: None):
        pass


def test_the_error_of_an_answer_is_told_and_that_of_a_nudge_is_not():
    asked = threading.Event()

    def ask():
        asked.set()
        raise OSError("no connection")

    with pytest.raises(LookupError), nudge.nudged(ask):
        assert asked.wait(SECONDS)
        raise LookupError


def test_every_question_to_the_data_server_is_followed_by_a_small_one():
    """A server that answers nothing before it was nudged."""
    nudged = threading.Event()

    def held(answer):
        def method(context, *, experiment_id, **_):
            assert (context, experiment_id) == ("who", "id")
            assert nudged.wait(SECONDS)
            nudged.clear()
            return answer

        return method

    server = SimpleNamespace(
        experiment_metadata=lambda context, *, experiment_id: nudged.set(),
        list_runs=held([]),
        list_tensors=held({}),
        read_tensors=held({}),
        read_scalars=held({}),
    )
    found = experiment.Experiment(server, "who", "id")
    assert (found.runs(), found.listed(), found.last_reports(), found.losses()) == ({}, {}, {}, {})
