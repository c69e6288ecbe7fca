import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import traces
from tests.recordings import record
from tfdiag import cli
from tfdiag.errors import TfdiagError
from tfdiag.rules import ALL_RULES, check

ROOT = Path(__file__).parent.parent
#: What is printed of a rule that asks for more records than there are.
FEW = "○ not evaluated, too few records after step 10: 30 of 99: dead-relu\n"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Works in an empty folder, so that no file of the project is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recordings(monkeypatch):
    """Replaces the reader by runs in memory: name to trace and thresholds."""
    runs = {}

    def find_runs(logdir):
        return [(name, f"{logdir}/{name}") for name in sorted(runs)]

    def open_recording(path):
        trace, thresholds = runs[path.rsplit("/", 1)[-1]]
        return SimpleNamespace(trace=trace, thresholds=thresholds)

    monkeypatch.setattr(cli.reader, "find_runs", find_runs)
    monkeypatch.setattr(cli.reader, "open_recording", open_recording)
    return runs


def test_check_prints_each_run(recordings, capsys):
    recordings["bad"] = (traces.dying(40), {})
    recordings["good"] = (traces.trace(), {})
    assert cli.main(["check", "logs"]) == 0
    out = capsys.readouterr().out
    assert out.index("dense died at step 40") < out.index("✓ Healthy")
    assert "\x1b" not in out  # no colour in a pipe


def test_names_are_no_markup(recordings, capsys):
    recordings["[red]run"] = (traces.trace(), {})
    cli.main(["check", "logs"])
    assert "[red]run" in capsys.readouterr().out


def test_check_as_json(recordings, capsys):
    recordings["bad"] = (traces.dying(40), {})
    assert cli.main(["check", "logs", "--format", "json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (run["run"], run["logdir"], run["step"]) == ("bad", "logs", 600)
    assert run["findings"][0]["rule"] == "dead-relu"


def test_thresholds_come_from_the_recording(recordings, capsys):
    recordings["strange"] = (
        traces.dying(40),
        {"dead-relu": {"patience": 99, "of-tomorrow": 1}, "rule-of-tomorrow": {"x": "y"}},
    )
    cli.main(["check", "logs"])
    assert FEW in capsys.readouterr().out


def test_damaged_thresholds_are_one_line(recordings, capsys):
    recordings["bad"] = (traces.trace(), {"dead-relu": {"patience": "many"}})
    assert cli.main(["check", "logs"]) == 2
    assert "recorded thresholds are damaged" in capsys.readouterr().err


def test_nothing_recorded_is_said(recordings, capsys):
    assert cli.main(["check", "logs", "more"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tfdiag: There is no recording in logs, more.")
    assert error.count("\n") == 1


def test_a_folder_that_is_none(tmp_path, capsys):
    assert cli.main(["check", str(tmp_path / "nothing")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_the_demo_is_loaded_only_when_asked_for(monkeypatch):
    seen = {}

    def run(options):
        seen["port"] = options.port
        raise TfdiagError("no data")

    demo = SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("--port", type=int, default=6006),
        main=run,
    )
    monkeypatch.setitem(sys.modules, "tfdiag.demo", demo)
    assert cli.main(["demo", "--port", "7007"]) == 2
    assert seen == {"port": 7007}


def test_version_and_wrong_words(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("tfdiag 0.")
    with pytest.raises(SystemExit) as left:
        cli.main([])
    assert left.value.code == 2


def test_a_name_moves_no_cursor(recordings, capsys):
    recordings["\x1b[2Jrun\u202e"] = (traces.trace(), {})
    for form in ("text", "json", "markdown", "html", "sarif"):
        assert cli.main(["check", "logs", "--format", form]) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out and "\u202e" not in out


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("text", "× dense died at step 40"),
        ("markdown", "**critical: dense died at step 40**"),
        ("html", "<!DOCTYPE html>"),
        ("sarif", '"version": "2.1.0"'),
        ("json", '"sureness": "likely"'),
    ],
)
def test_formats_and_output(recordings, capsys, nowhere, form, words):
    recordings["bad"] = (traces.dying(40), {})
    assert cli.main(["check", "logs", "--format", form]) == 0
    printed = capsys.readouterr().out
    assert words in printed
    assert cli.main(["check", "logs", "--format", form, "--output", "report"]) == 0
    assert (nowhere / "report").read_text(encoding="utf-8").strip() == printed.strip()
    assert capsys.readouterr().out == ""
    assert cli.main(["check", "logs", "--output", "none/report"]) == 2
    assert "--output none/report cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "word", "code"),
    [
        (traces.dying(40), "critical", 1),
        (traces.dying(40), "warn", 1),
        (traces.stuck(), "critical", 0),
        (traces.stuck(), "warn", 1),
        (traces.changed(traces.trace(), "dead_fraction", 0.4), "warn", 0),
        (traces.trace(), "warn", 0),
    ],
)
def test_the_exit_code_tells_what_was_found(recordings, run, word, code):
    recordings["good"], recordings["run"] = (traces.trace(), {}), (run, {})
    assert cli.main(["check", "logs", "--fail-on", word]) == code


def test_suppressed_findings_do_not_fail(recordings, capsys, nowhere):
    recordings["bad"] = (traces.changed(traces.stuck(), "dead_fraction", 0.97), {})
    (nowhere / "tfdiag.toml").write_text(
        '[[suppress]]\nrule = "dead-relu"\nlayer = "dense"\nreason = "by design"\n'
    )
    assert cli.main(["check", "logs", "--fail-on", "critical"]) == 0
    assert "suppressed: dead-relu in dense (97 % ≥ 95 %): by design" in capsys.readouterr().out
    assert cli.main(["check", "logs", "--fail-on", "warn"]) == 1  # the loss is stuck all the same


def test_a_baseline_by_name_and_by_folder(recordings, capsys, nowhere):
    recordings["bad"], recordings["good"] = (traces.dying(40), {}), (traces.trace(), {})
    assert cli.main(["check", "logs", "--baseline", "good"]) == 0
    out = capsys.readouterr().out
    assert out.count("Compared with good:") == 1
    assert "  + critical: dead-relu in dense (97 % ≥ 95 %)" in out
    cli.main(["check", "logs", "--baseline", "good", "--format", "json"])
    bad, good = json.loads(capsys.readouterr().out)["runs"]
    assert good["comparison"] is None
    assert [one["rule"] for one in bad["comparison"]["new"]] == ["dead-relu", "loss-not-decreasing"]
    step = {"title": "last step", "scale": "count", "run": 600.0, "baseline": 600.0}
    assert step in bad["comparison"]["numbers"]
    assert cli.main(["check", "logs", "--baseline", "best"]) == 2
    error = capsys.readouterr().err
    assert "'best' names 0" in error and "The runs are bad, good" in error
    (nowhere / "many").mkdir()
    assert cli.main(["check", "logs", "--baseline", "many"]) == 2
    assert "'many' names 2" in capsys.readouterr().err


def test_only_chosen_rules(recordings, capsys):
    recordings["bad"] = (traces.dying(40), {})
    cli.main(["check", "logs", "--rules", "loss-not-decreasing, nonfinite-loss", "--format=json"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert [rule["id"] for rule in run["rules"]] == ["nonfinite-loss", "loss-not-decreasing"]
    assert cli.main(["check", "logs", "--rules", "dead-rely"]) == 2
    assert "--rules names 'dead-rely', but the rules are " in capsys.readouterr().err
    assert cli.main(["check", "logs", "--rules", ","]) == 2


def test_thresholds_to_try(recordings, capsys, nowhere):
    recordings["bad"] = (traces.dying(40), {"dead-relu": {"patience": 99}})
    cli.main(["check", "logs"])
    assert FEW in capsys.readouterr().out
    (nowhere / "tfdiag.toml").write_text("[thresholds]\ndead-relu.patience = 98")
    cli.main(["check", "logs"])  # the file beats the recording
    assert "30 of 98" in capsys.readouterr().out
    setting = ["--set", "dead-relu.patience=2", "--set", "dead-relu.critical=0.99"]
    cli.main(["check", "logs", *setting])
    assert "! warn: dead-relu" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("dead-relu", "--set wants RULE.THRESHOLD=NUMBER"),
        ("dead-relu.warn=much", "but got 'dead-relu.warn=much'"),
        ("warn=0.4", "--set wants RULE.THRESHOLD=NUMBER"),
        ("dead-rely.warn=0.4", "names the rule 'dead-rely'"),
        ("dead-relu.wran=0.4", "Rule 'dead-relu' has no threshold 'wran'; it has watch, warn"),
        ("dead-relu.warn=40", "a share between 0 and 1"),
        ("dead-relu.patience=2.5", "an integer of at least 1"),
        ("dead-relu.warn=nan", "a number of at least 0"),
    ],
)
def test_wrong_thresholds_are_one_clear_line(recordings, capsys, word, error):
    recordings["run"] = (traces.trace(), {})
    assert cli.main(["check", "logs", "--set", word]) == 2
    told = capsys.readouterr().err
    assert error in told and told.count("\n") == 1


def test_a_wrong_file_is_one_clear_line(recordings, capsys, nowhere):
    recordings["run"] = (traces.trace(), {})
    (nowhere / "own.toml").write_text("disable = ['x']")
    assert cli.main(["check", "logs", "--config", "own.toml"]) == 2
    assert "own.toml, disable[0]: there is no rule 'x'" in capsys.readouterr().err
    assert cli.main(["rules", "--config", "nothing.toml"]) == 2
    assert "nothing.toml cannot be read" in capsys.readouterr().err


def test_the_catalogue(capsys):
    assert cli.main(["rules"]) == 0
    out = capsys.readouterr().out
    for rule in ALL_RULES:
        assert f"{rule.id}: {rule.title}\n" in out and f"  source: {rule.source}" in out
    assert cli.main(["rules", "--format", "json", "--set", "dead-relu.warn=0.4"]) == 0
    listed = {rule["id"]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert list(listed) == [rule.id for rule in ALL_RULES]
    assert listed["dead-relu"]["thresholds"]["warn"] == {"value": 0.4, "default": 0.5}
    cli.main(["rules", "--rules", "dead-relu", "--set", "dead-relu.warn=0.4"])
    out = capsys.readouterr().out
    assert "warn 0.4 (default 0.5)" in out and "nonfinite-loss" not in out


def fake_lint(monkeypatch, lint):
    monkeypatch.setitem(sys.modules, "tfdiag.lint", SimpleNamespace(lint=lint))


def test_lint_judges_a_model_file(monkeypatch, capsys, nowhere):
    seen = []

    def lint(model, data, *, thresholds):
        seen.append((model, data, thresholds))
        return check(traces.dying(40))

    fake_lint(monkeypatch, lint)
    words = ["lint", "model.keras", "--data", "x.npz", "--fail-on", "critical"]
    assert cli.main(words) == 1
    assert seen == [("model.keras", "x.npz", {})]
    assert capsys.readouterr().out.startswith("model.keras\n× dense died")
    (nowhere / "tfdiag.toml").write_text(
        "disable = ['dead-relu']\n[thresholds]\n'input-range'.largest = 9"
    )
    assert cli.main(words) == 0
    assert seen[-1][2] == {"input-range": {"largest": 9.0}}


def test_lint_says_what_is_missing(monkeypatch, capsys):
    def lint(model, data, *, thresholds):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    fake_lint(monkeypatch, lint)
    assert cli.main(["lint", "model.keras"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'tfdiag[tensorflow]'" in error and error.count("\n") == 1


def test_colour_in_a_terminal():
    assert cli._style("× dense died") == "bold red"
    assert cli._style("  ! warn: dead-relu") == "yellow"
    assert cli._style("    a message") == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("'check', 'nothing'", 2),
        ("'check', 'logs', '--format', 'html', '--baseline', 'run'", 0),
        ("'check', 'logs', '--format', 'sarif', '--fail-on', 'critical'", 1),
        ("'check', 'logs', '--format', 'markdown'", 0),
        ("'check', 'logs'", 0),
        ("'rules', '--format', 'json'", 0),
    ],
)
def test_only_demo_and_lint_need_tensorflow(nowhere, words, code):
    record(nowhere / "logs" / "run", range(1, 40))
    program = (
        "import sys; from tfdiag.cli import main; "
        f"code = main([{words}]); "
        "loaded = {'tensorflow', 'keras', 'tfdiag.demo', 'tfdiag.lint'} & set(sys.modules); "
        "assert not loaded, loaded; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=nowhere,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, done.stderr
