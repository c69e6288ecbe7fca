"""The record in the middle: what was measured in a run, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfdiag.architecture import Architecture
from tfdiag.data import Data

#: Rows that there is room for at first.
_ROWS = 64


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
            "probe_loss", "probe_<metric>", "probe_top_class_share" (of the probe set that gets
            the most frequent answer), "probe_top_class_true_share" (that is of that class),
            "batch_size", "epoch", "val_<metric>"... nan means "not measured
            at that step"; a loss that was measured and not finite is stored as such, so
            rules about a loss also read "loss_nonfinite" (0 or 1). Where an output of the model
            on the probe set is not finite, "probe_nonfinite" is 1, else 0, and of "probe_<metric>"
            only the losses are there.
        wall_times: `float64[S]`, seconds since the Unix epoch.
        not_measured: measure's or series' name to the reason why this run has none of it.
        probe_samples: number of samples in the probe set; 0 if there is none.
        planned_steps: step at which training is to end; 0 if that is not known.
        data: what the probe set looks like; None if there is none, or if it was not noted.
    """

    steps: np.ndarray
    architecture: Architecture
    columns: Mapping[str, np.ndarray]
    series: Mapping[str, np.ndarray] = field(default_factory=dict)
    wall_times: np.ndarray = field(default_factory=lambda: np.zeros(0))
    not_measured: Mapping[str, str] = field(default_factory=dict)
    probe_samples: int = 0
    planned_steps: int = 0
    data: Data | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the `L` layers, from the input side to the output side."""
        return self.architecture.names


class TraceRows:
    """The measurements so far, in memory, ready to become a `Trace` without being copied."""

    def __init__(self) -> None:
        self._length = 0
        self._steps = np.zeros(_ROWS, np.int64)
        self._times = np.zeros(_ROWS)
        self._stats: np.ndarray | None = None  # [capacity, M, L], from the first one on
        self._series: dict[str, np.ndarray] = {}  # name to [capacity]

    def __len__(self) -> int:
        return self._length

    @property
    def last_step(self) -> int:
        """The last step with a record; -1 if there is none."""
        return int(self._steps[self._length - 1]) if self._length else -1

    def add(
        self, step: int, when: float, stats: np.ndarray | None, series: Mapping[str, float]
    ) -> np.ndarray | None:
        """Adds a record; the same step twice is one row, a smaller one a restart.

        Args:
            step: optimizer step.
            when: seconds since the Unix epoch.
            stats: `float32[M, L]`, or None if this step has no measures per layer.
            series: name to a number for the whole model.

        Returns:
            All that is measured at this step, `float32[M, L]`; None where `stats` is.
        """
        while self._length and self._steps[self._length - 1] > step:
            self._length -= 1
        again = self.last_step == step
        if not again:
            self._length += 1
            if self._length > len(self._steps):
                self._grow()
        row = self._length - 1
        for values in [*self._series.values(), *([] if self._stats is None else [self._stats])]:
            values[row] = values[row] if again else np.nan
        self._steps[row] = step
        self._times[row] = self._times[row] if again else when
        for name, value in series.items():
            if name not in self._series:
                self._series[name] = np.full(len(self._steps), np.nan, np.float32)
            if not again or np.isnan(self._series[name][row]):
                self._series[name][row] = value
        if stats is None:
            return None
        if self._stats is None:
            self._stats = np.full((len(self._steps), *stats.shape), np.nan, np.float32)
        self._stats[row] = np.where(np.isnan(stats), self._stats[row], stats)
        return self._stats[row].copy()

    def trace(
        self,
        metrics: Sequence[str],
        architecture: Architecture,
        *,
        not_measured: Mapping[str, str],
        probe_samples: int,
        planned_steps: int = 0,
        data: Data | None = None,
    ) -> Trace:
        """Returns all of it as a `Trace`, a view that the next `add` may change.

        Args:
            metrics: names of the rows of each record's matrix.
            architecture: the model's `L` layers.
            not_measured: as in `Trace`.
            probe_samples: as in `Trace`.
            planned_steps: as in `Trace`.
            data: as in `Trace`.
        """
        length = self._length
        stats = self._stats
        if stats is None:
            stats = np.full((length, len(metrics), len(architecture.layers)), np.nan, np.float32)
        return Trace(
            steps=self._steps[:length],
            architecture=architecture,
            columns={name: stats[:length, row] for row, name in enumerate(metrics)},
            series={name: values[:length] for name, values in self._series.items()},
            wall_times=self._times[:length],
            not_measured=dict(not_measured),
            probe_samples=probe_samples,
            planned_steps=planned_steps,
            data=data,
        )

    def _grow(self) -> None:
        """Doubles the room, so that a row is copied once on average."""
        more = len(self._steps)
        self._steps = np.concatenate([self._steps, np.zeros(more, np.int64)])
        self._times = np.concatenate([self._times, np.zeros(more)])
        if self._stats is not None:
            self._stats = _longer(self._stats, more)
        self._series = {name: _longer(values, more) for name, values in self._series.items()}


def _longer(values: np.ndarray, rows: int) -> np.ndarray:
    return np.concatenate([values, np.full((rows, *values.shape[1:]), np.nan, np.float32)])


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
