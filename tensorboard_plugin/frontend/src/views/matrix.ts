/** Rules × runs: what each rule found in each run, for all runs that the filter of the rail finds. */

import type { JudgedRun, RuleCell, RuleTable, Verdict } from "../api";
import {
  type Block,
  blocksOf,
  type CellSign,
  cellOf,
  type Column,
  columnsOf,
  foldPassed,
  inNeed,
  isJudged,
  moved,
  MOST_COLUMNS,
  type Place,
  type Row,
  shorten,
  shortWords,
  signOf,
  withRun,
  wordsOf,
} from "../model/matrix";
import { measureOf, titled } from "../model/findings";
import { formatCount, plural } from "../model/number";
import { filterRuns } from "../model/runs";
import { called } from "../requests";
import { FOLDER, RULE_TABLE, slotOf } from "../resources";
import type { Slot, State, Store } from "../state";
import { type Child, h, prose, refill } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";
import { type Pointed, ruleReadout } from "./matrixreadout";
import { problem } from "./notices";
import type { View, ViewKind } from "./panel";

/** Up to so many runs have their names written straight. */
const FEW = 6;
/** In how many of more runs than this a rule found something is written, not left to be counted. */
const COUNTED = 5;
/** Letters of a name, slanted and straight. */
const [SLANTED, STRAIGHT] = [22, 16];
const ORDER = "rules order";
/** The name of the choice that holds whether rules that passed in all runs are listed. */
const PASSED = "rules passed";

export const RULES: ViewKind = { create: matrix, wants: () => [], ofFolder: [RULE_TABLE] };

/** What is drawn: the columns, the rows, and where each element that can be pointed at stands. */
interface Drawn {
  columns: Column[];
  rows: Row[];
  /** The verdict of each run that has one. */
  verdicts: ReadonlyMap<string, Verdict>;
  /** Row 0 holds the names of the runs, column 0 those of the rules; the corner is missing. */
  grid: (HTMLElement | null)[][];
  places: Map<Element, Place>;
}

const NOTHING: Drawn = { columns: [], rows: [], verdicts: new Map(), grid: [], places: new Map() };

function matrix(store: Store, retry: () => void): View {
  const [head, readout] = [h("header.matrix-head"), h("div.matrix-readout")];
  const box = h("div.matrix-box");
  let drawn = NOTHING;
  let basis: unknown[] = [];
  /** What the arrow keys stand on, by name, so that it is found again in a new table. */
  let stand: Pointed = {};

  const pointedAt = ([row, column]: Place): Pointed => ({
    rule: drawn.rows[row - 1]?.rule,
    run: drawn.columns[column - 1]?.run,
  });
  const placeOf = (event: Event) => {
    const cell = event.target instanceof Element && event.target.closest("[data-key]");
    return (cell && drawn.places.get(cell)) || null;
  };
  const tell = (at: Pointed) => {
    refill(readout, ruleReadout(at, store.get()));
    drawn.grid[0]?.forEach((name, i) =>
      name?.classList.toggle("on", drawn.columns[i - 1]?.run === at.run),
    );
  };
  /** Only one element of the grid is a stop of the Tab key. */
  const standAt = (place: Place) => {
    box.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    drawn.grid[place[0]]?.[place[1]]?.setAttribute("tabindex", "0");
    stand = pointedAt(place);
  };

  box.addEventListener("focusin", (event) => {
    const place = placeOf(event);
    if (!place) return;
    standAt(place);
    tell(stand);
  });
  box.addEventListener("pointerover", (event) => {
    const place = placeOf(event);
    if (place) tell(pointedAt(place));
  });
  box.addEventListener("pointerleave", () => tell(box.contains(document.activeElement) ? stand : {}));
  box.addEventListener("click", (event) => {
    const place = placeOf(event);
    if (place) open(pointedAt(place), store);
  });
  box.addEventListener("keydown", (event) => {
    const place = placeOf(event);
    if (!place) return;
    const size: Place = [drawn.rows.length + 1, drawn.columns.length + 1];
    const next = moved(place, event.key, size, event.ctrlKey);
    if (event.key === "Enter" || event.key === " ") open(pointedAt(place), store);
    else if (!next) return;
    else drawn.grid[next[0]]?.[next[1]]?.focus();
    event.preventDefault();
    event.stopPropagation(); // the arrows of the other views move a step
  });

  const draw = (state: State, slot: Slot<RuleTable>, grouped: boolean) => {
    const { left, top } = { left: box.scrollLeft, top: box.scrollTop };
    const runs = slot.value?.runs ?? [];
    const listed = filterRuns(runs, state.filter) ?? runs;
    const columns = columnsOf(runs, listed, state.shown);
    const all = blocksOf(slot.value?.rules ?? [], columns, grouped);
    const folded = foldPassed(all, columns);
    const isOpen = state.choices[PASSED] === "listed";
    const blocks = isOpen ? all : folded.blocks;
    const rows = blocks.flatMap((block) => block.rows);
    drawn = { columns, rows, verdicts: verdictsOf(state), grid: [], places: new Map() };
    refill(head, slot.value && heading(slot, columns, runs.length, listed, grouped, store));
    refill(box, slot.value && columns.length ? table(blocks, fold(folded.passed, columns, isOpen, store), drawn) : instead(slot, runs, retry));
    box.scrollTo(left, top);
    const rule = drawn.rows.findIndex((row) => row.rule.id === stand.rule?.id);
    const run = columns.findIndex((column) => column.run.run === stand.run?.run);
    standAt([rule + 1, Math.max(run + 1, 1)]);
    tell(box.contains(document.activeElement) ? stand : {});
  };

  return {
    element: h("div", null, h("section.matrix", { "aria-label": "Rules × runs" }, head, box, h("div.matrix-foot", null, readout))),
    update(state) {
      const slot = slotOf(state, FOLDER, RULE_TABLE);
      const grouped = state.choices[ORDER] === "groups";
      const verdicts = [...verdictsOf(state)].map(([run, { title }]) => `${run}\n${title}`).join("\n");
      const { [PASSED]: passed } = state.choices;
      const next = [slot.value, slot.failure, state.filter, state.shown.join("\n"), grouped, verdicts, passed];
      if (basis.length && next.every((one, i) => one === basis[i])) return;
      basis = next;
      draw(state, slot, grouped);
    },
  };
}

const verdictsOf = (state: State): Map<string, Verdict> =>
  new Map((state.runs ?? []).flatMap(({ run, verdict }) => (verdict ? [[run, verdict] as const] : [])));

/** Shows the run beside those that are shown already, at the place of its worst finding. */
function open({ rule, run }: Pointed, store: Store): void {
  if (!run) return;
  const shown = withRun(store.get().shown, run.run);
  const [worst] = rule ? cellOf(run, rule.id).findings : [];
  const ofLayer = worst && worst.layer !== null;
  store.set({
    view: "diagnosis",
    shown,
    picked: true,
    hover: null,
    layer: worst?.layer ?? null,
    step: worst?.step ?? null,
    metric: (ofLayer && measureOf(worst)) || store.get().metric,
  });
}

function heading(
  slot: Slot<RuleTable>,
  columns: Column[],
  all: number,
  listed: JudgedRun[],
  grouped: boolean,
  store: Store,
): HTMLElement[] {
  const count = inNeed(columns);
  const left = listed.length - columns.filter(({ run }) => listed.includes(run)).length;
  const notes = [
    listed.length < all && `${formatCount(listed.length)} of ${plural(all, "run")} match the filter.`,
    left > 0 && `The ${MOST_COLUMNS} worst are drawn; filter to see one of the ${formatCount(left)} others.`,
    slot.failure && `What you see was fetched before: ${slot.failure}`,
  ];
  return [
    h(
      "div",
      null,
      h(
        "h2",
        null,
        columns.length === 1
          ? `The run ${count ? "needs" : "does not need"} action`
          : `${count ? formatCount(count) : "None"} of ${plural(columns.length, "run")} ${count === 1 ? "needs" : "need"} action`,
      ),
      h(
        "p.quiet",
        null,
        columns.length > FEW
          ? "A cell is the worst that a rule found in a run, and the number of its findings. "
          : "A cell is the worst that a rule found in a run, or why it could not be evaluated. ",
        notes.filter(Boolean).join(" "),
      ),
    ),
    h(
      "div.matrix-tools",
      null,
      legend(),
      h(
        "div.segments",
        { role: "group", "aria-label": "Order of the rules" },
        orderButton("Worst first", "", !grouped, store),
        orderButton("By group", "groups", grouped, store),
      ),
    ),
  ];
}

function orderButton(title: string, order: string, on: boolean, store: Store): HTMLElement {
  return h(
    "button",
    {
      "data-key": `order ${order}`,
      "aria-pressed": String(on),
      onclick: () => store.choose(ORDER, order),
    },
    title,
  );
}

const SIGNS: readonly CellSign[] = ["critical", "warn", "watch", "ok", "not-evaluated", "exempt"];

const legend = () =>
  h(
    "ul.matrix-legend",
    null,
    SIGNS.map((sign) =>
      h("li", { class: `cell-${sign}` }, mark(sign), sign === "ok" ? "Healthy" : WORDS[sign]),
    ),
  );

/** Where there is no table: why. */
function instead(slot: Slot<RuleTable>, runs: JudgedRun[], retry: () => void): HTMLElement {
  if (slot.failure && !slot.value)
    return problem("The rules could not be fetched", slot.failure, retry);
  if (!slot.value) return h("p.quiet", { role: "status" }, "Loading what the rules found …");
  const words = runs.length ? "No run with a recording matches this filter." : "No run was recorded.";
  return h("p.quiet", { role: "status" }, words);
}

function table(blocks: Block[], folded: Child, drawn: Drawn): HTMLElement {
  const { columns } = drawn;
  return h(
    `table.${columns.length > FEW ? "narrow" : "wide"}${columns.length > COUNTED ? "" : ".uncounted"}`,
    { role: "grid", "aria-label": "What each rule found in each run" },
    h("thead", null, names(drawn), verdicts(drawn), totals(columns)),
    blocks.map(({ title, rows }) =>
      h(
        "tbody",
        null,
        title !== null &&
          h(
            "tr.group",
            null,
            h("th", { scope: "rowgroup" }, title),
            h("td", { colspan: columns.length + (columns.length > COUNTED ? 1 : 0) }),
          ),
        rows.map((row) => line(row, drawn)),
      ),
    ),
    folded,
  );
}

/** One line for all rules that say nothing but that all is well. */
function fold(passed: Row[], columns: Column[], isOpen: boolean, store: Store): HTMLElement | null {
  if (passed.length === 0) return null;
  const all = columns.every(isJudged) ? "all runs" : "all judged runs";
  const words = `${plural(passed.length, "rule")} passed in ${columns.length === 1 ? "this run" : all}`;
  return h(
    "tbody.passed",
    null,
    h(
      "tr",
      null,
      h(
        "td",
        { colspan: columns.length > COUNTED ? 2 : 1 },
        h(
          "button.link",
          {
            "data-key": "passed",
            "aria-expanded": String(isOpen),
            onclick: () => store.choose(PASSED, isOpen ? "" : "listed"),
          },
          words,
        ),
      ),
      columns.map((column) =>
        h(
          column.key < 0 ? "td" : "td.chosen",
          { "aria-label": isJudged(column) ? "all passed" : "not judged yet" },
          h("span.cell", null, mark(isJudged(column) ? "ok" : "not-evaluated")),
        ),
      ),
    ),
  );
}

/** What is wrong in each run, in a few words where there is room for them. */
const verdicts = ({ columns, verdicts: all }: Drawn) =>
  h(
    "tr.verdicts",
    null,
    h("th.rule-name", { scope: "row" }, "Verdict"),
    total(columns, ""),
    columns.map(({ run, key: position }) => {
      const verdict = all.get(run.run);
      return h(
        position < 0 ? "td" : "td.chosen",
        { title: verdict?.title },
        verdict && [
          glyph(verdict.severity, 13, WORDS[verdict.severity]),
          columns.length <= FEW && h("span", null, prose(verdict.title)),
        ],
      );
    }),
  );

function names(drawn: Drawn): HTMLElement {
  const letters = drawn.columns.length > FEW ? SLANTED : STRAIGHT;
  const cells = drawn.columns.map((column) =>
    h(
      column.key < 0 ? "th.run-name" : "th.run-name.chosen",
      {
        scope: "col",
        tabindex: -1,
        "data-key": `run ${column.run.run}`,
        "aria-label": `${called(column.run.run)}, ${plural(column.found, "rule")} found something`,
      },
      column.key >= 0 && key(column.key),
      h("span.slant", null, h("span", null, shorten(called(column.run.run), letters))),
    ),
  );
  note(drawn, null, cells);
  return h("tr", null, h("td.rule-name"), total(drawn.columns, ""), cells);
}

/** Remembers where the elements of a row stand. */
function note(drawn: Drawn, first: HTMLElement | null, cells: HTMLElement[]): void {
  const row = [first, ...cells];
  row.forEach((cell, i) => cell && drawn.places.set(cell, [drawn.grid.length, i]));
  drawn.grid.push(row);
}

const totals = (columns: Column[]) =>
  h(
    "tr.totals",
    null,
    h("th.rule-name", { scope: "row" }, "Rules that found something"),
    total(columns, "Runs"),
    columns.map(({ found, key: position }) =>
      h(position < 0 ? "td" : "td.chosen", null, found > 0 && rulesIn(columns, found)),
    ),
  );

const rulesIn = (columns: Column[], found: number) =>
  columns.length > FEW ? formatCount(found) : plural(found, "rule");

/** The cell of a row beside the name of its rule, where there is one. */
const total = (columns: Column[], words: string) =>
  columns.length > COUNTED && h("td.total", null, words);

function line(row: Row, drawn: Drawn): HTMLElement {
  const { rule, found } = row;
  const name = h(
    "th.rule-name",
    { scope: "row", tabindex: -1, "data-key": `rule ${rule.id}` },
    rule.title,
  );
  const rules = drawn.rows.map((one) => one.rule);
  const cells = drawn.columns.map(({ run, key: position }) => {
    const cell = cellOf(run, rule.id);
    const sign = signOf(cell);
    const wide = drawn.columns.length <= FEW;
    const shown = wide ? short(cell, rules) : cell.count > 0 && count(cell.count);
    const severity = cell.count ? `${WORDS[sign]}, ` : "";
    const also = shown && wide && cell.count ? `: ${shown.textContent}` : ""; // what is seen is in the name
    return h(
      position < 0 ? "td" : "td.chosen",
      {
        role: "gridcell",
        tabindex: -1,
        "data-key": `cell ${rule.id}\n${run.run}`,
        "aria-label": `${rule.title}, ${called(run.run)}: ${severity}${titled(wordsOf(cell), rules)}${also}`,
      },
      h(
        `span.cell.cell-${sign}`,
        null,
        mark(sign),
        shown,
      ),
    );
  });
  note(drawn, name, cells);
  return h(found ? "tr" : "tr.calm", null, name, total(drawn.columns, found ? formatCount(found) : ""), cells);
}

/** What is healthy is hardly seen: a dot. */
const mark = (sign: CellSign) => (sign === "ok" ? h("i.calm-dot") : glyph(sign, 13));

function short(cell: RuleCell, rules: readonly Row["rule"][]): HTMLElement {
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

const count = (found: number) => h("span.count", null, found > 99 ? "99+" : String(found));
