"""Whether the model gives one answer for all, and whether there are samples enough to tell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfdiag.rules.ending import data_of
from tfdiag.rules.labels import no_classes
from tfdiag.rules.patience import last_measured, streak_start
from tfdiag.rules.progress import progress
from tfdiag.rules.rule import rule
from tfdiag.rules.wording import count, share, since
from tfdiag.trace import Finding, Trace


@rule(
    id="probe-too-small",
    title="Small probe set",
    needs=(),
    advice=("Hold back more samples: 256 cost about four times what 64 do.",),
    why="A unit that fires on few samples looks dead, and a loss of few samples is noisy.",
    source="heuristic: a unit that fires on a share p of the data is silent on n samples with "
    "probability (1 - p)^n",
    verdict="Probe set is small",
    below=("samples",),
    watch="Let it run; take what is said about outputs with caution.",
)
def probe_too_small(trace: Trace, *, samples: int = 64) -> Iterator[Finding]:
    """Finds a probe set of few samples. Watched at most.

    Args:
        samples: in the probe set. Source: heuristic; a unit that fires on 5 % of the data is
            silent on 64 samples with a probability of 4 %.
    """
    if not trace.probe_samples:
        data_of(trace)
    if trace.probe_samples < samples:
        yield Finding(
            severity="watch",
            step=int(trace.steps[0]),
            message=f"The probe set has {count(trace.probe_samples, 'sample')} (limit {samples}): "
            f"{share(0.95**trace.probe_samples)} of the units that fire on 5 % of the data look "
            "dead.",
            evidence=f"{trace.probe_samples} < {samples}",
            value=float(trace.probe_samples),
            limit=float(samples),
        )


@rule(
    id="prediction-collapse",
    title="One answer for all",
    needs=("probe_top_class_share", "probe_top_class_true_share"),
    advice=(
        "Check that the last activation fits the loss, and that labels belong to their samples.",
        "Lower the learning rate by a factor of ten: a large step may have emptied the model.",
        "Look for dead or saturated layers: then nothing of the input gets through.",
    ),
    why="The model gives the same answer whatever it sees: it has learned at most how often each "
    "class occurs.",
    source="SageMaker Debugger, and TheDeepChecker (Ben Braiek & Khomh, 2023), for the idea; the "
    "limits are heuristics",
    verdict="One answer for all",
    shares=("top", "true"),
    unfit=no_classes,
    below=("true",),
    reads={"top": "probe_top_class_share", "true": "probe_top_class_true_share"},
    watch="Let it run; look again when the loss falls no more.",
)
def prediction_collapse(
    trace: Trace, *, top: float = 0.9, true: float = 0.6, patience: int = 3, warm_up: int = 200
) -> Iterator[Finding]:
    """Finds a model that answers the same class for nearly all of the probe set.

    Watched only while the loss still falls: many models begin so. That the loss is low is no
    excuse: it also falls from a bad start to that of a guess.

    Args:
        top: share of the samples that get this answer. Source: heuristic, no source.
        true: share of the samples for which it may be right: with unequal classes one answer
            for all is a fair guess. With two equal classes it is right for about half. Source:
            heuristic, no source.
        patience: looks in a row, up to the last one.
        warm_up: optimizer steps before the first look that counts.
    """
    shares = trace.series["probe_top_class_share"][:, np.newaxis]
    truth = trace.series["probe_top_class_true_share"][:, np.newaxis]
    bad = (shares > top) & (truth < true)
    start = streak_start(bad, np.isfinite(shares), patience, trace.steps > warm_up)[0]
    if start < 0:
        return
    step, loss = int(trace.steps[start]), progress(trace)
    said, right = float(last_measured(shares)[0]), float(last_measured(truth)[0])
    yield Finding(
        severity="watch" if loss.state == "improving" else "warn",
        step=step,
        message=f"{share(said)} of the probe set get the same answer, {since(step)}, which is "
        f"right for {share(right)} (limits {share(top)} and {share(true)}); {loss.text}.",
        evidence=f"{share(said)} > {share(top)}",
        value=said,
        limit=top,
        metric="probe_top_class_share",
    )
