"""The command `tfdiag`: judges recordings and models, lists the rules, shows tab and demo.

Only `demo` and `lint` need TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tfdiag
from tfdiag import config, report
from tfdiag.errors import TfdiagError
from tfdiag.report import catalogue
from tfdiag.report.baseline import compare
from tfdiag.report.html import html
from tfdiag.report.markdown import markdown
from tfdiag.report.readable import json_text, readable
from tfdiag.report.runs import Run
from tfdiag.report.sarif import sarif
from tfdiag.rules import ALL_RULES, Report, Rule, resolve_thresholds
from tfdiag.storage import reader
from tfdiag.trace import SEVERITIES, Trace

_FORMATS = ("text", "markdown", "json", "sarif", "html")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: words after `tfdiag`; None for those of the process.

    Returns:
        The exit code: 0 when the command did its work, 1 when it found what `--fail-on` names,
        2 when it could not.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(arguments[0] if arguments else "").parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that does not know "→"
    try:
        return int(options.run(options) or 0)
    except TfdiagError as error:
        print(f"tfdiag: {readable(' '.join(str(error).split()))}", file=sys.stderr)
        return 2


def _parser(command: str) -> argparse.ArgumentParser:
    """Returns the parser; `demo` and `view` are loaded, for their options, by their own name."""
    parser = argparse.ArgumentParser(
        prog="tfdiag", description="Finds out why a Keras network will not learn."
    )
    parser.add_argument("--version", action="version", version=f"tfdiag {tfdiag.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="judge recorded runs and print what is wrong")
    checking.add_argument("logdir", nargs="+", help="log folder with one or more recorded runs")
    checking.add_argument(
        "--baseline", metavar="RUN", help="a good run to compare with: its name, or its folder"
    )
    _choosing(checking)
    _printing(checking)
    checking.set_defaults(run=_check)
    linting = commands.add_parser("lint", help="judge a saved model before it is trained")
    linting.add_argument("model", help="file that model.save() wrote")
    linting.add_argument("--data", metavar="FILE", help=".npz file with samples of the data")
    linting.add_argument("--config", metavar="FILE", help="tfdiag.toml or pyproject.toml")
    _printing(linting)
    linting.set_defaults(run=_lint)
    listing = commands.add_parser("rules", help="list the rules with thresholds and sources")
    listing.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    _choosing(listing)
    listing.set_defaults(run=_rules)
    showing = commands.add_parser("demo", help="train three short runs and open TensorBoard")
    showing.set_defaults(run=_demo)
    viewing = commands.add_parser(
        "view", help="show the Health tab alone, without TensorBoard's page"
    )
    viewing.set_defaults(run=_view)
    if command == "demo":
        importlib.import_module("tfdiag.demo").add_arguments(showing)
    if command == "view":
        importlib.import_module("tensorboard_plugin.alone").add_arguments(viewing)
    return parser


def _choosing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", metavar="ID,ID", help="only these rules")
    parser.add_argument(
        "--set",
        metavar="RULE.THRESHOLD=VALUE",
        action="append",
        default=[],
        help="another threshold, such as dead-relu.warn=0.4; may be given several times",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="tfdiag.toml or pyproject.toml (default: the nearest one, from the current folder up)",
    )


def _printing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=_FORMATS, default="text")
    parser.add_argument("--output", metavar="FILE", help="write there instead of printing")
    parser.add_argument(
        "--fail-on",
        choices=("warn", "critical"),
        help="exit with 1 if there is a finding at least that bad; suppressed ones do not count",
    )


def _demo(options: argparse.Namespace) -> int | None:
    return importlib.import_module("tfdiag.demo").main(options)


def _view(options: argparse.Namespace) -> int:
    return importlib.import_module("tensorboard_plugin.alone").main(options)


@dataclass(frozen=True)
class _Judge:
    """What the user chose, on the command line and in the file.

    Attributes:
        config: of the file.
        rules: those that run.
        thresholds: of `--set`.
    """

    config: config.Config
    rules: tuple[Rule, ...]
    thresholds: dict[str, dict[str, float]]

    @staticmethod
    def of(options: argparse.Namespace) -> _Judge:
        return _Judge(config.load(options.config), _chosen(options.rules), _set(options.set))

    def judge(self, path: str) -> tuple[Report, Trace]:
        """Judges a recording anew: recorded thresholds, then the file's, then `--set`."""
        recording = reader.open_recording(path)
        trace = recording.trace
        try:
            judged = self.config.check_again(
                trace, recording.thresholds, self.rules, self.thresholds
            )
        except TfdiagError as error:
            raise TfdiagError(f"{path}: {error}") from error
        return judged, trace


def _chosen(words: str | None) -> tuple[Rule, ...]:
    """Returns the rules that `--rules` names, in their own order."""
    if words is None:
        return ALL_RULES
    known = [rule.id for rule in ALL_RULES]
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in known]
    if unknown or not wanted:
        what = f"names {', '.join(map(repr, unknown))}" if unknown else "names no rule"
        raise TfdiagError(f"--rules {what}, but the rules are {', '.join(known)}. Correct it.")
    return tuple(rule for rule in ALL_RULES if rule.id in wanted)


def _set(assignments: Iterable[str]) -> dict[str, dict[str, float]]:
    """Returns the thresholds of `--set`."""
    thresholds: dict[str, dict[str, float]] = {}
    for assignment in assignments:
        place, _, text = assignment.partition("=")
        rule, _, name = place.strip().rpartition(".")
        try:
            value = float(text)
        except ValueError:
            value = None
        if not rule or not name or value is None:
            raise TfdiagError(
                f"--set wants RULE.THRESHOLD=NUMBER, such as dead-relu.warn=0.4, but got "
                f"{assignment!r}. `tfdiag rules` lists them."
            )
        try:
            resolve_thresholds({rule: {name: value}})
        except ValueError as error:
            raise TfdiagError(f"--set {assignment}: {error}") from error
        thresholds.setdefault(rule, {})[name] = value
    return thresholds


def _check(options: argparse.Namespace) -> int:
    judge = _Judge.of(options)
    found = [(logdir, *run) for logdir in options.logdir for run in reader.find_runs(logdir)]
    if not found:
        raise TfdiagError(
            f"There is no recording in {', '.join(options.logdir)}. Train with "
            "callbacks=[tfdiag.HealthMonitor(log_dir)] and pass that folder."
        )
    good = _baseline(options.baseline, [(name, path) for _, name, path in found])
    baseline = judge.judge(good) if good else None
    runs = []
    for logdir, name, path in found:
        judged, trace = judge.judge(path)
        itself = good is not None and os.path.realpath(path) == os.path.realpath(good)
        beside = None
        if baseline and not itself:
            beside = compare(judged, trace, *baseline, options.baseline)
        runs.append(Run(logdir, name, judged, beside))
    return _tell(runs, options)


def _baseline(wanted: str | None, runs: list[tuple[str, str]]) -> str | None:
    """Returns the path of the run that the user calls good; None if there is none.

    Raises:
        TfdiagError: if it is neither one of the runs nor a folder with one recording.
    """
    if wanted is None:
        return None
    paths = [path for name, path in runs if name == wanted]
    if not paths and Path(wanted).is_dir():
        paths = [path for _, path in reader.find_runs(wanted)]
    if len(paths) == 1:
        return paths[0]
    names = ", ".join(name for name, _ in runs)
    raise TfdiagError(
        f"--baseline must name one run, but {wanted!r} names {len(paths)}. The runs are {names}; "
        "the folder of another run is possible too."
    )


def _lint(options: argparse.Namespace) -> int:
    chosen = config.load(options.config)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        lint = importlib.import_module("tfdiag.lint").lint
        judged = lint(options.model, options.data, thresholds=chosen.thresholds)
    except ModuleNotFoundError as error:
        raise TfdiagError(
            f"A saved model is read with TensorFlow, but {error.name!r} is not installed. Run: "
            "pip install 'tfdiag[tensorflow]'"
        ) from error
    return _tell([Run("", options.model, chosen.apply(judged))], options)


def _rules(options: argparse.Namespace) -> None:
    judge = _Judge.of(options)
    thresholds = resolve_thresholds(config.merge(judge.config.thresholds, judge.thresholds))
    if options.format == "json":
        print(_dumped({"rules": catalogue.as_json(judge.rules, thresholds)}))
    else:
        write = catalogue.markdown if options.format == "markdown" else catalogue.text
        print(write(judge.rules, thresholds))


def _tell(runs: list[Run], options: argparse.Namespace) -> int:
    """Prints or writes the runs; returns the exit code."""
    if options.format == "text" and options.output is None:
        _print(runs)
    else:
        _write(_WRITTEN[options.format](runs), options.output)
    if options.fail_on is None:
        return 0
    bad = SEVERITIES[SEVERITIES.index(options.fail_on) :]
    return int(any(finding.severity in bad for run in runs for finding in run.report.findings))


def _write(content: str, output: str | None) -> None:
    if output is None:
        print(content)
        return
    try:
        Path(output).write_text(content.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TfdiagError(f"--output {output} cannot be written: {reason}.") from error


def _text(runs: list[Run]) -> str:
    texts = [report.text(run.report, comparison=run.comparison) for run in runs]
    return "\n\n".join(
        f"{readable(run.title)}\n{text}" for run, text in zip(runs, texts, strict=True)
    )


def _json(runs: list[Run]) -> str:
    return _dumped({"runs": [report.run_as_json(run) for run in runs]})


def _sarif(runs: list[Run]) -> str:
    return _dumped(sarif(runs, tfdiag.__version__))


def _dumped(content: Any) -> str:
    return json_text(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


_WRITTEN: dict[str, Callable[[list[Run]], str]] = {
    "text": _text,
    "markdown": markdown,
    "json": _json,
    "sarif": _sarif,
    "html": html,
}


def _print(runs: list[Run]) -> None:
    """Prints to the terminal, in colour if it is one; file names and layers are not markup."""
    from rich.console import Console  # 40 ms, and JSON does not need it

    console = Console(highlight=False, soft_wrap=True)
    for line in _text(runs).split("\n"):
        console.print(line, style=_style(line), markup=False, emoji=False)


def _style(line: str) -> str:
    """Returns the colour of a line: that of the severity whose sign it begins with."""
    colours = {"critical": "bold red", "warn": "yellow", "ok": "bold green", "watch": "cyan"}
    sign = line.strip()[:2]
    for severity, colour in colours.items():
        if sign == f"{report.SIGNS[severity]} ":
            return colour
    if line.startswith(("  Try first:", "  Chain:")):
        return "bold"
    return "dim" if sign[:1] in ("○", "–") or (line and line[0] != " ") else ""


if __name__ == "__main__":
    sys.exit(main())
