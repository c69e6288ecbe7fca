"""The catalogue of what is measured: each measure's name, title, unit and source."""

from __future__ import annotations

from dataclasses import dataclass

#: Where a measure is taken.
TRAINING = "training step"
PROBE = "probe set"
#: How the reason begins why a recording without one has nothing of it.
NO_PROBE = "no probe set was given"


@dataclass(frozen=True)
class Metric:
    """One measure, with one number per layer and recorded step.

    Attributes:
        name: key in `Trace.columns` and on disk.
        title: what a user reads.
        scale: how it is drawn: "log" (a magnitude), "share" (0 to 1), "linear" (can be
            negative) or "count" (an integer, 0 is well).
        source: `TRAINING` (from the real training step) or `PROBE` (from the held-out set).
        nonfinite: name of the measure that counts NaN and Inf in the same tensor; where
            that is above 0 this measure is undefined and stored as nan.
        about: one sentence: what is measured, in which unit.
    """

    name: str
    title: str
    scale: str
    source: str
    nonfinite: str
    about: str


#: Every measure, in the order in which it is stored and offered.
METRICS: tuple[Metric, ...] = (
    Metric(
        "gradient_rms",
        "Gradient RMS",
        "log",
        TRAINING,
        "gradient_nonfinite",
        "Root mean square of the loss's gradient over the layer's trainable weights, "
        "unscaled and before clipping.",
    ),
    Metric(
        "gradient_max",
        "Gradient max",
        "log",
        TRAINING,
        "gradient_nonfinite",
        "Largest magnitude of an entry of the layer's gradient.",
    ),
    Metric(
        "gradient_zeros",
        "Zero gradients",
        "share",
        TRAINING,
        "gradient_nonfinite",
        "Share of the gradient's entries that are exactly zero.",
    ),
    Metric(
        "gradient_nonfinite",
        "Non-finite gradients",
        "count",
        TRAINING,
        "gradient_nonfinite",
        "Number of the gradient's entries that are NaN or infinite.",
    ),
    Metric(
        "update_ratio",
        "Update ratio",
        "log",
        TRAINING,
        "weight_nonfinite",
        "Norm of what one step really changed, over the norm of the layer's weights before it.",
    ),
    Metric(
        "weight_rms",
        "Weight RMS",
        "log",
        TRAINING,
        "weight_nonfinite",
        "Root mean square of the layer's trainable weights, after the step.",
    ),
    Metric(
        "weight_nonfinite",
        "Non-finite weights",
        "count",
        TRAINING,
        "weight_nonfinite",
        "Number of the trainable weights that are NaN or infinite after the step.",
    ),
    Metric(
        "output_rms",
        "Output RMS",
        "log",
        PROBE,
        "output_nonfinite",
        "Root mean square of the layer's output over the whole probe set.",
    ),
    Metric(
        "output_mean",
        "Output mean",
        "linear",
        PROBE,
        "output_nonfinite",
        "Mean of the layer's output over the whole probe set.",
    ),
    Metric(
        "output_std",
        "Output deviation",
        "log",
        PROBE,
        "output_nonfinite",
        "Standard deviation of the layer's output over the whole probe set.",
    ),
    Metric(
        "output_zeros",
        "Zero outputs",
        "share",
        PROBE,
        "output_nonfinite",
        "Share of the layer's outputs that are exactly zero. Half is normal after a ReLU.",
    ),
    Metric(
        "dead_fraction",
        "Dead units",
        "share",
        PROBE,
        "output_nonfinite",
        "Share of a ReLU's units or channels that are not above zero anywhere on the whole "
        "probe set.",
    ),
    Metric(
        "saturated_fraction",
        "Saturated units",
        "share",
        PROBE,
        "output_nonfinite",
        "Share of a tanh's or sigmoid's units whose output sits in the flat end of the curve "
        "for at least 95 % of the probe set.",
    ),
    Metric(
        "output_nonfinite",
        "Non-finite outputs",
        "count",
        PROBE,
        "output_nonfinite",
        "Number of the layer's outputs that are NaN or infinite on the probe set, or the largest "
        "float32, which a MaxPooling makes of NaN.",
    ),
)

#: Names of the measures, in storage order.
METRIC_NAMES: tuple[str, ...] = tuple(metric.name for metric in METRICS)
