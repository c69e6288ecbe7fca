from dataclasses import replace

import pytest

from tests import traces
from tfdiag import report
from tfdiag.rules import Outcome, Report, check
from tfdiag.rules.causes import LINKS, Graph
from tfdiag.rules.diagnosis import SURENESS, diagnose
from tfdiag.trace import Finding


def found(rule, step=20, severity="warn", layer=None, **fields):
    """Returns a finding as a rule of that id makes it."""
    message = f"Something of {rule} is wrong."
    return Finding(severity, step, message, "1 > 0", layer, rule=rule, **fields)


def judged(*findings, layers="dense\ndense_1\ndense_2", **facts):
    """Returns a report of these findings, one outcome each."""
    outcomes = tuple(Outcome(f.rule, "found", None, {}, (f,)) for f in findings)
    return Report(600, outcomes, {"layer_order": layers, **facts})


def story(told):
    return [event.rule for event in told.chain]


def test_a_healthy_run_has_none():
    assert diagnose(check(traces.trace())) is None
    watched = check(traces.changed(traces.trace(), "dead_fraction", 0.4))
    assert watched.findings and diagnose(watched) is None


def test_a_chain_from_the_cause_to_the_loss():
    run = traces.changed(traces.dying(60), "update_ratio", 0.4)
    told = diagnose(check(run))
    assert story(told) == ["update-ratio", "dead-relu", "loss-not-decreasing"]
    assert (told.cause.rule, told.cause.layer) == ("update-ratio", "dense")
    assert told.others == () and len(told.explained) == 3
    assert told.sureness == "very likely"
    assert told.reason == "3 findings fit this cause; the loss suffers"


def test_what_was_wrong_with_the_data_comes_before_all():
    rules = ("saturated-activation", "vanishing-gradient", "loss-not-decreasing")
    report = judged(
        found("input-range", 0),
        found(rules[0], 0, layer="dense", metric="saturated_fraction"),
        found(rules[1], 20, layer="dense", metric="gradient_rms"),
        found(rules[2], 40, metric="loss"),
    )
    told = diagnose(report)
    assert story(told) == ["input-range", *rules]
    assert told.sureness == "very likely" and len(told.explained) == 4


def test_a_cause_comes_not_after_its_effect():
    early, late = found("dead-relu", 20, layer="dense"), found("input-range", 100)
    told = diagnose(judged(early, late))
    assert told.cause is early and told.others == (late,)
    dated = judged(early, late, probe_gap=80.0)
    assert diagnose(dated).cause is late  # the dead units were seen a look too early


def test_a_dead_layer_starves_those_below_it_and_its_neighbour():
    dead = found("dead-relu", 0, layer="dense")
    starved = [found("vanishing-gradient", 20, layer=f"dense_{i}") for i in (1, 2)]
    run = judged(dead, *starved)
    assert [Graph(run).joins(dead, one) for one in starved] == [True, False]
    unknown = replace(run, facts={})  # an older recording
    assert all(Graph(unknown).joins(dead, one) for one in starved)


def test_what_is_only_watched_is_no_cause():
    effect = found("dead-relu", 100, layer="dense")
    for severity, expected in (("watch", False), ("warn", True)):
        cause = found("input-range", 0, severity)
        assert Graph(judged(cause, effect)).joins(cause, effect) is expected


def test_what_is_only_watched_belongs_to_its_cause_and_changes_nothing_else():
    cause = found("dead-relu", 20, layer="dense_1")
    loss = found("loss-not-decreasing", 40, metric="loss")
    starved = found("vanishing-gradient", 40, "watch", layer="dense")
    apart = found("too-good-validation", 40, "watch")
    alone, told = diagnose(judged(cause, loss)), diagnose(judged(cause, loss, starved, apart))
    assert set(told.explained) == {cause, loss, starved}
    assert alone.explained == (cause, loss)
    for name in ("cause", "text", "chain", "others", "sureness", "reason"):
        assert getattr(told, name) == getattr(alone, name)


def test_the_cause_accounts_for_the_worst():
    stuck = found("loss-not-decreasing", 0, metric="loss")
    slow = found("update-ratio", 20, layer="dense", value=1e-9, limit=1e-6, metric="update_ratio")
    wrong = found("loss-activation-mismatch", 0, "critical")
    told = diagnose(judged(wrong, slow, stuck))
    assert told.cause is wrong and told.others == (slow,)
    assert story(told) == ["loss-activation-mismatch", "loss-not-decreasing"]


def test_the_same_trouble_in_other_layers_is_one_event():
    told = diagnose(check(traces.vanishing()))
    assert [len(event.findings) for event in told.chain] == [9, 1]


def test_nobody_but_the_user_moves_the_learning_rate():
    run = traces.with_series(traces.not_finite(220), learning_rate=0.01)
    rates = run.series["learning_rate"].copy()
    rates[run.steps >= 200] = 1.0
    told = diagnose(check(traces.with_series(run, learning_rate=rates)))
    assert told.cause.metric == "learning_rate"
    assert report.as_json(check(traces.with_series(run, learning_rate=rates)))["diagnosis"][
        "chain"
    ][0]["text"] == ("the learning rate rose from 0.01 to 1 by step 200")


@pytest.mark.parametrize(
    ("findings", "facts", "sureness", "words"),
    [
        ([found("dead-relu", layer="dense")], {}, 0, "a single sign"),
        ([found("label-mismatch", 0, "critical")], {}, 1, "a single sign, but a critical one"),
        (
            [found("input-range", 0), found("dead-relu", layer="dense")],
            {"loss_first": 2.0, "loss_last": 0.5},
            0,
            "2 findings fit this cause; the loss falls all the same",
        ),
        (
            [found("label-mismatch", 0, "critical"), found("overfitting", 40)],
            {},
            0,
            "1 rule found what this does not explain",
        ),
    ],
)
def test_how_sure_it_is_has_a_reason(findings, facts, sureness, words):
    told = diagnose(judged(*findings, **facts))
    assert told.sureness == SURENESS[sureness]
    assert words in told.reason


def test_strange_facts_do_no_harm():
    findings = [found("dead-relu", layer="dense"), found("of-tomorrow", layer="x")]
    assert diagnose(judged(*findings, layers=3.0, loss_first="x", probe_gap="y"))


def test_circles_end():
    circle = [
        found("exploding-gradient", 20, layer="dense", value=9.0, limit=1.0),
        found("update-ratio", 20, layer="dense", value=9.0, limit=1.0),
        found("weight-explosion", 20, layer="dense", value=9.0, limit=1.0),
        found("activation-scale", 20, layer="dense"),
        found("gradient-spike", 20, layer="dense"),
        found("dead-relu", 20, layer="dense"),
        found("constant-output", 20, layer="dense"),
    ]
    told = diagnose(judged(*circle))
    assert 1 < len(told.chain) <= 5


def test_a_model_of_a_thousand_layers_is_told_in_time():
    names = [f"dense_{i}" for i in range(1000)]
    starved = [found("vanishing-gradient", layer=name) for name in names]
    dead = [found("dead-relu", 0, layer=name) for name in names]
    told = diagnose(judged(*dead, *starved, layers="\n".join(names)))
    assert len(told.explained) == 2000 and len(told.chain) == 2


def test_the_graph_is_well_formed():
    for link in LINKS:
        effects = link.effects.split()
        assert link.cause not in effects and len(set(effects)) == len(effects)
        assert link.depth in ("", "below", "above")


def test_json_says_the_same_of_a_recorded_report():
    live = check(traces.cut_off())
    told = report.as_json(live)["diagnosis"]
    assert told == report.as_json(Report.from_json(live.to_json()))["diagnosis"]
    assert set(told) == {
        *("cause", "chain", "sureness", "reason", "try_first", "explains"),
    }
    assert told["explains"] == [0, 1, 2, 3, 4]
    assert told["chain"][0]["text"] == "dense_2 dead from the start"
    assert told["cause"]["text"].startswith("Very likely dense_2 was dead from the start")
    assert told["cause"]["text"].endswith(report.verdict(live).summary.split(". ")[-1])
    text = report.text(live)
    assert "  Chain: dense_2 dead from the start → vanishing gradient in 3" in text
    assert "  How sure: very likely; 3 findings fit this cause; the loss suffers" in text


def test_a_model_without_recorded_layers_has_no_large_step():
    run = traces.not_finite()
    columns = {name: values[:, :0] for name, values in run.columns.items()}
    bare = replace(run, architecture=replace(run.architecture, layers=()), columns=columns)
    assert report.as_json(check(bare))["findings"]
