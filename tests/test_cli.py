import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests import traces
from tfdiag import cli
from tfdiag.errors import TfdiagError


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
    assert "dead-relu not evaluated: too few records" in capsys.readouterr().out


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


def test_check_needs_neither_tensorflow_nor_the_demo(tmp_path):
    code = (
        "import sys; from tfdiag.cli import main; "
        f"code = main(['check', {str(tmp_path)!r}]); "
        "assert not {'tensorflow', 'keras', 'tfdiag.demo'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "There is no recording" in done.stderr
