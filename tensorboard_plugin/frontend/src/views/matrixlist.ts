/** Rules by many runs: a row for each run with its verdict at the end, a column for each rule. */

import { cellOf, type Column, type Row } from "../model/matrix";
import { formatCount, plural } from "../model/number";
import { h, prose } from "./element";
import { glyph, WORDS } from "./glyph";
import { cellElement, type Drawn, isMixed, note, rowsOf, runName } from "./matrixtable";

/** Letters of a run's name. */
const LETTERS = 34;

/** The table of many runs. @param fold unfolds the rules that passed. */
export function longTable(drawn: Drawn, fold: HTMLElement | null): HTMLElement {
  const rows = rowsOf(drawn);
  return h(
    isMixed(drawn.columns) ? "table.long.mixed" : "table.long",
    {
      role: "grid",
      "aria-label": "What each rule found in each run",
      style: `--rules:${rows.length}`,
    },
    // Widths by column: the first row may be one of headings over several.
    h(
      "colgroup",
      null,
      h("col", { style: "width:var(--name)" }),
      h("col", { style: "width:var(--count)" }),
      rows.map(() => h("col", { style: "width:var(--cell)" })),
      h("col"),
    ),
    h("thead", null, drawn.blocks.some(({ title }) => title !== null) && groups(drawn), names(rows, fold, drawn), totals(rows)),
    h("tbody", null, drawn.columns.map((column) => line(column, rows, drawn))),
  );
}

/** The headings of the rules; those that passed come last, under none. */
const groups = ({ blocks, passed, isOpen }: Drawn) =>
  h(
    "tr.groups",
    null,
    h("td.run-name"),
    h("td.found-count"),
    blocks.map(({ title, rows }) =>
      h("th.begins", { scope: "colgroup", colspan: rows.length, title }, h("span", null, title)),
    ),
    isOpen && passed.length > 0 && h("td.begins", { colspan: passed.length }),
    h("td"),
  );

function names(rows: Row[], fold: HTMLElement | null, drawn: Drawn): HTMLElement {
  const firsts = new Set([...drawn.blocks.map((block) => block.rows[0]), drawn.passed[0]]);
  const cells = rows.map((row) =>
    h(
      firsts.has(row) ? "th.rule-head.begins" : "th.rule-head",
      { scope: "col", tabindex: -1, "data-key": `rule ${row.rule.id}`, "aria-label": row.rule.title },
      h("span.slant", null, h("span", null, row.rule.title)),
    ),
  );
  note(drawn, [null, ...cells], [{}, ...rows.map(({ rule }) => ({ rule }))]);
  return h(
    "tr",
    null,
    h("td.run-name.corner", null, fold),
    h("td.found-count", null, "Rules"),
    cells,
    h("td"), // the last slanted name reaches into it
  );
}

const totals = (rows: Row[]) =>
  h(
    "tr.totals",
    null,
    h("th.run-name", { scope: "row", colspan: 2 }, "Runs in which it found something"),
    rows.map(({ found }) => h("td", null, found > 0 && formatCount(found))),
    h("th.run-verdict", { scope: "col" }, "Verdict"),
  );

function line(column: Column, rows: Row[], drawn: Drawn): HTMLElement {
  const { run, found, key: position } = column;
  const name = runName(column, "row", LETTERS);
  const cells = rows.map((row) => {
    const { count } = cellOf(run, row.rule.id);
    return cellElement(row, column, drawn, count > 1 && h("span.count", { title: plural(count, "finding") }, count > 99 ? "99+" : String(count)));
  });
  note(drawn, [name, ...cells], [{ run }, ...rows.map(({ rule }) => ({ rule, run }))]);
  const verdict = drawn.verdicts.get(run.run);
  return h(
    "tr",
    null,
    name,
    h(
      position < 0 ? "td.found-count" : "td.found-count.chosen",
      { title: `${plural(found, "rule")} found something` },
      found > 0 && formatCount(found),
    ),
    cells,
    h(
      position < 0 ? "td.run-verdict" : "td.run-verdict.chosen",
      { title: verdict && `${verdict.title}\n${verdict.summary}` },
      verdict && [
        glyph(verdict.severity, 13, WORDS[verdict.severity]),
        h("b", null, prose(verdict.title)),
        " ",
        h("span.quiet", null, prose(verdict.summary)),
      ],
    ),
  );
}
