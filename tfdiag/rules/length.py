"""Whether training went on for long enough."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.rules.constant import constant_loss, is_regularized
from tfdiag.rules.curves import came_to_its_end, finite, fit_epochs, is_whole, measured
from tfdiag.rules.guess import no_better_than_constant
from tfdiag.rules.loss import no_better_than_guess
from tfdiag.rules.progress import progress
from tfdiag.rules.rates import finite_rates
from tfdiag.rules.rule import CannotJudge, NotApplicable, rule
from tfdiag.rules.wording import number, share
from tfdiag.trace import Finding, Trace

#: Share of the training that is its end, and that before which it is compared with.
_END = 0.2


@rule(
    id="stopped-early",
    title="Stopped while it improved",
    needs=("probe_loss", "loss"),
    advice=(
        "Train for more epochs, until the held-out loss has not fallen for some.",
        "Let EarlyStopping find the end: many epochs, patience=5, restore_best_weights=True.",
        "If time is short, raise the learning rate, or let it decay to 0 by the last step.",
    ),
    why="The model would be better after more steps of the same kind.",
    source="Godbole et al. (2023), Deep Learning Tuning Playbook, "
    "https://github.com/google-research/tuning_playbook: train longer if the best step is near "
    "the end; the limits are heuristics",
    verdict="Stopped while it improved",
    watch="If this was the last `fit`, train for more epochs.",
    shares=("late", "decayed"),
    below=("decayed",),
)
def stopped_early(
    trace: Trace, *, late: float = 0.1, fell: float = 0.05, decayed: float = 0.5, few: int = 3
) -> Iterator[Finding]:
    """Finds a training that came to its planned end while its loss fell as fast as ever.

    Both that on the probe set and that in training. At an even pace a fifth of the fall would be
    in the last fifth; half of that counts. The fall is that from the loss of the best constant,
    where it is known: coming down to it is no learning yet. But of a loss that ends above that, the
    whole fall counts: it did not even come so far. Who stops earlier than planned, or
    lets the learning rate decay, chose the end; long trainings, of which each step gains a little,
    have most of their fall in their beginning. Only watched after `few` epochs, for many a useful
    model would still gain a little then, and once a `fit` has followed another, since one more may
    come.

    Args:
        late: share of the fall that is in the last fifth. Source: heuristic, no source.
        fell: share of its start by which the loss must have fallen: a slower one has another
            cause than too few steps. Source: TheDeepChecker, 0.05.
        decayed: times the highest learning rate below which the rate has decayed.
        few: epochs from which on it is only watched. Source: UMLAUT waits for its third epoch
            before it speaks of accuracies.

    Raises:
        NotApplicable: if it is not known when training was to end, the learning rate decays, the
            loss contains regularization, or most of the training is not in this recording.
    """
    if not trace.planned_steps:
        raise NotApplicable("it is not known when training was to end")
    rates = finite_rates(trace)
    if len(rates) and rates[-1] < decayed * rates.max():
        raise NotApplicable("the learning rate decays towards the end")
    if trace.steps[-1] < trace.planned_steps:
        return
    if trace.planned_steps - trace.steps[0] < trace.planned_steps / 2:
        raise NotApplicable("less than half of the training was recorded")
    if is_regularized(trace):
        raise NotApplicable("the loss contains regularization, whose fall is no learning")
    try:
        constant = constant_loss(trace)
    except (CannotJudge, NotApplicable):
        constant = np.inf
    gained = min(_late(trace, name, constant, fell) for name in ("probe_loss", "loss"))
    if not gained >= late or progress(trace).poor:
        return
    last = finite(trace, "probe_loss")[-1]
    yield Finding(
        severity="warn" if is_whole(trace) and _epochs(trace) < few else "watch",
        step=int(trace.steps[-1]),
        message=f"The training ended at step {trace.steps[-1]} with a probe loss of "
        f"{number(last)}; {share(gained)} of all that was gained came in the last fifth "
        f"(limit {share(late)}).",
        evidence=f"{share(gained)} in the last fifth",
        value=gained,
        limit=late,
        metric="probe_loss",
    )


def may_go_on(finding: Finding, trace: Trace) -> bool:
    """Returns whether a finding is about the end of a `fit` of one epoch, and this has come.

    In a loop of them the next one may tell otherwise.
    """
    of_one_epoch = came_to_its_end(trace) and fit_epochs(trace) <= 1
    return of_one_epoch and finding.rule in _ABOUT_THE_END


_ABOUT_THE_END = (stopped_early.id, no_better_than_guess.id, no_better_than_constant.id)


def _epochs(trace: Trace) -> int:
    return len(finite(trace, "epoch"))


def _late(trace: Trace, name: str, constant: float, fell: float) -> float:
    """Returns the share of a loss's fall that is in the last fifth of the training.

    0 if it did not fall by the share `fell` below its start and the constant, or its start alone
    if it ends above the constant.
    """
    steps, values = measured(trace, name)
    whole = np.linspace(steps[0], steps[-1], 101)
    curve = np.interp(whole, steps, values)
    size = round(100 * _END)
    last, before = curve[-size:].mean(), curve[-2 * size : -size].mean()
    start = min(float(values[0]), constant) if values[-1] < constant else float(values[0])
    fall = start - last
    return min(float(before - last) / fall, 1.0) if fall > fell * start > 0 else 0.0
