import pytest

from tests import traces
from tfdiag import config, report
from tfdiag.errors import TfdiagError
from tfdiag.rules import ALL_RULES, Report, check

GOOD = """
disable = ["saturated-activation"]
[thresholds]
"dead-relu".warn = 0.4
[[suppress]]
rule = "dead-relu"
layer = "dense*"
reason = "sparse codes by design"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with a folder in it, in which we are."""
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return tmp_path / "project"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_is_no_choice(folder):
    assert config.load() == config.Config()


def test_a_file_of_a_parent(folder):
    file = write(folder / "tfdiag.toml", GOOD)
    found = config.load()
    assert found.path == file
    assert found.thresholds == {"dead-relu": {"warn": 0.4}}
    assert found.disable == ("saturated-activation",)
    (one,) = found.suppress
    assert (one.rule, one.layer, one.reason) == ("dead-relu", "dense*", "sparse codes by design")


def test_pyproject_and_the_nearest_file(folder):
    write(folder / "tfdiag.toml", GOOD)
    write(folder / "inner" / "pyproject.toml", "[project]\nname = 'other'\n")
    assert config.load().path == folder / "tfdiag.toml"
    own = "[tool.tfdiag]\ndisable = ['dead-relu']\n[tool.tfdiag.thresholds]\ndead-relu.warn = 0.4"
    write(folder / "inner" / "pyproject.toml", own)
    found = config.load()
    assert found.disable == ("dead-relu",) and found.thresholds == {"dead-relu": {"warn": 0.4}}
    write(folder / "inner" / "tfdiag.toml", "")
    assert config.load().disable == ()


def test_a_broken_pyproject_of_others_is_passed(folder):
    write(folder / "pyproject.toml", "[broken")
    assert config.load() == config.Config()
    with pytest.raises(TfdiagError, match="not valid TOML"):
        config.load(folder / "pyproject.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[thresholds]\ndead-rleu.warn = 1", "thresholds.dead-rleu: there is no rule.*'dead-relu'"),
        ("[thresholds]\ndead-relu.wran = 1", "thresholds.dead-relu.wran: .*no threshold 'wran'"),
        ("[thresholds]\ndead-relu.warn = 'x'", "dead-relu.warn: .*a number of at least 0, but got"),
        ("[thresholds]\ndead-relu.warn = 40", "share between 0 and 1.*Did you mean 0.4"),
        ("[thresholds]\ndead-relu = 1", "thresholds.dead-relu: a table was expected, but got 1"),
        ("thresholds = 1", "thresholds: a table was expected"),
        ("disable = 'dead-relu'", "disable: a list was expected, but got 'dead-relu'"),
        ("disable = ['x']", r"disable\[0\]: there is no rule 'x'. There are .*nonfinite-loss"),
        ("disabled = []", "disabled: there is no such key. Did you mean 'disable'"),
        ("[[suppress]]\nrule = 'dead-relu'", r"suppress\[0\]: `reason` is missing"),
        ("[[suppress]]\nrule = 'dead-relu'\nreason = ' '", r"suppress\[0\].reason: .* empty"),
        (
            "[[suppress]]\nrule = 'dead-relu'\nreason = 'x'\nlayer = 1",
            r"layer: a text was expected",
        ),
        ("[[suppress]]\nrule = 'dead-relu'\nreason = 'x'\ndisable = []", "above the first"),
        ("[suppress]\nrule = 'x'", "suppress: a list was expected"),
        ("x = [", "is not valid TOML"),
    ],
)
def test_errors_name_file_key_and_what_was_expected(folder, text, words):
    file = write(folder / "tfdiag.toml", text)
    with pytest.raises(TfdiagError, match=words) as raised:
        config.load()
    assert str(file) in str(raised.value)


def test_errors_in_a_pyproject_name_the_whole_key(folder):
    write(folder / "pyproject.toml", "[tool.tfdiag]\ndisable = ['x']")
    with pytest.raises(TfdiagError, match=r"pyproject.toml, tool.tfdiag.disable\[0\]"):
        config.load()
    write(folder / "pyproject.toml", "[tool]\ntfdiag = 1")
    with pytest.raises(TfdiagError, match="tool.tfdiag: a table was expected"):
        config.load()


def test_files_that_cannot_be_read(folder):
    with pytest.raises(TfdiagError, match="cannot be read"):
        config.load(folder / "nothing.toml")
    (folder / "tfdiag.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TfdiagError, match="not UTF-8"):
        config.load()
    write(folder / "pyproject.toml", "x = 1")
    with pytest.raises(TfdiagError, match="no table"):
        config.load(folder / "pyproject.toml")


def test_suppressed_findings_count_for_nothing_and_are_listed_apart(folder):
    write(folder / "tfdiag.toml", GOOD)
    run = traces.changed(traces.trace(), "dead_fraction", 0.97)
    judged = config.load().check(run)
    assert judged.findings == ()
    assert report.verdict(judged).severity == "ok"
    (one,) = judged.suppressed
    assert (one.finding.rule, one.reason) == ("dead-relu", "sparse codes by design")
    (outcome,) = (o for o in judged.outcomes if o.rule == "dead-relu")
    assert (outcome.outcome, outcome.reason) == (
        "not-evaluated",
        "suppressed: sparse codes by design",
    )
    content = report.as_json(judged)
    assert content["suppressed"][0]["reason"] == "sparse codes by design"
    assert report.as_json(Report.from_json(judged.to_json())) == content
    text = report.text(judged)
    assert "suppressed: dead-relu in dense (97 % ≥ 95 %): sparse codes by design" in text


def test_what_is_suppressed_is_no_cause(folder):
    write(folder / "tfdiag.toml", GOOD)
    told = report.verdict(config.load().check(traces.dying(40)))
    assert told.title == "Loss stuck since step 0" and "dead" not in told.summary


def test_another_layer_stays_found(folder):
    write(folder / "tfdiag.toml", GOOD.replace("dense*", "dense_1"))
    judged = config.load().check(traces.dying(40))
    assert judged.findings[0].layer == "dense" and judged.suppressed == ()


def test_a_disabled_rule_says_so_and_is_no_gap(folder):
    write(folder / "tfdiag.toml", "disable = ['dead-relu']")
    judged = config.load().check(traces.changed(traces.trace(), "dead_fraction", 0.97))
    assert report.verdict(judged).title == "Healthy"
    assert "– exempt, disabled in the configuration: dead-relu" in report.text(judged)
    assert [o.rule for o in judged.outcomes] == [rule.id for rule in ALL_RULES]
    applied = config.load().apply(check(traces.dying(40)))
    assert "dead-relu" not in {finding.rule for finding in applied.findings}


def test_thresholds_of_the_file_and_those_that_take_precedence(folder):
    write(folder / "tfdiag.toml", "[thresholds]\ndead-relu.warn = 0.4\ndead-relu.patience = 99")
    found = config.load()
    run = traces.dying(40)
    assert "dead-relu" not in {f.rule for f in found.check(run).findings}
    judged = found.check(run, thresholds={"dead-relu": {"patience": 2}})
    assert judged.findings[0].rule == "dead-relu"
    assert judged.facts["dead-relu warn"] == 0.4
