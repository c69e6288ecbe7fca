/** The rail of runs: sorted, filtered, at most four of them ticked; each with its loss as a line. */

import type { RunSummary } from "../api";
import { isReadable } from "../feed";
import { runColour } from "../host";
import { called, serverNow } from "../requests";
import {
  filterRuns,
  isShowable,
  KEYS,
  life,
  MOST_SHOWN,
  type Order,
  ORDERS,
  shortAge,
  sorted,
  type Verdict,
  VERDICTS,
  verdictCounts,
} from "../model/runs";
import { formatCount, plural } from "../model/number";
import { shortNames } from "../model/runnames";
import { BOX, type Spark, spark } from "../model/spark";
import { FOLDER, LOSSES, type Resource, valueOf } from "../resources";
import type { State, Store } from "../state";
import { arrange, h, keepFocus, refill, svg } from "./element";
import { glyph, WORDS } from "./glyph";
import { middleCut } from "./name";
import { KINDS } from "./views";

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
  const lists = list(store);
  const verdicts = h("div.severities", { role: "group", "aria-label": "Runs by verdict" });
  const element = h(
    "nav.rail",
    { "aria-label": "Runs" },
    h("label.find", null, input, h("kbd", { "aria-hidden": "true" }, "/")),
    verdicts,
    lists.element,
    footer(),
  );
  return {
    element,
    update(state) {
      element.hidden = !state.railOpen;
      if (document.activeElement !== input) input.value = state.filter;
      refill(verdicts, verdictButtons(state, store));
      lists.update(state);
    },
    focusFilter() {
      store.set({ railOpen: true });
      input.focus();
      input.select();
    },
  };
}

/** What the rail needs of the log folder; it lets the view have the first word of each run. */
export function railWants(state: State): readonly Resource<unknown>[] {
  const isDue = KINDS[state.view].ofFolder === undefined;
  const waits = (run: string) => isDue && isReadable(state, run) && !state.loaded.has(run);
  return state.railOpen && !state.shown.some(waits) ? [LOSSES] : [];
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

/** The name of the choice of which runs are listed, in the address. */
const CHOICE = "verdict";

const chosenVerdict = ({ choices }: State) => VERDICTS.find((verdict) => verdict === choices[CHOICE]);

/** How many runs came to what; each lists only those, and again all. */
function verdictButtons(state: State, store: Store): HTMLElement[] {
  const chosen = chosenVerdict(state);
  return verdictCounts(state.runs ?? [])
    .filter(({ verdict, count }) => count > 0 || verdict === chosen)
    .map(({ verdict, count }) =>
      h(
        "button",
        {
          "data-key": `verdict ${verdict}`,
          "aria-pressed": String(verdict === chosen),
          "aria-label": `${WORDS[verdict]}: ${plural(count, "run")}`,
          title: `${WORDS[verdict]}: ${plural(count, "run")}. Lists only these.`,
          onclick: () => store.choose(CHOICE, verdict === chosen ? "" : verdict),
        },
        glyph(verdict, 12),
        formatCount(count),
      ),
    );
}

const ORDER_WORDS: Record<Order, string> = {
  worst: "Worst first",
  name: "By name",
  newest: "Newest first",
};

/** Two lists of lines. All elements stay, a line for as long as nothing of it changes. */
function list(store: Store): { element: HTMLElement; update(state: State): void } {
  const sort = h(
    "select",
    { "aria-label": "Sort runs", onchange: () => store.set({ sort: sort.value as Order }) },
    ORDERS.map((order) => h("option", { value: order }, ORDER_WORDS[order])),
  );
  const invalid = h("p.hint", { role: "status" });
  const [shownTitle, shownCount, shownLines] = [h("h2"), h("span"), h("ul")];
  const [title, count, lines] = [h("h2"), h("span"), h("ul")];
  const [stay, full, none] = [h("p.hint"), h("p.hint"), h("p.hint")];
  const shownHead = h("div.heading", null, shownTitle, shownCount);
  const head = h("div.heading", null, title, count, sort);
  const element = h(
    "div.lists",
    null,
    [invalid, shownHead, shownLines, stay],
    [head, full, lines, none],
  );
  const lineOf = lineKeeper(store);
  return {
    element,
    update(state) {
      const { shown, listed, hints } = content(state);
      sort.value = state.sort;
      shownHead.hidden = shown.length === 0;
      head.hidden = listed.length === 0 && shown.length > 0;
      say(shownTitle, "Side by side");
      say(shownCount, `${shown.length} shown, at most ${MOST_SHOWN}`);
      say(title, shown.length ? "Others" : "All");
      say(count, String(listed.length));
      say(invalid, hints.invalid);
      say(stay, hints.stay);
      say(full, hints.full);
      say(none, hints.none);
      const isFull = shown.length >= MOST_SHOWN;
      keepFocus(element, () => {
        arrange(shownLines, shown.map((run, i) => lineOf(run, state, i, false)));
        arrange(lines, listed.map((run) => lineOf(run, state, -1, isFull)));
      });
    },
  };
}

/** Which runs are in the two lists, and what there is to say of them. */
function content(state: State) {
  const runs = sorted(state.runs ?? [], state.sort);
  const verdict = chosenVerdict(state);
  const matching = filterRuns(runs, state.filter);
  const found = verdict
    ? (matching ?? runs).filter((run) => run.verdict?.severity === verdict)
    : matching;
  const shown = state.shown.flatMap((name) => runs.find((run) => run.run === name) ?? []);
  const listed = (found ?? runs).filter((run) => !state.shown.includes(run.run));
  const isFiltered = state.filter !== "" || verdict !== undefined;
  const isHidden = found !== null && shown.some((run) => !found.includes(run));
  const isFull = listed.length > 0 && shown.length >= MOST_SHOWN;
  const isNone = isFiltered && listed.length === 0 && runs.length > shown.length;
  const hints = {
    invalid: matching === null && "Not a regular expression yet; all runs are listed.",
    stay: isHidden && "Shown runs stay listed, whatever the filter.",
    full: isFull && "Four fit side by side. Untick one to show another.",
    none: isNone && noneWords(shown.length > 0, matching ? state.filter : "", verdict),
  };
  return { shown, listed, hints };
}

/** "No other run matches 'seed7' with the verdict Critical." */
function noneWords(other: boolean, filter: string, verdict: Verdict | undefined): string {
  const [which, how] = [other ? "No other run" : "No run", verdict && `the verdict ${WORDS[verdict]}`];
  if (!filter) return `${which} has ${how}.`;
  return `${which} matches ‘${filter}’${how ? ` with ${how}` : ""}.`;
}

function say(element: HTMLElement, words: string | false): void {
  element.hidden = !words;
  if (words && element.textContent !== words) element.textContent = words;
}

/** The line of a run: the same element until something of it changes. */
function lineKeeper(store: Store) {
  const kept = new Map<string, { key: string; element: HTMLElement }>();
  let named: { runs: State["runs"]; short: Map<string, string> } = { runs: null, short: new Map() };
  return (run: RunSummary, state: State, column: number, full: boolean): HTMLElement => {
    if (named.runs !== state.runs)
      named = { runs: state.runs, short: shortNames((state.runs ?? []).map((one) => one.run)) };
    const short = run.run === "." ? called(run.run) : (named.short.get(run.run) ?? run.run);
    const able = isShowable(run) && !full;
    const colour = runColour(state.names, run.run, state.dark);
    const sample = valueOf(state, FOLDER, LOSSES)?.get(run.run);
    const key = JSON.stringify([run, column, able, colour, sample, short]);
    const before = kept.get(run.run);
    if (before?.key === key) return before.element;
    const curve = sample ? spark(sample, run.last_step ?? 0) : null;
    const element = line(run, { column, able, colour, curve, short }, () => toggle(store, run.run));
    kept.set(run.run, { key, element });
    return element;
  };
}

interface Look {
  /** Its place side by side, -1 for none. */
  column: number;
  able: boolean;
  colour: string;
  curve: Spark | null;
  /** What is told of its name. */
  short: string;
}

function line(
  run: RunSummary,
  { column, able, colour, curve, short }: Look,
  toggled: () => void,
): HTMLElement {
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
      { title: [called(run.run), title, step, curve?.words].filter(Boolean).join("\n") },
      h("input", {
        type: "checkbox",
        "data-key": `show ${run.run}`,
        "aria-label": `Show ${called(run.run)}, ${title}`,
        checked: column >= 0,
        disabled: !able,
        onchange: toggled,
      }),
      h("span.box", { "aria-hidden": "true" }, KEYS[column] ?? ""),
      glyph(sign, 14, title),
      h("i.swatch", { style: `background:${colour}` }),
      middleCut(called(run.run), short),
      sparkline(curve),
      h("span.age", { "data-run": run.run }, railAge(run)),
    ),
  );
}

/** Says nothing to screen readers: verdict and findings do. */
function sparkline(curve: Spark | null): HTMLElement {
  const hatches = curve?.broken.map(([from, to]) =>
    h("i.hatch", { style: `left:${from}px;width:${to - from}px` }),
  );
  const drawn = svg("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}` }, svg("path", { d: curve?.path }));
  return h("span.spark", { "aria-hidden": "true" }, hatches, curve && drawn);
}

/** What is renewed each second. */
export function railAge(run: RunSummary): (Node | string)[] {
  const now = serverNow();
  const phase = life(run, now);
  const [words = "", ago] = shortAge(run, now).split(/(?= ago$)/);
  const parts = [words, ...(ago ? [h("span.ago", null, ago)] : [])];
  return phase === "live" || phase === "stale" ? [h(`i.dot.${phase}`), ...parts] : parts;
}

function toggle(store: Store, name: string): void {
  const { shown } = store.get();
  const next = shown.includes(name) ? shown.filter((run) => run !== name) : [...shown, name];
  store.set({ shown: next.slice(0, MOST_SHOWN), picked: true, hover: null });
}
