/** Rules by few runs: a row for each rule, a column for each run with room for what was found. */

import type { RuleCell, RuleFacts, Verdict } from "../api";
import {
  type Block,
  type CellSign,
  cellOf,
  type Column,
  isJudged,
  type Place,
  type Row,
  shorten,
  shortWords,
  signOf,
  tallyOf,
  wordsOf,
} from "../model/matrix";
import { titled } from "../model/findings";
import { formatCount, plural } from "../model/number";
import { called } from "../requests";
import { h, prose } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";
import { mark, named, type Pointed } from "./matrixreadout";

/** Letters of a name. */
const LETTERS = 16;

/** What is drawn: the runs, the rules, and where each element that can be pointed at stands. */
export interface Drawn {
  /** All rules, drawn or not. */
  rules: readonly RuleFacts[];
  columns: Column[];
  /** The rules that say more than that all is well, under their headings. */
  blocks: Block[];
  /** The rules that passed in all judged runs. */
  passed: Row[];
  /** Whether these are listed too. */
  isOpen: boolean;
  /** The verdict of each run that has one. */
  verdicts: ReadonlyMap<string, Verdict>;
  /** Row 0 and column 0 hold the names; the corner is missing. */
  grid: (HTMLElement | null)[][];
  places: Map<Element, Place>;
  /** What an element of the grid is about. */
  about: Map<Element, Pointed>;
}

/** All rules that are drawn, in their order. */
export const rowsOf = ({ blocks, passed, isOpen }: Drawn): Row[] => [
  ...blocks.flatMap((block) => block.rows),
  ...(isOpen ? passed : []),
];

/** The table of few runs. @param fold unfolds the rules that passed. */
export function wideTable(drawn: Drawn, fold: HTMLElement | null): HTMLElement {
  const { columns, blocks, passed, isOpen } = drawn;
  const thead = h("thead", null, names(drawn), verdicts(drawn), totals(drawn));
  return h(
    isMixed(columns) ? "table.wide.mixed" : "table.wide",
    { role: "grid", "aria-label": "What each rule found in each run" },
    thead,
    blocks.map(({ title, rows }) =>
      h(
        "tbody",
        null,
        title !== null &&
          h(
            "tr.group",
            null,
            h("th", { scope: "rowgroup" }, title),
            h("td", { colspan: columns.length > 1 ? columns.length + 1 : 1 }),
          ),
        rows.map((row) => line(row, drawn)),
      ),
    ),
    fold && h("tbody.passed", null, foldLine(fold, drawn), isOpen && passed.map((row) => line(row, drawn))),
  );
}

/** Whether only some of the runs are shown side by side, so that these are marked. */
export const isMixed = (columns: readonly Column[]) =>
  columns.some(({ key }) => key >= 0) && columns.some(({ key }) => key < 0);

/** In how many runs a rule found something; of a single one its cell tells it. */
const inRuns = (found: number, { columns }: Drawn) =>
  columns.length > 1 &&
  h("td.found-count", { title: `found something in ${plural(found, "run")}` }, found > 0 && formatCount(found));

/** One line for all rules that say nothing but that all is well; they unfold below it. */
const foldLine = (fold: HTMLElement, drawn: Drawn) =>
  h(
    "tr",
    null,
    h("td", null, fold),
    inRuns(0, drawn),
    drawn.columns.map((column) =>
      h(
        column.key < 0 ? "td" : "td.chosen",
        { "aria-label": isJudged(column) ? "all passed" : "not judged yet" },
        h("span.cell", null, mark(isJudged(column) ? "ok" : "not-evaluated")),
      ),
    ),
  );

/** What is wrong in each run, in a few words. */
const verdicts = ({ columns, verdicts: all }: Drawn) =>
  h(
    "tr.verdicts",
    null,
    h("th.rule-name", { scope: "row" }, "Verdict"),
    columns.length > 1 && h("td.found-count"),
    columns.map(({ run, key: position }) => {
      const verdict = all.get(run.run);
      return h(
        position < 0 ? "td" : "td.chosen",
        { title: verdict?.title },
        verdict && [
          glyph(verdict.severity, 13, WORDS[verdict.severity]),
          h("span", null, prose(verdict.title)),
        ],
      );
    }),
  );

function names(drawn: Drawn): HTMLElement {
  const cells = drawn.columns.map((column) => runName(column, "col", LETTERS));
  note(drawn, [null, ...cells], [{}, ...drawn.columns.map(({ run }) => ({ run }))]);
  return h("tr", null, h("td.rule-name"), cells.length > 1 && h("td.found-count", null, "found in"), cells);
}

/** @param letters of the name, at most. */
export function runName(column: Column, scope: "col" | "row", letters: number): HTMLElement {
  const { run, found, key: position } = column;
  return h(
    position < 0 ? "th.run-name" : "th.run-name.chosen",
    {
      scope,
      tabindex: -1,
      "data-key": `run ${run.run}`,
      title: called(run.run),
      "aria-label": `${called(run.run)}, ${plural(found, "rule")} found something`,
    },
    position >= 0 && key(position),
    h("span.called", null, shorten(called(run.run), letters)),
  );
}

/** Remembers where the elements of a row stand, and what they are about. */
export function note(drawn: Drawn, row: (HTMLElement | null)[], about: Pointed[]): void {
  row.forEach((cell, i) => {
    if (!cell) return;
    drawn.places.set(cell, [drawn.grid.length, i]);
    drawn.about.set(cell, about[i]!);
  });
  drawn.grid.push(row);
}

/** What became of all rules in each run. */
const totals = (drawn: Drawn) =>
  h(
    "tr.totals",
    null,
    h("th.rule-name", { scope: "row" }, plural(drawn.rules.length, "rule")),
    inRuns(0, drawn),
    drawn.columns.map(({ run, key: position }) => {
      const tally = tallyOf(run, drawn.rules);
      const words = tally.map(({ sign, count }) => `${formatCount(count)} ${named(sign).toLowerCase()}`);
      return h(
        position < 0 ? "td" : "td.chosen",
        { title: words.join("\n") },
        h("span.tally", null, tally.map(counted)),
      );
    }),
  );

/** The dot of what passed has no name. */
const counted = ({ sign, count }: { sign: CellSign; count: number }) =>
  h("span", null, mark(sign), formatCount(count), sign === "ok" && h("span.sr", null, " passed"));

function line(row: Row, drawn: Drawn): HTMLElement {
  const { rule, found } = row;
  const name = h(
    "th.rule-name",
    { scope: "row", tabindex: -1, "data-key": `rule ${rule.id}` },
    rule.title,
  );
  const cells = drawn.columns.map((column) => {
    const cell = cellOf(column.run, rule.id);
    return cellElement(row, column, drawn, short(cell, drawn));
  });
  note(drawn, [name, ...cells], [{ rule }, ...drawn.columns.map(({ run }) => ({ rule, run }))]);
  return h(found ? "tr" : "tr.calm", null, name, inRuns(found, drawn), cells);
}

/** What a rule says of a run. @param shown what stands beside the sign. */
export function cellElement(
  { rule }: Row,
  { run, key: position }: Column,
  drawn: Drawn,
  shown: HTMLElement | false,
): HTMLElement {
  const cell = cellOf(run, rule.id);
  const sign: CellSign = signOf(cell);
  const severity = cell.count ? `${WORDS[sign]}, ` : "";
  const also = shown && cell.count && shown.matches(".short") ? `: ${shown.textContent}` : ""; // what is seen is in the name
  return h(
    position < 0 ? "td" : "td.chosen",
    {
      role: "gridcell",
      tabindex: -1,
      "data-key": `cell ${rule.id}\n${run.run}`,
      "aria-label": `${rule.title}, ${called(run.run)}: ${severity}${titled(wordsOf(cell), drawn.rules)}${also}`,
    },
    h(`span.cell.cell-${sign}`, null, mark(sign), shown),
  );
}

function short(cell: RuleCell, { rules }: Drawn): HTMLElement {
  const { place, more, words } = shortWords(cell);
  return h(
    "span.short",
    null,
    place && h("code", null, place),
    more > 0 && ` and ${formatCount(more)} more`,
    place && words && " · ",
    prose(titled(words, rules)),
  );
}
