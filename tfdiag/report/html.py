"""Reports as one HTML file that needs nothing else: no script, font or picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from tfdiag.report.runs import Group, Page, Run, briefly
from tfdiag.report.signs import SIGNS
from tfdiag.report.titles import named
from tfdiag.rules import ALL_RULES, Rule
from tfdiag.rules.wording import count
from tfdiag.trace import Finding

#: Findings of one rule that are shown in full.
_SHOWN = 10
#: Contrasts are at least 4.5 on both grounds. Colour repeats what sign and word say.
_STYLE = """
:root { color-scheme: light dark; --bg: #fff; --raise: #f4f4f3; --ink: #1b1d21; --ink2: #4d545e;
  --line: #e2e3e5; --critical: #9c003a; --warn: #b54a00; --watch: #7d6300; --ok: #1f6b45; }
@media (prefers-color-scheme: dark) { :root { --bg: #1b1d20; --raise: #25282c; --ink: #e9eaec;
  --ink2: #b4b9c1; --line: #3a3f45; --critical: #ff7d9d; --warn: #ff9850; --watch: #e3ca63;
  --ok: #7fd3a5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 64px; max-width: 880px; background: var(--bg);
  color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 15px; margin: 0 0 24px; color: var(--ink2); font-weight: 600; }
article { border-top: 1px solid var(--line); padding: 20px 0 28px; }
h2 { margin: 0; font-size: 13px; font-weight: 400; color: var(--ink2); }
.verdict { margin: 2px 0 8px; font-size: 24px; line-height: 1.3; font-weight: 650; }
.critical { color: var(--critical); } .warn { color: var(--warn); } .watch { color: var(--watch); }
.ok { color: var(--ok); } .not-evaluated { color: var(--ink2); }
p { margin: 0 0 10px; } .quiet { color: var(--ink2); }
ol.chain { list-style: none; display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0; padding: 0; }
ol.chain li { background: var(--raise); border: 1px solid var(--line); border-radius: 6px;
  padding: 4px 10px; font-size: 14px; }
ol.chain li:not(:last-child)::after { content: "→"; margin-left: 10px; color: var(--ink2); }
.first { background: var(--raise); border-left: 3px solid var(--ink2); border-radius: 0 6px 6px 0;
  padding: 10px 14px; margin: 14px 0; }
.first p { margin: 0; } b { font-weight: 600; }
pre { margin: 8px 0 0; overflow-x: auto; font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; }
h3 { margin: 22px 0 6px; font-size: 13px; color: var(--ink2); font-weight: 600; }
ul { margin: 0; padding: 0; list-style: none; } ul.findings > li { margin: 0 0 10px; }
ul.findings ul { padding-left: 20px; color: var(--ink2); font-size: 14px; }
p:has(+ ul.brief) { margin: 0; } ul.brief { padding-left: 20px; margin-bottom: 10px; }
table { border-collapse: collapse; margin-top: 8px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 3px 0 3px 24px; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; padding-left: 0; font-weight: 400; }
thead th { color: var(--ink2); font-weight: 400; font-size: 13px; }
"""


def html(runs: Iterable[Run], rules: Iterable[Rule] = ALL_RULES) -> str:
    """Returns the runs as a page. Whatever a recording says in it is text."""
    rules = tuple(rules)
    articles = "\n".join("\n".join(_article(Page(run, rules))) for run in runs)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>tfdiag</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>tfdiag: health of training runs</h1>\n{articles}\n</body>\n</html>\n"
    )


def _article(page: Page) -> Iterator[str]:
    judged, told = page.verdict, page.diagnosis
    yield f"<article>\n<h2>{escape(page.name)}</h2>"
    title = f"{_sign(judged.severity)} {escape(judged.title)}"
    yield f'<p class="verdict {judged.severity}">{title}</p>'
    yield f"<p>{escape(judged.summary)}</p>"
    if page.chain:
        links = "".join(f"<li>{escape(text)}</li>" for text in page.chain)
        yield f'<ol class="chain">{links}</ol>'
    if told:
        yield f"<p><b>How sure:</b> {told.sureness}; {escape(told.reason)}.</p>"
    if judged.try_first:
        code = judged.try_first.code
        block = f"<pre><code>{escape(code)}</code></pre>" if code else ""
        text = f"<p><b>Try first:</b> {escape(judged.try_first.text)}</p>"
        yield f'<div class="first">{text}{block}</div>'
    for title, groups in page.sections:
        items = "\n".join(map(_group, groups))
        yield f'<h3>{escape(title)}</h3>\n<ul class="findings">\n{items}\n</ul>'
    yield from _apart(page)
    yield "</article>"


def _sign(severity: str) -> str:
    return f'<span aria-hidden="true">{SIGNS[severity]}</span>'


def _group(group: Group) -> str:
    first = group.findings[0]
    after = f", follows from {escape(named(group.source))}" if group.source else ""
    items = [f"<li>{escape(finding.message)}</li>" for finding in group.findings[:_SHOWN]]
    if len(group.findings) > _SHOWN:
        items.append(f"<li>... and {count(len(group.findings) - _SHOWN, 'more layer')}</li>")
    return (
        f'<li><b class="{first.severity}">{_sign(first.severity)} {first.severity}: '
        f'{escape(first.rule)}</b><span class="quiet">{after}</span><ul>{"".join(items)}</ul></li>'
    )


def _apart(page: Page) -> Iterator[str]:
    """Yields what is suppressed, what was not evaluated, and the comparison."""
    if page.report.suppressed:
        yield _quiet(
            "Suppressed",
            [
                f"{named(one.finding)} ({one.finding.evidence}): {one.reason}"
                for one in page.report.suppressed
            ],
        )
    for word, silent in page.silent:
        yield _quiet(word.capitalize(), [f"{reason}: {rules}" for reason, rules in silent])
    told = page.comparison
    if told is None:
        return
    yield f"<h3>Compared with {escape(told.name)}</h3>"
    yield _list("Only here", told.new) + _list("Only there", told.gone)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(one.title)}</th>'
        f"{''.join(f'<td>{told}</td>' for told in one.told)}</tr>"
        for one in told.numbers
    )
    head = '<tr><th></th><th scope="col">this run</th><th scope="col">baseline</th></tr>'
    yield f"<table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table>"


def _quiet(title: str, texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<h3>{escape(title)}</h3>\n<ul class="quiet">{items}</ul>'


def _list(title: str, findings: Iterable[Finding]) -> str:
    items = "".join(
        f'<li><span class="{severity}">{_sign(severity)} {severity}</span>: {escape(text)}</li>'
        for severity, text in briefly(findings)
    )
    return f'<p class="quiet">{title}:</p><ul class="brief">{items or "<li>nothing</li>"}</ul>'
