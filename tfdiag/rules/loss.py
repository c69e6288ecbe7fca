"""The loss curve itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfdiag.data import Labels
from tfdiag.rules.accuracy import accuracy_name, answers_nan, standard_error
from tfdiag.rules.beginning import FIRST_ANSWERS, errs_surely
from tfdiag.rules.constant import guessing, is_comparable, is_of_classes
from tfdiag.rules.curves import measured
from tfdiag.rules.ending import data_of, ending
from tfdiag.rules.progress import judged_from, progress
from tfdiag.rules.rates import tenth
from tfdiag.rules.rule import CannotJudge, NotApplicable, rule
from tfdiag.rules.wording import apart, number
from tfdiag.trace import Finding, Trace


@rule(
    id="loss-not-decreasing",
    title="Loss does not decrease",
    needs=(("probe_loss", "loss", "epoch_loss"),),
    advice=(
        "Check that the model can learn ten samples by heart; if not, look at data and loss.",
        "Try a learning rate ten times larger, then ten times smaller.",
        "Check that the last activation fits the loss: softmax or from_logits=True, not both.",
    ),
    why="The model is no better than at its start.",
    source="CS231n, https://cs231n.github.io/neural-networks-3/#loss; the limits are heuristics",
    verdict="Loss stuck since step {step}",
    shares=("fall", "chance", "spent"),
    below=("fall", "chance"),
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
    """Finds a loss that never fell. One that fell and came back is loss-blowup's finding.

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
    if loss.state != "stuck" or math.isnan(loss.last):
        return
    wait = judged_from(trace, spent=spent, longest=longest)
    if trace.planned_steps and trace.steps[-1] < wait:
        raise CannotJudge(f"the loss has not fallen yet; judged from step {math.ceil(wait)} on")
    of = "probe loss" if loss.series == "probe_loss" else "training loss"
    now, then = apart(loss.last, loss.first)
    differ = now != then
    yield Finding(
        severity="warn",
        step=loss.since,
        message=f"The {of} is {now}{f', was {then} at first,' if differ else ''} and does not fall "
        f"since step {loss.since}.",
        evidence=f"loss {now}, was {then}" if differ else f"loss {now} since step {loss.since}",
        value=loss.last,
        limit=loss.first,
        metric=loss.series,
    )


@rule(
    id="loss-blowup",
    title="Loss blew up",
    needs=(("loss", "probe_loss"),),
    advice=(
        "Lower the learning rate by a factor of ten.",
        "Clip gradients: clipnorm=1.0 in the optimizer.",
        "Warm the learning rate up over the first hundred steps.",
        "Look at the batches of that time: one may hold extreme values.",
    ),
    why="What the model had learned is lost, and the next steps start from a worse place.",
    source="TheDeepChecker, https://doi.org/10.1145/3529318, ratio 2; the other limits are "
    "heuristics",
    verdict="Loss blew up, step {step}",
    code=tenth,
)
def loss_blowup(
    trace: Trace, *, extreme: float = 10.0, patience: int = 6, warm_up: int = 100
) -> Iterator[Finding]:
    """Finds a loss that had fallen and is at more than twice its best again.

    Three smoothed records in a row, above the noise, and not while the loss is below half of its
    start: a loss near zero may double and mean nothing. A learning rate that rises may pass a
    hill on purpose (a warm-up, a cycle) and is not judged. While the training loss falls, a
    probe loss that rises is overfitting.

    Args:
        extreme: times its best and its start, from which the run has diverged: critical. Source:
            heuristic, no source.
        patience: records of the probe loss that it takes; of the noisier batch loss, 10 or more.
        warm_up: optimizer steps before which nothing is said. Source: heuristic; TheDeepChecker
            has 10, in which Adam at a usual rate may still climb.

    Raises:
        CannotJudge: if it is too early, the loss is negative or too noisy, or its learning rate
            still rises.
    """
    loss = progress(trace, records=patience, warm_up=warm_up)
    if loss.state == "unknown":
        raise CannotJudge(loss.reason)
    if loss.state != "worse" or math.isnan(loss.last):  # nan: nonfinite-loss
        return
    of = "probe loss" if loss.series == "probe_loss" else "training loss"
    lost = loss.last > extreme * max(loss.best, 1e-30) and loss.last > loss.first
    now, best = apart(loss.last, loss.best)
    yield Finding(
        severity="critical" if lost else "warn",
        step=loss.since,
        message=f"The {of} is {now}, was {best} at its best, and stays above twice its best since "
        f"step {loss.since}.",
        evidence=f"loss {now}, best {best}",
        value=loss.last,
        limit=2 * loss.best,
        metric=loss.series,
    )


@rule(
    id="loss-oscillation",
    title="Loss oscillates",
    needs=("probe_loss",),
    advice=(
        "Lower the learning rate by a factor of three to ten.",
        "Let the learning rate decay: ReduceLROnPlateau, or a schedule.",
        "Use a larger batch, or less momentum.",
    ),
    why="Steps jump over the valley instead of going down into it.",
    source="AUTOTRAINER, https://doi.org/10.1109/ICSE43902.2021.00043; TheDeepChecker, "
    "https://doi.org/10.1145/3529318",
    verdict="Loss jumps since {step}",
    code=tenth,
    shares=("turns",),
)
def loss_oscillation(
    trace: Trace,
    *,
    turns: float = 0.5,
    amplitude: float = 0.05,
    patience: int = 20,
    warm_up: int = 200,
) -> Iterator[Finding]:
    """Finds a probe loss that goes up and down instead of falling.

    Only the probe loss: its samples stay the same, so small batches and dropout do not move it;
    and only while the model has not learned and does not improve, for near zero a share of the
    loss is nothing. A learning rate that moves up and down makes the loss do so on purpose.

    Args:
        turns: share of the records at which the loss turns. Source: TheDeepChecker, 0.5.
        amplitude: median change from record to record, as a share of the loss. Source: heuristic;
            AUTOTRAINER asks for 0.03 of accuracy.
        patience: last records of the probe loss that are judged. Source: heuristic;
            TheDeepChecker takes 50, which probe sets are rarely looked at.
        warm_up: optimizer steps before which nothing is said.

    Raises:
        CannotJudge: if the loss is negative, or the learning rate rises again and again.
    """
    steps, values = measured(trace, "probe_loss")
    if values.min() < 0:
        raise CannotJudge("a negative loss has no scale to judge it by")
    if _rate_cycles(trace, steps[-patience:][0]):
        raise CannotJudge("the learning rate rises again and again")
    swing = jumps(trace, turns=turns, amplitude=amplitude, patience=patience, warm_up=warm_up)
    if swing is None or progress(trace).state in ("improving", "learned"):
        return
    yield Finding(
        severity="watch",
        step=swing.step,
        message=f"The probe loss turned at {swing.turns:.0%} of the last {patience} records (limit "
        f"{turns:.0%}) and moves by {swing.size:.0%} of itself from one to the next (limit "
        f"{amplitude:.0%}).".replace("%", " %"),
        evidence=f"moves {swing.size:.0%} > {amplitude:.0%}".replace("%", " %"),
        value=swing.size,
        limit=amplitude,
        metric="probe_loss",
    )


class Swing(NamedTuple):
    """How a loss goes up and down: since which step, the share of turns, by what share, where."""

    step: int
    turns: float
    size: float
    level: float


def jumps(
    trace: Trace,
    *,
    turns: float = 0.5,
    amplitude: float = 0.05,
    patience: int = 20,
    warm_up: int = 200,
) -> Swing | None:
    """Returns how the probe loss goes up and down, None if it does not or that cannot be told.

    It cannot of few records, nor of a negative loss, which has no scale.

    Args:
        turns: as in loss-oscillation, like the others.
    """
    steps, values = measured(trace, "probe_loss")
    steps, values = steps[steps > warm_up][-patience:], values[steps > warm_up][-patience:]
    if len(values) < patience or values.min() < 0:
        return None
    change = np.diff(values)
    turning = float((change[1:] * change[:-1] < 0).mean())
    level = float(values.mean())
    size = float(np.median(np.abs(change)) / max(level, 1e-30))
    found = turning > turns and size > amplitude
    return Swing(int(steps[0]), turning, size, level) if found else None


def _rate_cycles(trace: Trace, since: int) -> bool:
    steps, rates = measured(trace, "learning_rate")
    return bool((np.diff(rates[steps >= since]) > 0).sum() > 1)


@rule(
    id="initial-loss",
    title="Initial loss",
    needs=(("probe_loss", "loss"),),
    uses=FIRST_ANSWERS,
    advice=(
        "Scale the inputs to mean 0 and deviation 1.",
        "Use the initializer that fits the activation, and no large biases in the last layer.",
        "Check that the last activation fits the loss: softmax or from_logits=True, not both.",
    ),
    why="An untrained model should guess; one that is sure and wrong first unlearns for long.",
    source="CS231n, https://cs231n.github.io/neural-networks-3/#sanitycheck; TheDeepChecker, "
    "https://doi.org/10.1145/3529318",
    verdict="High loss at the start",
    code="x = (x - x_train.mean(axis=0)) / (x_train.std(axis=0) + 1e-7)",
)
def initial_loss(trace: Trace, *, times: float = 2.0) -> Iterator[Finding]:
    """Finds a classifier that starts worse than a guess among equally likely classes.

    Only watched, and no longer once the loss falls: class weights, regularization and smoothed
    labels raise it too. A warning if the model is still no better than a guess later on, or if
    its answers were sure from the start and it has not come down to a guess yet. A low one is not
    spoken of: that is fine-tuning, or biases that were set to the classes' shares.

    Args:
        times: the loss of a guess. Source: TheDeepChecker, whose deviation of 1.0 is twice it.

    Raises:
        NotApplicable: if the loss of a guess is not known, as in a regression.
        CannotJudge: if the first loss was not recorded.
    """
    guess = guessing(trace.architecture)
    if guess is None:
        raise NotApplicable("the loss of a guess is not known")
    for name in ("probe_loss", "loss"):
        values = np.asarray(trace.series.get(name, ()), dtype=np.float64)
        rows = np.flatnonzero(np.isfinite(values))
        if len(rows) and trace.steps[rows[0]] <= 1:
            break
    else:
        raise CannotJudge("no loss was recorded at the first step")
    first, loss = float(values[rows[0]]), progress(trace)
    errs = errs_surely(trace, times=times)
    if first <= times * guess or (loss.state in ("improving", "learned") and not errs):
        return
    yield Finding(
        severity="warn" if errs or (loss.state == "lost" and is_comparable(trace)) else "watch",
        step=int(trace.steps[rows[0]]),
        message=f"The loss starts at {number(first)}, a guess would have {number(guess)} (limit "
        f"{number(times * guess)}); {loss.text}.",
        evidence=f"{number(first)} > {number(times * guess)}",
        value=first,
        limit=times * guess,
        metric=name,
    )


@rule(
    id="no-better-than-guess",
    title="No better than a guess",
    needs=("probe_loss",),
    advice=(
        "Check that the model can learn ten samples by heart; if not, look at data and loss.",
        "Check that inputs and labels still belong together: shuffle them only as pairs.",
        "Try a learning rate ten times larger, then ten times smaller.",
    ),
    why="Who knows how frequent each class is, and nothing else, does as well as the model.",
    source="CS231n, https://cs231n.github.io/neural-networks-3/#sanitycheck; the limits are "
    "heuristics",
    verdict="No better than a guess",
    shares=("margin", "largest", "spent"),
    below=("margin",),
    reached=("margin",),
    at_end=True,
)
def no_better_than_guess(
    trace: Trace,
    *,
    margin: float = 0.02,
    deviations: float = 3.0,
    samples: int = 100,
    largest: float = 0.8,
    patience: int = 3,
    warm_up: int = 200,
    spent: float = 0.5,
    longest: int = 2000,
) -> Iterator[Finding]:
    """Finds a classifier that has learned nothing by the middle of its training.

    Its loss on the probe set is that of always saying how frequent each class is, or higher, and
    its accuracy is that of always saying the most frequent one. Both, since a model that overfits
    may have the first, and one of rare classes the second, and be of use. Not judged are smoothed
    labels and several labels per sample, whose loss is not that of one class.

    Args:
        margin: share of the guess's loss by which the loss must be lower to count. Source:
            heuristic, no source.
        deviations: standard errors of the probe set's accuracy within which it is a guess's.
            Source: heuristic, three sigma.
        samples: of the probe set that it takes to tell.
        largest: share of the most frequent class above which its accuracy says too little. Source:
            heuristic, no source.
        patience: records of the probe loss in a row, up to the last one.
        warm_up: optimizer steps before the first record that counts towards `patience`.
        spent: share of the planned training before which nothing is said. Source: heuristic;
            AUTOTRAINER has 0.3 for a loss that does not fall.
        longest: steps after which that is said all the same. Source: heuristic, no source.

    Raises:
        NotApplicable: if the model is no classifier of Keras' cross-entropy, or has no accuracy.
        CannotJudge: if too little is known, or a model that guesses may still learn.
    """
    labels = _guessed_labels(trace, largest, samples)
    rows, losses, accuracies = _loss_and_accuracy(trace, patience, warm_up)
    shares = np.array(labels.shares)
    guess = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    luck = standard_error(labels.largest, trace.probe_samples)
    as_guess = (losses >= (1 - margin) * guess) & (
        np.abs(accuracies - labels.largest) <= deviations * luck
    )
    if not as_guess[-patience:].all():
        return
    wait = judged_from(trace, spent=spent, longest=longest)
    if trace.steps[-1] < wait:
        raise CannotJudge(f"it is a guess as yet; judged from step {math.ceil(wait)} on")
    better = np.flatnonzero(~as_guess)
    step = int(trace.steps[rows[better[-1] + 1 if len(better) else 0]])
    yield Finding(
        severity="warn",
        step=step,
        message=f"The probe loss is {number(losses[-1])}, a guess by the classes' shares has "
        f"{number(guess)}; the accuracy is {accuracies[-1]:.0%}, the most frequent class has "
        f"{labels.largest:.0%}.".replace("%", " %"),
        evidence=f"loss {number(losses[-1])}, a guess has {number(guess)}",
        value=float(losses[-1]),
        limit=guess,
        metric="probe_loss",
    )


def _guessed_labels(trace: Trace, largest: float, samples: int) -> Labels:
    """Returns the labels of a classifier, if one who guesses them can be told from one who knows.

    Raises:
        NotApplicable: if they are none of a single class each, or the loss is not its probability.
        CannotJudge: if nearly all are of one class, or there are too few.
    """
    data, end = data_of(trace), ending(trace)  # of a model with one output and its labels
    labels = data.labels[0]
    options = trace.architecture.loss_options or {}
    other = options.get("label_smoothing") or options.get("ignore_class") is not None
    if other or not is_of_classes(end, labels):
        raise NotApplicable("only a classifier with cross-entropy is compared with a guess")
    if not labels.largest <= largest:
        raise CannotJudge(f"{labels.largest:.0%} of the probe set are one class".replace("%", " %"))
    if trace.probe_samples < samples:
        raise CannotJudge(f"{trace.probe_samples} of {samples} probe samples: too few to tell")
    return labels


def _loss_and_accuracy(
    trace: Trace, patience: int, warm_up: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the rows with both measured on the probe set, and the two there.

    Raises:
        NotApplicable: if there is no accuracy.
        CannotJudge: if they are too few, or of a model that answers with NaN by now.
    """
    accuracy = accuracy_name(trace)
    if accuracy is None:
        raise NotApplicable("no accuracy is measured on the probe set")
    if answers_nan(trace):
        raise CannotJudge("the model's outputs are not finite")
    both = np.stack([trace.series["probe_loss"], trace.series[accuracy]])
    rows = np.flatnonzero(np.isfinite(both).all(axis=0))
    if (trace.steps[rows] > warm_up).sum() < patience:
        raise CannotJudge(f"fewer than {patience} records of the accuracy after step {warm_up}")
    return rows, *both[:, rows]
