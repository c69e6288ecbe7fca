/** The head of each run's column, which stays on top while the page scrolls. */

import type { RunSummary } from "../api";
import { called, serverNow } from "../requests";
import { runColour } from "../host";
import { KEYS, life, longAge } from "../model/runs";
import type { State } from "../state";
import { h } from "./element";
import { glyph } from "./glyph";
import { middleCut } from "./name";

export function heads(state: State): HTMLElement {
  const element = h(
    "div.section.heads",
    null,
    h("div.side"),
    state.shown.map((name, i) => head(state, name, i)),
  );
  new ResizeObserver(() => tellHeight(element)).observe(element, { box: "border-box" });
  return element;
}

/** What stays in sight below the heads needs to know where they end. */
function tellHeight(heads: HTMLElement): void {
  heads.closest("main")?.style.setProperty("--heads", `${heads.offsetHeight}px`);
}

/** Which run a column is of. */
export function head(state: State, name: string, column: number): HTMLElement {
  const run = state.runs?.find((r) => r.run === name);
  const sign = run?.verdict?.severity;
  return h(
    "div.head",
    null,
    key(column),
    sign && h("span.when-stuck", null, glyph(sign)),
    h("i.swatch", { style: `background:${runColour(state.names, name, state.dark)}` }),
    headName(called(name)),
    h("span.age", { "data-run": name }, run ? age(run) : null),
  );
}

/** Beside its letter and its colour; what else there is stands below a long one. */
function headName(name: string): HTMLElement {
  const element = middleCut(name);
  element.style.setProperty("--letters", String([...name].length));
  return element;
}

export function age(run: RunSummary): (Node | string)[] {
  const now = serverNow();
  const state = life(run, now);
  return state === "live" || state === "stale"
    ? [h(`i.dot.${state}`), longAge(run, now)]
    : [longAge(run, now)];
}

/** The letter by which a column is called everywhere. */
export function key(column: number): HTMLElement {
  return h("span.key", null, KEYS[column] ?? "?");
}
