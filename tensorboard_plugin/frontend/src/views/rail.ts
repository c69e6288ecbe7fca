/** The rail of runs: worst first, filtered, at most four of them ticked. */

import type { RunSummary } from "../api";
import { called, serverNow } from "../requests";
import { runColour } from "../host";
import {
  filterRuns,
  isShowable,
  KEYS,
  life,
  MOST_SHOWN,
  shortAge,
  worstFirst,
} from "../model/runs";
import { formatCount } from "../model/number";
import type { State, Store } from "../state";
import { h, refill } from "./element";
import { glyph, WORDS } from "./glyph";

export interface Rail {
  element: HTMLElement;
  update(state: State): void;
  focusFilter(): void;
}

/** The filter box is made once, so that typing is never disturbed. */
export function rail(store: Store): Rail {
  const input = h("input", {
    type: "text",
    placeholder: "Filter runs (regex)",
    "aria-label": "Filter runs by a regular expression",
    spellcheck: "false",
    value: store.get().filter,
    oninput: () => store.set({ filter: input.value }),
    onkeydown: (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      if (input.value) store.set({ filter: (input.value = "") });
      else input.blur();
    },
  });
  const lists = h("div.lists");
  const element = h(
    "nav.rail",
    { "aria-label": "Runs" },
    h("label.find", null, input, h("kbd", { "aria-hidden": "true" }, "/")),
    lists,
    footer(),
  );
  return {
    element,
    update(state) {
      element.hidden = !state.railOpen;
      if (document.activeElement !== input) input.value = state.filter;
      refill(lists, ...content(state, store));
    },
    focusFilter() {
      store.set({ railOpen: true });
      input.focus();
      input.select();
    },
  };
}

function footer(): HTMLElement {
  const key = (name: string) => h("kbd", null, name);
  return h(
    "p.foot",
    null,
    h("span", null, key("←"), key("→"), " step"),
    h("span", null, key("j"), key("k"), " layer"),
    h("span", null, key("Esc"), " clear"),
  );
}

function content(state: State, store: Store): HTMLElement[] {
  const runs = worstFirst(state.runs ?? []);
  const found = filterRuns(runs, state.filter);
  const shown = state.shown.flatMap((name) => runs.find((run) => run.run === name) ?? []);
  const listed = (found ?? runs).filter((run) => !state.shown.includes(run.run));
  const full = shown.length >= MOST_SHOWN;
  const parts: HTMLElement[] = [];
  if (found === null) {
    parts.push(
      h("p.hint", { role: "status" }, "Not a regular expression yet; all runs are listed."),
    );
  }
  if (shown.length) {
    parts.push(heading("Side by side", `${shown.length} shown, at most ${MOST_SHOWN}`));
    parts.push(list(shown.map((run, i) => line(run, state, store, i, false))));
    if (found && shown.some((run) => !found.includes(run))) {
      parts.push(h("p.hint", null, "Shown runs stay listed, whatever the filter."));
    }
  }
  if (listed.length || !shown.length) {
    parts.push(
      heading(shown.length ? "Others, worst first" : "All, worst first", String(listed.length)),
    );
    if (full) parts.push(h("p.hint", null, "Four fit side by side. Untick one to show another."));
    parts.push(list(listed.map((run) => line(run, state, store, -1, full))));
  }
  if (runs.length && !listed.length && state.filter && !shown.length) {
    parts.push(h("p.hint", null, "No run matches this filter."));
  }
  return parts;
}

const heading = (words: string, count: string) =>
  h("h2", null, h("span", null, words), h("span", null, count));

const list = (lines: HTMLElement[]) => h("ul", null, lines);

function line(
  run: RunSummary,
  state: State,
  store: Store,
  column: number,
  full: boolean,
): HTMLElement {
  const able = isShowable(run) && !full;
  const sign = run.verdict?.severity ?? "not-evaluated";
  const title = run.verdict
    ? `${WORDS[sign]}: ${run.verdict.title}`
    : (run.error ?? "No recording of tfdiag");
  const step = run.last_step === null ? null : `step ${formatCount(run.last_step)}`;
  return h(
    "li",
    null,
    h(
      column < 0 ? "label.run" : "label.run.on",
      { title: [called(run.run), title, step].filter(Boolean).join("\n") },
      h("input", {
        type: "checkbox",
        "data-key": `show ${run.run}`,
        "aria-label": `Show ${called(run.run)}, ${title}`,
        checked: column >= 0,
        disabled: !able,
        onchange: () => toggle(store, run.run),
      }),
      h("span.box", { "aria-hidden": "true" }, KEYS[column] ?? ""),
      glyph(sign, 14, title),
      h("i.swatch", { style: `background:${runColour(state.names, run.run, state.dark)}` }),
      h("span.name", null, called(run.run)),
      h("span.age", { "data-run": run.run }, railAge(run)),
    ),
  );
}

/** What is renewed each second. */
export function railAge(run: RunSummary): (Node | string)[] {
  const now = serverNow();
  const phase = life(run, now);
  const words = shortAge(run, now);
  return phase === "live" || phase === "stale" ? [h(`i.dot.${phase}`), words] : [words];
}

function toggle(store: Store, name: string): void {
  const { shown } = store.get();
  const next = shown.includes(name) ? shown.filter((run) => run !== name) : [...shown, name];
  store.set({ shown: next.slice(0, MOST_SHOWN), picked: true, hover: null });
}
