"""From which step on two runs part: in their losses, and in each measure of each layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tfdiag.architecture import DYING, SATURATING, counterparts
from tfdiag.metrics import METRICS
from tfdiag.trace import Trace

#: Times the noise that a difference must exceed, to one side, and for how many records in a row:
#: either a few that are far apart, or many that are a little. Source: the idea is that of Nelson
#: (1984), "The Shewhart Control Chart - Tests for Special Causes", J. Quality Technology 16(4);
#: these numbers are heuristic, no source.
RULES = ((3.0, 5), (1.0, 10))
#: What is no difference, however quiet the baseline is: a factor where a measure is drawn on a log
#: scale, a part of 1 for a share, otherwise a part of the larger usual size. Source: heuristic,
#: no source; equal programs with other random weights stay below them.
LEAST = {"log": 1.5, "share": 0.2, "linear": 0.5}
#: Records in common that are needed to tell noise from a trend.
LEAST_RECORDS = 8
#: Successive differences around a record from which its noise is estimated.
_WINDOW = 15
#: Median of |x| for x of a standard normal distribution.
_MEDIAN = 0.6745

#: Measures that only layers with certain activations have, and how these are called.
_ONLY_AFTER = {
    "dead_fraction": (DYING, "ReLU"),
    "saturated_fraction": (tuple(SATURATING), "tanh or sigmoid"),
}

#: Series of the whole model that are compared like the measures of layers: name to title.
_LOSSES = {"loss": "Loss", "probe_loss": "Probe loss"}


@dataclass(frozen=True)
class Parting:
    """Whether, when and where a measure of two runs stops being alike.

    Attributes:
        name: of the measure or series.
        title: what a user reads.
        scale: as in `Metric`. With "log", `apart` and `limit` are factors, else differences.
        outcome: "parted", "together" or "not-comparable".
        reason: why the runs cannot be compared, or None.
        step: from which on they are apart; if they are together, the last that was compared.
        layer: the run's layer that is apart first; None for a series.
        run: the run's value at that step; nan if it is not finite.
        baseline: the baseline's value beside it.
        apart: run over baseline, or run minus baseline; nan if one of them is not finite.
        limit: what `apart` had to exceed there, to either side; nan if one is not finite.
    """

    name: str
    title: str
    scale: str
    outcome: str = "not-comparable"
    reason: str | None = None
    step: int | None = None
    layer: str | None = None
    run: float = math.nan
    baseline: float = math.nan
    apart: float = math.nan
    limit: float = math.nan


def partings(
    run: Trace, baseline: Trace, found: Mapping[str, int] = MappingProxyType({})
) -> list[Parting]:
    """Returns of the losses and of each measure when they part, what parts first before others.

    Args:
        run: the run that is compared.
        baseline: a run that went well.
        found: layers of the run to the first step of a finding in them. Of the layers that part at
            the same step such a one is told of before others, so that nothing else is said here
            than in the diagnosis.

    Runs are compared at the records of the one that has fewer of them, between the first and the
    last step that both have; the other one is taken at its last record until then. They are apart
    from the first step at which, for as many records in a row as one of `RULES` wants,

        |x_run - x_baseline| > max(least, times * noise), to one side,

    where x is log2 of the value if the measure is drawn on a log scale, and otherwise the value.

    `noise` is the deviation that the difference of two equal runs would have if both scatter as
    the baseline does. If its records are a slow trend plus independent errors of deviation s,
    successive ones differ by a deviation of s * sqrt(2), and so do two such runs. That of the
    successive differences is estimated by the median of their magnitudes around the step, over
    0.6745. `LEAST` is there because other random weights shift a quiet curve by more than its
    noise: among 26 pairs of the demo's network that differ in their seed alone, no measure parts.

    A value that is NaN or infinite in one of the runs alone is no noise: they part at once, and
    such a record counts in a streak that leads to it, whatever its side. Records in which both are
    lost tell nothing and are left out.

    Source: von Neumann et al. (1941), "The Mean Square Successive Difference", Annals of
    Mathematical Statistics 12(2), for a measure of noise that a trend does not disturb; Donoho &
    Johnstone (1994), "Ideal Spatial Adaptation by Wavelet Shrinkage", Biometrika 81(3), for the
    median over 0.6745.
    """
    told = [*_losses(run, baseline), *_measures(run, baseline, found)]
    order = ("parted", "together", "not-comparable")
    return sorted(
        told,
        key=lambda one: (order.index(one.outcome), one.step if one.outcome == "parted" else 0),
    )


def _losses(run: Trace, baseline: Trace) -> Iterator[Parting]:
    for name, title in _LOSSES.items():
        pair = _series(run, name), _series(baseline, name)
        if not any(len(curve.steps) for curve in pair):
            continue
        positive = all((curve.values[~curve.broken] >= 0).all() for curve in pair)
        told = Parting(name, title, "log" if positive else "linear")
        yield _compare(told, *pair)


def _measures(run: Trace, baseline: Trace, found: Mapping[str, int]) -> Iterator[Parting]:
    alike = counterparts(run.architecture, baseline.architecture)
    for metric in METRICS:
        if metric.scale == "count":
            continue  # what they count parts the measure itself
        told = Parting(metric.name, metric.title, metric.scale)
        reason = _unmeasured(run, baseline, metric.name)
        if reason or not alike:
            yield replace(told, reason=reason or "the models have no layer in common")
            continue
        ours, theirs = (_columns(trace, metric.name, metric.nonfinite) for trace in (run, baseline))
        layers = (_compare(replace(told, layer=a), ours[a], theirs[b]) for a, b in alike.items())
        yield _first_of(layers, found)


def _unmeasured(run: Trace, baseline: Trace, name: str) -> str | None:
    """Returns why one of them, or both, have none of a measure; None if both have it."""
    ours, theirs = (_why_none(trace, name) for trace in (run, baseline))
    if ours and ours == theirs:
        return ours
    if ours:
        return f"the run has none: {ours}"
    return f"the baseline has none: {theirs}" if theirs else None


def _why_none(trace: Trace, name: str) -> str | None:
    if name in trace.not_measured:
        return trace.not_measured[name]
    if name not in trace.columns:
        return "its recording does not have it"
    functions, words = _ONLY_AFTER.get(name, ((), ""))
    if not functions or np.isfinite(trace.columns[name]).any():
        return None
    has_one = any(layer.activation in functions for layer in trace.architecture.layers)
    return None if has_one else f"no layer with {words}"


def _first_of(layers: Iterator[Parting], found: Mapping[str, int]) -> Parting:
    """Returns the layer to tell of: the first to part, else one of which something is known."""

    def rank(one: Parting) -> tuple[float, bool, float]:
        step = math.inf if one.step is None else one.step
        return step, found.get(one.layer or "", math.inf) > step, -_excess(one)

    told = list(layers)
    parted = [one for one in told if one.outcome == "parted"]
    if parted:
        return min(parted, key=rank)
    together = [one for one in told if one.outcome == "together"]
    chosen = max(together or told, key=lambda one: one.step or 0)
    return replace(chosen, layer=None)


def _excess(told: Parting) -> float:
    """Returns how far beyond its limit a difference is; inf if one value is not finite."""
    if math.isnan(told.apart) or not told.limit:
        return math.inf
    if told.scale != "log":
        return abs(told.apart) / told.limit
    return abs(math.log2(told.apart)) / math.log2(told.limit) if told.apart > 0 else math.inf


@dataclass(frozen=True)
class _Curve:
    """What was measured, without the steps at which it was not.

    Attributes:
        steps: `int64[N]`, increasing.
        values: `float64[N]`, finite unless broken.
        broken: `bool[N]`, whether NaN or Inf was there.
    """

    steps: np.ndarray
    values: np.ndarray
    broken: np.ndarray

    def at(self, steps: np.ndarray) -> _Curve:
        """Returns it at `steps`, of which none is before its first: the last record until then."""
        if np.array_equal(self.steps, steps):
            return self
        rows = np.searchsorted(self.steps, steps, "right") - 1
        return _Curve(steps, self.values[rows], self.broken[rows])


def _curve(steps: np.ndarray, values: np.ndarray, nonfinite: np.ndarray) -> _Curve:
    broken = (nonfinite > 0) | np.isinf(values)
    taken = broken | np.isfinite(values)
    return _Curve(steps[taken], values[taken].astype(np.float64), broken[taken])


def _series(trace: Trace, name: str) -> _Curve:
    nothing = np.full(len(trace.steps), np.nan)
    values = trace.series.get(name, nothing)
    nonfinite = trace.series.get(f"{name}_nonfinite", nothing)
    if name.startswith("probe_") and np.isfinite(values).any():
        # Nothing counts its NaN, but where outputs were looked at it was there to be measured.
        looked = np.isfinite(trace.columns.get("output_nonfinite", nothing[:, np.newaxis]))
        nonfinite = np.isnan(values) & looked.any(axis=1)
    return _curve(trace.steps, values, nonfinite)


def _columns(trace: Trace, name: str, nonfinite: str) -> dict[str, _Curve]:
    """Returns each layer's curve; empty if it has no such measure, whatever its tensor holds."""
    values = trace.columns[name]
    counts = trace.columns.get(nonfinite, np.zeros_like(values))
    ever = np.isfinite(values).any(axis=0)
    return {
        layer: _curve(trace.steps, values[:, i], np.where(ever[i], counts[:, i], 0))
        for i, layer in enumerate(trace.layers)
    }


def _compare(told: Parting, run: _Curve, baseline: _Curve) -> Parting:
    """Returns `told` with what comes of two curves."""
    steps = _common(run.steps, baseline.steps)
    if not len(steps):
        return replace(told, reason="there is no step at which both have it")
    ours, theirs = run.at(steps), baseline.at(steps)
    lost = ours.broken != theirs.broken
    whole = ~ours.broken & ~theirs.broken
    if whole.sum() < LEAST_RECORDS and not lost.any():
        records = "1 record" if whole.sum() == 1 else f"{whole.sum()} records"
        return replace(
            told,
            reason=f"only {records} in common where both are finite, of {LEAST_RECORDS} needed",
        )
    x, y = (_scaled(curve.values[whole], told.scale) for curve in (ours, theirs))
    (known,) = np.nonzero(whole | lost)
    start, limit = _start(_apart(x, y), y, lost[known], _least(x, y, told.scale))
    parted = [*np.flatnonzero(lost)[:1], *([] if start is None else [known[start]])]
    if not parted:
        return replace(told, outcome="together", step=int(steps[-1]))
    row = min(parted)
    a, b = (math.nan if curve.broken[row] else float(curve.values[row]) for curve in (ours, theirs))
    limit = math.nan if math.isnan(a + b) else limit
    return replace(
        told,
        outcome="parted",
        step=int(steps[row]),
        run=a,
        baseline=b,
        apart=(a / b if b else math.nan) if told.scale == "log" else a - b,
        limit=2.0**limit if told.scale == "log" else limit,
    )


def _common(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns the steps of the curve that has fewer of them where both are there."""
    if not len(ours) or not len(theirs):
        return ours[:0]
    first, last = max(ours[0], theirs[0]), min(ours[-1], theirs[-1])
    inside = [steps[(steps >= first) & (steps <= last)] for steps in (ours, theirs)]
    return min(inside, key=len)


def _scaled(values: np.ndarray, scale: str) -> np.ndarray:
    if scale != "log":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log2(values)  # of 0 it is -inf: infinitely far from all but 0


def _apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.where(x == y, 0.0, x - y)


def _least(x: np.ndarray, y: np.ndarray, scale: str) -> float:
    if scale == "log":
        return math.log2(LEAST[scale])
    if scale == "linear":
        sizes = [float(np.median(np.abs(values))) for values in (x, y) if len(values)]
        return LEAST[scale] * max(sizes, default=0.0)
    return LEAST[scale]


def noise(baseline: np.ndarray) -> np.ndarray:
    """Returns `float64[N]`, by how much two runs that are equal but for noise would differ."""
    jumps = np.abs(_apart(baseline[1:], baseline[:-1]))
    if not len(jumps):
        return np.zeros(len(baseline))
    medians = np.median(sliding_window_view(jumps, min(_WINDOW, len(jumps))), axis=1)
    first = np.arange(len(baseline)) - _WINDOW // 2
    return medians[np.clip(first, 0, len(medians) - 1)] / _MEDIAN


def _start(
    apart: np.ndarray, baseline: np.ndarray, lost: np.ndarray, least: float
) -> tuple[int | None, float]:
    """Returns the first row of a streak that one of `RULES` wants, and the limit exceeded there.

    Args:
        apart: `float64[N]`, one entry per row that is not lost.
        baseline: `float64[N]`.
        lost: `bool[R]`, whether only one of both is finite in a row.
    """
    everywhere = np.full(len(lost), math.nan)
    everywhere[~lost] = apart
    shortest = min(patience for _, patience in RULES)
    if not len(_streaks(everywhere, lost, least, shortest)):  # most are not: spare them the noise
        return None, math.nan
    deviation = np.zeros(len(lost))
    deviation[~lost] = noise(baseline)
    found: list[tuple[int, float]] = []
    for times, patience in RULES:
        limits = np.maximum(least, times * deviation)
        starts = _streaks(everywhere, lost, limits, patience)
        found += [(int(row), float(limits[row])) for row in starts[:1]]
    return min(found, default=(None, math.nan))


def _streaks(
    apart: np.ndarray, lost: np.ndarray, limits: np.ndarray | float, patience: int
) -> np.ndarray:
    """Returns `int[K]`, the rows from which on so many in a row are beyond to the same side."""
    starts = np.zeros(max(0, len(apart) - patience + 1), bool)
    for beyond in (apart > limits, apart < -limits):
        counts = np.cumsum(np.r_[0, beyond | lost])
        starts |= counts[patience:] - counts[:-patience] == patience
    return np.flatnonzero(starts)
