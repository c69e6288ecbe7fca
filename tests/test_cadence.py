"""When something is due, and what that costs: in a small simulator of a training."""

from dataclasses import dataclass

import pytest

from tfdiag.cadence import EVERY, FIRST, PROBE_EVERY, Budget, Cadence


def due_slowly(intervals, step, ahead):
    """Returns whether one of the coming steps is a multiple, asking each of them."""
    return any(
        coming % interval == 0
        for coming in range(step + 1, step + ahead + 1)
        for interval in intervals
    )


@pytest.mark.parametrize("ahead", [1, 2, 7, 20, 33])
@pytest.mark.parametrize("fixed", [(), (1,), (3,), (20,), (4, 6), (7, 50)])
@pytest.mark.parametrize("free", [0, 5, 20])
def test_due_is_what_counting_step_by_step_finds(fixed, free, ahead):
    for stretch in (1, 2, 10):
        cadence = Cadence(frozenset(fixed), free, stretch)
        intervals = [*fixed, *([free * stretch] if free else [])]
        for step in range(250):
            assert cadence.due(step, ahead) == due_slowly(intervals, step, ahead), step


@pytest.mark.parametrize("ahead", [1, 8, 30])
def test_no_multiple_is_missed_or_met_twice_by_executions_of_several_steps(ahead):
    cadence = Cadence.of([20], EVERY)
    met = [step for step in range(0, 600, ahead) if cadence.due(step, ahead)]
    multiples = range(20, 600 // ahead * ahead + 1, 20)
    assert met == sorted({(multiple - 1) // ahead * ahead for multiple in multiples})


def test_cadences_of_several_callbacks_are_due_where_one_of_them_is():
    cadence = Cadence.of([30, None, 0, 70, 30], base=20)
    assert cadence == Cadence(frozenset({30, 70}), 20)
    assert cadence.shortest == cadence.finest == 20
    cadence.stretch = 5
    assert (cadence.shortest, cadence.finest) == (30, 20)


@pytest.mark.parametrize("intervals", [[], [0], [0, 0]])
def test_never_is_never_due(intervals):
    cadence = Cadence.of(intervals, EVERY)
    assert not cadence
    assert cadence.shortest == cadence.finest == 0
    assert not any(cadence.due(step, 10) for step in range(100))


@pytest.mark.parametrize("intervals", [[None], [5], [0, 5], [None, 0]])
def test_what_is_due_at_times_is_true(intervals):
    assert Cadence.of(intervals, EVERY)


@dataclass
class Training:
    """A training in which time is a number: what a recording does with its budget.

    Attributes:
        steps: steps of the training.
        seconds: of each step.
        sample: seconds of a sample; the first one takes `first_sample`. A number, or what
            returns it from the step.
        look: seconds of a look at the probe set, of the one before training too.
        share: the budget.
        ahead: steps per execution.
        planned: whether the number of steps is known.
        every, probe_every: what was asked for.
        plans_at: steps at which the cadences are set again although nothing was measured.
    """

    steps: int = 10_000
    seconds: float = 0.01
    sample: object = 0.001
    look: object = 0.01
    first_sample: float = 0.0
    share: float = 0.02
    ahead: int = 1
    planned: bool = True
    every: tuple = (None,)
    probe_every: tuple = (None,)
    plans_at: int = 1000

    def run(self):
        self.samples = Cadence.of(self.every, EVERY)
        self.looks = Cadence.of(self.probe_every, PROBE_EVERY)
        self.budget = Budget(self.share, self.samples, self.looks)
        self.sampled, self.looked = [], []
        self.spent = self.elapsed = 0.0
        if self.looks:
            self._look(0)
        for step in range(0, self.steps, self.ahead):
            ahead = min(self.ahead, self.steps - step)
            self._execute(step, ahead)
        if self.looks and self.looked[-1] < self.steps:
            self._look(self.steps)
        return self

    @property
    def training(self):
        return self.steps * self.seconds

    def cost(self, what, step):
        return what(step) if callable(what) else what

    def _execute(self, step, ahead):
        after = step + ahead
        first = not self.sampled and after >= FIRST
        sampling = bool(self.samples) and (first or self.samples.due(step, ahead))
        looking = self.looks.due(step, ahead)
        self.elapsed += ahead * self.seconds
        if sampling:
            seconds = self.cost(self.sample, step)
            if not self.sampled:
                seconds += self.first_sample
            self._spend(seconds)
            self.budget.sampled(seconds)
            self.sampled.append(after)
        if looking:
            self._look(after)
        if sampling or looking or after % self.plans_at < ahead:
            self.budget.plan(
                spent=self.spent,
                elapsed=self.elapsed,
                steps_left=self.steps - after if self.planned else None,
                step_seconds=self.seconds,
            )

    def _look(self, step):
        seconds = self.cost(self.look, step)
        self._spend(seconds)
        self.budget.looked(seconds)
        self.looked.append(step)

    def _spend(self, seconds):
        self.spent += seconds
        self.elapsed += seconds

    @property
    def allowed(self):
        """The budget, one sample and one look."""
        return self.share * self.training + self.sample + self.look


def describe(t):
    return (
        f"{t.spent / t.training:.4f} of {t.share} spent, {len(t.sampled)} samples, "
        f"{len(t.looked)} looks, {t.samples}, {t.looks}"
    )


COSTS = {
    "cheap": dict(sample=1e-5, look=1e-4),
    "samples": dict(sample=0.02, look=0.001),
    "looks": dict(sample=1e-4, look=0.2),
    "both": dict(sample=0.03, look=0.3),
    "a sample is dearer than the looks": dict(sample=0.5, look=0.01),
    "a large budget": dict(sample=0.02, look=0.1, share=0.2),
    "no sample": dict(sample=0.0, look=0.2, every=(0,)),
    "no look": dict(sample=0.05, look=0.0, probe_every=(0,)),
}


@pytest.mark.parametrize("ahead", [1, 7])
@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("steps", [5_000, 40_000])
@pytest.mark.parametrize("costs", COSTS)
def test_no_more_is_spent_than_the_budget_one_sample_and_one_look(costs, steps, planned, ahead):
    t = Training(steps=steps, planned=planned, ahead=ahead, **COSTS[costs]).run()
    # Two samples are taken before anything is known, and a look at either end.
    least = 2 * t.sample + 2 * t.look
    assert t.spent <= max(t.allowed, least + t.sample), describe(t)


@pytest.mark.parametrize("planned", [True, False])
def test_a_dear_first_look_does_not_starve_the_samples(planned):
    t = Training(steps=20_000, sample=0.01, look=10.0, planned=planned).run()
    assert len(t.looked) == 2, "before and after the training"
    assert t.spent > 4 * t.share * t.training, "whatever comes, it is too much"
    samples = 0.01 * len(t.sampled)
    assert 0.05 * t.share * t.training < samples <= 0.25 * t.share * t.training + 0.02, describe(t)
    assert max(b - a for a, b in zip(t.sampled, t.sampled[1:], strict=False)) < t.steps / 5


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("costs", [name for name in COSTS if name != "no sample"])
def test_samples_are_spread_over_the_training(costs, planned):
    t = Training(steps=40_000, planned=planned, **COSTS[costs]).run()
    # A quarter of the budget is theirs, of which rounding the interval may leave half unused.
    affordable = t.share * t.training / 4 / t.sample
    enough = min(t.steps / EVERY, affordable / 2.5) - 2
    assert len(t.sampled) >= max(2, enough), describe(t)
    for half in (t.sampled[: len(t.sampled) // 2], t.sampled[len(t.sampled) // 2 :]):
        assert len(half) < 4 or half[-1] - half[0] > t.steps / 6, describe(t)


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("steps", [100, 1_000, 20_000])
def test_nothing_is_stretched_where_it_is_cheap(steps, planned):
    t = Training(steps=steps, sample=1e-4, look=1e-3, share=0.2, planned=planned).run()
    assert t.sampled == [FIRST, *range(EVERY, steps + 1, EVERY)]
    assert t.looked == list(range(0, steps + 1, PROBE_EVERY))


@pytest.mark.parametrize("planned", [True, False])
def test_what_users_fixed_is_not_stretched(planned):
    t = Training(
        steps=1_000, sample=1.0, look=9.0, every=(50, None), probe_every=(300,), planned=planned
    ).run()
    assert set(range(50, 1_001, 50)) <= set(t.sampled)
    assert t.looked == [0, 300, 600, 900, 1_000]
    assert t.samples.stretch > 1


@pytest.mark.parametrize("planned", [True, False])
def test_a_first_sample_that_is_traced_does_not_count_for_the_next(planned):
    t = Training(steps=20_000, sample=0.001, look=0.001, first_sample=3.0, planned=planned).run()
    assert t.spent <= t.share * t.training + t.first_sample, describe(t)
    assert len(t.sampled) > 100, describe(t)


@pytest.mark.parametrize("planned", [True, False])
def test_a_cadence_that_becomes_cheaper_becomes_denser(planned):
    t = Training(steps=40_000, planned=planned, look=0.0, probe_every=(0,))
    t.sample = lambda step: 0.1 if step < 10_000 else 0.001
    t.run()
    early = [step for step in t.sampled if 100 < step < 10_000]
    late = [step for step in t.sampled if step > 30_000]
    assert len(late) > 10 * len(early), describe(t)
    assert t.spent <= t.share * t.training + 0.1, describe(t)


@pytest.mark.parametrize("planned", [True, False])
def test_a_cadence_that_becomes_dearer_becomes_rarer(planned):
    t = Training(steps=40_000, planned=planned, look=0.0, probe_every=(0,))
    t.sample = lambda step: 0.001 if step < 20_000 else 0.1
    t.run()
    assert t.spent <= t.share * t.training + 0.2, describe(t)
    assert any(step > 30_000 for step in t.sampled), describe(t)


def test_a_training_without_a_plan_may_end_at_any_time():
    t = Training(steps=40_000, planned=False, sample=0.02, look=0.1, plans_at=100).run()
    for step in (5_000, 10_000, 20_000, 40_000):
        spent = 0.02 * sum(s <= step for s in t.sampled) + 0.1 * sum(s <= step for s in t.looked)
        assert spent <= 2 * t.share * step * t.seconds + 2 * 0.12, step


def test_nothing_is_stretched_before_a_sample_and_a_step_are_known():
    samples, looks = Cadence.of([None], EVERY), Cadence.of([None], PROBE_EVERY)
    budget = Budget(0.02, samples, looks)
    budget.looked(9.0)
    moment = dict(spent=9.0, elapsed=10.0, steps_left=1000)
    budget.plan(**moment, step_seconds=0.01)
    budget.sampled(9.0)
    budget.plan(**moment, step_seconds=0.01)
    budget.sampled(1.0)
    budget.plan(**moment, step_seconds=0.0)
    assert samples.stretch == looks.stretch == 1
    budget.plan(**moment, step_seconds=0.01)
    assert samples.stretch > 1 < looks.stretch


def test_what_can_be_done_later_waits_until_it_is_affordable():
    free = Budget(0.1, Cadence.of([None], EVERY), Cadence.of([0], PROBE_EVERY))
    assert free.affords(1.0, spent=0.0, elapsed=10.0)
    assert not free.affords(1.1, spent=0.0, elapsed=10.0)
    assert not free.affords(0.5, spent=1.0, elapsed=11.0)
    fixed = Budget(0.1, Cadence.of([5], EVERY), Cadence.of([0], PROBE_EVERY))
    assert not fixed.is_free
    assert fixed.affords(1e9, spent=1e9, elapsed=1e9)


def test_words_say_how_often():
    samples, looks = Cadence.of([None], EVERY), Cadence.of([None], PROBE_EVERY)
    budget = Budget(0.02, samples, looks)
    samples.stretch = 10
    assert "gradients every 200 steps and the probe set every 100 steps" in budget.in_words()
    assert "at most 2 %" in budget.in_words()
    looks.stretch = 10**9
    assert "the probe set at the beginning and the end" in budget.in_words()
