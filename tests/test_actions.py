"""What is told of findings: to chats, to an epoch's logs; and which of them stop a training."""

import json
import math

import numpy as np
import pytest

from tests import traces
from tfdiag import check
from tfdiag.actions import Actions, Context, alert, health, is_healthy, stopping


def test_health_has_the_same_names_whatever_is_known():
    run = traces.dying()
    full = health(check(run), run)
    nothing = health(None, None)
    assert list(full) == list(nothing)
    assert all(name.startswith("health/") for name in full)
    assert all(isinstance(value, float) for value in full.values())
    assert all(math.isnan(value) for value in nothing.values())


def test_health_counts_findings_and_takes_the_largest_of_the_last():
    run = traces.dying()
    report = check(run)
    said = health(report, run)
    severities = [finding.severity for finding in report.findings]
    assert said["health/critical"] == severities.count("critical") > 0
    assert said["health/warn"] == severities.count("warn")
    assert said["health/dead_fraction_max"] == pytest.approx(0.97)
    assert said["health/gradient_norm"] == 1
    assert said["health/update_ratio_max"] == np.nanmax(run.columns["update_ratio"][-1])


def test_a_look_amid_samples_does_not_hide_them():
    run = traces.trace(records=7, probe_every=4)  # the last look was three records ago
    said = health(check(run), run)
    assert said["health/dead_fraction_max"] == np.nanmax(run.columns["dead_fraction"][4])


def test_what_was_measured_before_the_epoch_is_not_told_again():
    run = traces.trace(records=7, probe_every=4)
    assert math.isfinite(health(check(run), run, since=79)["health/dead_fraction_max"])
    said = health(check(run), run, since=80)
    assert math.isnan(said["health/dead_fraction_max"])
    assert math.isfinite(said["health/update_ratio_max"])


def test_what_is_not_finite_now_is_not_told_as_what_it_was():
    run = traces.not_finite(first="dense")
    said = health(check(run), run)
    assert said["health/critical"] > 0
    assert math.isnan(said["health/gradient_norm"])
    assert math.isnan(said["health/update_ratio_max"])


def test_an_alert_is_json_with_the_finding_in_it():
    report = check(traces.not_finite())
    for finding in report.findings:
        content = json.loads(
            json.dumps(alert(finding, report, Context("logs/run1/", 640)), allow_nan=False)
        )
        assert content["run"] == "run1" and content["step"] == 640
        assert content["finding"]["rule"] == finding.rule
        assert content["finding"]["step"] == finding.step
        assert content["headline"] in content["text"] and "run1" in content["text"]


def test_severities_that_stop():
    report = check(traces.dying())
    assert {f.severity for f in stopping(report, ["critical"])} == {"critical"}
    assert len(stopping(report, ["critical", "warn"])) >= len(stopping(report, ["critical"]))
    assert stopping(report, []) == []
    assert is_healthy(None) and is_healthy(check(traces.trace())) and not is_healthy(report)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"on_finding": "print"}, "`on_finding` must be a function"),
        ({"stop_on": "watch"}, "`stop_on` is the severity.*'watch'"),
        ({"stop_on": True}, "`stop_on` is the severity"),
        ({"restore": "best"}, "`restore` must be 'last-healthy'"),
        ({"restore": True}, "`restore` must be"),
        ({"restore_bytes": 0}, "`restore_bytes` is the memory"),
        ({"restore_bytes": 1e9}, "`restore_bytes` is the memory"),
        ({"alert": "example.org"}, "`alert` must begin with"),
    ],
)
def test_a_wrong_argument_fails(arguments, says):
    with pytest.raises(ValueError, match=says):
        Actions(**arguments)


def test_nothing_is_wanted_by_default():
    assert not Actions()
    assert Actions(stop_on="warn")
