/** Rules × runs: what each rule found in each run, for all runs that the filter of the rail finds. */

import type { JudgedRun, RuleTable, Verdict } from "../api";
import {
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
  shownBesides,
  SIGNS,
  withRun,
} from "../model/matrix";
import { measureOf } from "../model/findings";
import { formatCount, plural } from "../model/number";
import { filterRuns, KEYS } from "../model/runs";
import { FOLDER, RULE_TABLE, slotOf } from "../resources";
import type { Slot, State, Store } from "../state";
import { h, refill } from "./element";
import { choosing } from "./findings";
import { longTable } from "./matrixlist";
import { mark, named, type Pointed, ruleReadout } from "./matrixreadout";
import { type Drawn, wideTable } from "./matrixtable";
import { problem } from "./notices";
import type { View, ViewKind } from "./panel";

/** Up to so many runs stand side by side with what was found; more of them below each other. */
const FEW = 5;
const ORDER = "rules order";
/** The name of the choice that holds whether rules that passed in all runs are listed. */
const PASSED = "rules passed";

export const RULES: ViewKind = { create: matrix, wants: () => [], ofFolder: [RULE_TABLE] };

const NOTHING: Drawn = {
  rules: [],
  columns: [],
  blocks: [],
  passed: [],
  isOpen: false,
  verdicts: new Map(),
  grid: [],
  places: new Map(),
  about: new Map(),
};

function matrix(store: Store, retry: () => void): View {
  const [head, readout] = [h("header.matrix-head"), h("div.matrix-readout")];
  const box = h("div.matrix-box");
  let drawn = NOTHING;
  let basis: unknown[] = [];
  /** What the arrow keys stand on, by name, so that it is found again in a new table. */
  let stand: Pointed = {};

  const pointedAt = ([row, column]: Place): Pointed => {
    const element = drawn.grid[row]?.[column];
    return (element && drawn.about.get(element)) || {};
  };
  const placeOf = (event: Event) => {
    const cell = event.target instanceof Element && event.target.closest("[data-key]");
    return (cell && drawn.places.get(cell)) || null;
  };
  const tell = (at: Pointed) => {
    refill(readout, ruleReadout(at, store.get()));
    for (const [name, { rule, run }] of drawn.about)
      if (!rule !== !run) name.classList.toggle("on", rule ? rule === at.rule : run === at.run);
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
  const rest = () => {
    const active = document.activeElement;
    tell(active && drawn.places.has(active) ? stand : {});
  };
  box.addEventListener("pointerleave", rest);
  box.addEventListener("click", (event) => {
    const place = placeOf(event);
    if (place) open(pointedAt(place), store);
  });
  box.addEventListener("keydown", (event) => {
    const place = placeOf(event);
    if (!place) return;
    const size: Place = [drawn.grid.length, drawn.grid[0]!.length];
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
    const rules = slot.value?.rules ?? [];
    const folded = foldPassed(blocksOf(rules, columns, grouped), columns);
    const isOpen = state.choices[PASSED] === "listed";
    drawn = { ...folded, rules, columns, isOpen, verdicts: verdictsOf(state), grid: [], places: new Map(), about: new Map() };
    refill(head, slot.value && heading(slot, columns, listed, grouped, store));
    refill(box, slot.value && columns.length ? table(drawn, store) : instead(slot, runs, retry));
    box.scrollTo(left, top);
    const places = [...drawn.places].filter(([element]) => isAbout(drawn.about.get(element)!, stand));
    standAt(places[0]?.[1] ?? [0, 1]);
    rest();
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

const isAbout = (one: Pointed, other: Pointed) =>
  one.rule?.id === other.rule?.id && one.run?.run === other.run?.run;

/** Shows the run beside those that are shown already, and the worst finding that was pointed at. */
function open({ rule, run }: Pointed, store: Store): void {
  if (!run) return;
  const state = store.get();
  const [worst] = rule ? cellOf(run, rule.id).findings : [];
  const ofLayer = worst && worst.layer !== null;
  store.set({
    view: "diagnosis",
    shown: withRun(state.shown, run.run),
    picked: true,
    hover: null,
    layer: worst?.layer ?? null,
    step: worst?.step ?? null,
    metric: (ofLayer && measureOf(worst)) || state.metric,
    ...choosing(run.run, worst && rule ? rule.id : null, state),
  });
}

function heading(
  slot: Slot<RuleTable>,
  columns: Column[],
  listed: JudgedRun[],
  grouped: boolean,
  store: Store,
): HTMLElement[] {
  const all = slot.value?.runs.length ?? 0;
  const drawn = columns.filter(({ run }) => listed.includes(run)).length;
  const besides = shownBesides(columns, listed).map((position) => KEYS[position]);
  const notes = [
    listed.length < all && `${formatCount(listed.length)} of ${plural(all, "run")} match the filter.`,
    besides.length > 0 && `${besides.join(" and ")} ${besides.length === 1 ? "is" : "are"} drawn besides, being shown side by side.`,
    drawn < listed.length &&
      `The ${MOST_COLUMNS} worst are drawn; filter to see one of the ${formatCount(listed.length - drawn)} others.`,
    slot.failure && `What you see was fetched before: ${slot.failure}`,
  ];
  return [
    h(
      "div",
      null,
      h("h2", null, inNeed(listed, all)),
      h(
        "p.quiet",
        null,
        columns.length > FEW
          ? "A cell is the worst that a rule found in a run, with the number of its findings if there are several. "
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

/** What is not to be taken for health. */
const MEANINGS: Partial<Record<CellSign, string>> = {
  "not-evaluated": "what the rule needs is missing",
  exempt: "the rule does not apply",
};

const legend = () =>
  h(
    "ul.matrix-legend",
    null,
    SIGNS.map((sign) =>
      h("li", null, mark(sign), named(sign), MEANINGS[sign] && h("span.quiet", null, MEANINGS[sign])),
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

function table(drawn: Drawn, store: Store): HTMLElement {
  const fold = drawn.passed.length > 0 ? foldButton(drawn, store) : null;
  return drawn.columns.length > FEW ? longTable(drawn, fold) : wideTable(drawn, fold);
}

function foldButton({ passed, columns, isOpen }: Drawn, store: Store): HTMLElement {
  const all = columns.every(isJudged) ? "all runs" : "all judged runs";
  const where = columns.length === 1 ? "this run" : all;
  return h(
    "button.link",
    {
      "data-key": "passed",
      "aria-expanded": String(isOpen),
      onclick: () => store.choose(PASSED, isOpen ? "" : "listed"),
    },
    isOpen
      ? `Hide the ${formatCount(passed.length)} that passed`
      : `${plural(passed.length, "rule")} passed in ${where}`,
  );
}
