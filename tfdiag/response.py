"""Does what users want done about findings, while a model trains and at the end.

Nothing here raises: what fails is logged once, and training goes on.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence

from tfdiag import actions
from tfdiag.actions import Actions, Context
from tfdiag.alerts import Alerts
from tfdiag.checkpoint import Checkpoint
from tfdiag.rules import Report
from tfdiag.trace import SEVERITIES, Finding
from tfdiag.trainer import Trainer

_log = logging.getLogger("tfdiag")

_SEVERAL = "several workers train this model, and would have to do it all at the same step"


class Response:
    """What is done during one training.

    Args:
        wanted: of each callback.
        log_dir: folder of the run.
        trainer: what trains the model.
        workers: processes that train it.
        standing: what the last training of this model ended with; None if there was none. What
            was found there does not stop this one.
        say: tells users a line.

    Attributes:
        seconds: how long the last answer to a judgement took.
    """

    def __init__(
        self,
        wanted: Iterable[Actions],
        *,
        log_dir: str,
        trainer: Trainer,
        workers: int,
        standing: Report | None,
        say: Callable[[str], None],
    ):
        wanted = list(dict.fromkeys(wanted))
        self._log_dir, self._trainer, self._say = log_dir, trainer, say
        self.seconds = 0.0
        self._is_eager = any(wanted)
        self._told = [one.on_finding for one in wanted if one.on_finding]
        self._stop_on = [one.stop_on for one in wanted if one.stop_on]
        self._alerts = [Alerts(url) for url in dict.fromkeys(one.alert for one in wanted) if url]
        limits = [one.restore_bytes for one in wanted if one.restore]
        self._checkpoint = Checkpoint(trainer, min(limits)) if limits else None
        self._cost = self._spent = 0.0  # seconds of the last snapshot, and of all
        self._is_single = workers == 1
        self._known = _ranks([] if standing is None else standing.findings)
        self._is_healthy = actions.is_healthy(standing)
        self._has_stopped = self._has_started = False
        self._failures: set[str] = set()

    @property
    def is_eager(self) -> bool:
        """Whether something waits for findings, so that they should be looked for in time."""
        return self._is_eager

    def begin(self, step: int) -> None:
        """Says what cannot be done, before the first step."""
        if not self._is_single:
            if self._stop_on:
                self._say(f"tfdiag will not stop training (stop_on): {_SEVERAL}.")
            if self._checkpoint:
                self._say(f"tfdiag will not restore weights: {_SEVERAL}.")
            self._stop_on, self._checkpoint = [], None
        try:
            self._fits()
        except Exception as error:
            self._fail_to_keep(error)
        self.start(step)

    def start(self, step: int) -> None:
        """Takes the state to begin with, as soon as there are optimizers' variables.

        Those are made in the first step; call after each step whose loss is finite.
        """
        if self._has_started or self._checkpoint is None:
            return
        try:
            if self._checkpoint.is_complete:
                self._has_started = True
                self._take(step)
        except Exception as error:
            self._fail_to_keep(error)

    def judged(
        self, report: Report, news: Sequence[Finding], *, step: int, finished: bool, allowed: float
    ) -> None:
        """Does what is to be done about a judgement.

        Args:
            report: what is open.
            news: what is new of it, or has become worse.
            step: training steps made.
            finished: whether training has ended.
            allowed: seconds that all snapshots of the state together may take.
        """
        started = time.perf_counter()
        self._is_healthy = actions.is_healthy(report)
        context = Context(os.fspath(self._log_dir), step)
        if not finished:
            self._stop(report, step)
        for finding in news:
            self._tell(finding, report, context)
        try:
            kept = self._checkpoint
            if kept is not None and kept.is_complete and self._is_healthy and not finished:
                if kept.step is None or self._spent + self._cost <= allowed:
                    self._take(step)
        except Exception as error:
            self._fail_to_keep(error)
        self.seconds = time.perf_counter() - started

    def restore(self) -> int | None:
        """Puts the last healthy state back if a critical finding is open at the end.

        Returns:
            The step that the training is at again; None if it is where it was.
        """
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None or self._is_healthy:
            return None
        if checkpoint.step is None:
            self._say("tfdiag does not restore weights: none were found to be healthy.")
            return None
        try:
            checkpoint.restore()
        except Exception as error:
            self._log_once("tfdiag could not restore the weights: %s", error)
            return None
        self._say(
            f"tfdiag restored weights and optimizer state of step {checkpoint.step}, the last ones "
            'kept while no critical finding was open (restore="last-healthy").'
        )
        return checkpoint.step

    def close(self, *, wait: bool = True) -> None:
        """Ends what was begun; waits for alerts to be sent, for a few seconds in all."""
        for alerts in self._alerts:
            alerts.close() if wait else alerts.close(0)
        self._checkpoint = None

    def _stop(self, report: Report, step: int) -> None:
        """Stops training for what was not yet found when it began."""
        found = _ranks(report.findings)
        self._known = {place: rank for place, rank in self._known.items() if place in found}
        for finding in actions.stopping(report, self._stop_on):
            place = _place(finding)
            if not self._has_stopped and found[place] > self._known.get(place, -1):
                self._has_stopped = True
                self._trainer.stop()
                where = f" in {finding.layer}" if finding.layer else ""
                self._say(
                    f"tfdiag stops training at step {step}: {finding.severity}: "
                    f"{finding.rule}{where} (stop_on)."
                )

    def _tell(self, finding: Finding, report: Report, context: Context) -> None:
        for told in self._told:
            try:
                told(finding, context)
            except Exception as error:
                self._log_once("`on_finding` failed, and training goes on: %s", error)
        if self._alerts:
            try:
                content = actions.alert(finding, report, context)
                for alerts in self._alerts:
                    alerts.post(content)
            except Exception as error:
                self._log_once("tfdiag could not send an alert: %s", error)

    def _fits(self) -> bool:
        reason = self._checkpoint.too_large() if self._checkpoint else None
        if reason is not None:
            self._say(f"tfdiag will not restore weights: {reason}.")
            self._checkpoint = None
        return reason is None

    def _take(self, step: int) -> None:
        started = time.perf_counter()
        if self._checkpoint and self._is_healthy and self._fits():
            self._checkpoint.take(step)
        self._cost = time.perf_counter() - started
        self._spent += self._cost

    def _fail_to_keep(self, error: Exception) -> None:
        self._checkpoint = None
        self._log_once("tfdiag will restore no weights: %s", error)

    def _log_once(self, message: str, error: Exception) -> None:
        if message not in self._failures:
            self._failures.add(message)
            _log.warning(message, f"{type(error).__name__}: {error}", exc_info=error)


def _place(finding: Finding) -> tuple[str, str | None]:
    return finding.rule, finding.layer


def _ranks(findings: Iterable[Finding]) -> dict[tuple[str, str | None], int]:
    """Returns each finding's severity as a number, the worst one of a place."""
    ranks: dict[tuple[str, str | None], int] = {}
    for finding in findings:
        place = _place(finding)
        ranks[place] = max(ranks.get(place, -1), SEVERITIES.index(finding.severity))
    return ranks
