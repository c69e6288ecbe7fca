"""The record in the middle: what was measured in a run, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfdiag.architecture import Architecture


@dataclass(frozen=True, eq=False)
class Trace:
    """Measurements of one training run.

    Attributes:
        steps: `int64[S]`, optimizer steps with a record, strictly increasing. Step 0 is the
            untrained model; at step s the gradient is that of the s-th update, and weights
            and outputs are those after it.
        architecture: the model's `L` layers.
        columns: measure's name (see `tfdiag.metrics`) to `float32[S, L]`. nan means "not
            measured here": by design (a layer without weights has no gradient), at that
            step (the probe set is visited less often), or because the tensor was not
            finite, which its `*_nonfinite` count then says.
        series: name to `float32[S]`, one number per step for the whole model: "loss" (mean
            over the training batch), "gradient_norm" (global L2 norm), "learning_rate",
            "probe_loss", "probe_<metric>", "epoch", "val_<metric>"... nan means "not measured
            at that step"; a loss that was measured and not finite is stored as such, so
            rules about a loss also read "loss_nonfinite" (0 or 1).
        wall_times: `float64[S]`, seconds since the Unix epoch.
        not_measured: measure's or series' name to the reason why this run has none of it.
        probe_samples: number of samples in the probe set; 0 if there is none.
        planned_steps: step at which training is to end; 0 if that is not known.
    """

    steps: np.ndarray
    architecture: Architecture
    columns: Mapping[str, np.ndarray]
    series: Mapping[str, np.ndarray] = field(default_factory=dict)
    wall_times: np.ndarray = field(default_factory=lambda: np.zeros(0))
    not_measured: Mapping[str, str] = field(default_factory=dict)
    probe_samples: int = 0
    planned_steps: int = 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the `L` layers, from the input side to the output side."""
        return self.architecture.names


class TraceRows:
    """The measurements so far, in memory, ready to become a `Trace`."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._times: list[float] = []
        self._stats: list[np.ndarray | None] = []
        self._series: list[dict[str, float]] = []

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last_step(self) -> int:
        """The last step with a record; -1 if there is none."""
        return self._steps[-1] if self._steps else -1

    def add(
        self, step: int, when: float, stats: np.ndarray | None, series: Mapping[str, float]
    ) -> None:
        """Adds a record; the same step twice is one row, a smaller one a restart.

        Args:
            step: optimizer step.
            when: seconds since the Unix epoch.
            stats: `float32[M, L]`, or None if this step has no measures per layer.
            series: name to a number for the whole model.
        """
        while self._steps and self._steps[-1] > step:
            for rows in (self._steps, self._times, self._stats, self._series):
                rows.pop()
        if self._steps and self._steps[-1] == step:
            if self._stats[-1] is None:
                self._stats[-1] = stats
            self._series[-1] = {**series, **self._series[-1]}
            return
        self._steps.append(step)
        self._times.append(when)
        self._stats.append(stats)
        self._series.append(dict(series))

    def trace(
        self,
        metrics: Sequence[str],
        architecture: Architecture,
        *,
        not_measured: Mapping[str, str],
        probe_samples: int,
        planned_steps: int = 0,
    ) -> Trace:
        """Returns all of it as a `Trace`.

        Args:
            metrics: names of the rows of each record's matrix.
            architecture: the model's `L` layers.
            not_measured: as in `Trace`.
            probe_samples: as in `Trace`.
            planned_steps: as in `Trace`.
        """
        empty = np.full((len(metrics), len(architecture.layers)), np.nan, np.float32)
        stacked = np.array([empty if stats is None else stats for stats in self._stats])
        names = dict.fromkeys(name for row in self._series for name in row)
        return Trace(
            steps=np.array(self._steps, np.int64),
            architecture=architecture,
            columns={name: stacked[:, row] for row, name in enumerate(metrics)},
            series={
                name: np.array([row.get(name, np.nan) for row in self._series], np.float32)
                for name in names
            },
            wall_times=np.array(self._times),
            not_measured=dict(not_measured),
            probe_samples=probe_samples,
            planned_steps=planned_steps,
        )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what, where, since when, how badly.

    Attributes:
        severity: "watch" (unusual, harmless so far), "warn" (training suffers) or
            "critical" (stop and fix).
        step: the first recorded step of the trouble.
        message: the evidence in one sentence: the number, its limit, for how long.
        evidence: the same in a few characters, "97 % ≥ 95 %".
        layer: name of the layer to blame; None if it is about the whole model.
        value: the number that was measured; nan if it is not finite.
        limit: the limit that it crossed; nan if there is none.
        metric: name of the measure or series that `value` is of; None if several.
        rule: id of the rule that found it; the rule engine fills it in.
    """

    severity: str
    step: int
    message: str
    evidence: str
    layer: str | None = None
    value: float = float("nan")
    limit: float = float("nan")
    metric: str | None = None
    rule: str = ""


#: Severities from the mildest to the worst.
SEVERITIES: tuple[str, ...] = ("watch", "warn", "critical")
