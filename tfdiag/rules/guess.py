"""Models that a constant answer beats: what to compare with, and who is beaten."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tfdiag.rules.ending import data_of, ending
from tfdiag.rules.loss import is_of_classes, no_better_than_guess
from tfdiag.rules.progress import (
    accuracy,
    is_regularized,
    judged_from,
    measured_otherwise,
    progress,
)
from tfdiag.rules.rule import CannotJudge, NotApplicable, rule
from tfdiag.rules.wording import apart
from tfdiag.trace import Finding, Trace

#: Samples that are not of the most frequent class; the entropy of fewer is luck. Source: heuristic.
_OTHERS = 10


def constant_loss(trace: Trace) -> float:
    """Returns the loss on the probe set of the constant answer that is best there.

    Of a classifier it says how frequent each class is: the entropy. Of a regression it is the mean
    or, for an absolute error, the median: variance or mean distance.

    Raises:
        NotApplicable: if the loss is another one, or measured otherwise: summed, weighted, of
            labels that are smoothed, or with regularization.
        CannotJudge: if too little is known about the labels, or whether there is regularization.
    """
    data, end = data_of(trace), ending(trace)
    labels, regularized = data.labels, is_regularized(trace)
    otherwise = "it contains regularization" if regularized else measured_otherwise(trace)
    if otherwise:
        raise NotApplicable(f"the loss is not compared with a constant's: {otherwise}")
    if regularized is None:
        raise CannotJudge("it was not noted whether the loss contains regularization")
    if is_of_classes(end, labels[0]):
        if not (1 - labels[0].largest) * data.samples >= _OTHERS:
            raise CannotJudge(f"fewer than {_OTHERS} samples are not of the most frequent class")
        shares = np.array(labels[0].shares)
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    spread = {"mean_squared_error": labels[0].std ** 2, "mean_absolute_error": labels[0].deviation}
    if end.loss not in spread:
        raise NotApplicable("no constant is the best answer to this loss, or it is not known")
    if not spread[end.loss] > 0:
        raise CannotJudge("it is not known how far the targets are from their mean")
    return float(spread[end.loss])


def _is_guess(trace: Trace, largest: float) -> bool:
    """Returns True if no-better-than-guess can tell, and the accuracy is a guess's."""
    known = no_better_than_guess.thresholds
    luck = math.sqrt(largest * (1 - largest) / max(trace.probe_samples, 1))
    near = abs(accuracy(trace) - largest) <= known["deviations"] * luck
    return near and largest <= known["largest"] and trace.probe_samples >= known["samples"]


@rule(
    id="no-better-than-constant",
    title="No better than a constant",
    needs=("probe_loss",),
    advice=(
        "Check that the model can learn ten samples by heart; if not, look at data and loss.",
        "Check that inputs and targets still belong together: shuffle them only as pairs.",
        "Scale the inputs, and the targets of a regression, to mean 0 and deviation 1.",
    ),
    why="Who always gives the same answer, whatever the input is, does as well as the model.",
    source="The coefficient of determination at 0, and CS231n, "
    "https://cs231n.github.io/neural-networks-3/#sanitycheck; the limits are heuristics",
    verdict="No better than a constant",
    shares=("margin", "same", "spent"),
    below=("margin",),
)
def no_better_than_constant(
    trace: Trace,
    *,
    margin: float = 0.02,
    same: float = 0.98,
    patience: int = 3,
    warm_up: int = 100,
    spent: float = 0.5,
    longest: int = 2000,
) -> Iterator[Finding]:
    """Finds a model that has learned nothing for the probe set by the middle of its training.

    A regression whose error is that of always saying the targets' mean or median, or higher. A
    classifier whose loss is that of always saying how frequent each class is, if it gives one
    answer for nearly all samples too: one with class weights has such a loss, but several answers,
    and one that overfits may have it and be right. And one that is no better than a guess among
    equally likely classes on its training data either, whatever it answers. What no-better-than-
    guess can judge by its accuracy is left to that, and what has learned its training data to
    held-out-fails.

    Args:
        margin: share of the constant's loss by which the loss must be lower to count. Source:
            heuristic, no source.
        same: share of the samples that get the same answer, for a classifier. Source: heuristic.
        patience: looks at the probe set in a row, up to the last one.
        warm_up: optimizer steps before the first look that counts.
        spent: share of the planned training before which nothing is said. Source: heuristic;
            AUTOTRAINER has 0.3 for a loss that does not fall.
        longest: steps after which that is said all the same. Source: heuristic, no source.

    Raises:
        NotApplicable: if no constant is known that is best for the loss, or the loss is low.
        CannotJudge: if too little is known, or the model may still learn.
    """
    constant, loss = constant_loss(trace), progress(trace)
    losses = np.asarray(trace.series["probe_loss"], dtype=np.float64)
    rows = np.flatnonzero(np.isfinite(losses) & (trace.steps > warm_up))[-patience:]
    beaten = bool((losses[rows] >= (1 - margin) * constant).all())
    labels = data_of(trace).labels[0]
    of_classes = is_of_classes(ending(trace), labels)
    if of_classes and _is_guess(trace, labels.largest):
        raise NotApplicable("no-better-than-guess tells it by the accuracy")
    if of_classes and loss.state != "lost":
        shares = np.asarray(trace.series.get("probe_top_class_share", losses * np.nan))
        beaten &= bool((shares[rows] >= same).all())
    if not beaten:
        return
    if loss.state == "learned":
        raise NotApplicable("the training data is learned: held-out-fails compares the rest")
    if loss.state == "improving":
        raise CannotJudge("a constant beats it as yet, but the loss still falls")
    wait = judged_from(trace, spent=spent, longest=longest)
    if trace.steps[-1] < wait:
        raise CannotJudge(f"a constant beats it as yet; judged from step {math.ceil(wait)} on")
    now, limit = apart(float(losses[rows[-1]]), constant)
    best = "median" if ending(trace).loss == "mean_absolute_error" else "mean"
    what = "how frequent each class is" if of_classes else f"the targets' {best}"
    yield Finding(
        severity="warn",
        step=int(trace.steps[rows[0]]),
        message=f"The probe loss is {now}; always saying {what} has {limit}; {loss.text}.",
        evidence=f"{now}, a constant {limit}",
        value=float(losses[rows[-1]]),
        limit=constant,
        metric="probe_loss",
    )
