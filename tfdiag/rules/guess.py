"""Models that a constant answer beats: what to compare with, and who is beaten."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfdiag.rules.accuracy import accuracy, standard_error
from tfdiag.rules.constant import constant_loss, frequent, is_of_classes, is_of_labels
from tfdiag.rules.curves import finite, is_over, late
from tfdiag.rules.ending import data_of, ending
from tfdiag.rules.loss import no_better_than_guess
from tfdiag.rules.progress import judged_from, progress
from tfdiag.rules.rule import CannotJudge, Case, NotApplicable, rule
from tfdiag.rules.wording import apart, share
from tfdiag.trace import Finding, Trace

#: Looks up to which a model that has learned little may just be at its beginning. Source:
#: heuristic, as many as `progress` asks for.
_FEW = 6


def _is_guess(trace: Trace, largest: float) -> bool:
    """Returns True if no-better-than-guess can tell, and the accuracy is a guess's."""
    known = no_better_than_guess.thresholds
    luck = standard_error(largest, trace.probe_samples)
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
    cases=(
        Case(
            lambda finding, facts: finding.value < (1 - _margin(facts)) * finding.limit,
            "Targets hardly explained",
            (
                "Look at some samples with their targets, those of the highest loss first: targets "
                "may be wrong, or belong to other samples.",
                "Check that the model can learn ten samples by heart; if not, look at data and "
                "loss.",
                "If the labels are right, give the model inputs that tell more, or more units.",
            ),
        ),
    ),
    shares=("margin", "little", "even", "common", "same", "learned", "spent"),
    below=("margin", "little", "even", "learned"),
    keeps=("margin",),
    at_end=True,
)
def no_better_than_constant(
    trace: Trace,
    *,
    margin: float = 0.02,
    little: float = 0.1,
    even: float = 0.5,
    common: float = 0.8,
    many: int = 50,
    same: float = 0.98,
    learned: float = 0.5,
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

    Of several classes, none of which is most of the samples, little more than nothing is found too:
    labels are wrong, or do not belong to their inputs. So of several labels at once, if they are
    not rare, and of targets like the inputs, as an autoencoder has them. Of two classes, of rare
    ones or of what is yet to come many a useful model explains as little: who clicks, a price.

    Args:
        margin: share of the constant's loss by which the loss must be lower to count. Source:
            heuristic, no source.
        little: the same for several classes. Source: heuristic; Cohen (1988), Statistical Power
            Analysis, calls 0.13 of a variance a medium effect and 0.02 a small one.
        even: share of the most frequent class up to which `little` is asked for.
        common: the same of several labels: right answers of always saying the same. Source:
            heuristic.
        many: values of a target like the input from which on it is asked for: few forecasts reach
            so far. Source: heuristic.
        same: share of the samples that get the same answer, for a classifier. Source: heuristic.
        learned: times the constant's loss below which the training data is learned, as in
            held-out-fails.
        patience: looks at the probe set in a row, up to the last one.
        warm_up: optimizer steps before the first look that counts.
        spent: share of the planned training before which nothing is said; all of it while the
            training loss falls. Source: heuristic; AUTOTRAINER has 0.3 for a loss that does not
            fall.
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
    hardly = _tells_much(trace, even, common, many)
    hardly &= len(finite(trace, "probe_loss")) > _FEW
    hardly &= bool((losses[rows] >= (1 - little) * constant).all())
    if of_classes and _is_guess(trace, labels.largest):
        raise NotApplicable("no-better-than-guess tells it by the accuracy")
    if of_classes and loss.state != "lost":
        shares = np.asarray(trace.series.get("probe_top_class_share", losses * np.nan))
        beaten &= bool((shares[rows] >= same).all())
    if not beaten and not hardly:
        return
    if _training_loss(trace) < learned * constant:
        raise NotApplicable("the training data is learned: held-out-fails compares the rest")
    if loss.state == "improving" and not is_over(trace):
        raise CannotJudge("a constant is as good as yet, but the loss still falls")
    wait = judged_from(trace, spent=spent, longest=longest)
    if trace.steps[-1] < wait:
        raise CannotJudge(f"a constant is as good as yet; judged from step {math.ceil(wait)} on")
    now, limit = apart(float(losses[rows[-1]]), constant)
    best = "median" if ending(trace).loss == "mean_absolute_error" else "mean"
    kind = "class" if of_classes else "label" if labels.kind == "multi-hot" else None
    what = f"how frequent each {kind} is" if kind else f"the targets' {best}"
    gained = max(1 - float(losses[rows[-1]]) / constant, 0.0)
    only = "" if beaten else f", only {share(gained)} more (limit {share(little)})"
    yield Finding(
        severity="warn",
        step=int(trace.steps[rows[0]]),
        message=f"The probe loss is {now}; always saying {what} has {limit}{only}; {loss.text}.",
        evidence=f"loss {now}, a constant has {limit}",
        value=float(losses[rows[-1]]),
        limit=constant,
        metric="probe_loss",
    )


def _tells_much(trace: Trace, even: float, common: float, many: int) -> bool:
    """Returns whether targets hold so much that a model of use explains more than a little."""
    data, end = data_of(trace), ending(trace)
    labels = data.labels[0]
    if is_of_classes(end, labels):
        return labels.classes > 2 and labels.largest <= even
    if is_of_labels(end, labels):
        return end.width > 2 and frequent(labels) <= common
    restored = any(one.shape == labels.shape for one in data.inputs)
    return restored and math.prod(labels.shape) >= many


def _margin(facts: Mapping[str, Any]) -> float:
    """Returns the user's margin; the default of a report that does not have it."""
    kept = facts.get("no-better-than-constant margin")
    return kept if isinstance(kept, float) else no_better_than_constant.thresholds["margin"]


def _training_loss(trace: Trace) -> float:
    """Returns the training loss of late; inf if it was not measured."""
    losses = finite(trace, "loss")
    return late(losses) if len(losses) else math.inf
