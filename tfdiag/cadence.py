"""When something is measured: at fixed steps, or as often as a budget of time allows.

The budget is that of `Budget`, the time is that of `Clock`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Steps between two samples, and between two looks at the probe set, where time is no matter.
EVERY, PROBE_EVERY = 20, 100
#: Step of the first sample where the cadence is free: the first steps are slow as they are.
FIRST = 10
#: A free cadence is stretched to one of these multiples, so that runs share most of their steps.
_ROUND = tuple(m * 10**power for power in range(7) for m in (1, 2, 5))


@dataclass
class Cadence:
    """Steps at which one kind of measurement is due.

    Attributes:
        fixed: intervals in steps that users asked for.
        base: the interval of a cadence that may be stretched; 0 for none.
        stretch: how many times its base that interval is now.
    """

    fixed: frozenset[int]
    base: int = 0
    stretch: int = 1

    @classmethod
    def of(cls, intervals: Iterable[int | None], base: int) -> Cadence:
        """Returns the cadence for several callbacks.

        Args:
            intervals: of each callback: a number of steps, 0 for "never", None for "as often as
                the budget allows".
            base: the interval of the latter, where time is no matter.
        """
        wanted = set(intervals)
        return cls(frozenset(n for n in wanted if n), base if None in wanted else 0)

    def __bool__(self) -> bool:
        """Returns whether anything is due ever."""
        return bool(self.fixed or self.base)

    def settled(self) -> Cadence:
        """Returns the same cadence with all of its steps fixed."""
        return Cadence(self.fixed | ({self.base} if self.base else set()))

    @property
    def shortest(self) -> int:
        """The shortest interval, as it is now; 0 if nothing is due ever."""
        return min([*self.fixed, *([self.base * self.stretch] if self.base else [])], default=0)

    @property
    def finest(self) -> int:
        """The shortest interval as it was asked for; 0 if nothing is due ever."""
        return min([*self.fixed, *([self.base] if self.base else [])], default=0)

    @property
    def is_rare(self) -> bool:
        """Whether nothing is due but at the beginning and the end."""
        return not self.fixed and self.stretch >= _ROUND[-1]

    def due(self, step: int, ahead: int) -> bool:
        """Returns whether a multiple of an interval lies in the `ahead` steps after `step`."""
        free = self.base * self.stretch
        if free and (step + ahead) // free > step // free:
            return True
        return any((step + ahead) // n > step // n for n in self.fixed)


class Budget:
    """Stretches free cadences so that monitoring stays within a share of the training's time.

    Args:
        share: of the time that training takes without a monitor, such as 0.02.
        samples: cadence of the samples of the training step.
        looks: cadence of the looks at the probe set.
    """

    def __init__(self, share: float, samples: Cadence, looks: Cadence):
        self.share = share
        self._samples, self._looks = samples, looks
        self._sample_cost = self._look_cost = 0.0  # seconds of the last one
        self._sampled = 0

    @property
    def is_free(self) -> bool:
        """Whether there is a cadence to stretch."""
        return bool(self._samples.base or self._looks.base)

    def sampled(self, seconds: float) -> None:
        """Notes what a sample took; the first one holds what is paid once."""
        self._sampled += 1
        if self._sampled > 1:
            self._sample_cost = seconds

    def looked(self, seconds: float) -> None:
        """Notes what a look at the probe set took, with all that follows from it."""
        self._look_cost = seconds

    def plan(
        self, *, spent: float, elapsed: float, steps_left: int | None, step_seconds: float
    ) -> None:
        """Sets the stretch of the cadences.

        Args:
            spent: seconds that monitoring has taken.
            elapsed: seconds since training began, with those.
            steps_left: planned steps that are not made yet; None if that is not known.
            step_seconds: of a step that is not sampled; 0 if that is not known.
        """
        if not self.is_free or not step_seconds or (self._samples and self._sampled < 2):
            return
        # Without a plan, training is taken to go on as long as it has lasted.
        coming = elapsed if steps_left is None else steps_left * step_seconds
        steps = coming / step_seconds
        if steps < (self._samples.base or self._looks.base):  # the end: hardly anything is due
            return
        training = elapsed - spent + coming
        left = self.share * training - spent - self._look_cost  # for the last look
        samples = steps * self._sample_cost / self._samples.base if self._samples.base else 0.0
        looks = steps * self._look_cost / self._looks.base if self._looks.base else 0.0
        # Half of it for each, and what one does not need for the other. Samples cost little and
        # say most, so something of what comes is left for them however much was spent once.
        for_samples = max(left / 2, left - looks, self.share * coming / 4)
        self._samples.stretch = _stretch(samples, for_samples)
        self._looks.stretch = _stretch(looks, left - min(samples, for_samples))

    def in_words(self) -> str:
        """Returns what users read when cadences were stretched."""
        looks = f" and the probe set {_often(self._looks)}" if self._looks else ""
        return (
            f"tfdiag records gradients {_often(self._samples)}{looks} for now, to take at most "
            f"{100 * self.share:.3g} % of the training's time. HealthMonitor(budget=...) changes "
            f"that; every={' and probe_every=' if looks else ''} fix{'' if looks else 'es'} the "
            "steps."
        )

    def for_snapshots(self, *, spent: float, elapsed: float) -> float:
        """Returns how many seconds snapshots of the weights may have taken, all of them.

        Their part is their own: what else is measured would leave them nothing.
        """
        return self.share / 4 * (elapsed - spent)

    def affords(self, seconds: float, *, spent: float, elapsed: float) -> bool:
        """Returns whether there is time now for something that can also be done later."""
        return not self.is_free or spent + seconds <= self.share * (elapsed - spent)


class Clock:
    """How long executions take, in seconds.

    Attributes:
        plain: a typical execution that is not sampled; 0 while none is known.
        last_extra: what the last sampled execution took more.
        extra: what all sampled executions took more.
    """

    def __init__(self) -> None:
        self.plain = self.last_extra = self.extra = 0.0
        self._seen = 0

    def add(self, seconds: float) -> None:
        """Adds an execution that was not sampled; the first ones are traced, so they are slow."""
        self._seen += 1
        if self._seen < 3:
            return
        # A running median: an outlier moves it as little as any other value.
        rate = 1 / min(self._seen, 50)
        self.plain = self.plain * (1 + (rate if seconds > self.plain else -rate)) or seconds

    def add_sampled(self, seconds: float) -> None:
        """Adds a sampled execution."""
        self.last_extra = max(0.0, seconds - self.plain)
        self.extra += self.last_extra


def _stretch(cost: float, left: float) -> int:
    """Returns how many times rarer something must be to cost `left` and not `cost` seconds."""
    return next((n for n in _ROUND if cost <= left * n), _ROUND[-1])


def _often(cadence: Cadence) -> str:
    if cadence.is_rare:
        return "at the beginning and the end"
    return f"every {cadence.shortest} steps"
