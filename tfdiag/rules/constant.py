"""What any model has to beat: the loss of a guess, and of the best constant answer."""

from __future__ import annotations

import math

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.data import Labels
from tfdiag.rules.ending import BINARY, CATEGORICAL, Ending, data_of, ending
from tfdiag.rules.rule import CannotJudge, NotApplicable
from tfdiag.trace import Trace

#: Samples that are not of the most frequent class; the entropy of fewer is luck. Source: heuristic.
_OTHERS = 10


def guessing(architecture: Architecture) -> float | None:
    """Returns the loss of a guess among equally likely classes; None if that is not known.

    Source: ln C and ln 2, https://cs231n.github.io/neural-networks-3/#sanitycheck
    """
    loss = (architecture.loss or "").lower().replace("_", "")
    if loss.startswith("binarycrossentropy"):
        return math.log(2)
    outputs = [layer for layer in architecture.layers if layer.role == "output"]
    if not loss.endswith("categoricalcrossentropy") or len(outputs) != 1:
        return None
    classes = outputs[0].shape[-1] if outputs[0].shape else None
    return math.log(classes) if classes and classes > 1 else None


def constant_loss(trace: Trace) -> float:
    """Returns the loss on the probe set of the constant answer that is best there.

    Of a classifier it says how frequent each class is: the entropy. Of a regression it is the mean
    or, for an absolute error, the median: variance or mean distance. Of several labels at once
    only a bound is known: the best constant has no more, and just that if all are equally frequent.

    Raises:
        NotApplicable: if the loss is another one, or measured otherwise: summed, weighted, of
            labels that are smoothed, or with regularization.
        CannotJudge: if too little is known about the labels, or whether there is regularization.
    """
    constant, regularized = _of_labels(trace), is_regularized(trace)
    if regularized:
        raise NotApplicable(
            "the loss is not compared with a constant's: it contains regularization"
        )
    if regularized is None:
        raise CannotJudge("it was not noted whether the loss contains regularization")
    return constant


def known_constant(trace: Trace) -> float | None:
    """Returns what `constant_loss` does, None where it is not known.

    Of a loss with regularization too, which has that on top of it.
    """
    try:
        return _of_labels(trace)
    except CannotJudge:
        return None


def _of_labels(trace: Trace) -> float:
    data, end, otherwise = data_of(trace), ending(trace), measured_otherwise(trace)
    labels = data.labels
    if otherwise:
        raise NotApplicable(f"the loss is not compared with a constant's: {otherwise}")
    if is_of_classes(end, labels[0]):
        if not (1 - labels[0].largest) * data.samples >= _OTHERS:
            raise CannotJudge(f"fewer than {_OTHERS} samples are not of the most frequent class")
        shares = np.array(labels[0].shares)
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    if is_of_labels(end, labels[0]):
        if not labels[0].std ** 2 * data.samples >= _OTHERS:
            raise CannotJudge(f"fewer than {_OTHERS} samples differ in a label from most")
        share = frequent(labels[0])
        return float(-share * math.log(share) - (1 - share) * math.log(1 - share))
    spread = {"mean_squared_error": labels[0].std ** 2, "mean_absolute_error": labels[0].deviation}
    if end.loss not in spread:
        raise NotApplicable("no constant is the best answer to this loss, or it is not known")
    if len(end.shape) > 1 and _masks(trace.architecture):
        raise NotApplicable("masked places count for the targets, but not for the loss")
    if not spread[end.loss] > 0:
        raise CannotJudge("it is not known how far the targets are from their mean")
    return float(spread[end.loss])


def _masks(architecture: Architecture) -> bool:
    """Returns whether a layer of Keras tells others which places of a sequence are padded."""
    return any(
        layer.type == "Masking" or (layer.options or {}).get("mask_zero")
        for layer in architecture.layers
    )


def is_of_labels(end: Ending, labels: Labels) -> bool:
    """Returns whether several labels, each 0 or 1, have a probability each that is the loss.

    Not those of a sequence, as in `is_of_classes`.
    """
    places = labels.shape if end.width == 1 else labels.shape[:-1]
    several = labels.kind == "multi-hot" and len(places) != 1
    return several and end.loss == "binary_crossentropy"


def frequent(labels: Labels) -> float:
    """Returns the share of right answers of always saying the same, at most; nan if not known.

    Of several labels only the mean of share * (1 - share) is recorded. Entropy and share are
    concave functions of that, so that their means are no larger than those of equal shares: Jensen.

    >>> frequent(Labels("multi-hot", "int64", (9,), 0.0, 1.0, 0.0, std=0.3)) == 0.9
    True
    """
    if labels.kind == "multi-hot":
        return (1 + math.sqrt(max(0.0, 1 - 4 * labels.std**2))) / 2
    return labels.largest


def is_of_classes(end: Ending, labels: Labels) -> bool:
    """Returns whether each sample, or each pixel of it, is of one class with a probability.

    Not those of a sequence: its masked places count for the labels, but not for the loss.
    """
    alone = labels.kind == "one-hot" or labels.shape[-1:] == (1,)
    places = labels.shape[:-1] if alone else labels.shape
    one = len(places) != 1 and labels.kind in ("classes", "one-hot")
    binary = end.loss == "binary_crossentropy" and end.width == 1
    categorical = end.loss in CATEGORICAL and "focal" not in end.loss
    return bool(labels.shares) and one and (binary or categorical)


def is_regularized(trace: Trace) -> bool | None:
    """Returns whether the model adds to its loss, by regularizers or `add_loss`; None if unknown.

    Recordings of one version say it of single layers instead. They are told by the spread of the
    labels, which was first noted then; older ones say nothing of it.
    """
    options = trace.architecture.loss_options or {}
    if "regularized" in options:
        return bool(options["regularized"])
    labels = trace.data.labels if trace.data else ()
    if not any(math.isfinite(one.std) for one in labels):
        return None
    return any((one.options or {}).get("regularized") for one in trace.architecture.layers)


def is_comparable(trace: Trace, *, penalty: bool = False) -> bool:
    """Returns whether a loss can be held against that of a guess: one of Keras, and just that.

    True too if it was not noted whether it is regularized.

    Args:
        penalty: True if it does not matter whether there is regularization on top of it.
    """
    own = not (trace.architecture.loss_options or {}).get("kind")
    otherwise = own or measured_otherwise(trace) or (is_regularized(trace) and not penalty)
    return not (otherwise or is_of_shares(trace) or is_of_one_value(trace))


def is_of_shares(trace: Trace) -> bool:
    """Returns whether targets of a crossentropy lie between 0 and 1, as those of grey pictures do.

    Then its lowest value is not 0 but the targets' own entropy, which is not recorded.
    """
    labels = trace.data.labels if trace.data else ()
    kind = (trace.architecture.loss_options or {}).get("kind")
    fuzzy = any(one.kind in ("soft", "real") for one in labels)
    return fuzzy and kind in (*CATEGORICAL, *BINARY)


def is_of_one_value(trace: Trace) -> bool:
    """Returns whether all targets are the same number: that a generator is to deceive its judge.

    Of a loss of Keras; to the user's own, or that of `add_loss`, targets may stand in for none.
    """
    labels = trace.data.labels if trace.data else ()
    kind = (trace.architecture.loss_options or {}).get("kind")
    return bool(kind and labels) and all(one.minimum == one.maximum for one in labels)


def measured_otherwise(trace: Trace) -> str | None:
    """Returns why a loss of Keras is on another scale than the mean over samples, or None."""
    options = trace.architecture.loss_options or {}
    if options.get("reduction", "sum_over_batch_size") in ("sum", "none"):
        return "it is summed"
    if options.get("label_smoothing"):
        return "its labels are smoothed"
    if options.get("ignore_class") is not None:
        return "it ignores a class"
    return "it is weighted" if options.get("weighted") else None
