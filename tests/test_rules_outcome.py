import pytest

from tests import traces
from tfdiag.errors import TfdiagError
from tfdiag.rules import Report, check

RUNS = [traces.trace(), traces.dying(), traces.not_finite(), traces.vanishing()]


@pytest.mark.parametrize("run", RUNS)
def test_json_keeps_everything(run):
    report = check(run)
    content = report.to_json()
    again = Report.from_json(content)
    assert again.to_json() == content
    assert repr(again) == repr(report)


def test_unknown_rules_and_fields_pass():
    content = check(traces.dying()).to_json()
    content["new"] = 1
    found(content)["rule"] = "rule-of-tomorrow"
    assert Report.from_json(content).findings[0].rule == "rule-of-tomorrow"


def damaged():
    def content():
        return check(traces.dying()).to_json()

    yield None
    yield []
    yield {}
    for step in (None, "5", 1.5, -1, True, 2**70):
        yield {**content(), "step": step}
    for outcomes in (None, {}, [None], [{}], "x", [[1]]):
        yield {**content(), "outcomes": outcomes}
    yield {**content(), "facts": []}
    yield {**content(), "facts": {"loss_first": {}}}
    for name, value in [("rule", 3), ("outcome", "fine"), ("outcome", "healthy"), ("exempt", [])]:
        bad = content()
        found(bad)[name] = value
        yield bad
    for name, value in [
        ("severity", "fatal"),
        ("severity", []),
        ("step", -3),
        ("message", None),
        ("value", "1"),
        ("value", 10**400),
        ("layer", {}),
        ("metric", 7),
    ]:
        bad = content()
        found(bad)["findings"][0][name] = value
        yield bad


def found(content):
    return next(outcome for outcome in content["outcomes"] if outcome["findings"])


@pytest.mark.parametrize("content", list(damaged()))
def test_hostile_json_is_refused(content):
    with pytest.raises(TfdiagError, match="report is damaged"):
        Report.from_json(content)
