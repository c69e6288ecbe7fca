"""Reports as Markdown, for an issue or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tfdiag.report.runs import Group, Page, Run, briefly
from tfdiag.report.titles import named
from tfdiag.rules import ALL_RULES, Rule
from tfdiag.rules.wording import count
from tfdiag.trace import Finding

#: Findings of one rule that are shown in full.
_SHOWN = 10


def markdown(runs: Iterable[Run], rules: Iterable[Rule] = ALL_RULES) -> str:
    """Returns the runs as Markdown, without a final newline."""
    rules = tuple(rules)
    return "\n\n".join("\n\n".join(_blocks(Page(run, rules))) for run in runs)


def escaped(text: str) -> str:
    r"""Returns `text` so that Markdown shows it as it is: no link, no picture, no HTML.

    >>> print(escaped("a*b <img> [x](http://y) | @z"))
    a\*b &lt;img&gt; \[x\](http&#58;//y) \| &#64;z
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]|~#$])", r"\\\1", text)
    text = text.replace("@", "&#64;").replace("://", "&#58;//")
    text = re.sub(r"(?i)(www)\.", r"\1&#46;", text)
    return re.sub(r"^(\s*)([-+=])", r"\1\\\2", re.sub(r"^(\s*\d+)([.)])", r"\1\\\2", text))


def _blocks(page: Page) -> list[str]:
    judged = page.verdict
    blocks = [
        f"## {escaped(page.name)}",
        f"**{judged.severity}: {escaped(judged.title)}**",
        escaped(judged.summary),
    ]
    if page.chain:
        blocks.append(f"**Chain:** {escaped(' → '.join(page.chain))}")
    if page.diagnosis:
        told = page.diagnosis
        blocks.append(f"**How sure:** {told.sureness}; {escaped(told.reason)}")
    if judged.try_first:
        blocks.append(f"**Try first:** {escaped(judged.try_first.text)}")
        if judged.try_first.code:
            blocks.append(_fenced(judged.try_first.code))
    for title, groups in page.sections:
        blocks += [f"### {title}", "\n".join(line for group in groups for line in _group(group))]
    blocks += _apart(page)
    return blocks


def _group(group: Group) -> list[str]:
    first = group.findings[0]
    after = f", follows from {escaped(named(group.source))}" if group.source else ""
    lines = [f"- **{first.severity}: {escaped(first.rule)}**{after}"]
    lines += [f"  - {escaped(finding.message)}" for finding in group.findings[:_SHOWN]]
    if len(group.findings) > _SHOWN:
        lines.append(f"  - ... and {count(len(group.findings) - _SHOWN, 'more layer')}")
    return lines


def _apart(page: Page) -> list[str]:
    """Returns what is suppressed, what was not evaluated, and the comparison."""
    blocks = []
    if page.report.suppressed:
        lines = [
            f"- {escaped(named(one.finding))} ({escaped(one.finding.evidence)}): "
            f"{escaped(one.reason)}"
            for one in page.report.suppressed
        ]
        blocks += ["### Suppressed", "\n".join(lines)]
    for word, silent in page.silent:
        lines = [f"- {escaped(reason)}: {escaped(rules)}" for reason, rules in silent]
        blocks += [f"### {word.capitalize()}", "\n".join(lines)]
    if page.comparison:
        told = page.comparison
        blocks.append(f"### Compared with {escaped(told.name)}")
        blocks.append(_list("New", told.new) + "\n" + _list("Only there", told.gone))
        if told.numbers:
            rows = [f"| {escaped(one.title)} | {' | '.join(one.told)} |" for one in told.numbers]
            head = ["| | this run | baseline |", "|---|---|---|"]
            blocks.append("\n".join(head + rows))
    return blocks


def _list(title: str, findings: Iterable[Finding]) -> str:
    texts = [escaped(f"{severity}: {text}") for severity, text in briefly(findings)]
    return f"- {title}: {', '.join(texts) or 'nothing'}"


def _fenced(code: str) -> str:
    """Returns code between fences longer than any in it."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", code)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}python\n{code}\n{fence}"
