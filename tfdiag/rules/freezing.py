"""What is not trained: the whole model, or its last layer."""

from __future__ import annotations

from collections.abc import Iterator

from tfdiag.architecture import Layer
from tfdiag.rules.ending import CATEGORICAL, KERNELS
from tfdiag.rules.gate import so_far
from tfdiag.rules.progress import is_slow, progress
from tfdiag.rules.rule import CannotJudge, rule
from tfdiag.rules.wording import count
from tfdiag.trace import Finding, Trace


def _frozen(layer: Layer) -> str | None:
    return "frozen" if layer.parameters and not layer.trainable else None


@rule(
    id="nothing-trainable",
    title="Nothing to train",
    needs=(),
    advice=(
        "Set model.trainable = True, or that of the last layers alone, and compile again.",
        "Add a trainable layer at the end; for a frozen model, that is the cheap way to tune it.",
    ),
    why="Every weight is frozen, so training cannot change the model.",
    source="Keras, Transfer learning & fine-tuning, https://keras.io/guides/transfer_learning/",
    verdict="All weights are frozen",
    exempt=_frozen,
)
def nothing_trainable(trace: Trace) -> Iterator[Finding]:
    """Finds a model of which no weight is trained. Frozen layers are listed as exempt."""
    layers = [layer for layer in trace.architecture.layers if layer.parameters]
    if not layers:
        raise CannotJudge("the model has no weights")
    if any(layer.trainable for layer in layers):
        return
    yield Finding(
        severity="critical",
        step=int(trace.steps[0]),
        message=f"None of the {count(len(layers), 'layer')} with weights is trainable.",
        evidence=f"0 of {len(layers)} layers",
        value=0.0,
        limit=1.0,
    )


@rule(
    id="frozen-output",
    title="Output is frozen",
    needs=(),
    advice=(
        "Train {layer}: layer.trainable = True, and compile again.",
        "To tune a trained model, freeze it from the input side and train the last layers.",
    ),
    why="What the layers below learn has to fit weights that nothing has fitted to the task.",
    source="Keras, Transfer learning & fine-tuning, https://keras.io/guides/transfer_learning/",
    verdict="{layer} is frozen",
    exempt=lambda layer: None if layer.parameters else "no weights",
    watch="Let it run if {layer} is to stay as it is, as a judge that was trained before.",
)
def frozen_output(trace: Trace) -> Iterator[Finding]:
    """Finds a last layer that is frozen while layers below it are trained.

    Only watched: a random last layer that is fixed may do, and a generator is trained below a
    judge that is frozen, to a loss that may rise. A warning if the loss is no better than a guess's
    at the end, or, of several classes, never fell or has not come down to half when `judged_from`
    has come. All frozen is nothing-trainable's finding, and nothing is said of a backbone that is
    frozen below a head.
    """
    layers = [layer for layer in trace.architecture.layers if layer.parameters]
    outputs = [layer for layer in layers if layer.role == "output" and layer.type in KERNELS]
    if not outputs or any(layer.trainable for layer in outputs):
        return
    trained = sum(layer.trainable for layer in layers)
    if trained:
        loss = progress(trace)
        kind = (trace.architecture.loss_options or {}).get("kind")
        poor = loss.state == "stuck" or is_slow(trace)
        suffers = loss.state == "lost" or (poor and kind in CATEGORICAL)
        yield Finding(
            severity="warn" if suffers else "watch",
            step=int(trace.steps[0]),
            message=f"{outputs[0].name} is frozen, while {count(trained, 'layer')} below it "
            f"{'is' if trained == 1 else 'are'} trained{so_far(trace)}.",
            evidence=f"{outputs[0].name} frozen",
            layer=outputs[0].name,
        )
