"""Whether training gets anywhere: the question that layer statistics need beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from tfdiag.rules.accuracy import accuracy, standard_error
from tfdiag.rules.constant import (
    guessing,
    is_comparable,
    is_of_one_value,
    is_of_shares,
    is_regularized,
    known_constant,
)
from tfdiag.rules.curves import finite, late, lost_since
from tfdiag.rules.patience import last_measured
from tfdiag.trace import Trace

_UNKNOWN = "unknown"
#: A trace that a rule sees, with only what it declared, to the whole of it.
_WHOLE: WeakKeyDictionary[Trace, Trace] = WeakKeyDictionary()
#: A whole trace to what was judged of it, so that rules do so once.
_JUDGED: WeakKeyDictionary[Trace, dict[tuple[float, ...], Progress]] = WeakKeyDictionary()
#: Share of the targets' variance below which an output says no more than their mean. Source:
#: heuristic, no source; a linear model of pure noise explains features / samples of it.
_EXPLAINED = 0.01
#: Share of the best constant's loss by which a loss must be lower to count. Source: heuristic.
_MARGIN = 0.02
#: Steps that are waited for in the shortest training. Source: heuristic, no source.
_LEAST = 50


@dataclass(frozen=True)
class Progress:
    """How the loss does, judged on the later half of the records.

    Attributes:
        state: "improving"; "learned" (low, and lower than that of the best constant answer, where
            it is known; whether it still falls or not); "plateau" (it fell,
            but not by half, and falls no more); "stuck" (it never fell, or sits at chance);
            "lost" (it may fall, but is still no better than a guess); "worse" (back up after it
            had fallen, or NaN); "unknown".
        series: name of the series that was judged, or None.
        since: the first step of that state; 0 if unknown.
        first: the loss at the start; nan if unknown.
        last: mean loss over the last quarter of the records; nan if unknown.
        best: lowest loss so far, smoothed over three records; nan if unknown.
        reason: why the state is unknown, or None.
    """

    state: str
    series: str | None = None
    since: int = 0
    first: float = math.nan
    last: float = math.nan
    best: float = math.nan
    reason: str | None = None

    @property
    def poor(self) -> bool:
        """True if training suffers: what turns a layer's oddity into trouble."""
        return self.state in ("plateau", "stuck", "lost", "worse")

    @property
    def text(self) -> str:
        """The state in a few words, for a message."""
        why = f" ({self.reason})" if self.reason else ""
        return {
            "plateau": "the loss does not fall any more",
            "stuck": "the loss does not fall",
            "lost": "the loss is still no better than that of a guess",
            "worse": "the loss got worse",
            "improving": "the loss still falls",
            "learned": "the loss is low",
        }.get(self.state, f"the loss could not be judged{why}")


def judged_from(trace: Trace, *, spent: float = 0.3, longest: int = 1000) -> float:
    """Returns the step before which a model that never learned may still begin to.

    Args:
        spent: share of the planned training. Source: AUTOTRAINER.
        longest: steps after which it is held against the run all the same; those to wait for where
            nothing is planned. Source: heuristic.
    """
    return min(spent * trace.planned_steps, longest) if trace.planned_steps else longest


def is_slow(trace: Trace) -> bool:
    """Returns whether a loss has come down by less than half when `judged_from` has come."""
    return progress(trace).state == "improving" and trace.steps[-1] >= judged_from(trace)


def warmed_up(trace: Trace, warm_up: int) -> int:
    """Returns the steps to wait for before something is said: no more than `judged_from`.

    A training that is planned to be short has few steps to wait for, but there are some before
    which no model has learned anything.
    """
    return min(warm_up, max(_LEAST, math.ceil(judged_from(trace))))


def share(view: Trace, whole: Trace) -> None:
    """Lets `progress` of a rule's `view` judge `whole`, once for all rules."""
    _JUDGED.setdefault(whole, {})
    _WHOLE[view] = whole


def progress(
    trace: Trace, *, records: int = 6, warm_up: int = 200, fall: float = 0.03, chance: float = 0.015
) -> Progress:
    """Judges the loss of a run from its series.

    The probe loss decides, unless the training loss shows that the model learns: then a bad
    probe loss is overfitting and no fault of a layer. Careful with every claim: noise is
    estimated, and a loss that could have fallen by 2 % unseen is "unknown".

    Args:
        records: of the probe loss that it takes; of the noisier batch loss, 10 or more.
        warm_up: optimizer steps before which nothing is said; see `warmed_up`.
        fall: share of its start by which the loss must fall to count as learning.
        chance: share within which the loss is that of a guess.

    Source: SageMaker Debugger's LossNotDecreasing and AUTOTRAINER for the idea; the numbers
    are heuristics.
    """
    whole = _WHOLE.get(trace, trace)
    known = _JUDGED.get(whole, {})
    key = records, warmed_up(whole, warm_up), fall, chance
    if key not in known:
        found = _progress(whole, *key)
        if found.state in ("improving", _UNKNOWN) and _lost(whole, records, key[1]):
            found = replace(found, state="lost", reason=None)
        known[key] = found
    return known[key]


def _progress(trace: Trace, records: int, warm_up: int, fall: float, chance: float) -> Progress:
    for name in ("loss", "probe_loss"):
        since = lost_since(trace, name)
        # A probe set on which the loss never was finite says nothing of the training.
        if since is not None and (name == "loss" or len(finite(trace, name))):
            return Progress("worse", name, since)
    probe = _judge(trace, "probe_loss", records, warm_up, fall, chance)
    training = _judge(trace, "loss", max(records, 10), warm_up, fall, chance)
    if training.state in ("improving", "learned"):
        return training
    unmeasured = not np.isfinite(trace.series.get("probe_loss", np.zeros(0))).any()
    if probe.state == training.state == _UNKNOWN:  # few records: the mean of each epoch is there
        epochs = _judge(trace, "epoch_loss", records, warm_up, fall, chance)
        if epochs.state != _UNKNOWN:
            return epochs
    if probe.state == _UNKNOWN and (training.state != _UNKNOWN or unmeasured):
        return training
    overfits = training.state == _UNKNOWN and training.last < 0.95 * training.first
    overfits = overfits and _explained(trace, probe.last) >= _EXPLAINED  # a constant cannot
    if probe.poor and overfits:
        reason = "the probe loss does not fall, the noisy training loss may: it may overfit"
        return replace(probe, state=_UNKNOWN, reason=reason)
    return probe


def _judge(
    trace: Trace, name: str, records: int, warm_up: int, fall: float, near: float
) -> Progress:
    series = np.asarray(trace.series.get(name, ()), dtype=np.float64)
    rows = np.flatnonzero(np.isfinite(series))
    values, steps = series[rows], trace.steps[rows]
    if len(values) < max(records, 4):
        reason = f"too few records of {name}: {len(values)} of {max(records, 4)}"
        return Progress(_UNKNOWN, name, reason=reason)
    if steps[-1] < warm_up:
        return Progress(_UNKNOWN, name, reason=f"step {steps[-1]} of {warm_up} to wait for")
    if values.min() < 0:
        return Progress(_UNKNOWN, name, reason="a negative loss has no scale to judge it by")
    half = values[len(values) // 2 :]
    level = late(values)
    smooth = np.convolve(values, np.ones(3) / 3, mode="valid")
    head = values[: max(1, len(values) // 10)]
    first, noise = float(head.mean()), _noise(half)
    seen = Progress("", name, int(steps[0]), first, level, float(smooth.min()))
    guess = guessing(trace.architecture) or math.inf
    constant = _explained(trace, level) < _EXPLAINED
    beats = level < (1 - _MARGIN) * (known_constant(trace) or math.inf)
    halved = max(values[-1], level) <= 0.5 * first and level < 0.9 * guess
    if beats and not constant and (halved or _solved(trace, level, guess)):
        return replace(seen, state="learned")
    if is_of_one_value(trace):
        reason = "all targets are the same number, so that it tells of no learning"
        return replace(seen, state=_UNKNOWN, reason=reason)
    if _rate_moves(trace):
        return replace(seen, state=_UNKNOWN, reason="the learning rate rises or is nearly 0")
    spread = float(np.median(np.abs(np.diff(half, 2)))) / 1.65  # a deviation, deaf to growth
    if smooth[-3:].min() > 2 * seen.best + 3 * spread and level > 0.5 * first:
        return replace(seen, state="worse", since=_after(values <= 2 * seen.best, steps))
    falls = _falls(half, noise)
    if falls is None:
        return replace(seen, state=_UNKNOWN, reason="the loss is too noisy to tell its trend")
    if falls:
        return replace(seen, state="improving")
    fuzzy = is_of_shares(trace)
    at_chance = constant or (not fuzzy and abs(level - guess) < near * guess < math.inf)
    unproven = 2 * noise / math.sqrt(len(head))
    never = _from_start(trace) and first + unproven - level < fall * first / (10 if fuzzy else 1)
    if fuzzy and not never and not at_chance:
        reason = "its lowest value is not known: the targets are no whole numbers"
        return replace(seen, state=_UNKNOWN, reason=reason)
    since = _after(values > 1.02 * level + 3 * noise, steps)
    return replace(seen, state="stuck" if never or at_chance else "plateau", since=since)


def _after(condition: np.ndarray, steps: np.ndarray) -> int:
    """Returns the step of the record after the last one where `condition` holds."""
    rows = np.flatnonzero(condition)
    return int(steps[min(rows[-1] + 1, len(steps) - 1)] if len(rows) else steps[0])


def _noise(values: np.ndarray) -> float:
    """Returns the deviation from record to record; a trend counts as noise too."""
    return float(np.sqrt(np.mean(np.diff(values) ** 2) / 2))


def _falls(half: np.ndarray, noise: float) -> bool | None:
    """Says whether the values fall; None if the noise hides a fall of 2 %.

    A fall must stand out of the noise without a straight trend (second differences), so
    that a slow, smooth descent is seen; the absence of one out of all noise.
    """
    middle = len(half) // 2
    gain = half[:middle].mean() - half[middle:].mean()
    spread = math.sqrt(1 / middle + 1 / (len(half) - middle))
    level = half.mean()
    smooth_noise = float(np.sqrt(np.mean(np.diff(half, 2) ** 2) / 6))
    if gain > max(2 * smooth_noise * spread, 1e-3 * level):
        return True
    return False if gain + 2 * noise * spread < 0.02 * level else None


def _from_start(trace: Trace) -> bool:
    """Returns False if training goes on from an earlier one: its first loss is not recorded."""
    gap = np.median(np.diff(trace.steps)) if len(trace.steps) > 1 else 1
    return bool(trace.steps[0] <= max(2 * gap, 10))


def _rate_moves(trace: Trace) -> bool:
    """Returns True while the learning rate warms up, or when a schedule has ended it."""
    rates = np.asarray(trace.series.get("learning_rate", ()), dtype=np.float64)
    rates = rates[np.isfinite(rates)]
    if len(rates) < 2:
        return False
    return bool(rates[-1] > 1.001 * rates[len(rates) // 2] or rates[-1] < 0.01 * rates.max())


def _solved(trace: Trace, level: float, guess: float) -> bool:
    """Returns True if the model is good although its loss need not have fallen: fine-tuning."""
    if guess < math.inf:
        return level < 0.5 * guess
    return accuracy(trace) >= 0.9


def _explained(trace: Trace, level: float) -> float:
    """Returns the share of the targets' variance that the last outputs explain, about.

    The best constant leaves all of it. The residuals of a least-squares fit are orthogonal to
    its outputs, so the variance of the targets is that of the outputs plus the squared error; a
    share has mean times (1 - mean). Of an error with regularization on top of it, the targets' own
    variance is taken: outputs that vary less explain no more. Several outputs with different means
    look as if they explained more, never less.

    Returns:
        1 where it cannot be told: another loss, several output layers, no probe set.
    """
    outputs = [i for i, one in enumerate(trace.architecture.layers) if one.role == "output"]
    if len(outputs) != 1 or not {"output_std", "output_mean"} <= set(trace.columns):
        return 1.0
    layer = trace.architecture.layers[outputs[0]]
    spread = last_measured(trace.columns["output_std"][:, outputs])[0] ** 2
    mean = last_measured(trace.columns["output_mean"][:, outputs])[0]
    kind = (trace.architecture.loss or "").lower().replace("_", "")
    if kind in ("mse", "meansquarederror"):
        labels = trace.data.labels if trace.data else ()
        own = labels[0].std ** 2 if len(labels) == 1 else math.nan
        variance = own if is_regularized(trace) else level + spread
    elif kind == "binarycrossentropy" and layer.activation == "sigmoid" and layer.shape == (1,):
        variance = mean * (1 - mean)
    else:
        return 1.0
    return float(spread / variance) if variance > 0 and math.isfinite(spread) else 1.0


def _lost(trace: Trace, records: int, warm_up: int, *, near: float = 0.02) -> bool:
    """Returns True if a model is no better than a guess: of equally likely classes, or the mean.

    On its training data and on the probe set, once `judged_from` has come; of a regression, whose
    targets may be far from 0 and take a while to be reached, half of the training. A loss that
    is not Keras' own, or measured otherwise, has no such mark. Class weights may lift it, and a
    model that is sure of its errors has a high one: so a model that answers more than half as well
    as can be is not lost. A regularized loss falls with the weights, whatever the answers are: then
    only one answer for all samples tells, or as few right ones as a guess has.
    """
    classes = guessing(trace.architecture)
    guess = classes or known_constant(trace)
    wait = judged_from(trace) if classes else judged_from(trace, spent=0.5, longest=2000)
    early = trace.steps[-1] < max(warm_up, wait)
    if early or _rate_moves(trace):
        return False
    penalty = is_regularized(trace)
    if penalty and _explained(trace, _level(trace, "probe_loss", records)) < _EXPLAINED:
        return True
    if guess is None or penalty is None or not is_comparable(trace, penalty=True):
        return False
    if penalty and not (classes and _answers_as_guess(trace, guess)):
        return False
    if classes and accuracy(trace) > (1 + _largest(trace, guess)) / 2:
        return False
    training = _level(trace, "loss", max(records, 10))
    probe = finite(trace, "probe_loss")[-1:]  # of a steep fall the mean is long past
    return training >= (1 - near) * guess and not (probe < (1 - near) * guess).any()


def _answers_as_guess(
    trace: Trace,
    guess: float,
    *,
    deviations: float = 3.0,
    largest: float = 0.8,
    samples: int = 100,
    hits: int = 10,
) -> bool:
    """Returns True if no more of the probe set is right than if always one class were named.

    Args:
        deviations: as in no-better-than-guess, like the next two.
        hits: right answers that a guess must have. Of a thousand classes it has next to none, and
            a model that names the right one ten times as often is within its luck. Source:
            heuristic.
    """
    top = _largest(trace, guess)
    told = top <= largest and trace.probe_samples >= max(samples, hits / max(top, 1e-9))
    return told and accuracy(trace) <= top + deviations * standard_error(top, trace.probe_samples)


def knows_nothing(trace: Trace, *, near: float = 0.05, penalty: bool = False) -> bool:
    """Returns True if the last look at the probe set found a loss no lower than a guess's, about.

    False too if that is not known.

    Args:
        penalty: as in `is_comparable`. The loss with it may hide answers that are better: then a
            classifier whose accuracy is more than a guess's knows something.
    """
    guess = guessing(trace.architecture) or known_constant(trace)
    probe = finite(trace, "probe_loss")
    if not guess or not len(probe) or not is_comparable(trace, penalty=penalty):
        return False
    hidden = guessing(trace.architecture) and math.isfinite(accuracy(trace))
    if hidden and is_regularized(trace) and not _answers_as_guess(trace, guess):
        return False
    return bool(probe[-1] >= (1 - near) * guess)


def _level(trace: Trace, name: str, records: int) -> float:
    """Returns the mean of the last quarter of a loss; nan if there are few records."""
    values = finite(trace, name)
    return late(values) if len(values) >= records else math.nan


def _largest(trace: Trace, guess: float) -> float:
    """Returns the share of the most frequent class; that of equally likely ones if not known."""
    known = trace.data.labels[0].largest if trace.data and trace.data.labels else math.nan
    return known if math.isfinite(known) else math.exp(-guess)
