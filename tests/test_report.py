import json
from dataclasses import replace

import pytest

from tests import traces
from tfdiag import report
from tfdiag.rules import Report, check
from tfdiag.trace import Finding

RUNS = {
    "healthy": (traces.trace(), "ok", "Healthy"),
    "dying": (traces.dying(40), "critical", "dense died at step 40"),
    "nan": (traces.not_finite(220), "critical", "NaN loss since step 220"),
    "stuck": (traces.stuck(), "warn", "Loss stuck since step 0"),
    "vanishing": (traces.vanishing(), "warn", "dense starves, step 20"),
    "exploding": (traces.exploding(300), "warn", "dense_1 exploded, step 300"),
    "saturated": (traces.saturated(40), "warn", "dense_1 saturated, step 40"),
    "watch": (traces.changed(traces.trace(), "dead_fraction", 0.4), "ok", "Healthy, 1 to watch"),
    "short": (traces.trace(records=5), "ok", "Healthy, 1 not evaluated"),
    "early": (traces.trace(records=2), "not-evaluated", "Too early to tell"),
    "nothing": (traces.trace(records=0), "not-evaluated", "Too early to tell"),
}


@pytest.mark.parametrize("name", RUNS)
def test_verdicts(name):
    run, severity, title = RUNS[name]
    judged = report.verdict(check(run))
    assert (judged.severity, judged.title) == (severity, title)
    assert len(judged.title) <= 28
    assert judged.summary.count(". ") <= 2
    assert (judged.try_first is not None) == bool(check(run).findings)


def test_a_healthy_summary_states_measured_facts():
    assert "The probe loss fell from 2.3 to 0.14." in report.verdict(check(traces.trace())).summary


def test_a_cause_is_only_probable():
    run = traces.changed(traces.dying(60), "update_ratio", 0.4)
    judged = report.verdict(check(run))
    assert judged.title == "dense died at step 60"
    assert judged.summary.startswith("Probably the learning rate is too high")
    assert judged.try_first.code == "model.optimizer.learning_rate = 2e-05"


def test_a_cause_does_not_come_after_its_effects():
    run = traces.changed(traces.dying(60), "update_ratio", 0.4, since=400)
    assert "learning rate is too high" not in report.verdict(check(run)).summary


def test_many_layers_are_one_line():
    judged = check(traces.vanishing())
    assert "vanishing-gradient 9 layers" in report.text(judged)
    assert "... and 6 more layers" in report.text(judged)


def test_long_names_are_shortened():
    finding = Finding("warn", 123456, "m", "e", layer="outer/" + "very_" * 9 + "end", rule="x")
    from tfdiag.rules import dead_relu

    title = report.headline(finding, dead_relu)
    assert len(title) <= 28 and title.endswith("died at step 123456") and "…" in title


def test_counts():
    assert report.counts(check(traces.dying())) == {
        "critical": 1,
        "warn": 1,
        "watch": 0,
        "healthy": 5,
        "not_evaluated": 1,
    }


@pytest.mark.parametrize("name", RUNS)
def test_json_is_the_contract(name):
    content = report.as_json(check(RUNS[name][0]))
    json.dumps(content, allow_nan=False)
    assert set(content) == {"verdict", "counts", "findings", "rules"}
    assert set(content["verdict"]) == {"severity", "title", "summary", "try_first"}
    for finding in content["findings"]:
        assert set(finding) == {
            *("rule", "title", "severity", "layer", "step", "evidence", "message"),
            *("value", "limit", "metric", "why", "advice", "source"),
        }
    for rule in content["rules"]:
        assert set(rule) == {"id", "title", "outcome", "reason", "step", "exempt"}


def test_a_recorded_report_reads_the_same():
    live = check(traces.dying())
    assert report.as_json(Report.from_json(live.to_json())) == report.as_json(live)


def test_an_unknown_rule_keeps_its_id():
    content = check(traces.dying()).to_json()
    for outcome in content["outcomes"]:
        outcome["rule"] += "-of-tomorrow"
    shown = report.as_json(Report.from_json(content))
    assert shown["findings"][0]["title"] == "dead-relu-of-tomorrow"
    assert shown["findings"][0]["advice"] == []
    assert shown["verdict"]["try_first"] is None
    assert len(shown["verdict"]["title"]) <= 28


def test_facts_of_a_stranger_do_no_harm():
    judged = check(traces.dying())
    assert report.verdict(replace(judged, facts={"loss_first": "x", "learning_rate": "y"})).title


def test_limits_follow_the_thresholds():
    lines = report.limits({"dead-relu": {"critical": 0.9}})
    assert {"severity": "critical", "rule": "dead-relu", "value": 0.9, "above": True} in lines[
        "dead_fraction"
    ]
    assert not report.limits()["gradient_rms"][0]["above"]


def test_an_announcement_is_short():
    lines = report.announcement(check(traces.dying()).findings[0]).split("\n")
    assert lines[0] == "tfdiag critical: dead-relu dense, step 40: 97 % ≥ 95 %"
    assert len(lines) == 3 and lines[2].startswith("  Try first: Lower the learning rate")
