/** Probe: what each run says of the same held-out samples, from look to look. */

import { formatShare } from "../model/number";
import {
  CHOICES,
  type Choice,
  classesOf,
  type Group,
  grouped,
  isMixed,
  listed,
  type Probe,
  readChoice,
  sureFrom,
} from "../model/probe";
import { CAMS, PREDICTIONS, RUN } from "../resources";
import type { Point, State, Store } from "../state";
import { h, refill } from "./element";
import { scaleKey } from "./camimage";
import { stepAxis } from "./curves";
import { heads } from "./heads";
import type { View, ViewKind } from "./panel";
import { columnOf, type Column, type Drawing, drawingOf } from "./probecolumns";
import { curveWords, stripKey } from "./probeplot";
import { probeRow, type Row } from "./proberow";
import { summary } from "./probesummary";
import { probeTools } from "./probetools";

/** What the end of the colours stands for. */
const LARGEST = {
  image: "The largest value of all maps of the image in the run",
  map: "The largest value of the map",
};

export const PROBE: ViewKind = {
  create: probe,
  wants: () => [RUN, PREDICTIONS, CAMS],
};

/** The pinned step decides what is listed and counted; pointing at another one only moves lines. */
function probe(store: Store, retry: () => void): View {
  const [top, tally, list] = [h("div"), h("div"), h("div.probe-list")];
  const tools = probeTools(store);
  const element = h("div.probe", null, top, tally, tools.element, list);
  let columns: Column[] = [];
  let drawing: Drawing = drawingOf([], readChoice({}));
  let rows = new Map<string, Row>();
  let shown: string[] = [];
  let told = "";

  const pinned = (state: State) => state.step ?? drawing.steps.at(-1) ?? 0;
  const at = (state: State): Point => ({
    step: state.hover?.step ?? pinned(state),
    layer: state.layer,
    resting: (state.hover?.step ?? state.step) === null,
  });

  const arrange = (state: State, choice: Choice) => {
    const probes = columns.map((column) => column.probe);
    const asked = columns.filter(({ name }) => name === choice.run).map(({ probe }) => probe);
    const names = listed(probes, choice, pinned(state), asked.length ? asked : probes);
    const key = JSON.stringify([pinned(state), names, choice.order, choice.cell, choice.run]);
    if (key === told) return;
    told = key;
    shown = names;
    for (const name of names) {
      const row = rows.get(name) ?? probeRow(name, columns, drawing, store);
      row.point(pinned(state), choice.open === name); // what is enlarged may get the focus back
      rows.set(name, row);
    }
    const known = probes.filter((probe) => probe !== null);
    const elements = (of: readonly string[]) => of.map((name) => rows.get(name)!.element);
    const isGrouped = choice.order === "interest" && known.every(({ kind }) => kind === "classes");
    const content = isGrouped
      ? grouped(known, names, pinned(state)).map((group) => [groupHead(group, known), elements(group.names)])
      : elements(names);
    if (names.length > 0) refill(list, listHead(columns, drawing), content);
    else refill(list, known.length > 0 && nothing(store));
    refill(tally, summary(columns, pinned(state), isMixed(probes), choice, store, retry));
  };

  const point = () => {
    const state = store.get();
    const choice = readChoice(state.choices);
    arrange(state, choice);
    tools.update(columns, drawing, choice, shown.length);
    const now = at(state);
    list.style.setProperty("--at", `${Math.min(100, (now.step / drawing.end) * 100)}%`);
    list.classList.toggle("resting", now.resting === true);
    for (const name of shown) rows.get(name)?.point(now.step, choice.open === name);
  };

  const follow = (event: MouseEvent, pin: boolean) => {
    const plot = (event.target as Element).closest(".probe-plot");
    const box = plot?.getBoundingClientRect();
    const along = box ? ((event.clientX - box.left) / box.width) * drawing.end : -1;
    const step = drawing.steps.findLast((s) => s <= along);
    if (pin && step !== undefined) store.set({ step, hover: null });
    if (!pin) store.set({ hover: step === undefined ? null : { step, layer: null } });
  };
  list.addEventListener("pointermove", (event) => follow(event, false));
  list.addEventListener("pointerleave", () => store.set({ hover: null }));
  list.addEventListener("click", (event) => follow(event, true));
  // Before the page's own listener: Esc closes what is open, and leaves the pinned step alone.
  const close = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !element.isConnected) return;
    if (readChoice(store.get().choices).open === null) return;
    event.stopPropagation();
    store.choose(CHOICES.open, "");
  };
  document.addEventListener("keydown", close, true);

  return {
    element,
    update(state, changed) {
      if (changed(["runs", "shown", "names", "dark"])) refill(top, heads(state));
      if (!changed(["runs", "shown", "loaded", "choices"])) return;
      const choice = readChoice(state.choices);
      const next = state.shown.map((name, i) => columnOf(state, name, columns[i]));
      const isSame = next.length === columns.length && next.every((one, i) => one === columns[i]);
      const isLike = choice.target === drawing.target && choice.scale === drawing.scale;
      element.style.setProperty("--cam-opacity", String(choice.opacity));
      if (isSame && isLike) return;
      columns = next;
      drawing = drawingOf(columns, choice);
      rows = new Map();
      told = "";
    },
    point,
    docked: true,
    cursor: () => {
      const state = store.get();
      const layers = state.layer === null ? [] : [state.layer]; // no layers here: it stays
      return { steps: drawing.steps, layers, at: at(state) };
    },
  };
}

/** What the rows below show, said once, and a head for each of their columns. */
function listHead(columns: readonly Column[], drawing: Drawing): HTMLElement {
  const known = columns.flatMap(({ probe }) => probe ?? []);
  const isClasses = known.some(({ kind }) => kind === "classes");
  const curves = [...new Set(known.map((probe) => curveWords(probe, drawing)))];
  return h(
    "section.section.probe-head",
    { "aria-label": "Heads of the samples" },
    h("div.side"),
    h(
      "div.full.probe-legend",
      null,
      curves.map((words) => h("span", null, words)),
      stripKey(isClasses ? ["right", "wrong", "nan"] : ["nan"]),
      drawing.pictured &&
        h("span", { title: LARGEST[drawing.scale] }, "Grad-CAM", scaleKey("largest")),
    ),
    h("div.side", null, h("p", null, isClasses ? "sample, true class" : "sample, true value")),
    columns.map(({ probe }) =>
      probe ? h("div.probe-cell", null, columnNames(probe), stepAxis(drawing.end)) : h("div"),
    ),
  );
}

const columnNames = ({ kind }: Probe) =>
  h(
    "p.probe-said",
    null,
    h("span", null, "predicted"),
    h("span.probe-sure", { title: kind === "classes" ? SURE : null }, kind === "classes" ? "sure" : "error"),
  );

const SURE = "Probability of the predicted class";

const GROUPS: Record<Group["kind"], (limit: string) => string> = {
  wrong: () => "",
  flipped: () => "right now, but wrong at some look after it was right",
  unsure: (limit) => `less than ${limit} sure of the predicted class`,
  others: () => "sure, and never wrong after it was right",
};

function groupHead(group: Group, probes: readonly Probe[]): HTMLElement {
  const about = GROUPS[group.kind](formatShare(sureFrom(classesOf(probes).length)));
  return h(
    "div.section.probe-group",
    null,
    h(
      "h3",
      null,
      groupTitle(group, probes.length),
      " ",
      h("span.quiet", null, [group.names.length, about].filter(Boolean).join(" · ")),
    ),
  );
}

/** "Wrong in 2 of 3 runs" */
function groupTitle({ kind, wrong }: Group, runs: number): string {
  if (kind !== "wrong") return { flipped: "Flipped", unsure: "Unsure", others: "Others" }[kind];
  if (runs === 1) return "Wrong now";
  const all = runs === 2 ? "both" : `all ${runs}`;
  return wrong === runs ? `Wrong in ${all} runs` : `Wrong in ${wrong} of ${runs} runs`;
}

function nothing(store: Store): HTMLElement {
  const all = () => {
    store.choose(CHOICES.truth, "");
    store.choose(CHOICES.cell, "");
    store.choose(CHOICES.filter, "");
    store.choose(CHOICES.run, "");
  };
  return h(
    "div.section",
    null,
    h("div.side"),
    h(
      "p.full",
      null,
      "No sample passes the filter at this step. ",
      h("button.link", { "data-key": "all samples", onclick: all }, "Show all"),
    ),
  );
}
