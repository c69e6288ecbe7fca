"""Measures what looking into a network costs: tfdiag and its peers against bare training.

In each round a workload is trained bare and by each contender, each run in a fresh process on one
core, every other round in the opposite order; `measurement.py` says what is measured there, and why
so. The row "bare again" says what the machine itself spreads. What disturbs a run only adds to its
time, so the least of all rounds against the least of the bare ones says most. From the repository's
root:

    python -m benchmarks.overhead --workload cnn --rounds 11

All workloads take hours; each `--workload` and `--contender` can be run alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.contenders import BARE, CONTENDERS, Contender
from benchmarks.measurement import Measurement
from benchmarks.workloads import EPOCHS, WORKLOADS, Workload

#: Seconds after which a run is given up.
PATIENCE_SECONDS = 1200

#: A bare run and the contender's run of the same round.
Pair = tuple[Measurement, Measurement]


class DoesNotRunError(Exception):
    """A contender cannot train a workload; the message says why, in one line."""


def run(workload: Workload, contender: Contender, steps: int) -> Measurement:
    """Returns what a fresh process measures.

    Raises:
        DoesNotRunError: if the contender fails on this workload.
    """
    arguments = (workload.name, contender.name, str(steps))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "benchmarks.measurement", *arguments, folder]
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=PATIENCE_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise DoesNotRunError(f"not done after {PATIENCE_SECONDS} s") from error
        errors.seek(0)
        last_words = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
    if done.returncode:
        raise DoesNotRunError(f"exit code {done.returncode}: {last_words}")
    found = json.loads(done.stdout.splitlines()[-1])
    if "failed" in found:
        raise DoesNotRunError(" ".join(found["failed"].split()))
    return Measurement(**found)


def round_of(
    workload: Workload, contenders: list[Contender], steps: int, number: int, failed: dict[str, str]
) -> dict[str, Pair]:
    """Runs bare and each contender once; what does not run is added to `failed`, and left out."""
    order = [None, *(one for one in contenders if one.name not in failed)]
    took: dict[str | None, Measurement] = {}
    for contender in order if number % 2 == 0 else reversed(order):
        name = contender.name if contender else None
        try:
            took[name] = run(workload, contender or BARE, steps)
        except DoesNotRunError as error:
            if contender is None:
                raise
            failed[contender.name] = str(error)
            print(f"{workload.name} {name}: {error}", file=sys.stderr)
    bare = took.pop(None)
    pairs = {str(name): (bare, other) for name, other in took.items()}
    for name, (_, other) in pairs.items():
        ratio = other.run_seconds / bare.run_seconds
        print(f"{workload.name} {number} {name}: {ratio:.3f}", file=sys.stderr)
    return pairs


def table(
    workload: Workload,
    steps: int,
    found: dict[str, list[Pair]],
    failed: dict[str, str],
) -> str:
    """Returns the Markdown of one workload: a caption and a row for each contender."""
    bare = [pair[0] for pairs in found.values() for pair in pairs]
    most = max(map(len, found.values()), default=0)
    lines = []
    if bare:
        step = 1000 * EPOCHS * statistics.median(m.epoch_seconds for m in bare) / steps
        peak = statistics.median(m.peak_bytes for m in bare) / 2**20
        lines = [
            f"**{workload.name}**: {workload.about}, {_parameters(bare[0].parameters)} parameters; "
            f"bare {step:.3g} ms CPU per step and {peak:.0f} MiB; "
            f"{EPOCHS} epochs of {steps // EPOCHS} steps, {most} rounds",
            "",
        ]
    lines += [
        "| contender | CPU time of the run against bare, median (min to max) "
        "| least against least | of the later epochs | paid once, CPU s | extra peak memory, MiB "
        "| written per 1000 steps, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for contender in CONTENDERS:
        if contender.name in failed:
            lines.append(
                f"| {contender.title} | does not run: {failed[contender.name]} | | | | | |"
            )
        elif found.get(contender.name):
            lines.append(f"| {contender.title} | {_row(found[contender.name], steps)} |")
    return "\n".join(lines)


def _row(pairs: list[Pair], steps: int) -> str:
    once = statistics.median(other.once_seconds - bare.once_seconds for bare, other in pairs)
    memory = statistics.median(other.peak_bytes - bare.peak_bytes for bare, other in pairs)

    def least(of: int) -> float:
        return min(pair[of].run_seconds for pair in pairs)

    written = statistics.median(other.written_bytes for _, other in pairs) / steps * 1000
    cells = (
        _spread([other.run_seconds / bare.run_seconds for bare, other in pairs]),
        f"{least(1) / least(0):.3f}",
        _spread([other.epoch_seconds / bare.epoch_seconds for bare, other in pairs]),
        f"{once:+.2f}",
        f"{memory / 2**20:+.0f}",
        f"{written / 1e6:.3g}",
    )
    return " | ".join(cells)


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def _parameters(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k"


def benchmark(workload: Workload, contenders: list[Contender], rounds: int, steps: int) -> str:
    """Returns the table of one workload."""
    found: dict[str, list[Pair]] = {contender.name: [] for contender in contenders}
    failed: dict[str, str] = {}
    run(workload, BARE, EPOCHS * 2)  # brings what is on the disk into memory
    try:
        for number in range(rounds):
            for name, pair in round_of(workload, contenders, steps, number, failed).items():
                found[name].append(pair)
    except KeyboardInterrupt:
        print("Interrupted: the table has what is there.", file=sys.stderr)
    return table(workload, steps, found, failed)


def main() -> None:
    """Prints a table for each workload."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="runs of each (default: as the workload says)")
    parser.add_argument(
        "--steps", type=int, help="training steps of a run (default: as the workload says)"
    )
    parser.add_argument(
        "--workload",
        action="append",
        choices=[w.name for w in WORKLOADS],
        help="only this one; may be given again (default: all)",
    )
    parser.add_argument(
        "--contender",
        action="append",
        choices=[c.name for c in CONTENDERS],
        help="only this one; may be given again (default: all)",
    )
    options = parser.parse_args()
    if options.steps is not None and (options.steps < EPOCHS or options.steps % EPOCHS):
        parser.error(f"--steps must be a multiple of {EPOCHS}: a run has so many equal epochs")
    if hasattr(os, "sched_setaffinity"):  # the processes that we start stay on this core too
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    contenders = [c for c in CONTENDERS if c.name in (options.contender or [c.name])]
    for workload in WORKLOADS:
        if workload.name in (options.workload or [workload.name]):
            rounds = options.rounds or workload.rounds
            steps = options.steps or workload.steps
            print(benchmark(workload, contenders, rounds, steps), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
