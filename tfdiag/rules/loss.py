"""The loss curve itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tfdiag.rules.progress import progress
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.wording import apart
from tfdiag.trace import Finding, Trace


@rule(
    id="loss-not-decreasing",
    title="Loss does not decrease",
    needs=(("probe_loss", "loss"),),
    advice=(
        "Check that the model can learn ten samples by heart; if not, look at data and loss.",
        "Try a learning rate ten times larger, then ten times smaller.",
        "Check that the last activation fits the loss: softmax or from_logits=True, not both.",
    ),
    why="The model is no better than at its start.",
    source="CS231n, https://cs231n.github.io/neural-networks-3/#loss; the limits are heuristics",
    verdict="Loss stuck since step {step}",
    shares=("fall", "chance", "spent"),
)
def loss_not_decreasing(
    trace: Trace,
    *,
    fall: float = 0.03,
    chance: float = 0.015,
    patience: int = 6,
    warm_up: int = 200,
    spent: float = 0.3,
    longest: int = 1000,
) -> Iterator[Finding]:
    """Finds a loss that never fell, or fell and came back.

    Says nothing of a run that converged (the loss is at most half of its start, or of
    chance, or accuracy is 0.9), of a noisy loss whose trend is not proven, of negative
    losses, of a learning rate that warms up, of a plateau after a real fall, or of a bad probe
    loss while the training loss falls (overfitting).

    Args:
        fall: share of its start by which the loss must fall to count as learning. Source:
            TheDeepChecker has 0.05, which hard but learnable tasks miss.
        chance: share within which the loss is that of a guess among equally likely classes.
            Source: heuristic, no source.
        patience: records of the loss that it takes; of the noisier batch loss, 10 or more.
        warm_up: optimizer steps before which nothing is said.
        spent: share of the planned training before which a loss that never fell is not
            held against the run: some sit at chance for long and learn then. Source: AUTOTRAINER.
        longest: steps after which that is said all the same. Source: heuristic, no source.

    Raises:
        CannotJudge: if the loss is too noisy, negative, its learning rate still rises, or
            it is too early.
    """
    loss = progress(trace, records=patience, warm_up=warm_up, fall=fall, chance=chance)
    if loss.state == "unknown":
        raise CannotJudge(loss.reason)
    if loss.state not in ("stuck", "worse") or math.isnan(loss.last):
        return
    wait = min(spent * trace.planned_steps, longest)
    if loss.state == "stuck" and trace.steps[-1] < wait:
        raise CannotJudge(f"the loss has not fallen yet; judged from step {math.ceil(wait)} on")
    of = "probe loss" if loss.series == "probe_loss" else "training loss"
    was = loss.first if loss.state == "stuck" else loss.best
    word = "at first" if loss.state == "stuck" else "at its best"
    now, then = apart(loss.last, was)
    differ = now != then
    yield Finding(
        severity="warn",
        step=loss.since,
        message=f"The {of} is {now}{f', was {then} {word},' if differ else ''} and does not fall "
        f"since step {loss.since}.",
        evidence=f"{now}, was {then}" if differ else f"{now} since step {loss.since}",
        value=loss.last,
        limit=was,
        metric=loss.series,
    )
