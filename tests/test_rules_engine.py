import logging
from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag.rules import ALL_RULES, check, resolve_thresholds, rule
from tfdiag.rules.progress import progress
from tfdiag.rules.rule import NotApplicable
from tfdiag.trace import Finding


def made(judge, **facts):
    defaults = {
        "id": "test-rule",
        "title": "Test",
        "needs": ("gradient_rms",),
        "advice": ("Do it.",),
        "why": "Because.",
        "source": "heuristic, no source",
        "verdict": "{layer} at {step}",
    }
    return rule(**{**defaults, **facts})(judge)


def says(severity="warn", step=20, layer="dense"):
    return Finding(severity=severity, step=step, layer=layer, message="m", evidence="e")


def outcome(run, one, **thresholds):
    return check(run, [one], {one.id: thresholds} if thresholds else None).outcomes[0]


def test_healthy_found_and_not_evaluated_are_three_outcomes():
    run = traces.trace()
    assert outcome(run, made(lambda trace: [])).outcome == "healthy"
    found = outcome(run, made(lambda trace: [says()]))
    assert (found.outcome, found.findings[0].rule) == ("found", "test-rule")
    missing = outcome(run, made(lambda trace: [], needs=("nothing",)))
    assert (missing.outcome, missing.reason) == ("not-evaluated", "nothing was not measured")


def test_the_reason_of_the_recording_is_passed_on():
    run = traces.trace()
    columns = {k: v for k, v in run.columns.items() if k != "dead_fraction"}
    run = replace(run, columns=columns, not_measured={"dead_fraction": "no probe set"})
    reasons = {o.rule: o.reason for o in check(run).outcomes}
    assert reasons["dead-relu"] == "no probe set"


@pytest.mark.parametrize(("planned", "judged"), [(600, True), (700, False), (0, False)])
def test_a_complete_training_is_judged_by_what_records_there_are(planned, judged):
    def patient(trace, *, patience=40, warm_up=100):
        yield says(step=patience + warm_up)

    run = replace(traces.trace(), planned_steps=planned)
    waits, ends = (made(patient, at_end=at_end) for at_end in (False, True))
    assert outcome(run, waits).outcome == "not-evaluated"
    assert [f.step for f in outcome(run, ends).findings] == ([25 + 100] if judged else [])
    if judged:
        assert outcome(run, ends, patience=3).findings[0].step == 3 + 100  # enough: as it is set
        assert outcome(run, ends, warm_up=700).findings[0].step == 21 + 180  # see `warmed_up`
    again = traces.with_series(run, epoch=np.where(run.steps % 300, np.nan, 0.0))
    assert outcome(again, ends).outcome == "not-evaluated"  # one `fit` followed another


def test_where_the_loss_is_lost_few_records_are_told_with_the_reason():
    run = traces.trace(records=10)
    few = made(lambda trace, *, patience=40: [])
    assert outcome(run, few).reason == "too few records: 10 of 40"
    lost = traces.with_series(run, loss_nonfinite=np.where(run.steps >= 100, 1.0, 0.0))
    assert outcome(lost, few).reason == "the loss is not finite since step 100"


def test_one_of_several_needs_is_enough():
    one = made(lambda trace: [], needs=(("nothing", "gradient_rms"),))
    assert outcome(traces.trace(), one).outcome == "healthy"


def test_a_rule_that_fails_is_reported_and_logged(caplog):
    def broken(trace):
        yield says()
        raise ZeroDivisionError("by zero")

    with caplog.at_level(logging.ERROR):
        report = check(traces.dying(), [made(broken), *ALL_RULES])
    first = report.outcomes[0]
    assert (first.outcome, first.reason) == ("not-evaluated", "the rule failed: by zero")
    assert first.findings == ()
    assert "ZeroDivisionError" in caplog.text
    assert "dead-relu" in {finding.rule for finding in report.findings}


def test_a_failing_exemption_is_reported_too(caplog):
    def exempt(layer):
        raise KeyError("role")

    failed = outcome(traces.trace(), made(lambda trace: [], exempt=exempt))
    assert "the rule failed" in failed.reason


def test_exempt_layers_are_masked_and_listed():
    seen = {}

    def judge(trace):
        seen.update(trace.columns)
        return []

    run = traces.trace()
    one = made(judge, exempt=lambda layer: "because" if layer.name == "dense" else None)
    assert outcome(run, one).exempt == {"dense": "because"}
    assert set(seen) == {"gradient_rms"}
    assert np.isnan(seen["gradient_rms"][:, 0]).all()
    assert np.isfinite(seen["gradient_rms"][1:, 1:]).all()
    assert np.isfinite(run.columns["gradient_rms"][1:, 0]).all()


def test_the_loss_is_judged_on_all_that_was_recorded_and_once():
    run = traces.regression(traces.stuck(level=6000.0), 0.1)
    seen = []

    def judge(trace):
        assert "output_std" not in trace.columns
        seen.append(progress(trace))
        return []

    check(run, [made(judge), made(judge, id="other")])
    assert seen[0] is seen[1]
    assert seen[0] == progress(run)
    check(run, [made(judge)])
    assert seen[2] is not seen[0]  # what was measured may have changed


def test_what_does_not_apply_is_exempt_everywhere():
    def judge(trace):
        raise NotApplicable("no classes")

    found = outcome(traces.trace(), made(judge))
    assert found.reason == "no classes"
    assert set(found.exempt.values()) == {"no classes"} and len(found.exempt) == 4


def test_every_layer_exempt_is_not_health():
    reason = outcome(traces.trace(), made(lambda trace: [], exempt=lambda layer: "tiny")).reason
    assert reason == "every layer is exempt: tiny"


def test_a_layer_without_the_metric_is_exempt_by_nature():
    report = check(traces.trace())
    exempt = {o.rule: o.exempt for o in report.outcomes}
    assert exempt["dead-relu"] == {"output": "no ReLU"}
    reasons = {o.rule: o.reason for o in report.outcomes}
    assert reasons["saturated-activation"] == "every layer is exempt: no tanh or sigmoid"


def test_a_layer_that_was_never_finite_is_not_called_healthy():
    run = traces.changed(traces.trace(), "gradient_rms", np.nan)
    run = traces.changed(run, "gradient_nonfinite", 5.0)
    exempt = {o.rule: o.exempt for o in check(run).outcomes}
    assert exempt["vanishing-gradient"]["dense"] == "never finite"


def test_too_few_records_says_how_many():
    def judge(trace, *, patience: int = 5, warm_up: int = 20):
        return [says()]

    one = made(judge)
    enough = traces.trace(records=6)  # step 20 is in the warm-up
    assert outcome(enough, one).outcome == "found"
    short = outcome(traces.trace(records=5), one)
    assert short.reason == "too few records after step 20: 4 of 5"
    assert outcome(traces.trace(records=5), one, patience=4).outcome == "found"


def test_an_empty_trace_is_not_evaluated():
    run = traces.trace()
    empty = replace(
        run,
        steps=run.steps[:0],
        columns={name: values[:0] for name, values in run.columns.items()},
        series={name: values[:0] for name, values in run.series.items()},
    )
    report = check(empty)
    assert report.step == 0
    assert {o.outcome for o in report.outcomes} == {"not-evaluated"}


def test_order_is_severity_rule_step_depth():
    a = made(lambda trace: [says("watch", 40), says("warn", 60), says("warn", 20, "dense_1")])
    b = made(lambda trace: [says("critical", 80), says("warn", 20), says("warn", 20, None)], id="b")
    found = check(traces.trace(), [a, b]).findings
    assert [(f.severity, f.rule, f.step, f.layer) for f in found] == [
        ("critical", "b", 80, "dense"),
        ("warn", "test-rule", 20, "dense_1"),
        ("warn", "test-rule", 60, "dense"),
        ("warn", "b", 20, None),
        ("warn", "b", 20, "dense"),
        ("watch", "test-rule", 40, "dense"),
    ]


def test_catalogue_is_complete_and_headlines_are_short():
    assert len({one.id for one in ALL_RULES}) == len(ALL_RULES)
    for one in ALL_RULES:
        assert one.title and one.advice and one.why and one.source
        assert len(one.verdict.format(layer="dense", step=12345)) <= 28


def test_two_rules_with_one_id_are_refused():
    one = made(lambda trace: [])
    with pytest.raises(ValueError, match="different ids"):
        check(traces.trace(), [one, one])


def test_thresholds_are_complete_and_overridden():
    resolved = resolve_thresholds({"dead-relu": {"patience": 7, "critical": 1}})
    assert set(resolved) == {one.id for one in ALL_RULES}
    assert resolved["dead-relu"]["patience"] == 7
    assert resolved["dead-relu"]["critical"] == 1.0
    assert resolved["dead-relu"]["watch"] == resolve_thresholds(None)["dead-relu"]["watch"]
    assert resolve_thresholds(resolved) == resolved


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"dead-rule": {}}, "dead-relu"),
        ({"dead-relu": {"patients": 3}}, "has no threshold 'patients'; it has watch, warn"),
        ({"dead-relu": {"patients": None}}, "has no threshold 'patients'"),
        ({"dead-relu": {"patience": "3"}}, "must be an integer of at least 1, but got '3'"),
        ({"dead-relu": {"patience": 2.5}}, "an integer"),
        ({"dead-relu": {"patience": 0}}, "at least 1"),
        ({"dead-relu": {"watch": True}}, "a number"),
        ({"dead-relu": {"watch": float("nan")}}, "a number"),
        ({"dead-relu": {"watch": -0.1}}, "at least 0"),
        (
            {"dead-relu": {"watch": 20}},
            r"is a share between 0 and 1, but got 20\. Did you mean 0\.2\?",
        ),
        ({"saturated-activation": {"share": 500.0}}, r"got 500\.0\. Its default is 0\.5"),
        ({"loss-not-decreasing": {"fall": 3}}, r"Did you mean 0\.03\?"),
        ({"dead-relu": 3}, "must be a dictionary"),
        (["dead-relu"], "must be a dictionary"),
    ],
)
def test_wrong_thresholds_are_refused(overrides, words):
    with pytest.raises(ValueError, match=words):
        resolve_thresholds(overrides)


def test_a_wrong_declaration_is_refused():
    with pytest.raises(TypeError, match="number"):
        made(lambda trace, *, word="x": [])
    with pytest.raises(TypeError, match="keyword-only"):
        made(lambda trace, patience=3: [])
    with pytest.raises(TypeError, match="share"):
        made(lambda trace, *, norm=100.0: [], shares=("norm",))
    with pytest.raises(TypeError, match="`margin`"):
        made(lambda trace, *, norm=100.0: [], keeps=("margin",))


def test_norms_may_be_large():
    resolved = resolve_thresholds(
        {"exploding-gradient": {"norm": 1e6}, "update-ratio": {"high": 2}}
    )
    assert (resolved["exploding-gradient"]["norm"], resolved["update-ratio"]["high"]) == (1e6, 2.0)


def test_a_rule_that_finds_nothing_has_not_seen_the_end_of_a_run_that_is_nan():
    """Its patience would have been up only later: no finding is no health then."""

    def outcomes(run):
        return {outcome.rule: (outcome.outcome, outcome.reason) for outcome in check(run).outcomes}

    first = traces.trace().layers[0]
    healthy = outcomes(traces.trace())
    run = traces.not_finite(220, first)
    lost = outcomes(traces.changed(run, "output_nonfinite", 9.0, run.layers, 220))
    part = outcomes(traces.not_finite(220))
    for rule_id in ("update-ratio", "weight-explosion", "dead-relu"):
        assert healthy[rule_id] == ("healthy", None)
        assert lost[rule_id][0] == "not-evaluated"
        assert lost[rule_id][1] == "what it reads is NaN or infinite since step 220"
    assert part["update-ratio"] == ("healthy", None)  # the first layer can still be judged
    assert lost["initial-weights"] == healthy["initial-weights"]  # it judges the beginning
