"""What one or several callbacks record into one folder while a model trains.

Callbacks with the same `log_dir` share one recording: one instrumented step, one probe pass,
one file. The first of them drives it. After the first step nothing here raises: training goes
on, and what could not be measured is recorded with its reason.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from tfdiag import actions, distribution
from tfdiag.cadence import EVERY, FIRST, PROBE_EVERY, Budget, Cadence
from tfdiag.forward import ProbeSums
from tfdiag.instruments import Instruments, Measurement
from tfdiag.judge import Judge
from tfdiag.record import RunRecord
from tfdiag.request import Request, conflict
from tfdiag.response import Response
from tfdiag.rules import Report
from tfdiag.storage.writer import is_recorded
from tfdiag.trace import TraceRows
from tfdiag.trainer import Trainer
from tfdiag.training_step import StepSums

_log = logging.getLogger("tfdiag")

_NOT_AGREED = (
    "the workers do not sample the same training steps: pass the same callbacks to `fit` on "
    "each of them"
)


def _never_raises(method: Callable) -> Callable:
    """Lets training go on if `method` fails, and adds its time to the monitor's cost.

    The method is called for the callback that drives the recording only.
    """

    @functools.wraps(method)
    def guarded(self: Recording, part: Any, *args: Any) -> None:
        if self._driver is not part:
            return
        started = time.perf_counter()
        try:
            method(self, *args)
        except Exception as error:
            self._fail(error)
        self._seconds += time.perf_counter() - started

    return guarded


class Recording:
    """The shared recording of one folder."""

    _open: ClassVar[weakref.WeakValueDictionary[str, Recording]] = weakref.WeakValueDictionary()

    @classmethod
    def of(cls, log_dir: str | os.PathLike[str]) -> Recording:
        """Returns the recording of a folder, the same one for all who ask."""
        path = os.fspath(log_dir)
        key = path if "://" in path else os.path.realpath(path)
        recording = cls._open.get(key)
        if recording is None:
            recording = cls._open[key] = cls(path)
        return recording

    def __init__(self, log_dir: str):
        self.log_dir = log_dir
        self._parts: dict[Any, Request] = {}
        self._gathering = False  # callbacks are joining, training has not begun
        self._driver: Any = None  # the callback that drives, while training
        self._trainer: Trainer
        self._sampling = False  # the coming execution is a sampled one
        self._forced = False  # the coming step is measured, due or not
        self._alarmed = False  # the loss was not finite
        self._workers = 1  # processes that train this model
        self._is_silent = False  # another worker records, and this one only samples along
        self._step = 0  # steps made so far
        self._instruments: Instruments  # from `begin` on, as is the record
        self._run: RunRecord
        self._settings: Any = None  # what the instruments were made for
        self._recorded: weakref.ref[keras.Model] | None = None  # whose rows these are
        self._rows = TraceRows()
        self._said: dict[tuple[str, str | None], int] = {}  # findings that were announced
        self._has_said = False  # that the cadence was stretched
        self._report: Report | None = None  # of the last judgement

    def join(self, part: Any, request: Request, trainer: Trainer) -> None:
        """Adds a callback's request; call before training begins, as from `set_model`.

        Raises:
            ValueError: if another callback of this folder has another probe set, or looks at
                another layer.
        """
        driven = self._driver is not None and trainer == self._trainer
        known = driven and part in self._parts
        if not self._gathering and not known:  # the callbacks of an earlier fit have left
            self._parts.clear()
        self._gathering = True
        others = [other for known, other in self._parts.items() if known is not part]
        self._parts[part] = request
        clash = next(filter(None, (conflict(request, other) for other in others)), None)
        if clash:
            self._parts.clear()
            self._gathering = False
            raise ValueError(
                f"Callbacks that share a `log_dir` share one recording, but those of "
                f"{self.log_dir!r} have different {clash}. Pass the same to each, or give one "
                "of them a folder of its own."
            )
        self._trainer = trainer

    def begin(self, part: Any, epochs: int | None = None, steps: int | None = None) -> None:
        """Begins to record; looks at the probe set once, so that a wrong one fails here.

        The first callback that calls it drives the recording until training ends.

        Args:
            part: the callback.
            epochs: how many are planned, if that is known.
            steps: training steps of an epoch, if that is known.

        Raises:
            ValueError: if the probe set does not fit the model, or there is no such layer.
        """
        if not self._gathering:
            return
        self._gathering = False
        self._started, self._seconds = time.perf_counter(), 0.0
        try:
            self._prepare()
            self._planned = self._step + epochs * steps if epochs and steps else 0
            self._epochs, self._epoch_steps = epochs or 0, steps or 0
            first_look = self._instruments.attach()
            self._agree()
            if not self._is_silent:
                self._response.begin(self._step)
        except ValueError:
            raise  # the user's, and no step has been made
        except Exception as error:
            self._fail(error)
            return
        self._driver = part
        self._seconds = time.perf_counter() - self._started
        self._record_begin(part, first_look)
        self._budget.looked(self._seconds)

    @_never_raises
    def epoch_begin(self, epoch: int) -> None:
        """Notes where in the training we are."""
        self._epoch, self._epoch_start = epoch, self._step
        if self._epochs and self._epoch_steps:  # not all of them where training is resumed
            self._planned = self._step + max(0, self._epochs - epoch) * self._epoch_steps

    @_never_raises
    def batch_begin(self, batch: int) -> None:
        """Lets the next execution be a sampled one if one is due.

        Args:
            batch: number of the batch in this epoch, from 0.
        """
        self._batch = batch
        if self._forced or self._is_first() or self._samples.due(self._step, self._ahead):
            self._sampling = bool(self._samples) and self._instruments.arm()

    @_never_raises
    def batch_end(self, logs: Mapping[str, Any]) -> None:
        """Records what was due at this step."""
        executed = self._executed()
        looking = self._looks.due(self._step, executed) or (self._forced and bool(self._looks))
        looking = looking or not self._instruments.has_looked
        self._step += executed
        self._forced = False
        alarmed = self._first_nonfinite(logs)
        self._has_sample |= self._sampling
        awaited = self._is_awaited()
        if not (self._alarmed or self._is_silent):
            self._response.start(self._step)
        if self._is_silent or not (self._sampling or looking or alarmed):
            return
        taken = self._instruments.take()
        if taken is not None:
            self._budget.sampled(self._instruments.clock.last_extra)
        started = time.perf_counter()
        sums = self._instruments.look() if looking or alarmed else None
        self._record(taken, sums, logs)
        if sums is not None or alarmed or awaited:
            self._judge()
        if sums is not None:
            self._budget.looked(time.perf_counter() - started - self._response.seconds)
        self._sampling = False
        self._plan()

    @_never_raises
    def epoch_end(self, logs: Mapping[str, Any]) -> None:
        """Records the epoch's loss and metrics, and what the rules say of it."""
        if self._is_silent:
            return
        series = {"epoch": float(self._epoch)}
        for name, value in logs.items():
            if isinstance(value, int | float | np.number) and not name.startswith(actions.HEALTH):
                series[name if name.startswith("val_") else f"epoch_{name}"] = float(value)
        self._run.measured(self._step, Measurement(series=series), self._planned, layers=False)
        if self._report is None or self._affords_judgement():
            self._judge()
        self._plan()
        self._run.flush()

    @_never_raises
    def end(self) -> None:
        """Ends the recording and closes its file."""
        self._instruments.detach()
        self._driver = None
        if self._is_silent:
            return
        if self._looks and self._looked < self._step:
            self._record(None, self._instruments.look(), {})
        self._judge(finished=True)
        self._rewind(self._response.restore())
        self._run.close()
        self._response.close()

    def health(self) -> dict[str, float]:
        """Returns what an epoch's logs say of health; nan where that is not known. Never raises.

        Several workers must all read the same, so there nothing is known.
        """
        if self._driver is not None and self._workers == 1:
            try:
                return actions.health(
                    self._report, self._run.trace(self._planned), self._epoch_start
                )
            except Exception as error:
                _log.debug("tfdiag adds nothing to the epoch's logs.", exc_info=error)
        return actions.health(None, None)

    @property
    def _spent(self) -> float:
        """Seconds that monitoring has taken so far."""
        return self._seconds + self._instruments.clock.extra - self._extra_before

    def _prepare(self) -> None:
        requests = list(self._parts.values())
        self._probe = next((r.probe for r in requests if r.probe), None)
        pictured = next((r for r in requests if r.images and r.probe), requests[0])
        self._leave_interrupted()
        self._workers = distribution.workers(self._trainer.model)
        self._is_silent = not distribution.is_chief(self._trainer.model)
        self._samples = Cadence.of((r.every for r in requests), EVERY)
        if self._workers > 1:  # by the number of the step alone: clocks differ
            self._samples = self._samples.settled()
        looks = (r.probe_every for r in requests if self._probe)  # or they had a part of the budget
        self._looks = Cadence.of(looks, PROBE_EVERY)
        self._budget = Budget(min(r.budget for r in requests), self._samples, self._looks)
        settings: dict[str, Any] = {
            "gradients": bool(self._samples),
            "histograms": any(r.histograms for r in requests),
            "images": pictured.images,
            "layer": pictured.layer,
            "method": pictured.method,
        }
        key = (self._probe, settings)
        if key != self._settings or not self._instruments.serve(self._trainer):
            self._settings = key
            self._instruments = Instruments(self._trainer, self._probe, **settings)
        model = self._trainer.model
        if self._recorded is None or self._recorded() is not model:  # not yet, or another
            self._recorded = weakref.ref(model)
            self._rows = TraceRows()
            self._said = {}
            self._report = None
            self._step = 0
        thresholds = {rule: values for r in requests for rule, values in r.thresholds.items()}
        config = next((r.config for r in requests if r.config.path), requests[0].config)
        self._rules = Judge(config, thresholds, self._said)
        self._response = Response(
            (request.actions for request in requests),
            log_dir=self.log_dir,
            trainer=self._trainer,
            workers=self._workers,
            standing=self._report,
            say=self._tell,
        )
        self._iterations = self._instruments.step
        self._ahead = self._instruments.ahead
        self._extra_before = self._instruments.clock.extra
        # A model that is compiled anew counts from 0 again; its training goes on.
        self._step = self._start = max(self._iterations, self._step)
        self._epoch = self._batch = 0
        self._epoch_start = self._step
        self._looked = -1  # step of the last pass over the probe set
        self._judged = self._step  # step of the last judgement
        self._judgement = 0.0  # seconds that the last judgement took
        self._sampling = self._forced = self._alarmed = self._has_sample = False
        self._run = RunRecord(
            self.log_dir,
            self._instruments,
            self._rows,
            metrics=frozenset().union(*(r.metrics for r in requests)),
            thresholds=self._rules.thresholds,
            probe_samples=self._probe.size if self._probe else 0,
            monitor={
                "every": self._samples.finest,
                "probe_every": self._looks.finest,
                "budget": self._budget.share if self._budget.is_free else None,
            },
        )

    @_never_raises
    def _record_begin(self, sums: ProbeSums | None) -> None:
        self._looked = self._step
        again = self._step > 0 and not len(self._rows) and is_recorded(self.log_dir)
        if self._is_silent or sums is None:
            return
        if self._rows.last_step < self._step and not again:
            # What an untrained model looks at says little; it is left out where time is short.
            self._record(None, sums, {}, picture=not self._looks.base)
            self._judge()  # what is wrong before the first step is said before it

    def _agree(self) -> None:
        """Leaves the training step alone if the workers do not all sample the same steps."""
        plan = f"{self._step} {self._ahead} {self._planned} {sorted(self._samples.fixed)}"
        if self._instruments.samples and not distribution.agreed(self._trainer.model, plan):
            _log.warning("tfdiag measures no gradients here, since %s.", _NOT_AGREED)
            self._instruments.forgo_sampling(_NOT_AGREED)

    def _plan(self) -> None:
        """Lets the cadences follow from what monitoring costs."""
        before = self._samples.shortest, self._looks.shortest
        self._budget.plan(
            spent=self._spent,
            elapsed=time.perf_counter() - self._started,
            steps_left=max(0, self._planned - self._step) if self._planned else None,
            step_seconds=self._instruments.clock.plain / self._ahead,
        )
        after = self._samples.shortest, self._looks.shortest
        if after != before and not self._has_said:
            self._has_said = True
            self._say([self._budget.in_words()])

    def _leave_interrupted(self) -> None:
        """Ends what an exception out of an earlier `fit` has left open."""
        if self._driver is not None:
            self._instruments.detach()
            self._run.close()
            self._response.close(wait=False)
            self._driver = None

    def _rewind(self, step: int | None) -> None:
        """Lets the next training go on from an earlier step, whose weights are back."""
        if step is not None:
            self._step, self._report = step, None
            self._said.clear()

    def _is_awaited(self) -> bool:
        """Returns whether to judge a sample where no look at a probe set is an occasion to."""
        if self._looks or not self._sampling or not self._response.is_eager:
            return False
        return self._step - self._judged >= PROBE_EVERY and self._affords_judgement()

    def _affords_judgement(self) -> bool:
        elapsed = time.perf_counter() - self._started
        return self._budget.affords(self._judgement, spent=self._spent, elapsed=elapsed)

    def _executed(self) -> int:
        """Returns the number of steps of the last execution; an epoch's last one may be shorter.

        The optimizer's count is the second choice: it stands still when a loss scale skips a
        step, and a model may train with another optimizer than its own.
        """
        if self._ahead == 1:
            return 1
        if self._epoch_steps:
            return max(1, min(self._ahead, self._epoch_steps - self._batch))
        before, self._iterations = self._iterations, self._instruments.step
        made = self._iterations - before
        return made if 0 < made <= self._ahead else self._ahead

    def _is_first(self) -> bool:
        """Returns whether the first sample is due: at once, or when the slow first steps are over.

        Those trace the user's model; ours is traced later where the cadence is free.
        """
        if self._has_sample:
            return False
        long = not self._planned or self._planned - self._start > 5 * FIRST
        late = bool(self._samples.base) and not self._samples.fixed and long
        return self._step + self._ahead >= self._start + (FIRST if late else 1)

    def _first_nonfinite(self, logs: Mapping[str, Any]) -> bool:
        """Returns True once, at the first loss that is not finite; the next step is sampled."""
        loss = logs.get("loss")
        if self._alarmed or not isinstance(loss, float) or math.isfinite(loss):
            return False
        self._alarmed = True
        self._forced = self._workers == 1  # the others may not know of it
        return True

    def _record(
        self,
        taken: StepSums | None,
        sums: ProbeSums | None,
        logs: Mapping[str, Any],
        *,
        picture: bool = True,
    ) -> None:
        snapshot = self._instruments.snapshot() if sums is not None and picture else None
        found = self._instruments.measure(taken, sums, logs)
        self._run.measured(self._step, found, self._planned)
        if sums is not None:
            self._looked = self._step
            self._run.seen(self._step, snapshot, self._instruments.predictions(sums))

    def _judge(self, finished: bool = False) -> None:
        if not len(self._rows):
            return
        started = time.perf_counter()
        trace = self._run.trace(self._planned)
        report, news, texts = self._rules.judge(trace, finished=finished)
        self._report, self._judged = report, self._step
        self._run.judged(
            self._step, report, cost=self._cost(), finished=finished, urgent=bool(news)
        )
        self._say(texts)
        self._judgement = time.perf_counter() - started
        self._response.judged(
            report,
            news,
            step=self._step,
            finished=finished,
            allowed=self._budget.for_snapshots(spent=self._spent, elapsed=started - self._started),
        )

    def _cost(self) -> dict[str, float]:
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        return {
            "seconds": self._spent,
            "share": min(1.0, self._spent / elapsed),
            "every": 0 if self._samples.is_rare else self._samples.shortest,
            "probe_every": 0 if self._looks.is_rare else self._looks.shortest,
        }

    def _say(self, texts: Iterable[str]) -> None:
        if any(request.announce for request in self._parts.values()):
            for text in texts:
                print(f"\n{text}", flush=True)

    def _tell(self, line: str) -> None:
        """Tells what was done to the training, which is never kept silent about."""
        if any(request.announce for request in self._parts.values()):
            self._say([line])
        else:
            _log.warning("%s", line)

    def _fail(self, error: Exception) -> None:
        if self._workers > 1 and self._driver is not None:
            self._is_silent = True  # the others sample on, and wait for this worker
        else:
            self._driver = None
            if hasattr(self, "_instruments"):  # not if preparing has failed
                self._instruments.detach()
        _log.warning(
            "tfdiag stopped recording to %s, and training goes on without it: %s: %s. Please "
            "report this with the traceback below.",
            self.log_dir,
            type(error).__name__,
            error,
            exc_info=error,
        )
        if hasattr(self, "_run"):
            self._run.close()
        if hasattr(self, "_response"):
            self._response.close(wait=False)
