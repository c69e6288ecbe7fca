from dataclasses import replace

import numpy as np
import pytest

from tests import traces
from tests.test_diagnosis import found, judged
from tfdiag import report
from tfdiag.rules import check
from tfdiag.rules.causes import Graph, explanation, heads, sources, without_circles
from tfdiag.trace import Finding


def follows(run, effect):
    """Returns the rules that the findings of `effect` follow from."""
    report = check(run)
    pairs = zip(report.findings, sources(report), strict=True)
    return {cause and cause.rule for finding, cause in pairs if finding.rule == effect}


def told(run):
    """Returns the rule that explains the run, and the clause."""
    cause, text = explanation(check(run))
    return cause.rule, text


def with_rate(run, rate, optimizer="Adam"):
    model = replace(run.architecture, optimizer=optimizer)
    return traces.with_series(replace(run, architecture=model), learning_rate=rate)


def test_an_unusual_learning_rate_explains_a_stuck_loss():
    rule, text = told(with_rate(traces.stuck(), 0.5))
    assert rule == "learning-rate-range"
    assert text.endswith("0.5, where at most 0.01 is usual")
    assert told(with_rate(traces.stuck(), 1e-9))[1].endswith("too low: 1e-9")


def test_nothing_follows_from_what_is_only_watched():
    rose = np.r_[0.01, np.full(30, 0.5)]  # so that it is only watched
    assert follows(with_rate(traces.dying(), rose), "dead-relu") == {None}
    assert follows(with_rate(traces.dying(), 0.5), "dead-relu") == {"learning-rate-range"}


def test_nothing_follows_from_itself():
    run = traces.with_series(traces.stuck(), gradient_norm=1e6)
    assert follows(run, "exploding-gradient") == {None}
    assert follows(run, "loss-not-decreasing") == {"exploding-gradient"}


@pytest.mark.parametrize(
    ("run", "cause", "effect"),
    [
        (traces.exploding(300), "exploding-gradient", "loss-blowup"),
        (
            traces.regression(traces.stuck(level=6000.0), 0.1),
            "constant-output",
            "loss-not-decreasing",
        ),
        (
            traces.changed(traces.stuck(), "output_rms", 5e3, ("dense",)),
            "activation-scale",
            "loss-not-decreasing",
        ),
        (
            traces.changed(traces.stuck(), "update_ratio", 0.0, ("dense",)),
            "unchanged-weights",
            "loss-not-decreasing",
        ),
    ],
)
def test_consequences_name_their_cause(run, cause, effect):
    assert follows(run, effect) == {cause}


def test_dead_from_the_start_explains_a_signal_that_is_lost():
    run = traces.dying(0, name="dense_1")
    std = run.columns["output_std"].copy()
    std[0, 1:] = 0.0
    run = replace(run, columns={**run.columns, "output_std": std})
    assert follows(run, "poor-init") == {"dead-relu"}


def test_overfitting_explains_overtraining():
    epochs = np.arange(20)
    run = traces.with_epochs(
        traces.trace(), 0.5 + 0.5 * np.exp(-epochs / 2) + 0.03 * epochs, np.exp(-epochs / 4)
    )
    assert follows(run, "overtraining") == {"overfitting"}


def test_no_two_findings_follow_from_each_other():
    worst, second, third = findings = tuple(
        Finding("warn", step, "message", "evidence", rule=f"rule-{step}") for step in range(3)
    )
    assert without_circles(findings, [second, worst, second]) == [None, worst, second]
    assert without_circles(findings, [second, third, worst]) == [None, third, worst]
    assert without_circles(findings, [None, third, second]) == [None, None, second]
    assert without_circles(findings, [None, worst, second]) == [None, worst, second]


def test_what_follows_from_another_rule_is_below_the_fold():
    run = check(traces.cut_off())
    assert {"dead-relu", "vanishing-gradient", "loss-not-decreasing"} <= {
        finding.rule for finding in run.findings
    }
    assert heads(run) == ["dead-relu"]
    assert heads(check(traces.trace())) == []


def test_a_large_step_makes_outputs_large_and_an_overflow_reaches_all_layers():
    step = found("update-ratio", 0, layer="dense", value=2.0, limit=0.1, metric="update_ratio")
    large = found("activation-scale", 20, layer="dense_2")
    nan = found("nonfinite-tensor", 40, "critical", layer="dense")
    run = judged(step, large, nan)
    assert Graph(run).joins(step, large) and Graph(run).joins(large, nan)
    assert not Graph(run).joins(nan, large)


def test_a_collapse_is_dated_by_an_untrained_model():
    large = found("update-ratio", 40, layer="dense", value=2.0, limit=0.1, metric="update_ratio")
    collapse = found("prediction-collapse", 0)
    assert Graph(judged(large, collapse)).joins(large, collapse)
    fails, best = found("held-out-fails", 280), found("overtraining", 20, "watch")
    assert Graph(judged(fails, best)).joins(fails, best)


def test_a_cause_is_as_late_as_its_record_and_no_later():
    early = found("activation-scale", 100, layer="dense")
    facts = {"probe_gap": 60.0, "record_gap": 5.0}

    def joins(rule, step, **fields):
        cause = found(rule, step, layer="dense", **fields)
        return Graph(judged(cause, early, **facts)).joins(cause, early)

    assert joins("exploding-gradient", 105, metric="gradient_norm")
    assert not joins("exploding-gradient", 155, metric="gradient_norm")
    assert joins("input-range", 155) and not joins("input-range", 165)


def with_bias(run, name, start):
    layers = tuple(
        replace(layer, options={"bias_initializer": start}) if layer.name == name else layer
        for layer in run.architecture.layers
    )
    return replace(run, architecture=replace(run.architecture, layers=layers))


def test_biases_below_zero_are_why_a_layer_is_dead_from_the_start():
    run = with_bias(traces.dying(0, 1.0), "dense", "Constant(value=-1)")
    assert told(run) == (
        "initial-weights",
        "Probably the bias initializer of dense: Constant(value=-1)",
    )
    judged = report.as_json(check(run))
    assert [link["text"] for link in judged["diagnosis"]["chain"][:2]] == [
        "the biases of dense begin at -1",
        "dense dead from the start",
    ]
    first = judged["verdict"]["try_first"]
    assert first == {
        "text": "Start the biases of dense at 0.",
        "code": 'bias_initializer="zeros"',
    }
    assert all(finding["rule"] != "initial-weights" for finding in judged["findings"])


@pytest.mark.parametrize(
    ("start", "since", "name"),
    [
        ("Constant(value=0.5)", 0, "dense"),
        ("Constant(value=-0.001)", 0, "dense"),
        ("RandomNormal(mean=0, stddev=1)", 0, "dense"),
        ("Constant(value=-1)", 40, "dense"),  # it worked before
        ("Constant(value=-1)", 0, "dense_1"),  # another layer
        (None, 0, "dense"),
    ],
)
def test_other_biases_are_not_blamed(start, since, name):
    run = traces.dying(since, 1.0)
    run = run if start is None else with_bias(run, name, start)
    assert check(run).clues == ()
