"""How many samples a training step sees."""

from __future__ import annotations

from collections.abc import Iterator

from tfdiag.rules.curves import finite, is_untrained
from tfdiag.rules.gate import so_far
from tfdiag.rules.loss import jumps
from tfdiag.rules.progress import progress
from tfdiag.rules.rule import rule
from tfdiag.rules.wording import count, share
from tfdiag.trace import Finding, Trace


def _no_batches(trace: Trace) -> str | None:
    return "there are no batches before training" if is_untrained(trace) else None


@rule(
    id="batchnorm-small-batch",
    title="BatchNormalization, small batch",
    needs=("batch_size",),
    advice=(
        "Use larger batches: 16 or more; each costs more memory.",
        "Use GroupNormalization or LayerNormalization, which do not depend on the batch.",
    ),
    why="Mean and deviation of so few samples are noise, and differ from those of inference.",
    source="Wu & He (2018), Group Normalization, https://arxiv.org/abs/1803.08494",
    unfit=_no_batches,
    verdict="Batch too small to normalize",
    below=("least",),
    watch="Let it run; use larger batches or GroupNormalization if the probe loss stays high.",
)
def batchnorm_small_batch(trace: Trace, *, least: int = 8) -> Iterator[Finding]:
    """Finds trained batch normalization with few samples in each batch. Watched at most.

    Args:
        least: samples in a batch. Source: torch-audit TA304.
    """
    size = _batch_size(trace)
    layers = [
        layer
        for layer in trace.architecture.layers
        if layer.type == "BatchNormalization" and layer.trainable
    ]
    if layers and size < least:
        yield Finding(
            severity="watch",
            step=int(trace.steps[0]),
            message=f"{count(len(layers), 'layer')} of BatchNormalization see {size} samples at a "
            f"time (limit {least}), {layers[0].name} first.",
            evidence=f"{size} < {least}",
            layer=layers[0].name,
            value=float(size),
            limit=float(least),
            metric="batch_size",
        )


@rule(
    id="batch-of-one",
    title="Batches of one sample",
    needs=("batch_size",),
    uses=("probe_loss",),
    advice=(
        "Use batches of 16 to 32 samples; an epoch takes a fraction of the time too.",
        "If only one sample fits into memory: gradient_accumulation_steps=16 in the optimizer.",
        "Keep the batch and lower the learning rate by a factor of ten.",
    ),
    why="The gradient of one sample is mostly noise, and each step follows it.",
    source="Masters & Luschi (2018), https://arxiv.org/abs/1804.07612: 2 to 32 is best",
    unfit=_no_batches,
    verdict="Batches of one sample",
    shares=("far",),
    watch="Let it run; use larger batches if the probe loss jumps.",
)
def batch_of_one(trace: Trace, *, far: float = 0.1) -> Iterator[Finding]:
    """Finds training on one sample at a time. Watched, unless the loss suffers.

    That is, if it does not fall, rises, or jumps up and down as in loss-oscillation, far above 0,
    whether it falls meanwhile or not: then each step undoes what that before has learned. That it
    fell and falls no more is no sign: any training comes to its end. Large pictures leave no
    choice, and a rate that is low enough makes up for it. Gradients that are accumulated over
    several batches are left out.

    Args:
        far: share of its start above which a loss is far above 0. Source: heuristic, no source.
    """
    size = _batch_size(trace)
    accumulated = trace.architecture.settings.get("gradient_accumulation_steps")
    if size > 1 or accumulated:
        return
    loss, swing = progress(trace), jumps(trace)
    swings = swing is not None and swing.level > far * finite(trace, "probe_loss")[0]
    suffers = loss.state in ("stuck", "lost", "worse") or swings
    text = f", the probe loss moves by {share(swing.size)} from look to look" if swing else ""
    yield Finding(
        severity="warn" if suffers else "watch",
        step=int(trace.steps[0]),
        message=f"Each step sees 1 sample (usual are 2 to 32 at least){so_far(trace)}{text}.",
        evidence="1 sample a step",
        value=float(size),
        limit=2.0,
        metric="batch_size",
    )


def _batch_size(trace: Trace) -> int:
    """Returns the samples of a training step; an epoch's last batch may be smaller."""
    sizes = trace.series["batch_size"]
    return int(max(sizes[sizes == sizes]))
