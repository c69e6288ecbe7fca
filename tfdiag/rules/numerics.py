"""Numbers that are no numbers: NaN and Inf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfdiag.rules.patience import streak_start
from tfdiag.rules.rates import tenth
from tfdiag.rules.roles import at_input, input_layers
from tfdiag.rules.rule import Case, rule
from tfdiag.rules.wording import count, since
from tfdiag.trace import Finding, Trace

_AT_ONCE = (
    "Look for NaN, Inf and very large values in inputs and targets.",
    "Start with smaller weights: kernel_initializer='he_normal' or 'glorot_uniform'.",
    "Look for log(0) or a division by zero in the layers and in the loss.",
)
_LOOK = "np.isfinite(x_train).all(), abs(x_train).max()"
#: The learning rate up to which NaN comes rather from the data. Source: heuristic; it is what Adam
#: begins with in Keras, and a tenth of what SGD does.
_SMALL_RATE = 1e-3
_DATA_FIRST = (
    "Look for NaN, Inf and very large values in the training data: a learning rate this small is "
    "rarely the cause.",
    "Look for log(0) or a division by zero in the layers and in the loss.",
    "Clip gradients: clipnorm=1.0 in the optimizer.",
)


def _has_small_rate(finding: Finding, facts: Mapping[str, Any]) -> bool:
    rate = facts.get("learning_rate")
    return isinstance(rate, float) and rate <= float(np.float32(_SMALL_RATE))  # as it is recorded


@rule(
    id="nonfinite-loss",
    title="NaN loss",
    needs=("loss_nonfinite",),
    advice=(
        "Lower the learning rate by a factor of ten.",
        "Clip gradients: clipnorm=1.0 in the optimizer.",
        "Look for NaN in inputs and targets, and for log(0) or a division by zero in the loss.",
    ),
    why="Each update with a NaN makes more weights NaN; from there on nothing is learned.",
    source="Keras TerminateOnNaN, https://keras.io/api/callbacks/terminate_on_nan/",
    verdict="NaN loss since step {step}",
    code=tenth,
    watch="Let it run; look again if the loss is NaN once more.",
    cases=(
        Case(
            # The first step's loss is that before it; outputs are seen before any step.
            lambda finding, facts: finding.step <= 1 or facts.get("nonfinite_at_start") == "yes",
            "NaN loss from the start",
            _AT_ONCE,
            _LOOK,
        ),
        Case(_has_small_rate, "NaN loss since step {step}", _DATA_FIRST, _LOOK),
    ),
)
def nonfinite_loss(trace: Trace) -> Iterator[Finding]:
    """Finds a training loss that is NaN or infinite.

    Critical while it lasts; only watched if the loss came back, because then training survived:
    a loss-scaling optimizer skips such a step. A negative loss is legal and not our business.
    """
    bad = trace.series["loss_nonfinite"][:, np.newaxis]
    lasting = streak_start(bad > 0, np.isfinite(bad), 1)[0]
    times = int((bad > 0).sum())
    if not times:
        return
    first = lasting if lasting >= 0 else np.flatnonzero(bad > 0)[0]
    step = int(trace.steps[first])
    message = f"The training loss is NaN or infinite, {since(step)}."
    if lasting < 0:
        message = (
            f"The training loss was NaN or infinite in {count(times, 'record')}, first at step "
            f"{step}, and came back."
        )
    yield Finding(
        severity="critical" if lasting >= 0 else "watch",
        step=step,
        message=message,
        evidence="loss is not finite" if lasting >= 0 else f"not finite {times}×, came back",
        limit=0.0,
        metric="loss",
    )


@rule(
    id="nonfinite-tensor",
    title="NaN in a layer",
    needs=(("weight_nonfinite", "gradient_nonfinite", "output_nonfinite"),),
    uses=("weight_nonfinite", "gradient_nonfinite", "output_nonfinite"),
    advice=(
        "Lower the learning rate by a factor of ten.",
        "Look at this layer for a division, a logarithm or an exponential without a bound.",
        "With mixed precision, compute this layer in float32: dtype='float32'.",
    ),
    why="A NaN spreads to all layers that follow and, through the gradient, to all weights.",
    source="TensorBoard Debugger V2, InfNanAlert, "
    "https://www.tensorflow.org/tensorboard/debugger_v2",
    verdict="NaN in {layer}, step {step}",
    code=tenth,
    watch="Let it run; look again if loss, gradients or weights become NaN.",
    cases=(
        Case(
            lambda finding, facts: finding.step == 0 and at_input(finding, facts),
            "NaN in the inputs",
            (
                "Look for NaN, Inf and very large values in inputs, the probe set's too: {layer} "
                "is the first layer and gives some before any training.",
                "If the inputs are finite, look at the initial weights of {layer}.",
            ),
            "np.isfinite(x_train).all(), np.isfinite(x_probe).all()",
        ),
        Case(lambda finding, facts: finding.step == 0, "NaN in {layer} at start", _AT_ONCE, _LOOK),
        Case(_has_small_rate, "NaN in {layer}, step {step}", _DATA_FIRST, _LOOK),
    ),
)
def nonfinite_tensor(trace: Trace, *, skips: int = 3) -> Iterator[Finding]:
    """Finds the first layer, from the input side, among those with NaN or Inf at first.

    One finding per run. NaN in weights counts at once. NaN in gradients counts after
    `skips` records or with a NaN loss, because a loss-scaling optimizer skips such steps on
    purpose. NaN in outputs alone is only watched while loss, gradients and weights are
    finite: an attention mask may hold -inf. But if before any training the first layer gives NaN
    and the last one too, the inputs hold it: of the probe set alone that is a warning, because
    nothing can be measured on it.

    Args:
        skips: records in a row with non-finite gradients, up to the last one. Source: heuristic;
            LossScaleOptimizer halves its scale after each, so it rarely skips many.
    """
    weights = _since(trace, "weight_nonfinite", 1)
    outputs = _since(trace, "output_nonfinite", 1)
    loss = trace.series.get("loss_nonfinite", np.zeros(0))
    loss_lost = bool(loss[np.isfinite(loss)][-1:].any())
    gradients = _since(trace, "gradient_nonfinite", 1 if loss_lost else skips)
    harmful = loss_lost or bool((weights >= 0).any() or (gradients >= 0).any())
    starts_of = {
        "weight_nonfinite": weights,
        "gradient_nonfinite": gradients,
        "output_nonfinite": outputs,
    }
    rows = [row for starts in starts_of.values() for row in starts[starts >= 0]]
    if not rows:
        return
    first = min(rows)
    layer, metric = min(
        (int(np.flatnonzero(starts == first)[0]), metric)
        for metric, starts in starts_of.items()
        if (starts == first).any()
    )
    step = int(trace.steps[first])
    entries = max(1, int(trace.columns[metric][first, layer]))
    together = int(np.any([starts == first for starts in starts_of.values()], axis=0).sum())
    ever = int(np.any([starts >= 0 for starts in starts_of.values()], axis=0).sum())
    fed = first == 0 == step and trace.layers[layer] in input_layers(trace.architecture)
    ends = outputs[[one.role == "output" for one in trace.architecture.layers]]
    through = bool(len(ends) and ends.max() == 0)
    mild = "warn" if fed and through else "watch"
    yield Finding(
        severity="critical" if harmful else mild,
        step=step,
        message=_message(trace.layers[layer], metric, entries, step, together - 1, ever - 1),
        evidence=f"{entries:,} NaN or Inf",
        layer=trace.layers[layer],
        value=float(entries),
        limit=0.0,
        metric=metric,
    )


def _since(trace: Trace, metric: str, patience: int) -> np.ndarray:
    """Returns `int64[L]`, the row since which a layer's count is above 0, or -1."""
    counts = trace.columns.get(metric)
    if counts is None:
        return np.full(len(trace.layers), -1)
    return streak_start(counts > 0, np.isfinite(counts), patience)


def _message(layer: str, metric: str, entries: int, step: int, together: int, more: int) -> str:
    tensor = {
        "weight_nonfinite": ("weight", "weights"),
        "gradient_nonfinite": ("entry of the gradient", "entries of the gradient"),
        "output_nonfinite": ("output", "outputs"),
    }[metric]
    message = f"{layer} has {entries:,} non-finite {tensor[entries != 1]} at step {step}"
    if not more:
        return message + "; no other layer has any."
    if not together:
        return message + f"; {count(more, 'layer')} more later."
    if together == more:
        return message + f"; {count(more, 'layer')} more at the same record."
    return message + f"; {count(more, 'layer')} more, {together} of them at the same record."
