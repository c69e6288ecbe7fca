"""What a request may try, what comes of it, and what is kept of a recording meanwhile."""

import ast
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from tensorboard import errors

from tensorboard_plugin import answers
from tensorboard_plugin.trial import LONGEST, choice_of
from tests import traces
from tfdiag import check, config, export
from tfdiag.report.worst import worst
from tfdiag.rules import ALL_RULES, resolve_thresholds
from tfdiag.rules.suppression import Suppression
from tfdiag.storage import schema
from tfdiag.storage.decoder import Record, Recording, Tag
from tfdiag.trace import Trace

ODD = 'a "quoted" \\ reason,\nof two lines, \x7f and \u202e, ünï·コード 🩺'


def recording(trace: Trace, thresholds=None) -> Recording:
    return Recording("1a2b3c4d", trace, 0.0, thresholds or {}, {}, {}, None, True, None, 0)


def stored(report) -> Tag:
    content = schema.encode({"report": report.to_json(), "finished": True, "cost": None})
    return Tag(b"", [Record(0, 0.0, np.array([content], object))])


def test_a_higher_threshold_takes_a_finding_away():
    run = recording(traces.dying(40))
    before = answers.judged("a", run, None, config.Config())
    assert before["verdict"]["title"] == "dense died at step 40"
    choice = choice_of({"thresholds": '{"dead-relu": {"patience": 99}}'})
    after = answers.judged("a", run, None, choice)
    assert "dead-relu" not in {finding["rule"] for finding in after["findings"]}
    assert after["verdict"] != before["verdict"]
    assert after["thresholds"] == before["thresholds"]


def test_recorded_thresholds_hold_where_nothing_else_is_tried():
    run = recording(traces.dying(40), {"dead-relu": {"patience": 99, "of-tomorrow": 1}})
    found = answers.judged("a", run, None, config.Config())["findings"]
    assert "dead-relu" not in {finding["rule"] for finding in found}
    choice = choice_of({"thresholds": '{"dead-relu": {"patience": 2}}'})
    found = answers.judged("a", run, None, choice)["findings"]
    assert found[0]["rule"] == "dead-relu"


def test_a_finding_is_suppressed_with_its_reason():
    text = json.dumps([{"rule": "dead-relu", "layer": "dense*", "reason": "by design"}])
    judged = answers.judged("a", recording(traces.dying(40)), None, choice_of({"suppress": text}))
    (one,) = judged["suppressed"]
    assert (one["rule"], one["layer"], one["reason"]) == ("dead-relu", "dense", "by design")
    assert "dead" not in judged["verdict"]["title"]


def test_what_was_switched_off_when_a_run_was_recorded_stays_so():
    own = config.Config(
        disable=("update-ratio",), suppress=(Suppression("dead-relu", "by design", "dense*"),)
    )
    trace = traces.dying(40)
    judged = answers.judged("a", recording(trace), stored(own.check(trace)), config.Config())
    (one,) = judged["suppressed"]
    assert (one["layer"], one["reason"]) == ("dense", "by design")
    silent = {rule["id"]: rule["reason"] for rule in judged["rules"]}
    assert silent["update-ratio"] == "disabled in the configuration"
    assert judged["toml"] == ""  # that is the run's own, not what is tried


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"thresholds": "{"}, "must be JSON such as"),
        ({"thresholds": "[" * 3000}, "must be JSON such as"),
        ({"thresholds": "[]"}, "thresholds: a table was expected"),
        ({"thresholds": '{"dead-rleu": {"warn": 1}}'}, "no rule 'dead-rleu'. Did you mean"),
        ({"thresholds": '{"x": {"warn": 1}}'}, "There are .*nonfinite-loss"),
        ({"thresholds": '{"dead-relu": {"wran": 1}}'}, "no threshold 'wran'; it has watch, warn"),
        ({"thresholds": '{"dead-relu": {"warn": "1"}}'}, "a number of at least 0, but got '1'"),
        ({"thresholds": '{"dead-relu": {"warn": null}}'}, "a number of at least 0, but got None"),
        ({"thresholds": '{"dead-relu": {"warn": NaN}}'}, "a number of at least 0, but got nan"),
        ({"thresholds": '{"update-ratio": {"high": 1e999}}'}, "a number .* got inf"),
        ({"thresholds": f'{{"update-ratio": {{"high": 1{"0" * 400}}}}}'}, "a number .* got 10"),
        ({"thresholds": f'{{"dead-relu": {{"patience": {2**63}}}}}'}, "an integer .* got 9"),
        ({"thresholds": f'{{"dead-relu": {{"patience": {"9" * 5000}}}}}'}, "JSON"),
        ({"suppress": "{}"}, "suppress: a list was expected"),
        ({"suppress": '[{"rule": "dead-relu"}]'}, r"suppress\[0\]: `reason` is missing"),
        ({"suppress": '[{"rule": "dead-relu", "reason": " "}]'}, "reason was expected"),
        ({"suppress": '[{"rule": "dead-relu", "reason": "\\ud800"}]'}, "surrogates"),
        ({"suppress": " " * (LONGEST + 1)}, "at most 6,000"),
    ],
)
def test_errors_say_what_is_wrong(parameters, words):
    with pytest.raises(errors.InvalidArgumentError, match=words) as raised:
        choice_of(parameters)
    assert len(str(raised.value)) < 1000


def test_nothing_is_no_choice():
    assert choice_of({}) == choice_of({"thresholds": "", "suppress": ""}) == config.Config()


def test_the_file_is_read_back(tmp_path):
    every = {
        id: {name: 1 if isinstance(value, int) else value / 3 for name, value in values.items()}
        for id, values in resolve_thresholds(None).items()
        if values
    }
    every["update-ratio"]["low"] = 1e-07
    every["exploding-gradient"]["extreme"] = 1e16
    tried = config.Config(
        thresholds=every,
        disable=("overfitting",),
        suppress=(Suppression("dead-relu", ODD), Suppression("update-ratio", "x", f"[*] {ODD}")),
    )
    file = tmp_path / "tfdiag.toml"
    file.write_text(export.as_toml(tried), encoding="utf-8")
    found = config.load(file)
    assert (found.thresholds, found.disable) == (tried.thresholds, tried.disable)
    assert found.suppress == tried.suppress
    assert export.as_toml(config.Config()) == ""


def test_the_code_is_that_of_a_callback():
    tried = {"dead-relu": {"warn": 0.4, "patience": 5}, "update-ratio": {"low": 1e-07}}
    call = ast.parse(export.as_callback(tried)).body[0].value
    assert call.func.id == "HealthMonitor"
    (argument,) = call.keywords
    assert argument.arg == "thresholds" and ast.literal_eval(argument.value) == tried
    ast.parse(export.as_callback({}))


def test_every_threshold_says_what_it_is():
    for rule in ALL_RULES:
        assert set(rule.meanings) == set(rule.thresholds), rule.id
        for limit in rule.limits:
            assert rule.above(limit.argument) is limit.above


def test_a_threshold_has_a_direction_if_values_are_compared_with_it():
    rules = {rule.id: rule for rule in ALL_RULES}
    assert rules["dead-relu"].above("warn") is True
    assert rules["vanishing-gradient"].above("ratio") is False
    assert rules["probe-too-small"].above("samples") is False
    assert rules["dead-relu"].above("patience") is None
    assert rules["dead-relu"].sign("patience") is None
    assert rules["constant-output"].sign("spread") == "≤"
    assert rules["vanishing-gradient"].sign("ratio") == "<"


def test_a_threshold_has_the_sign_that_the_evidence_writes():
    stuck = traces.stuck()
    runs = [traces.dying(), traces.saturated(), traces.vanishing(), traces.exploding()]
    runs += [traces.changed(stuck, "update_ratio", value, stuck.layers) for value in (0.3, 1e-9)]
    runs += [traces.changed(stuck, "output_rms", value) for value in (5e3, 1e-4)]
    runs.append(
        traces.with_series(stuck, probe_top_class_share=1.0, probe_top_class_true_share=0.1)
    )
    rules = {rule.id: rule for rule in ALL_RULES}
    told = set()
    for finding in (found for run in runs for found in check(run).findings):
        rule, sign = rules[finding.rule], re.search("[<>≤≥]", finding.evidence)
        same = [name for name, value in rule.thresholds.items() if value == finding.limit]
        if sign and len(same) == 1:
            assert rule.sign(same[0]) == sign[0], finding
            told.add((rule.id, same[0]))
    assert {
        ("dead-relu", "critical"),
        ("saturated-activation", "share"),
        ("update-ratio", "high"),
        ("update-ratio", "low"),
        ("activation-scale", "low"),
        ("vanishing-gradient", "floor"),
    } <= told


def worst_of(run, rule, name, exempt=()):
    (known,) = (one for one in ALL_RULES if one.id == rule)
    return worst(known, name, run, dict.fromkeys(exempt, "left out"))


def test_the_worst_value_is_that_of_the_layer_that_is_worst_off_at_last():
    run = traces.changed(traces.dying(), "update_ratio", 1e-9, ("dense",))
    assert worst_of(run, "dead-relu", "warn") == {"value": pytest.approx(0.97), "layer": "dense"}
    assert worst_of(run, "dead-relu", "warn", ["dense"])["layer"] != "dense"
    assert worst_of(run, "dead-relu", "warn", run.layers) is None
    low = worst_of(run, "update-ratio", "low")
    assert low == {"value": pytest.approx(1e-9), "layer": "dense"}
    assert worst_of(run, "update-ratio", "high")["value"] > low["value"]


def test_a_series_has_a_worst_value_without_a_layer_and_what_is_worked_out_has_none():
    run = traces.with_series(traces.trace(), gradient_norm=[*np.full(30, 7.0), np.nan])
    assert worst_of(run, "exploding-gradient", "norm") == {"value": 7.0, "layer": None}
    assert worst_of(run, "exploding-gradient", "growth") is None
    assert worst_of(replace(run, series={}), "exploding-gradient", "norm") is None
