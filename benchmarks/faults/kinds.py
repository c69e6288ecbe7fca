"""Which rule gives which kind of answer: the one place where the benchmark knows rules' names.

A rule may be listed before there is one, and a rule that is not listed here names no kind: it
counts as an alarm, right or wrong, and never as the right kind.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Kind of answer to the ids of the rules that give it.
RULES: dict[str, tuple[str, ...]] = {
    "not-finite": ("nonfinite-loss", "nonfinite-tensor"),
    "step-large": (
        "loss-blowup",
        "update-ratio",
        "update-ratio-high",
        "exploding-gradient",
        "gradient-spike",
        "weight-explosion",
        "loss-oscillation",
        "learning-rate-range",
    ),
    "step-small": (
        "update-ratio",
        "update-ratio-low",
        "unchanged-weights",
        "loss-not-decreasing",
        "no-better-than-guess",
        "no-better-than-constant",
        "slow-convergence",
        "learning-rate-range",
    ),
    "gradient-vanished": ("vanishing-gradient", "gradient-flow-ratio", "zero-gradient"),
    "gradient-exploded": ("exploding-gradient", "gradient-flow-ratio", "gradient-spike"),
    "dead-units": ("dead-relu", "constant-output", "zero-gradient"),
    "saturated": ("saturated-activation",),
    "scale": ("activation-scale", "gradient-flow-ratio"),
    "collapse": (
        "constant-output",
        "prediction-collapse",
        "rank-collapse",
        "dead-relu",
        "dead-weights",
        "dead-on-arrival",
        "loss-not-decreasing",
        "no-better-than-guess",
        "no-better-than-constant",
    ),
    "bad-start": (
        "initial-weights",
        "poor-init",
        "initial-loss",
        "dead-weights",
        "dead-on-arrival",
    ),
    "linear": ("missing-nonlinearity",),
    "output": ("loss-activation-mismatch", "label-mismatch", "initial-loss"),
    "labels": (
        "label-mismatch",
        "target-range",
        "loss-not-decreasing",
        "no-better-than-guess",
        "no-better-than-constant",
        "constant-output",
    ),
    "input-range": ("input-range", "activation-scale"),
    "input-values": ("input-nonfinite", "input-flat", "constant-output"),
    "imbalance": ("class-imbalance", "prediction-collapse"),
    "overfit": ("overfitting", "held-out-fails", "overtraining", "too-good-validation"),
    "frozen": ("nothing-trainable", "frozen-output", "unchanged-weights", "zero-gradient"),
    "regularised": ("dropout-high", "dead-weights", "activation-scale"),
    "small-batch": ("batch-of-one", "batchnorm-small-batch", "loss-oscillation", "gradient-noise"),
    "few-samples": ("probe-too-small",),
    "short": ("stopped-early", "slow-convergence", "loss-not-decreasing", "no-better-than-guess"),
}


#: Faults that the model, its data or the first steps show: no training must be waited for.
AT_START = frozenset(
    {
        *("rate-huge", "init-zeros", "init-constant", "init-large", "init-tiny", "bias-dead"),
        *("hidden-linear", "output-relu", "output-linear", "output-sigmoid"),
        *("output-softmax-of-one", "softmax-twice", "loss-mismatched", "labels-scaled"),
        *("labels-signed", "inputs-unscaled", "inputs-shifted", "inputs-nan", "inputs-constant"),
        *("dropout-high", "layers-frozen", "output-frozen", "l2-large", "batch-of-one"),
    }
)


def rules(kinds: Iterable[str]) -> set[str]:
    """Returns the ids of the rules that give one of these kinds of answer."""
    return {rule for kind in kinds for rule in RULES[kind]}
