"""The command `tfdiag`: judges recordings, shows the demo. `check` needs no TensorFlow."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import tfdiag
from tfdiag import report
from tfdiag.errors import TfdiagError
from tfdiag.rules import ALL_RULES, Report, check
from tfdiag.storage import reader


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: words after `tfdiag`; None for those of the process.

    Returns:
        The exit code: 0 when the command did its work, 2 when it could not.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(demo=arguments[:1] == ["demo"]).parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except TfdiagError as error:
        print(f"tfdiag: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _parser(*, demo: bool) -> argparse.ArgumentParser:
    """Returns the parser; only with `demo` is the demo loaded, for its options."""
    parser = argparse.ArgumentParser(
        prog="tfdiag", description="Finds out why a Keras network will not learn."
    )
    parser.add_argument("--version", action="version", version=f"tfdiag {tfdiag.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="judge recorded runs and print what is wrong")
    checking.add_argument("logdir", nargs="+", help="log folder with one or more recorded runs")
    checking.add_argument("--format", choices=("text", "json"), default="text")
    checking.set_defaults(run=_check)
    showing = commands.add_parser("demo", help="train three short runs and open TensorBoard")
    showing.set_defaults(run=_demo)
    if demo:
        importlib.import_module("tfdiag.demo").add_arguments(showing)
    return parser


def _demo(options: argparse.Namespace) -> int | None:
    return importlib.import_module("tfdiag.demo").main(options)


def _check(options: argparse.Namespace) -> None:
    runs = [(logdir, *run) for logdir in options.logdir for run in reader.find_runs(logdir)]
    if not runs:
        raise TfdiagError(
            f"There is no recording in {', '.join(options.logdir)}. Train with "
            "callbacks=[tfdiag.HealthMonitor(log_dir)] and pass that folder."
        )
    judged = [(logdir, name, _judge(path)) for logdir, name, path in runs]
    if options.format == "json":
        documents = [_document(*run) for run in judged]
        print(json.dumps({"runs": documents}, indent=2, allow_nan=False, ensure_ascii=False))
    else:
        _print(judged)


def _judge(path: str) -> Report:
    """Judges the recording anew, with the thresholds that it was made with."""
    recording = reader.open_recording(path)
    known = {rule.id: rule.thresholds for rule in ALL_RULES}
    thresholds = {
        rule: {name: value for name, value in values.items() if name in known[rule]}
        for rule, values in recording.thresholds.items()
        if rule in known  # a rule of a newer tfdiag, or of the user
    }
    try:
        return check(recording.trace, thresholds=thresholds)
    except ValueError as error:
        raise TfdiagError(f"{path}: the recorded thresholds are damaged: {error}") from error


def _document(logdir: str, name: str, judged: Report) -> dict[str, Any]:
    return {"logdir": logdir, "run": name, "step": judged.step, **report.as_json(judged)}


def _print(judged: list[tuple[str, str, Report]]) -> None:
    """Prints to the terminal, in colour if it is one; file names and layers are not markup."""
    from rich.console import Console  # 40 ms, and JSON does not need it

    colours = {"critical": "bold red", "warn": "yellow", "ok": "bold", "not-evaluated": "dim"}
    console = Console(highlight=False, soft_wrap=True)
    for i, (_, name, found) in enumerate(judged):
        colour = colours[report.verdict(found).severity]
        title, *rest = report.text(found).split("\n")
        console.print(("\n" if i else "") + name, style="dim", markup=False)
        console.print(title, style=colour, markup=False)
        console.print("\n".join(rest), markup=False)


if __name__ == "__main__":
    sys.exit(main())
