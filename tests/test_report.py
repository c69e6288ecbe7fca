import json
from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tfdiag import report
from tfdiag.rules import ALL_RULES, STATIC_RULES, Report, check
from tfdiag.rules.activations import dead_relu
from tfdiag.rules.causes import sources
from tfdiag.rules.gradients import vanishing_gradient
from tfdiag.rules.updates import learning_rate_range
from tfdiag.trace import Finding


def old(run):
    """Returns `run` as a tfdiag recorded it that noted neither data nor options."""
    model = run.architecture
    layers = tuple(replace(layer, options=None) for layer in model.layers)
    return replace(run, architecture=replace(model, layers=layers, loss_options=None), data=None)


def unprobed(run):
    """Returns `run` as it is recorded without a probe set."""
    reason = "no probe set was given"
    columns = {k: v for k, v in run.columns.items() if k not in traces.PROBE_METRICS}
    series = {k: v for k, v in run.series.items() if not k.startswith("probe")}
    silent = dict.fromkeys((*traces.PROBE_METRICS, "probe_loss"), reason)
    run = replace(run, columns=columns, series=series, not_measured=silent)
    return replace(run, data=None, probe_samples=0)


RUNS = {
    "healthy": (traces.trace(), "ok", "Healthy"),
    "dying": (traces.dying(40), "critical", "dense died at step 40"),
    "nan": (traces.not_finite(220), "critical", "NaN loss since step 220"),
    "stuck": (traces.stuck(), "warn", "Loss stuck since step 0"),
    "vanishing": (traces.vanishing(), "warn", "dense starves, step 20"),
    "exploding": (traces.exploding(300), "critical", "Loss blew up, step 300"),
    "saturated": (traces.saturated(40), "warn", "dense_1 saturated, step 40"),
    "watch": (traces.changed(traces.trace(), "dead_fraction", 0.4), "ok", "Healthy, 1 to watch"),
    "short": (traces.trace(records=5), "ok", "Healthy, 9 not evaluated"),
    "early": (traces.trace(records=2), "not-evaluated", "Too early to tell"),
    "nothing": (traces.trace(records=0), "not-evaluated", "Too early to tell"),
    "old": (old(traces.trace()), "ok", "Healthy, 14 not evaluated"),
    "old, short": (old(traces.trace(records=8)), "not-evaluated", "Too little judged to tell"),
    "no probe": (unprobed(traces.trace()), "not-evaluated", "Too little judged to tell"),
}


@pytest.mark.parametrize("name", RUNS)
def test_verdicts(name):
    run, severity, title = RUNS[name]
    judged = report.verdict(check(run))
    assert (judged.severity, judged.title) == (severity, title)
    assert len(judged.title) <= 28
    assert judged.summary.count(". ") <= 2
    assert (judged.try_first is not None) == bool(check(run).findings)


def test_something_to_watch_does_not_make_up_for_too_little():
    run = traces.trace(traces.architecture(optimizer="Adam"), records=2)
    run = traces.with_series(run, learning_rate=3.0)
    found = check(run)
    assert found.findings and {one.severity for one in found.findings} == {"watch"}
    judged = report.verdict(found)
    assert (judged.severity, judged.title) == ("not-evaluated", "Too early to tell")
    assert "To watch: " in judged.summary and judged.try_first


def test_a_training_of_which_little_is_judged_is_not_called_healthy():
    told = report.verdict(check(unprobed(traces.trace())))
    assert (
        "23 rules found nothing. Not evaluated (mostly: no probe set was given): " in told.summary
    )
    run = unprobed(traces.trace(records=10))  # most rules are silent, and no step will help
    over = report.verdict(check(replace(run, planned_steps=int(run.steps[-1]))))
    assert over.title == "Too little judged to tell"
    assert over.try_first.code == "HealthMonitor(log_dir, probe=(x_val, y_val))"
    early = report.verdict(check(unprobed(traces.trace(records=2))))
    assert (early.title, early.try_first) == ("Too early to tell", None)
    watched = check(unprobed(traces.changed(traces.trace(), "update_ratio", 0.4)))
    assert watched.findings and report.verdict(watched).severity == "not-evaluated"
    assert "To watch: update ratio (dense)." in report.verdict(watched).summary
    assert report.text(watched).startswith("○ Too little judged to tell\n")


def test_a_healthy_summary_states_measured_facts():
    assert "The probe loss fell from 2.3 to 0.14." in report.verdict(check(traces.trace())).summary


def test_a_cause_is_only_probable():
    run = traces.changed(traces.dying(60), "update_ratio", 0.4)
    judged = report.verdict(check(run))
    assert judged.title == "dense died at step 60"
    assert judged.summary.startswith("Very likely the learning rate is too high")
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
        "healthy": len(ALL_RULES) - 8,
        "not_evaluated": 1,  # whether a constant does as well is told later
        "not_applicable": 5,
    }


@pytest.mark.parametrize("run", [traces.trace(records=5), replace(traces.trace(), data=None)])
def test_the_verdict_counts_as_the_tally_does(run):
    told = report.as_json(check(run))
    silent = [rule for rule in told["rules"] if rule["outcome"] == "not-evaluated"]
    gaps = sum(rule["applies"] for rule in silent)
    assert told["verdict"]["title"] == f"Healthy, {gaps} not evaluated"
    assert told["counts"]["not_evaluated"] == gaps > 0
    assert told["counts"]["not_applicable"] == len(silent) - gaps > 0
    named = [line for line in report.text(check(run)).split("\n") if "○ not evaluated, " in line]
    assert sum(line.count(", ") for line in named) == gaps


def test_rules_that_are_silent_for_one_reason_are_one_line():
    text = report.text(check(traces.trace(records=5)))
    few = "too few records after step 200: 0 of 3"
    assert f"  ○ not evaluated, {few}: prediction-collapse, no-better-than-guess\n" in text
    assert "  – exempt, no tanh or sigmoid: saturated-activation\n" in text


def test_a_rule_applies_to_layers_that_are_never_finite():
    layers = traces.trace().layers
    run = traces.changed(traces.trace(), "dead_fraction", np.nan, layers)
    run = traces.changed(run, "output_nonfinite", 9.0, layers)
    rules = {rule["id"]: rule for rule in report.as_json(check(run))["rules"]}
    dead, saturated = rules["dead-relu"], rules["saturated-activation"]
    assert dead["outcome"] == saturated["outcome"] == "not-evaluated"
    assert set(dead["exempt"]) == set(saturated["exempt"]) == set(layers)
    assert dead["applies"] and not saturated["applies"]


@pytest.mark.parametrize("name", RUNS)
def test_json_is_the_contract(name):
    content = report.as_json(check(RUNS[name][0]))
    json.dumps(content, allow_nan=False)
    assert set(content) == {*("verdict", "diagnosis", "counts", "findings", "rules", "suppressed")}
    assert set(content["verdict"]) == {"severity", "title", "summary", "try_first"}
    for finding in content["findings"]:
        assert set(finding) == {
            *("rule", "title", "severity", "layer", "step", "evidence", "message"),
            *("value", "limit", "metric", "why", "advice", "source", "follows"),
        }
    for rule in content["rules"]:
        assert set(rule) == {"id", "title", "outcome", "reason", "step", "exempt", "applies"}


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
    lines = report.limits({"dead-relu": {"critical": 0.9, "patience": 7}})
    line = {"severity": "critical", "rule": "dead-relu", "value": 0.9, "above": True}
    assert {**line, "patience": 7, "instead": (), "once": False} in lines["dead_fraction"]
    assert not report.limits()["gradient_rms"][0]["above"]


def test_what_speaks_in_place_of_a_rule_is_a_rule():
    known = {rule.id for rule in ALL_RULES}
    for rule in ALL_RULES:
        for limit in rule.limits:
            assert set(limit.instead) <= known - {rule.id}


def test_another_rule_speaks_where_a_limit_says_so():
    """A layer without a gradient does not move, a dead one puts out nothing."""
    run = traces.changed(traces.cut_off(), "output_rms", 0.0, ("dense_2",))
    found = check(run).findings
    for metric, above, layer in (
        ("update_ratio", False, "dense"),
        ("output_rms", False, "dense_2"),
    ):
        (limit,) = (one for one in report.limits()[metric] if one["above"] is above)
        here = {finding.rule for finding in found if finding.layer == layer}
        assert limit["rule"] not in here and here & set(limit["instead"])


def test_an_announcement_is_short():
    judged = check(traces.dying())
    dead, loss = report.announcements(judged.findings, judged)
    lines = dead.split("\n")
    assert lines[0] == "tfdiag critical: dead-relu dense, step 40: 97 % ≥ 95 %"
    assert len(lines) == 3 and lines[2].startswith("  Try first: Lower the learning rate")
    assert loss.endswith("\n  Follows from dead-relu in dense.")


def test_consequences_of_one_cause_are_announced_together():
    judged = check(traces.cut_off())
    starved = [f for f in judged.findings if f.rule == "vanishing-gradient"]
    (text,) = report.announcements(starved, judged)  # the cause was announced before
    assert text.startswith("tfdiag warn: vanishing-gradient dense and 2 more layers, step 20: 0 <")
    assert text.endswith("\n  Follows from dead-relu in dense_2.")
    assert "vanishing-gradient 3 layers, follows from dead-relu in dense_2" in report.text(judged)


def test_nothing_new_is_not_announced():
    assert report.announcements([], check(traces.dying())) == []


def test_a_finding_names_what_it_follows_from():
    judged = check(traces.cut_off())
    follows = {f["rule"]: f["follows"] for f in report.as_json(judged)["findings"]}
    assert follows["dead-relu"] is None
    assert follows["vanishing-gradient"] == {"rule": "dead-relu", "layer": "dense_2"}
    assert follows["loss-not-decreasing"] == {"rule": "dead-relu", "layer": "dense_2"}


def test_a_finding_may_be_dated_a_look_at_the_probe_set_before_its_cause():
    run = traces.cut_off(traces.stuck(traces.trace(probe_every=5)), since=130)
    (starved,) = {f.step for f in check(run, [vanishing_gradient]).findings}
    (dead,) = check(run, [dead_relu]).findings
    assert (starved, dead.step) == (140, 200)
    assert all(sources(check(run))[1:])


def test_a_layer_without_any_gradient_is_not_told_to_change_its_activation():
    advice = {f["rule"]: f["advice"] for f in report.as_json(check(traces.cut_off()))["findings"]}
    assert "dead units" in advice["vanishing-gradient"][0]
    usual = report.as_json(check(traces.vanishing()))["findings"][0]["advice"]
    assert "instead of sigmoid" in usual[0]


def test_dead_from_the_start_is_not_blamed_on_a_step():
    judged = report.verdict(check(traces.dying(0, name="dense_1")))
    assert judged.title == "dense_1 dead from the start"
    assert "from the start" in judged.summary and "step 0" not in judged.summary
    assert judged.try_first.text.startswith("Set the biases of dense_1 to 0")
    assert "bias_initializer" in judged.try_first.code
    assert report.verdict(check(traces.saturated(0))).title == "dense_1 starts saturated"


def test_a_first_layer_dead_from_the_start_is_a_matter_of_the_inputs():
    judged = check(traces.dying(0))
    told = report.verdict(judged)
    assert told.title == "dense dead from the start"
    assert told.try_first.text == "Scale the inputs to mean 0 and deviation 1."
    assert "x_train.mean" in told.try_first.code
    again = Report.from_json(judged.to_json())
    assert report.as_json(again) == report.as_json(judged)
    assert report.as_json(judged)["findings"][0]["advice"][0] == told.try_first.text


@pytest.mark.parametrize("role", ["embedding", "normalization"])
def test_inputs_that_need_no_scale_are_not_blamed(role):
    layers = traces.architecture().layers
    model = replace(traces.architecture(), layers=(traces.layer("first", None, role=role), *layers))
    run = traces.changed(traces.stuck(traces.trace(model)), "dead_fraction", 0.97)
    assert report.verdict(check(run)).try_first.text.startswith("Set the biases of dense to 0")


def test_an_activation_that_stands_alone_belongs_to_the_layer_below():
    layers = list(traces.architecture().layers)
    layers[1] = replace(layers[1], type="ReLU", parameters=0, trainable=False)
    model = replace(traces.architecture(), layers=tuple(layers))
    run = traces.changed(traces.stuck(traces.trace(model)), "dead_fraction", 0.97, ("dense_1",))
    assert report.verdict(check(run)).try_first.text.startswith("Scale the inputs")


def test_a_healthy_run_is_told_to_go_on():
    run = traces.changed(traces.trace(), "dead_fraction", 0.4)
    told = report.verdict(check(run)).try_first
    assert told.text == (
        "Let it run; look again if 50 % of dense are dead and the loss does not fall."
    )
    assert told.code is None
    stricter = check(run, thresholds={"dead-relu": {"warn": 0.6}})
    assert "if 60 % of dense" in report.verdict(stricter).try_first.text
    assert "if 60 %" in report.verdict(Report.from_json(stricter.to_json())).try_first.text
    moving = traces.changed(traces.trace(), "update_ratio", 0.4)
    told = report.verdict(check(moving)).try_first
    assert told.text.startswith("Let it run") and told.code is None


def test_a_summary_speaks_in_titles():
    run = traces.changed(traces.dying(40), "dead_fraction", 0.6, ("dense_1", "dense_2"))
    run = traces.changed(run, "update_ratio", 0.4, since=20)
    summary = report.verdict(check(run)).summary
    assert "Also found: update ratio (dense), loss does not decrease." in summary
    watched = traces.changed(traces.trace(), "dead_fraction", 0.4)
    assert "To watch: dead ReLU (dense)." in report.verdict(check(watched)).summary
    early = report.verdict(check(traces.trace(records=5))).summary
    assert "Not evaluated: gradient spike, one answer for all, loss blew up, loss does" in early


def from_first_step(run):
    """Returns `run` with its second record at step 1: the first step is always sampled."""
    return replace(run, steps=np.where(run.steps == traces.EVERY, 1, run.steps))


def test_nan_from_the_start_is_not_blamed_on_the_learning_rate():
    judged = report.verdict(check(from_first_step(traces.not_finite(0, "dense"))))
    assert judged.title == "NaN loss from the start"
    assert judged.summary.startswith("dense gives NaN or Inf before any training")
    assert judged.try_first.text.startswith("Look for NaN, Inf and very large values in inputs")


def test_a_gradient_that_was_always_huge_is_a_matter_of_scale():
    run = traces.with_series(traces.stuck(), gradient_norm=1e6)
    judged = report.verdict(check(from_first_step(run)))
    assert judged.summary.startswith("Probably the scale of the data")
    assert judged.try_first.text.startswith("Scale inputs, and the targets")


def test_a_learning_rate_that_moves_is_not_assigned():
    decaying = traces.with_series(traces.dying(), learning_rate=np.linspace(0.1, 0.01, 31))
    assert report.verdict(check(decaying)).try_first.code == "SGD(learning_rate=0.01)"
    steady = traces.with_series(traces.dying(), learning_rate=0.1)
    code = report.verdict(check(steady)).try_first.code
    assert code == "model.optimizer.learning_rate = 0.01"


def risen(run, at=200, before=0.1, after=30.0):
    """Returns `run` with a learning rate that rises at step `at`."""
    return traces.with_series(run, learning_rate=np.where(run.steps >= at, after, before))


@pytest.mark.parametrize(
    "run", [traces.not_finite(220), traces.exploding(220), traces.dying(200), traces.saturated(220)]
)
def test_a_learning_rate_that_rose_is_the_cause(run):
    judged = report.verdict(check(risen(run)))
    assert " the learning rate: it rose from 0.1 to 30 by step 200." in judged.summary
    assert judged.try_first.text.startswith("Keep the learning rate")
    assert judged.try_first.code == "SGD(learning_rate=0.1)"


def test_the_learning_rate_is_announced_as_the_cause():
    judged = check(risen(traces.exploding(220)))
    (found,) = (finding for finding in judged.findings if finding.rule == "exploding-gradient")
    first = report.announcements([found], judged)[0].split("\n")
    assert first[0].startswith("tfdiag warn: exploding-gradient dense_1, step 220")
    assert first[2] == "  The learning rate rose from 0.1 to 30 by step 200: probably the cause."
    assert first[3] == "  Try first: Keep the learning rate at what it was before it rose."


@pytest.mark.parametrize(
    "rates",
    [
        np.full(31, 0.1),
        np.where(np.arange(31) == 20, 30.0, 0.1),  # after the trouble
        np.where(np.arange(31) > 0, 30.0, 0.1),  # long before
        np.where(np.arange(31) % 10 < 5, 30.0, 0.1),  # survived before
        np.linspace(10, 30, 31),  # slowly
        np.full(31, np.nan),
    ],
)
def test_another_learning_rate_is_not(rates):
    run = traces.with_series(traces.not_finite(300), learning_rate=rates)
    assert "rose" not in report.verdict(check(run)).summary


def test_a_large_step_before_a_death_counts_even_if_the_next_were_small():
    run = traces.changed(traces.dying(100), "update_ratio", 0.4, since=80)
    run = traces.changed(run, "update_ratio", 0.0, since=100)
    judged = check(run)
    assert "update-ratio" not in {finding.rule for finding in judged.findings}
    told = report.verdict(judged)
    assert told.summary.startswith(
        "Very likely the learning rate is too high: one step moved dense"
    )
    assert report.as_json(Report.from_json(judged.to_json())) == report.as_json(judged)
    long_ago = traces.changed(traces.dying(400), "update_ratio", 0.4, since=80)
    long_ago = traces.changed(long_ago, "update_ratio", 0.0, since=100)
    assert "learning rate" not in report.verdict(check(long_ago)).summary


@pytest.mark.parametrize(
    ("rate", "ratio", "code", "cause"),
    [
        (100.0, 25.0, "0.004", "The learning rate is 100 at most; usual for SGD is between"),
        (10.0, 58.0, "0.0002", "The learning rate is 10 at most; usual for SGD is between"),
        (0.01, 0.5, "2e-05", "the learning rate is too high: one step moved dense too far"),
    ],
)
def test_a_learning_rate_to_try_follows_from_the_size_of_the_step(rate, ratio, code, cause):
    run = traces.with_series(traces.dying(60), learning_rate=rate)
    judged = check(traces.changed(run, "update_ratio", ratio))
    told = report.verdict(judged)
    assert cause in told.summary
    assert told.try_first.text.endswith("until a step moves the weights by about 0.1 %.")
    assert told.try_first.code == f"model.optimizer.learning_rate = {code}"
    (large,) = (finding for finding in judged.findings if finding.rule == "update-ratio")
    assert f"learning rate near {code}" in large.message


def test_no_learning_rate_is_suggested_that_may_still_be_absurd():
    run = traces.with_series(traces.not_finite(220), learning_rate=100.0)
    told = report.verdict(check(run)).try_first
    assert told.code == "model.optimizer.learning_rate = 0.01"  # the usual one, no tenth of 100
    decaying = traces.with_series(traces.dying(60), learning_rate=np.linspace(10, 1, 31))
    told = report.verdict(check(traces.changed(decaying, "update_ratio", 25.0)))
    assert told.try_first.code == "SGD(learning_rate=0.0004)"


def test_the_step_that_moved_farthest_decides_which_learning_rate_to_try():
    run = traces.with_series(traces.dying(60), learning_rate=100.0)
    run = traces.changed(traces.changed(run, "update_ratio", 5.0, ("dense_1",)), "update_ratio", 25)
    assert report.verdict(check(run)).try_first.code == "model.optimizer.learning_rate = 0.004"


def test_no_learning_rate_is_borrowed_from_another_remedy():
    judged = check(traces.with_series(traces.dying(60), learning_rate=100.0))
    told = report.verdict(judged).try_first
    assert told.text.startswith("Begin with the optimizer's usual rate")
    assert told.code == "model.optimizer.learning_rate = 0.01"


@pytest.mark.parametrize(
    ("optimizer", "rates", "code"),
    [
        ("Adam", 3.0, "model.optimizer.learning_rate = 0.001"),
        ("SGD", 1e-9, "model.optimizer.learning_rate = 0.01"),
        ("Nadam", np.linspace(3, 1, 31), "Nadam(learning_rate=0.001)"),
    ],
)
def test_an_unusual_learning_rate_comes_with_the_usual_one(optimizer, rates, code):
    run = traces.stuck(traces.trace(traces.architecture(optimizer=optimizer)))
    judged = check(traces.with_series(run, learning_rate=rates), [learning_rate_range])
    assert report.verdict(judged).try_first.code == code


def at_rest(model=None):
    """Returns a model and its data, as they are judged without a training."""
    run = traces.trace(model)
    return replace(run, steps=run.steps[:1], columns={}, series={}, wall_times=None)


def test_a_model_judged_without_a_training_is_not_told_to_wait():
    told = report.verdict(check(at_rest(), STATIC_RULES))
    assert (told.severity, told.title) == ("ok", "Healthy before training")
    assert told.summary == "Before training, 12 rules found nothing."


def test_what_a_model_alone_does_not_tell_is_said_with_what_it_needs():
    reason = "needs data: --data samples.npz"
    run = replace(at_rest(), data=None, probe_samples=0, not_measured={"probe_loss": reason})
    judged = check(run, STATIC_RULES)
    told = report.verdict(judged)
    assert (told.severity, told.title) == ("ok", "Healthy, 6 not evaluated")
    assert f"Not evaluated ({reason}): NaN in the inputs, labels do not fit, " in told.summary
    regression = replace(run, architecture=traces.architecture(loss="mse"))
    told = report.verdict(check(regression, STATIC_RULES))
    assert (told.severity, told.title) == ("not-evaluated", "Too little judged to tell")
    assert f"Not evaluated ({reason}): " in told.summary
    text = report.text(judged)
    assert "yet" not in text and "loss could not be judged" not in text
    assert "exempt, there are no batches before training: batchnorm-small-batch" in text


def test_messages_before_a_training_do_not_speak_of_its_loss():
    hidden = traces.layer("a", None), traces.layer("b", inputs=("a",))
    head = traces.layer("output", None, role="output", shape=(10,), inputs=("b",))
    judged = check(at_rest(replace(traces.architecture(), layers=(*hidden, head))), STATIC_RULES)
    assert {one.rule for one in judged.findings} == {
        "loss-activation-mismatch",
        "missing-nonlinearity",
    }
    assert not any("the loss could" in finding.message for finding in judged.findings)
