/** Probe: what each run says of the same held-out samples, from look to look. */

import { CHOICES, type Choice, isMixed, listed, readChoice } from "../model/probe";
import { CAMS, PREDICTIONS, RUN } from "../resources";
import type { Point, State, Store } from "../state";
import { h, refill } from "./element";
import { scaleKey } from "./camimage";
import { stepAxis } from "./curves";
import { heads } from "./heads";
import type { View, ViewKind } from "./panel";
import { columnOf, type Column, type Drawing, drawingOf } from "./probecolumns";
import { curveWords, stripKey } from "./probeplot";
import { isPictured, probeRow, type Row } from "./proberow";
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
    const key = JSON.stringify([pinned(state), names]);
    if (key === told) return;
    told = key;
    shown = names;
    for (const name of names) {
      const row = rows.get(name) ?? probeRow(name, columns, drawing, store);
      row.point(pinned(state), choice.open === name); // what is enlarged may get the focus back
      rows.set(name, row);
    }
    const isEmpty = names.length === 0 && probes.some((known) => known !== null);
    const groups = [true, false].map((pictured) => names.filter((name) => isPictured(name, columns) === pictured));
    const elements = (of: readonly string[]) => of.map((name) => rows.get(name)!.element);
    const [first, second] = groups.map((of, i) => of.length > 0 && [axes(columns, drawing, i === 0), elements(of)]);
    refill(list, isEmpty ? nothing(store) : [first, second]);
    refill(tally, summary(columns, names, pinned(state), isMixed(probes), retry));
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

/** What the curves of the rows below show: said once, with the steps below which they stand. */
function axes(columns: readonly Column[], drawing: Drawing, pictured: boolean): HTMLElement {
  const isClasses = columns.some(({ probe }) => probe?.kind === "classes");

  const words = (column: Column) =>
    column.probe && [h("p", null, curveWords(column.probe, drawing)), stepAxis(drawing.end)];
  return h(
    pictured ? "section.section.probe-axes" : "section.section.probe-axes.bare",
    { "aria-label": pictured ? "Axes of the curves" : "Axes of the curves without an image" },
    h(
      "div.side",
      null,
      !pictured && drawing.pictured && h("p", null, "without an image"),
      isClasses && stripKey(),
      pictured && h("p", { title: LARGEST[drawing.scale] }, scaleKey("largest")),
    ),
    columns.map((column) => h("div.probe-cell", null, pictured && h("div"), h("div", null, words(column)))),
  );
}

function nothing(store: Store): HTMLElement {
  const all = () => {
    store.choose(CHOICES.truth, "");
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
