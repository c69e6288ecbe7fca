"""A run in one headline, with its probable cause and what to try first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tfdiag.metrics import NO_PROBE
from tfdiag.report import diagnoses
from tfdiag.report.titles import inner, title
from tfdiag.rules import ALL_RULES, STATIC_RULES, Outcome, Report, Rule
from tfdiag.rules.diagnosis import Diagnosis, diagnose
from tfdiag.rules.outcome import HEALTHY, NOT_EVALUATED
from tfdiag.rules.suppression import unwanted
from tfdiag.rules.wording import count, number, share
from tfdiag.trace import Finding

#: Characters of a headline; the tab and TensorBoard's run list have no room for more.
_HEADLINE = 28
#: Samples and looks at the probe set with which nearly all rules can be evaluated.
_SAMPLES, _LOOKS = 50, 10
#: Rules that a summary names of those that were not evaluated.
_NAMED = 7


@dataclass(frozen=True)
class TryFirst:
    """The one thing to try first.

    Attributes:
        text: a sentence.
        code: code that does it, or None.
    """

    text: str
    code: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A run in one headline.

    Attributes:
        severity: "critical", "warn", "ok" (also if something is to watch) or
            "not-evaluated", where nothing is wrong in too little to call the run healthy.
        title: subject, event, step; at most 28 characters.
        summary: at most three sentences; "Probably" where a cause is inferred.
        try_first: None if there is nothing to do.
    """

    severity: str
    title: str
    summary: str
    try_first: TryFirst | None = None


def verdict(report: Report, rules: Iterable[Rule] = ALL_RULES) -> Verdict:
    """Returns the headline of a report.

    Args:
        rules: where texts come from; a finding of an unknown rule has its id as headline.
    """
    return verdict_of(diagnose(report), report, rules)


def verdict_of(
    told: Diagnosis | None, report: Report, rules: Iterable[Rule] = ALL_RULES
) -> Verdict:
    """Returns the headline of a report whose diagnosis is known."""
    catalogue = {rule.id: rule for rule in rules}
    troubles = [f for f in report.findings if f.severity != "watch"]
    if told is None:
        return _without_trouble(report, catalogue)
    worst, cause = troubles[0], told.cause
    others = _grouped((f for f in troubles if f.rule not in (cause.rule, worst.rule)), catalogue)
    sentences = [f"{diagnoses.cause(told, report)}."]
    if others:
        sentences.append(f"Also found: {', '.join(others)}.")
    sentences.append(diagnoses.cost(report))
    return Verdict(
        severity=worst.severity,
        title=headline(worst, catalogue.get(worst.rule), report.facts),
        summary=" ".join(filter(None, sentences)),
        try_first=_first_of_all(told, report, catalogue),
    )


def _without_trouble(report: Report, catalogue: Mapping[str, Rule]) -> Verdict:
    # What the model and the data are says nothing of how training goes.
    static = {rule.id for rule in STATIC_RULES}
    outcomes = [o for o in report.outcomes if o.rule not in static] or report.outcomes
    judged = [o for o in outcomes if o.outcome != NOT_EVALUATED]
    silent = [o for o in outcomes if o.outcome == NOT_EVALUATED]
    if not judged:
        why = f" {title(silent[0].rule, catalogue)}: {silent[0].reason}." if silent else ""
        return Verdict("not-evaluated", "Not evaluated", f"No rule could be evaluated.{why}")
    waiting = [outcome for outcome in silent if applies(outcome, report)]
    first = report.findings[0] if report.findings else None
    watched = [f"To watch: {', '.join(_grouped(report.findings, catalogue))}."] if first else []
    to_watch = _watch(first, report, catalogue) if first else None
    # Where only these were asked, before any training, no step will add anything.
    untrained = report.facts.get("untrained") == "yes" and len(outcomes) == len(report.outcomes)
    is_over = report.facts.get("ended") == "yes"
    blind = is_over and (_reason_of_most(waiting) or "").startswith(NO_PROBE)
    # What is only watched does not make up for it.
    if len(waiting) > len(judged) and not untrained and not blind:
        why = f"{title(waiting[0].rule, catalogue)}: {waiting[0].reason}"
        yet = "" if is_over else " yet"
        said = [f"{count(len(waiting), 'rule')} could not be evaluated{yet}. {why}.", *watched]
        return Verdict(
            "not-evaluated",
            "Recorded too rarely to tell" if is_over else "Too early to tell",
            " ".join(said),
            _more_often(report) if is_over else to_watch,
        )
    unheard = [o for o in report.outcomes if o.outcome == NOT_EVALUATED and applies(o, report)]
    if not watched:
        healthy = [o for o in report.outcomes if o.outcome == HEALTHY]
        before = "Before training, " if untrained else ""
        watched = [f"{before}{count(len(healthy), 'rule')} found nothing."]
    is_known = len(unheard) <= len(judged)  # silence is no health
    return Verdict(
        "ok" if is_known else "not-evaluated",
        _headed(report, unheard, untrained) if is_known else "Too little judged to tell",
        " ".join(filter(None, [diagnoses.cost(report), *watched, _unheard(unheard, catalogue)])),
        to_watch or (_A_PROBE_SET if blind and not is_known else None),
    )


def _headed(report: Report, unheard: list[Outcome], untrained: bool) -> str:
    if report.findings:
        return f"Healthy, {len(report.findings)} to watch"
    if unheard:
        return f"Healthy, {len(unheard)} not evaluated"
    return "Healthy before training" if untrained else "Healthy"


def _unheard(unheard: list[Outcome], catalogue: Mapping[str, Rule]) -> str:
    """Returns a sentence about the rules that could not be evaluated, with the reason of most."""
    if not unheard:
        return ""
    reason = _reason_of_most(unheard)
    mostly = "" if all(outcome.reason == reason for outcome in unheard) else "mostly: "
    why = f" ({mostly}{reason})" if reason else ""
    titles = [inner(title(outcome.rule, catalogue)) for outcome in unheard]
    more = f" and {len(titles) - _NAMED} more" if len(titles) > _NAMED else ""
    return f"Not evaluated{why}: {', '.join(titles[:_NAMED])}{more}."


def _reason_of_most(unheard: list[Outcome]) -> str | None:
    """Returns the reason of more than half of the rules; None if there is none, or no rule."""
    ((reason, times),) = Counter(outcome.reason for outcome in unheard).most_common(1) or [("", 0)]
    return reason if 2 * times > len(unheard) else None


_A_PROBE_SET = TryFirst(
    "Give a probe set, some held-out samples: outputs, dead units and held-out losses are judged "
    "on them.",
    "HealthMonitor(log_dir, probe=(x_val, y_val))",
)


def _more_often(report: Report) -> TryFirst:
    """Returns how to record enough of a training that was over before much of it was."""
    every, probe_every = (max(1, report.step // times) for times in (_SAMPLES, _LOOKS))
    records = report.facts.get("records")
    few = f"{records:.0f}" if isinstance(records, float) and math.isfinite(records) else "few"
    return TryFirst(
        f"Record more often: {few} of {count(report.step, 'step')} were recorded. By default the "
        "monitor takes 2 % of the time, which is little in a short training.",
        f"HealthMonitor(log_dir, probe=probe, every={every}, probe_every={probe_every})",
    )


def applies(outcome: Outcome, report: Report) -> bool:
    """Returns False if the rule has nothing to judge here, or must not: no gap in what we know."""
    silent = outcome.outcome == NOT_EVALUATED
    return not (silent and (unwanted(outcome) or report.exempts_all(outcome)))


def _first_of_all(
    told: Diagnosis, report: Report, catalogue: Mapping[str, Rule]
) -> TryFirst | None:
    """Returns what to do about the cause, with a number if what it led to gives one."""
    cause, rule = told.cause, catalogue.get(told.cause.rule)
    own = _try_first(cause, report, catalogue)
    if own is None or rule is None or rule.remedy is None:
        return own
    effects = [
        finding
        for finding in told.explained
        if (known := catalogue.get(finding.rule)) is not None
        and known.remedy == rule.remedy
        and (known is not rule or own.code is None)
        and (finding.value > finding.limit) == (cause.value > cause.limit)
    ]
    effects.sort(key=lambda finding: -finding.value)  # the most careful step first
    others = (_try_first(finding, report, catalogue) for finding in effects)
    return next((one for one in others if one is not None and one.code is not None), own)


def _try_first(finding: Finding, report: Report, catalogue: Mapping[str, Rule]) -> TryFirst | None:
    rule = catalogue.get(finding.rule)
    if rule is None:
        return None
    case = rule.case(finding, report.facts)
    code = case.code(finding, report.facts) if callable(case.code) else case.code
    return TryFirst(case.advice[0], code)


def _watch(finding: Finding, report: Report, catalogue: Mapping[str, Rule]) -> TryFirst | None:
    """Returns what to do about a finding that does no harm: nothing yet."""
    rule = catalogue.get(finding.rule)
    if rule is None:
        return None
    text = rule.watch
    for limit in rule.limits:
        value = diagnoses.fact(report, f"{rule.id} {limit.argument}")
        if math.isnan(value):  # an older tfdiag recorded it
            value = rule.thresholds[limit.argument]
        written = share(value) if limit.argument in rule.shares else number(value)
        text = text.replace(f"{{{limit.argument}}}", written)
    return TryFirst(text.replace("{layer}", finding.layer or "the model"))


def headline(finding: Finding, rule: Rule | None, facts: Mapping[str, Any] | None = None) -> str:
    """Returns subject, event and step; a long layer name loses its beginning."""
    template = rule.case(finding, facts or {}).verdict if rule else finding.rule
    layer = (finding.layer or "the model").split("/")[-1]
    room = _HEADLINE - len(template.format(layer="", step=finding.step))
    if "{layer}" in template and len(layer) > room:
        layer = "…" + layer[len(layer) - max(room - 1, 1) :]
    return template.format(layer=layer, step=finding.step)[:_HEADLINE] if rule else template


def _grouped(findings: Iterable[Finding], catalogue: Mapping[str, Rule]) -> list[str]:
    """Returns one text per rule: "dead ReLU (dense)", "vanishing gradient (9 layers)"."""
    layers: dict[str, list[str | None]] = {}
    for finding in findings:
        layers.setdefault(finding.rule, []).append(finding.layer)
    texts = []
    for rule, names in layers.items():
        where = f"{len(names)} layers" if len(names) > 1 else names[0]
        texts.append(inner(title(rule, catalogue)) + (f" ({where})" if where else ""))
    return texts
