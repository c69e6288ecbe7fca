"""Measures how often tfdiag is right: known faults, seeded into healthy programs.

Each program is trained healthy and with each published fault that it has a place for, one at a
time. From the repository's root:

    python -m benchmarks.faults --quick
    python -m benchmarks.faults --programs mlp,cnn --out results.json
    python -m benchmarks.faults --judge-only --thresholds '{"dead-relu": {"patience": 3}}'

Runs are kept and trained once. Interrupted or out of `--minutes`, it reports what is there, and
goes on from there when it is started again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.operators import OPERATORS, Operator
from benchmarks.faults.programs import PROGRAMS, Program
from benchmarks.faults.results import Results, markdown, to_json
from benchmarks.faults.runs import folder, kept, monitor_fingerprint, train_many
from benchmarks.faults.scores import sort
from benchmarks.faults.verdicts import Thresholds, Verdict, judge

CACHE = Path(__file__).parent / "cache"
QUICK_PROGRAMS = "mlp,regression,imbalanced"
QUICK_OPERATORS = "rate-huge,rate-low,init-zeros,bias-dead,inputs-nan,output-softmax-of-one"

Plan = tuple[Program, Operator | None, int]


def plan(options: argparse.Namespace) -> Iterator[Plan]:
    """Yields the runs, healthy ones first, since what hurts is measured by them."""
    programs = chosen(options.programs, PROGRAMS, "--programs")
    operators = chosen(options.operators, OPERATORS, "--operators")
    for seed in range(options.healthy_seeds):
        yield from ((program, None, seed) for program in programs)
    for seed in range(options.seeds):
        for program in programs:
            yield from ((program, operator, seed) for operator in operators)


def chosen(names: str | None, available: list, option: str) -> list:
    """Returns what is named, in the order of `available`; all of it if `names` is None."""
    if names is None:
        return available
    wanted = names.split(",")
    unknown = sorted(set(wanted) - {item.name for item in available})
    if unknown:
        known = ", ".join(item.name for item in available)
        sys.exit(f"{option} names {', '.join(unknown)}, but there are {known}.")
    return [item for item in available if item.name in wanted]


def train_all(planned: list[Plan], options: argparse.Namespace) -> None:
    """Trains what is not kept yet, until time is up."""
    places = [folder(options.cache, *item) for item in planned]
    left = [
        (*item, place)
        for item, place in zip(planned, places, strict=True)
        if options.retrain or kept(place) is None
    ]
    number = 0
    for number, run in enumerate(train_many(left, options.processes, options.minutes), 1):
        outcome = run.failed or (f"score {run.score}" if run.applicable else "no place for it")
        name = f"{run.program} {run.operator or 'healthy'} {run.seed}"
        text = f"[{number}/{len(left)}] {name}: {outcome}, {run.seconds:.1f} s"
        print(text, file=sys.stderr, flush=True)
    if number < len(left):
        print(f"Time is up; {len(left) - number} runs are not trained.", file=sys.stderr)


def judge_all(planned: list[Plan], cache: Path, thresholds: Thresholds | None) -> Results:
    """Judges the runs that are kept."""
    verdicts: list[Verdict] = []
    failed, stale, seconds = [], 0, 0.0
    monitor = monitor_fingerprint()
    for program, operator, seed in planned:
        place = folder(cache, program, operator, seed)
        run = kept(place)
        if run is None or not run.applicable:
            continue
        seconds += run.seconds
        stale += run.monitor != monitor
        if run.failed:
            failed.append(f"{run.program}, {run.operator}, seed {run.seed}: {run.failed}")
        else:
            verdicts.append(judge(run, place, thresholds))
    folds = {program.name: program.fold for program in PROGRAMS}
    references = {program.name: program.reference for program in PROGRAMS}
    of_fold = {
        fold: sort((v for v in verdicts if folds[v.run.program] in fold), references)
        for fold in ("A", "B", "A and B")
    }
    kinds = {operator.name: operator.kinds for operator in OPERATORS}
    return Results(of_fold, kinds, failed, stale, seconds)


def arguments() -> argparse.Namespace:
    """Returns what is asked for on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="three programs, six faults, one seed")
    add("--programs", help="names, with commas between them (default: all)")
    add("--operators", help="names of faults, with commas between them (default: all)")
    add("--seeds", type=int, default=1, help="trainings of each fault (default: 1)")
    add("--healthy-seeds", type=int, default=5, help="healthy trainings (default: 5)")
    add("--minutes", type=float, default=55.0, help="no training is begun later (default: 55)")
    add("--processes", type=int, default=os.cpu_count(), help="at once (default: one per core)")
    add("--judge-only", action="store_true", help="judge what is kept; train nothing")
    add("--thresholds", type=json.loads, help="rule to threshold to number, as JSON")
    add("--retrain", action="store_true", help="train again what is kept")
    add("--cache", type=Path, default=CACHE, help="folder of the runs (default: beside this file)")
    add("--out", type=Path, help="write figures and verdicts to this file, as JSON")
    options = parser.parse_args()
    if options.quick:
        options.programs = options.programs or QUICK_PROGRAMS
        options.operators = options.operators or QUICK_OPERATORS
        options.seeds = options.healthy_seeds = 1
    return options


def main() -> None:
    """Trains, judges, reports."""
    options = arguments()
    planned = list(plan(options))
    if not options.judge_only:
        try:
            train_all(planned, options)
        except KeyboardInterrupt:
            print("Interrupted: the report has what is there.", file=sys.stderr)
    results = judge_all(planned, options.cache, options.thresholds)
    if options.out:
        options.out.write_text(json.dumps(to_json(results), indent=1) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
