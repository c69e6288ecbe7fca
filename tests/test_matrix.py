"""What each rule says of each run, in short: the table behind `api/rules`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tensorboard_plugin import matrix
from tensorboard_plugin.experiment import Listed
from tests import recordings
from tfdiag.report.catalogue import OTHERS, group
from tfdiag.rules import ALL_RULES, Outcome, Report
from tfdiag.storage import schema
from tfdiag.storage.decoder import Record, Tag
from tfdiag.trace import Finding

CONTENT = schema.encode(recordings.manifest())


def cell(outcome: Outcome, **facts: float) -> dict[str, Any]:
    report = Report(step=5, outcomes=(outcome,), facts=facts)
    return answer(report)["runs"][0]["rules"][outcome.rule]


def answer(report: Report) -> dict[str, Any]:
    content = {"report": report.to_json(), "finished": True, "cost": None}
    array = np.array([schema.encode(content)], object)
    listed = {schema.STATS + "0": Listed(CONTENT, 5, 1.0)}
    return matrix.rules({"run": listed}, {"run": Tag(b"", [Record(5, 1.0, array)])})


def finding(severity: str, layer: str) -> Finding:
    return Finding(severity=severity, step=1, message="", evidence="2 > 1", layer=layer)


def test_every_rule_has_a_group_and_says_what_it_finds():
    assert OTHERS not in {group(rule) for rule in ALL_RULES}
    for rule in ALL_RULES:
        assert rule.finds.startswith(("Finds ", "Compares ")), rule.id
        assert rule.finds.endswith("."), rule.id


def test_findings_are_counted_and_the_worst_three_are_named():
    severities = ("watch", "warn", "watch", "critical")
    found = tuple(finding(severity, f"layer{i}") for i, severity in enumerate(severities))
    told = cell(Outcome("dead-relu", "found", findings=found))
    assert (told["severity"], told["count"]) == ("critical", 4)
    assert [one["layer"] for one in told["findings"]] == ["layer3", "layer1", "layer0"]


@pytest.mark.parametrize(
    ("outcome", "layers", "everywhere"),
    [("not-evaluated", 5, True), ("not-evaluated", 6, False), ("healthy", 5, False)],
)
def test_exempt_layers_are_counted_by_their_reason(outcome, layers, everywhere):
    exempt = {**{f"conv{i}": "no ReLU" for i in range(4)}, "logits": "output"}
    told = cell(Outcome("dead-relu", outcome, exempt=exempt), layers=layers)
    assert told["exempt"] == 5
    assert told["all_exempt"] is everywhere
    assert told["exemptions"] == [
        {"reason": "no ReLU", "count": 4, "layers": ["conv0", "conv1", "conv2"]},
        {"reason": "output", "count": 1, "layers": ["logits"]},
    ]


def test_a_rule_of_a_newer_tfdiag_is_last():
    told = answer(
        Report(5, (Outcome("dead-relu", "healthy"), Outcome("from-the-future", "healthy")))
    )
    assert [rule["id"] for rule in told["rules"]] == [*(r.id for r in ALL_RULES), "from-the-future"]
    assert told["rules"][-1]["title"] == "from-the-future"
    assert told["rules"][-1]["group"] == OTHERS


def test_a_report_that_cannot_be_read_is_an_error_of_its_run_only():
    listed = {schema.STATS + "0": Listed(CONTENT, 5, 1.0)}
    broken = Tag(b"", [Record(5, 1.0, np.array([1.0, 2.0]))])
    first, second = matrix.rules({"a": listed, "b": listed}, {"a": broken})["runs"]
    assert "damaged" in first["error"] and first["rules"] == {}
    assert second["error"] is None and len(second["rules"]) == len(ALL_RULES)


def test_the_answer_is_json_without_nan():
    nothing = Outcome("dead-relu", "found", findings=(finding("warn", "a"),))
    text = json.dumps(answer(Report(5, (nothing,))), allow_nan=False)
    assert "dead-relu" in text
