/** The heads of the columns: which run is the baseline, which one stands beside it, and both. */

import { comparable, type Pair } from "../model/compare";
import { runColour } from "../host";
import { called } from "../requests";
import type { State, Store } from "../state";
import { type Child, h } from "./element";
import { age, key } from "./heads";

export function pairHeads(state: State, pair: Pair, store: Store): HTMLElement {
  const choose = (next: Pair) =>
    store.set({ choices: { ...state.choices, baseline: next.baseline, compared: next.run } });
  /** Who takes the run of the other column changes places with it. */
  const withBaseline = (name: string): Pair =>
    name === pair.run ? { baseline: name, run: pair.baseline } : { ...pair, baseline: name };
  const withRun = (name: string): Pair =>
    name === pair.baseline ? { baseline: pair.run, run: name } : { ...pair, run: name };
  return h(
    "div.section.heads",
    null,
    h(
      "div.side",
      null,
      h(
        "button.small",
        { "data-key": "swap", onclick: () => choose({ baseline: pair.run, run: pair.baseline }) },
        "Swap",
      ),
    ),
    head("Baseline", pair.baseline, state, (name) => choose(withBaseline(name))),
    head("Run", pair.run, state, (name) => choose(withRun(name))),
    h("div.head", null, h("span.between-heads", null, against(pair, state))),
  );
}

/** Which of the two is seen against which: "C against A". */
export const against = (pair: Pair, state: State): Child[] => [
  key(state.shown.indexOf(pair.run)),
  " against ",
  key(state.shown.indexOf(pair.baseline)),
];

/** What stands above the columns of a table of both. */
export const columnHeads = (first: Child, pair: Pair, state: State, last: Child): Child[] => [
  first,
  [key(state.shown.indexOf(pair.baseline)), " baseline"],
  [key(state.shown.indexOf(pair.run)), " run"],
  last,
];

function head(
  title: string,
  name: string,
  state: State,
  choose: (name: string) => void,
): HTMLElement {
  const runs = comparable(state.shown, state.runs ?? []);
  const run = runs.find((one) => one.run === name);
  const select = h(
    "select",
    { "data-key": `choose ${title}`, "aria-label": title, title: called(name) },
    runs.map((one) => h("option", { value: one.run, selected: one.run === name }, called(one.run))),
  );
  select.addEventListener("change", () => choose(select.value));
  return h(
    "div.head",
    null,
    key(state.shown.indexOf(name)),
    h("i.swatch", { style: `background:${runColour(state.names, name, state.dark)}` }),
    h("span.quiet", { "aria-hidden": "true" }, title),
    select,
    h("span.age", { "data-run": name }, run ? age(run) : null),
  );
}
