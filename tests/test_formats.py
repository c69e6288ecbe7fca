import json
import re
from html.parser import HTMLParser

import pytest

from tests import traces
from tfdiag import report
from tfdiag.report.baseline import KeyNumber, compare, key_numbers
from tfdiag.report.html import html
from tfdiag.report.markdown import markdown
from tfdiag.report.readable import json_text, readable
from tfdiag.report.runs import Run
from tfdiag.report.sarif import sarif
from tfdiag.rules import ALL_RULES, check
from tfdiag.rules.suppression import Suppression, suppress

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "[link](http://example.com) | `code` **bold** ![p](http://x/y.png)",
    "line\nbreak\r\x1b[2J\x1b]0;title\x07\u202egnp\u2028\x9b31m",
    "\ud800 lone",
    "{layer} {0} %s \\",
    "../../etc/passwd",
    "&lt;b&gt;",
    "# head\n- item",
)


def hostile(name):
    """Returns a run and its baseline, with that name wherever a recording can have one."""
    model = traces.architecture()
    first, *others = model.layers
    layers = (first.__class__(**{**vars(first), "name": name}), *others)
    good = traces.trace(model.__class__(layers, model.loss, model.optimizer))
    bad = traces.changed(traces.stuck(good), "dead_fraction", 0.97, (name,), 40)
    bad = traces.changed(bad, "dead_fraction", 0.97, ("dense_1",), 40)
    bad = traces.changed(bad, "update_ratio", 0.4, (name,))
    told = suppress(check(bad), [Suppression("dead-relu", f"because {name}", "dense_1")])
    beside = compare(told, bad, check(good), good, name)
    assert any(finding.layer == name for finding in told.findings)
    assert told.suppressed and beside.new
    return Run("logs", name, told, beside)


def run(trace, name="run"):
    return Run("logs", name, check(trace))


def test_readable_keeps_what_can_be_read():
    assert readable("97 % ≥ 95 %, Schicht_ä, 層, 🙂") == "97 % ≥ 95 %, Schicht_ä, 層, 🙂"
    assert json.loads(json_text(json.dumps(HOSTILE, ensure_ascii=False))) == list(HOSTILE)


def unseen(text):
    """Returns what a terminal would act on, but for line ends; None if there is nothing."""
    return re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_text(name):
    one = hostile(name)
    text = report.text(one.report, comparison=one.comparison)
    assert not unseen(text)
    assert readable(name) in text
    assert text.count("\n") == report.text(
        hostile("plain").report, comparison=hostile("plain").comparison
    ).count("\n")


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_html(name):
    page, plain = Page(html([hostile(name)])), Page(html([hostile("plain")]))
    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    assert readable(name) in page.text and not unseen(page.text)


def test_html_needs_nothing_else():
    page = Page(html([run(traces.cut_off()), run(traces.trace())]))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not {name for name, _ in page.attributes} & {"src", "href", "onload", "style"}
    assert "@import" not in html([]) and "url(" not in html([])
    assert "very likely" in page.text and "Healthy" in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_markdown(name):
    text, plain = markdown([hostile(name)]), markdown([hostile("plain")])
    assert not unseen(text)
    assert text.count("\n") == plain.count("\n")
    without_code = re.sub(r"(?s)```.*?```", "", text)
    assert not re.search(r"(?<!\\)[\[\]`]|(?<!\\)<|://", without_code)


def test_markdown_tells_all_of_it():
    text = markdown([run(traces.cut_off(), "one"), run(traces.trace(), "two")])
    assert text.startswith("## one\n\n**critical: dense\\_2 dead from the start**")
    assert "**Chain:** dense\\_2 dead" in text and "**How sure:** very likely" in text
    assert "### Explained by this\n\n- **critical: dead-relu**" in text
    assert "## two\n\n**ok: Healthy**" in text
    assert "```python\nkernel_initializer=" in text


def well_formed(log):
    """Checks what section 3 of SARIF 2.1.0 demands of the properties that we write."""
    assert set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0"
    for one in log["runs"]:
        driver = one["tool"]["driver"]
        ids = [rule["id"] for rule in driver["rules"]]
        assert driver["name"] == "tfdiag" and len(set(ids)) == len(ids)
        for result in one["results"]:
            assert result["level"] in ("none", "note", "warning", "error")
            assert ids[result["ruleIndex"]] == result["ruleId"]
            assert result["message"]["text"]
            for location in result["locations"]:
                uri = location["physicalLocation"]["artifactLocation"]["uri"]
                assert re.fullmatch(r"[A-Za-z0-9._~/%:-]+", uri)
                for logical in location.get("logicalLocations", []):
                    assert isinstance(logical["name"], str)
            for suppression in result.get("suppressions", []):
                assert suppression["kind"] in ("inSource", "external")
            state = result.get("baselineState", "new")
            assert state in ("new", "unchanged", "updated", "absent")


@pytest.mark.parametrize("name", HOSTILE)
def test_sarif_is_well_formed_whatever_the_names_are(name):
    log = sarif([hostile(name)], "0.1.0")
    text = json_text(json.dumps(log, allow_nan=False, ensure_ascii=False))
    assert not unseen(text)
    assert json.loads(text) == log
    well_formed(log)
    (one,) = log["runs"]
    for result in one["results"]:
        assert not re.search(r"(?<!\\)\[", result["message"]["text"])
    assert sum("suppressions" in result for result in one["results"]) == 1


def test_sarif_of_findings_and_of_none():
    log = sarif([run(traces.cut_off()), run(traces.trace()), run(traces.trace(records=0))], "0.1.0")
    well_formed(log)
    bad, good, empty = log["runs"]
    assert [result["level"] for result in bad["results"]][:2] == ["error", "warning"]
    assert good["results"] == empty["results"] == []
    assert empty["properties"]["notEvaluated"]
    assert len(bad["tool"]["driver"]["rules"]) == len(ALL_RULES)


@pytest.mark.parametrize(
    "logdir, title", [("/tmp/digits", "digits"), ("digits/", "digits"), ("/", "(log folder)")]
)
def test_a_run_in_the_log_folder_itself_is_called_as_the_folder(logdir, title):
    report = check(traces.trace())
    assert markdown([Run(logdir, ".", report)]).splitlines()[0] == f"## {title}"
    assert Run(logdir, "a/b", report).title == "a/b"


def test_sarif_names_the_folder_of_the_run():
    def uri(logdir, name):
        (one,) = sarif([Run(logdir, name, check(traces.dying()))], "0")["runs"]
        return one["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]

    assert uri("logs/", "a b") == "logs/a%20b"
    assert uri("/tmp/logs", ".") == "file:///tmp/logs"


def test_a_baseline_shows_what_is_new_and_what_has_gone():
    good, bad = traces.changed(traces.trace(), "dead_fraction", 0.4), traces.cut_off()
    beside = compare(check(bad), bad, check(good), good, "good")
    assert {finding.rule for finding in beside.new} >= {"dead-relu", "vanishing-gradient"}
    assert [(f.rule, f.layer) for f in beside.gone] == [("dead-relu", "dense")]
    numbers = {one.title: one for one in beside.numbers}
    loss, dead = numbers["last probe loss"], numbers["most dead units of a layer"]
    assert loss.run > 2 and loss.baseline < 0.2 and loss.scale == "log"
    assert dead.scale == "share" and dead.told == ("100 %", "40 %")
    for told in (
        report.text(check(bad), comparison=beside),
        html([Run("", "", check(bad), beside)]),
    ):
        assert "40 %" in told
    assert compare(check(bad), bad, check(bad), bad, "same").new == ()


def test_a_worse_finding_is_new():
    mild = traces.changed(traces.stuck(), "dead_fraction", 0.7)
    worse = traces.changed(traces.stuck(), "dead_fraction", 0.97)
    beside = compare(check(worse), worse, check(mild), mild, "mild")
    assert [finding.severity for finding in beside.new] == ["critical"]


def test_what_the_baseline_suppresses_is_not_new():
    run = traces.dying()
    baseline = suppress(check(run), [Suppression("dead-relu", "by design")])
    assert compare(check(run), run, baseline, run, "good").new == ()


def test_key_numbers_of_nothing():
    empty = traces.trace(records=0)
    first, *_ = compare(check(empty), empty, check(empty), empty, "x").numbers
    assert first == KeyNumber("last step", "count", 0, 0)
    assert key_numbers(traces.not_finite(0))


def test_small_shares_are_told_apart():
    assert KeyNumber("dead", "share", 0.0146, 0.0112).told == ("1.5 %", "1.1 %")
    assert KeyNumber("dead", "share", 0.0146, 0.02).told == ("1.5 %", "2 %")
    assert KeyNumber("dead", "share", 0.9999, 0.0997).told == ("99.9 %", "10 %")


def test_every_format_of_every_run():
    from tests.test_report import RUNS

    for trace, _, title in RUNS.values():
        one = run(trace)
        assert title in report.text(one.report) and title in Page(html([one])).text
        assert markdown([one]) and sarif([one], "0")
