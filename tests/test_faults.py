"""The benchmark of verdicts: its figures are counted right, and a small one of it passes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.faults.kinds import AT_START, RULES, rules
from benchmarks.faults.operators import OPERATORS
from benchmarks.faults.programs import PROGRAMS
from benchmarks.faults.runs import Run
from benchmarks.faults.scores import Share, measures, sort, wilson
from benchmarks.faults.verdicts import Alarm, Verdict
from tfdiag.rules import ALL_RULES

#: Faults that nothing may miss, wherever they are seeded.
CLEAR = ("rate-huge", "bias-dead", "inputs-nan")


def verdict(operator="", score=0.9, rule=None, layer=None, blamed=()):
    alarms = () if rule is None else (Alarm(rule, layer, "warn", 50, True, "evidence"),)
    run = Run("mlp", operator, 0, score, blamed, steps=100, epoch_steps=10)
    return Verdict(run, alarms, len(alarms), (), heads=len(alarms))


def test_names_are_unique_and_both_folds_have_programs():
    for items in (PROGRAMS, OPERATORS):
        assert len({item.name for item in items}) == len(items)
    assert {program.fold for program in PROGRAMS} == {"A", "B"}


def test_each_fault_has_kinds_that_are_known():
    for operator in OPERATORS:
        assert operator.kinds and set(operator.kinds) <= set(RULES)


def test_faults_that_show_from_the_start_are_counted_apart():
    assert {operator.name for operator in OPERATORS} >= AT_START
    healthy = [verdict(score=0.90), verdict(score=0.95)]
    late = verdict("rate-low", 0.1, "unchanged-weights")
    soon = verdict("init-zeros", 0.1, "dead-on-arrival")
    soon = replace(soon, alarms=(replace(soon.alarms[0], told=0),))
    counted = measures(
        sort([*healthy, late, soon], {"mlp": 0.8}), {"rate-low": (), "init-zeros": ()}
    )
    assert counted["share of the training until the alarm, median"] == 0.25
    assert counted["the same of faults that show from the start"] == 0.0


def test_every_rule_is_a_right_answer_to_something():
    assert {rule.id for rule in ALL_RULES} <= rules(RULES)


def test_a_fault_counts_only_if_it_hurts():
    verdicts = [
        verdict(score=0.90),
        verdict(score=0.95),
        verdict("rate-low", score=0.86),
        verdict("rate-low", score=0.84),
        verdict("rate-low", score=None),
    ]
    found = sort(verdicts, {"mlp": 0.8})
    assert [v.run.score for v in found.hurt] == [0.84, None]
    assert [v.run.score for v in found.harmless] == [0.86]


def test_a_healthy_run_below_the_reference_is_no_evidence():
    found = sort([verdict(score=0.5), verdict(score=None)], {"mlp": 0.8})
    assert len(found.weak) == 2 and not found.healthy


def test_right_kind_and_right_layer_are_told_apart():
    answers = [
        verdict("bias-dead", 0.1, "dead-relu", "dense", ("dense",)),
        verdict("bias-dead", 0.1, "dead-relu", "other", ("dense",)),
        verdict("bias-dead", 0.1, "nonfinite-loss", None, ("dense",)),
        verdict("bias-dead", 0.1, None, None, ("dense",)),
    ]
    counted = measures(sort([verdict(), *answers], {"mlp": 0.8}), {"bias-dead": ("dead-units",)})
    assert counted["faults that hurt and are found"] == Share(3, 4)
    assert counted["the right kind named"] == Share(2, 4)
    assert counted["the right layer named, if one is to blame"] == Share(1, 4)
    assert counted["share of the training until the alarm, median"] == 0.5
    assert counted["healthy runs with an alarm"] == Share(0, 1)


def test_wilson_as_published():
    """Against the table of Newcombe (1998), "Two-sided confidence intervals"."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.tensorflow
def test_the_quick_benchmark(tmp_path):
    command = [sys.executable, "-m", "benchmarks.faults", "--quick"]
    command += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "results.json")]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert not results["failed"] and not results["stale"]
    healthy = [run for run in results["runs"] if run["group"] == "healthy"]
    assert len(healthy) == 3
    assert [run["alarms"] for run in healthy] == [[]] * 3
    clear = [
        run for run in results["runs"] if run["group"] == "hurt" and run["run"]["operator"] in CLEAR
    ]
    assert {run["run"]["operator"] for run in clear} == set(CLEAR)
    assert [run["run"] for run in clear if not run["alarms"]] == []
