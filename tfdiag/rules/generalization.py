"""How the model does on data that it is not trained on, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfdiag.rules.accuracy import accuracy, accuracy_name, standard_error
from tfdiag.rules.constant import constant_loss, frequent
from tfdiag.rules.curves import epoch_ends, is_over, per_epoch
from tfdiag.rules.ending import data_of, ending
from tfdiag.rules.rule import CannotJudge, NotApplicable, rule
from tfdiag.rules.wording import count, number, share
from tfdiag.trace import Finding, Trace

_HELD_OUT = (("probe_loss", "val_loss"), ("loss", "epoch_loss"))
_STOP = "keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)"


@rule(
    id="overfitting",
    title="Overfitting",
    needs=_HELD_OUT,
    advice=(
        "Stop at the best epoch and keep its weights.",
        "Use more data, or augment what there is.",
        "Add Dropout or weight decay, or make the model smaller.",
    ),
    why="The model learns its training samples by heart and gets worse on all others.",
    source="SageMaker Debugger, Overfit, ratio_threshold 0.1; UMLAUT, "
    "https://doi.org/10.1145/3411764.3445538",
    verdict="Overfits since step {step}",
    code=_STOP,
    watch="Stop here, or keep the weights of the best epoch: EarlyStopping.",
)
def overfitting(
    trace: Trace,
    *,
    gap: float = 0.1,
    rise: float = 0.05,
    harm: float = 0.5,
    slip: float = 0.01,
    apart: float = 0.2,
    epochs: int = 3,
) -> Iterator[Finding]:
    """Finds a loss on held-out data that rises while the training loss falls.

    A gap alone proves nothing: dropout, augmentation and the mean over an epoch move the training
    loss, and a tiny one makes every ratio huge. So the held-out loss must have risen from its
    best by more than its noise, in epochs in a row up to the last one. It is over when the loss
    is back within `rise` of its best. Many a healthy run ends a little above its best, and one that
    is only more sure of its few errors answers as well as before: these are only watched, unless
    the training samples are answered far better.

    Args:
        gap: held-out loss above the training loss, as a share of the latter. Source: SageMaker
            Debugger, Overfit, 0.1.
        rise: share by which the held-out loss must exceed its best. Source: heuristic, no source.
        harm: share above its best from which on it is a warning. Source: heuristic, no source.
        slip: by how much the accuracy on the same data must have fallen since then for a warning,
            where one is measured, and beyond twice its standard error. Source: heuristic, no
            source.
        apart: accuracy in training minus that on held-out data, less twice the standard error of
            the latter, from which on it is a warning whatever else. Source: NeuroScope, 0.2;
            AUTOTRAINER has 0.1, which many a useful model of hard data exceeds.
        epochs: epochs in a row, up to the last one. Source: heuristic; SageMaker Debugger takes
            1, which noise passes.

    Raises:
        CannotJudge: if there are too few epochs, or the loss is negative.
    """
    name, held, train, steps = _curves(trace, epochs + 1)
    best = int(np.argmin(held))
    risen = held > (1 + rise) * held[best] + 2 * _noise(held)
    lasting = len(held) - 1 - int(np.flatnonzero(~risen)[-1])
    if lasting < epochs or not held[-1] > (1 + gap) * train[-1]:
        return
    if not train[-epochs:].mean() < train[best]:
        return
    prefix = name.removesuffix("loss")
    held_up = _accuracy_holds(trace, prefix, int(steps[best]), slip)
    worse = held[-1] > (1 + harm) * held[best] and not held_up
    yield Finding(
        severity="warn" if worse or _accuracy_gap(trace, prefix) > apart else "watch",
        step=int(steps[best]),
        message=f"The {_words(name)} rose from {number(held[best])} at step {steps[best]} to "
        f"{number(held[-1])}, above {number((1 + rise) * held[best])} for "
        f"{count(lasting, 'epoch')}, while the training loss fell from {number(train[best])} to "
        f"{number(train[-1])}.",
        evidence=f"loss {number(held[-1])}, best {number(held[best])}",
        value=float(held[-1]),
        limit=float((1 + rise) * held[best]),
        metric=name,
    )


def _accuracy_holds(trace: Trace, prefix: str, since: int, slip: float) -> bool:
    """Returns True if the accuracy on held-out data is about what it was at a step, or better."""
    name = accuracy_name(trace, prefix)
    values = trace.series[name] if name else np.zeros(0)
    rows = np.flatnonzero(np.isfinite(values))
    if not len(rows):
        return False
    earlier = rows[trace.steps[rows] <= since]
    then = values[earlier[-1] if len(earlier) else rows[0]]
    chance = 2 * standard_error(float(then), trace.probe_samples)
    return bool(values[rows[-3:]].mean() >= then - max(slip, chance))


def _accuracy_gap(trace: Trace, prefix: str) -> float:
    """Returns by how much training is more accurate than held-out data at least, by its samples.

    0 if no accuracy is measured on both. The validation set is taken to be no smaller than the
    probe set.
    """
    name = accuracy_name(trace, prefix) or ""
    pair = name, f"epoch_{name.removeprefix(prefix)}"
    known = [np.asarray(trace.series.get(one, ()), dtype=np.float64) for one in pair]
    held, train = (values[np.isfinite(values)][-3:] for values in known)
    if not len(held) or not len(train):
        return 0.0
    chance = 2 * standard_error(float(held.mean()), trace.probe_samples)
    return float(train.mean() - held.mean()) - chance


@rule(
    id="held-out-fails",
    title="Fails on held-out data",
    needs=("probe_loss", ("loss", "epoch_loss")),
    advice=(
        "Compare how often each class occurs in both sets: a class may be missing in training.",
        "Prepare both sets in the same way: scaling, order of channels, numbering of classes.",
        "Use more data, or augment what there is.",
        "Add Dropout or weight decay, or make the model smaller.",
        "If it has BatchNormalization and few steps, lower its momentum to 0.9: in use it needs "
        "averages that have settled.",
    ),
    why="What the model has learned does not hold for the data that you will use it on.",
    source="The entropy of the classes and the variance of the targets, as the loss of the best "
    "constant; AUTOTRAINER, https://doi.org/10.1109/ICSE43902.2021.00043, and NeuroScope for a gap "
    "between accuracies; the limits are heuristics",
    verdict="Fails on held-out data",
    code="np.unique(y_train, return_counts=True)",
    shares=("learned", "apart", "gap"),
    below=("learned",),
)
def held_out_fails(
    trace: Trace,
    *,
    learned: float = 0.5,
    apart: float = 0.2,
    gap: float = 0.3,
    settle: int = 500,
    epochs: int = 3,
) -> Iterator[Finding]:
    """Finds a model that has learned its training data and fails on held-out data.

    A classifier that answers held-out samples far less often right than those in training, or a
    regression that explains far less of their variance, once that gets no better, or the training
    is over. Most such models are sure of few of their errors, so that their loss is below that of
    a constant and need not rise.

    And any model that a constant beats on held-out data.

    The constant says how frequent each class is, or the targets' mean, on the probe set, which
    must be above it; the loss in validation, where there is one, for epochs. Overfitting may do so,
    classes that are missing in training, or sets that are prepared differently. Class weights
    and regularization lift the training loss, so that it is not seen as learned. A model that
    answers held-out data nearly as well as its own has a high loss for a few sure errors: it is of
    use.

    Args:
        learned: times the constant's loss that the training loss is below. Source: heuristic.
        apart: accuracy in training minus that on held-out data, as in overfitting.
        gap: the same, but a warning by itself; of a regression, in shares of what a constant leaves
            to explain. Source: heuristic; AUTOTRAINER has 0.1 and NeuroScope 0.2, which useful
            models of hard data exceed.
        settle: steps after which the averages of BatchNormalization are to be trusted: 0.99, the
            usual momentum, leaves 1 % of the start by then. Before, held-out data fails often;
            but what fails when training is over is of no use.
        epochs: in a row, up to the last one. Source: heuristic.

    Raises:
        NotApplicable: if no constant is known that is best for the loss.
        CannotJudge: if too little is known, or a normalization has not settled.
    """
    _, held, train, steps = _curves(trace, epochs)
    shares = _right(trace, epochs) or _explained(trace, epochs)
    unlike = _unlike(trace, shares, gap, epochs) if shares else None
    if unlike:
        _await_averages(trace, settle)
        yield unlike
        return
    try:
        constant = constant_loss(trace)
    except CannotJudge:
        if shares is None:
            raise
        return
    probe = trace.series["probe_loss"]
    now = float(probe[np.isfinite(probe)][-1])
    fails = min(held[-epochs:].min(), now) >= constant
    if not fails or not train[-epochs:].max() < learned * constant or _answers(trace, apart):
        return
    _await_averages(trace, settle)
    yield Finding(
        severity="warn",
        step=int(steps[-epochs]),
        message=f"The probe loss is {number(now)}, where a constant answer has "
        f"{number(constant)}; it is so for {count(epochs, 'epoch')} at least, and the training "
        f"loss is {number(train[-1])}.",
        evidence=f"loss {number(now)}, a constant has {number(constant)}",
        value=now,
        limit=constant,
        metric="probe_loss",
    )


class _Shares(NamedTuple):
    """What a model gets right, epoch by epoch: of held-out data, and in training.

    Attributes:
        name: of the held-out series.
        held: 1 is all of it, 0 is what a constant answer gets, or nothing.
        train: see `held`.
        steps: at which the epochs ended.
        chance: by which the last of `held` may be off, as twice its standard error.
        words: what they are shares of, with {train} and {held} in their places.
    """

    name: str
    held: np.ndarray
    train: np.ndarray
    steps: np.ndarray
    chance: float
    words: str


def _right(trace: Trace, epochs: int) -> _Shares | None:
    """Returns accuracies; None if none is measured on both for long enough.

    The validation set is larger than the probe set, so it comes first.
    """
    prefix = "val_" if accuracy_name(trace, "val_") else "probe_"
    name = accuracy_name(trace, prefix) or ""
    ends = epoch_ends(trace)
    pair = (per_epoch(trace, one, ends) for one in (name, f"epoch_{name.removeprefix(prefix)}"))
    both = np.stack(list(pair))
    known = np.isfinite(both).all(axis=0)
    held, train = both[:, known]
    if len(held) < epochs:
        return None
    chance = 2 * standard_error(float(held[-1]), trace.probe_samples)
    words = "{train} of the answers in training are right, {held} of those on held-out data"
    return _Shares(name, held, train, trace.steps[ends[known]], chance, words)


def _explained(trace: Trace, epochs: int) -> _Shares | None:
    """Returns what a regression gains over a constant answer; None if that is not known.

    No less than nothing: what fails worse is no further from a model that gains nothing. The
    constant is that of the probe set, in training too. A squared error of n samples is known to
    about a share sqrt((k - 1) / n) of itself, where k is the kurtosis, 3 of a normal distribution.
    One target far from all others is in one set and not in the other: it has at least k = z^4 / n,
    z deviations away.
    """
    try:
        kind, constant = ending(trace).loss, constant_loss(trace)
    except CannotJudge:
        return None
    if kind not in ("mean_squared_error", "mean_absolute_error"):
        return None
    name, held, train, steps = _curves(trace, epochs)
    targets, samples = data_of(trace).labels[0], max(trace.probe_samples, 1)
    farthest = (targets.maximum - targets.minimum) / targets.std
    kurtosis = max(farthest**4 / samples, 3.0)
    left = np.minimum(held / constant, 1)
    chance = 2 * float(left[-1]) * math.sqrt((kurtosis - 1) / samples)
    words = "Of a constant answer's loss, {train} are gained in training, {held} on held-out data"
    return _Shares(name, 1 - left, 1 - train / constant, steps, chance, words)


def _unlike(trace: Trace, shares: _Shares, gap: float, epochs: int) -> Finding | None:
    """Returns the finding of far smaller shares on held-out data than in training; None without.

    By more than `gap` and what is chance in each of the last epochs, while those on held-out data
    rise no more, or the training is over.
    """
    held, train = shares.held, shares.train
    rests = len(held) > epochs and held[-1] <= held[-1 - epochs] + shares.chance
    far = (train - held)[-epochs:] > gap + shares.chance
    if not far.all() or not (rests or is_over(trace)):
        return None
    ours, theirs = share(float(train[-1])), share(float(held[-1]))
    return Finding(
        severity="warn",
        step=int(shares.steps[-epochs]),
        message=f"{shares.words.format(train=ours, held=theirs)} ({shares.name}); they are more "
        f"than {share(gap)} apart for {count(epochs, 'epoch')} at least.",
        evidence=f"{theirs} on held-out data, training {ours}",
        value=float(train[-1] - held[-1]),
        limit=gap,
        metric=shares.name,
    )


def _await_averages(trace: Trace, settle: int) -> None:
    """Raises `CannotJudge` while the averages of a BatchNormalization may still settle."""
    types = {layer.type for layer in trace.architecture.layers}
    if trace.steps[-1] < settle and "BatchNormalization" in types and not is_over(trace):
        raise CannotJudge(f"the averages of BatchNormalization settle until step {settle}")


@rule(
    id="overtraining",
    title="Overtraining",
    needs=_HELD_OUT,
    advice=(
        "Stop at the best epoch and keep its weights.",
        "Lower the learning rate when the loss stops falling: ReduceLROnPlateau.",
    ),
    why="Epochs after the best one cost time, and the last weights are not the best ones.",
    source="SageMaker Debugger, Overtraining, patience_validation 10",
    verdict="Best was step {step}",
    code=_STOP,
    watch="Stop here, or keep the weights of the best epoch: EarlyStopping.",
)
def overtraining(trace: Trace, *, epochs: int = 10, delta: float = 0.01) -> Iterator[Finding]:
    """Finds training that goes on long after the best epoch on held-out data.

    Only watched: it costs time and does no other harm. A loss that just stays at its best is no
    case, nor is one that was a little better once by chance.

    Args:
        epochs: since the best one. Source: SageMaker Debugger, Overtraining, 10.
        delta: share above the best that each of the last `epochs` must have. Source: heuristic;
            SageMaker Debugger has 0.1 of an unnamed unit.

    Raises:
        CannotJudge: if no epoch has ended, or the loss is negative.
    """
    name, held, _, steps = _curves(trace, 1)
    best = int(np.argmin(held))
    since, last = len(held) - 1 - best, held[-epochs:]
    if since < epochs or not last.min() > (1 + delta) * held[best] + 2 * _noise(held):
        return
    yield Finding(
        severity="watch",
        step=int(steps[best]),
        message=f"The {_words(name)} was best at step {steps[best]} ({number(held[best])}) and at "
        f"least {number(last.min())} in the last {epochs} epochs, {since} epochs later (limit "
        f"{epochs}).",
        evidence=f"{since} ≥ {epochs} epochs",
        value=float(since),
        limit=float(epochs),
        metric=name,
    )


@rule(
    id="too-good-validation",
    title="Validation too good",
    needs=("epoch",),
    advice=(
        "Look for samples that are in both sets, and for copies of one sample.",
        "Dropout and augmentation make training look worse; if there are any, all is well.",
        "Make sure that both sets are prepared in the same way.",
    ),
    why="A validation set that is easier than the training set cannot tell how good the model is.",
    source="UMLAUT, https://doi.org/10.1145/3411764.3445538",
    verdict="Validation too good",
    watch="If there is no Dropout or augmentation, look for samples that are in both sets.",
)
def too_good_validation(trace: Trace, *, above: float = 0.05, epochs: int = 3) -> Iterator[Finding]:
    """Finds an accuracy that is better on the validation set than in training.

    Only in the second half of the training, because the training's accuracy is the mean over an
    epoch in which the model still learned: what it gained in the last epoch is subtracted. Only
    watched, because dropout and augmentation do the same and are not recorded. A high accuracy
    alone is no sign: data sets may be easy.

    Args:
        above: accuracy in validation minus that in training. Source: UMLAUT, 0.05.
        epochs: in a row, up to the last one. Source: heuristic; UMLAUT waits for epoch 3.

    Raises:
        NotApplicable: if no accuracy is measured on both sets.
        CannotJudge: if it is too early.
    """
    name = accuracy_name(trace, "val_") or ""
    pair = f"epoch_{name[4:]}", name
    if not name or pair[0] not in trace.series:
        raise NotApplicable("no accuracy is measured in training and validation")
    ends = epoch_ends(trace)
    if len(ends) < 2 * epochs:
        raise CannotJudge(f"too few epochs: {len(ends)} of {2 * epochs}")
    if 2 * trace.steps[-1] < trace.planned_steps:
        raise CannotJudge("judged in the second half of the training")
    train, held = (per_epoch(trace, one, ends) for one in pair)
    gained = np.maximum(np.diff(train, prepend=np.nan), 0)
    better = (held - train - gained)[-epochs:]
    if not (better > above).all():
        return
    yield Finding(
        severity="watch",
        step=int(trace.steps[ends[-epochs]]),
        message=f"{name} is {share(held[-1])}, training has {share(train[-1])}: more than "
        f"{share(above)} apart for {epochs} epochs.",
        evidence=f"{share(held[-1])}, training {share(train[-1])}",
        value=float(held[-1] - train[-1]),
        limit=above,
        metric=name,
    )


def _answers(trace: Trace, apart: float) -> bool:
    """Returns True if the probe set is answered clearly better than by its most frequent class.

    And not far worse than the training data: then the loss is that of few sure errors.
    """
    largest = frequent(data_of(trace).labels[0])
    chance = 3 * standard_error(largest, trace.probe_samples)
    return accuracy(trace) > largest + chance and _accuracy_gap(trace, "probe_") <= apart


def _curves(trace: Trace, wanted: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the held-out series' name, its values and those of training, and the epochs' ends.

    The validation set is larger than the probe set, so it comes first.
    """
    ends = epoch_ends(trace)
    validated = np.isfinite(trace.series.get("val_loss", np.zeros(0))).any()
    name, training = ("val_loss", "epoch_loss") if validated else ("probe_loss", "loss")
    held, train = per_epoch(trace, name, ends), per_epoch(trace, training, ends)
    if not np.isfinite(train).any():  # no callback but ours has written the epoch's mean
        train = per_epoch(trace, "loss", ends)
    known = np.isfinite(held) & np.isfinite(train)
    if known.sum() < wanted:
        raise CannotJudge(f"too few epochs with {name}: {known.sum()} of {wanted}")
    held, train = held[known], train[known]
    if min(held.min(), train.min()) < 0:
        raise CannotJudge("a negative loss has no scale to judge it by")
    return name, held, train, trace.steps[ends[known]]


def _noise(values: np.ndarray) -> float:
    """Returns the deviation from epoch to epoch, deaf to a trend."""
    bends = np.abs(np.diff(values, 2))
    return float(np.median(bends)) / 1.65 if len(bends) else 0.0


def _words(name: str) -> str:
    return "validation loss" if name == "val_loss" else "probe loss"
