"""What the rules say of a run while it trains, and what of it is news."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tfdiag.config import Config, merge
from tfdiag.report import announcements, closing
from tfdiag.report.runs import Page, Run
from tfdiag.rules import Report, resolve_thresholds
from tfdiag.rules.curves import fit_epochs
from tfdiag.rules.length import may_go_on
from tfdiag.trace import SEVERITIES, Finding, Trace


class Judge:
    """Judges one run again and again, and remembers what was said.

    Args:
        config: what the user's file says of rules, thresholds and suppressions.
        thresholds: rule's id to the thresholds that were given in code; they take precedence.
        said: what an earlier fit of the same model was told; it is added to.

    Attributes:
        thresholds: rule's id to all of its thresholds.
    """

    def __init__(
        self,
        config: Config,
        thresholds: Mapping[str, Mapping[str, float]],
        said: dict[tuple[str, str | None], int],
    ):
        self._config = config
        self.thresholds: dict[str, dict[str, Any]] = resolve_thresholds(
            merge(config.thresholds, thresholds)
        )
        self._said = said

    def judge(self, trace: Trace, *, finished: bool) -> tuple[Report, list[Finding], list[str]]:
        """Returns the report, what is new in it, and that as texts to print.

        Args:
            trace: what was measured so far.
            finished: whether training has ended. What is only to be watched waits until then:
                most of it goes away. That a `fit` of one epoch ended early is no news: in a loop
                of them the next one follows. The verdict is told then too, once.
        """
        report = self._config.check(trace, thresholds=self.thresholds)
        if finished and fit_epochs(trace) != 1:  # else the next `fit` may follow
            report = replace(report, facts={**report.facts, "ended": "yes"})
        told = [f for f in report.findings if finished or f.severity != "watch"]
        told = [f for f in told if not may_go_on(f, trace)]
        news = [f for f in told if self._is_news(f)]
        texts = announcements(news, report)
        if finished and not any(may_go_on(f, trace) for f in report.findings):
            texts += self._closing(report)
        return report, news, texts

    def _closing(self, report: Report) -> list[str]:
        page = Page(Run("", "", report))
        return [closing(page)] if self._is_new("", page.verdict.title) else []

    def _is_news(self, finding: Finding) -> bool:
        """Returns True at the first time, and when it has become worse since."""
        return self._is_new(finding.rule, finding.layer, SEVERITIES.index(finding.severity))

    def _is_new(self, what: str, where: str | None, severity: int = 0) -> bool:
        if self._said.get((what, where), -1) >= severity:
            return False
        self._said[what, where] = severity
        return True
