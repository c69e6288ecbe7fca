/** Model: the layers as a graph, coloured by how they are at the cursor's step. */

import type { Run } from "../api";
import type { Anchor, Camera } from "../model/camera";
import { chosenColumns, pressed } from "../model/choice";
import { RAMPS } from "../model/colour";
import { graphOf, type Place } from "../model/graph";
import { foundBy, isJudged, shownAt, worstRow, worstSeverity } from "../model/health";
import { alignLayers } from "../model/layers";
import { layoutOf } from "../model/layout";
import { metricsOf } from "../model/metrics";
import { formatMagnitude } from "../model/number";
import { buildPlot, layerAt, type Plot } from "../model/plot";
import { cursorIn, plotOf, plotWants } from "../plotted";
import { RUN, slotOf } from "../resources";
import type { Point, State, Store } from "../state";
import { type Child, h, refill } from "./element";
import { glyph } from "./glyph";
import { type Canvas, type GraphActions, graphCanvas } from "./graph";
import { head, key } from "./heads";
import { layerFacts } from "./graphfacts";
import { legend } from "./legend";
import { metricChoice } from "./metricchoice";
import { problem } from "./notices";
import type { Keys, View, ViewKind } from "./panel";
import type { Look } from "./place";
import { stepSlider } from "./slider";

const DRAWN: Keys = ["runs", "shown", "loaded", "metric", "dark", "names", "choices"];
/** Pixels that a graph needs beside another one, and that the facts take. */
const LEAST_WIDTH = 330;
const FACTS_WIDTH = 296;

export const MODEL: ViewKind = { create: model, wants: plotWants };

/** What graphs have in common that come and go. */
interface Shared {
  store: Store;
  plot: Plot;
  cameras: Map<string, Camera>;
  /** The block that was folded or unfolded just now. */
  anchor: Anchor | null;
  moved(): void;
}

/** A run's graph on the page. */
interface Pane {
  column: number;
  element: HTMLElement;
  head: HTMLElement;
  words: HTMLElement;
  canvas: Canvas | null;
}

function model(store: Store, retry: () => void): View {
  const [tools, picker, zooms, panes, facts] = [
    h("div.full.tools"),
    h("div.picker", { role: "group", "aria-label": "Runs shown as graphs" }),
    h("div.zooms", { role: "group", "aria-label": "Zoom" }),
    h("div.panes"),
    h("aside.layer-facts-panel", { "aria-label": "Chosen layer" }),
  ];
  const slider = stepSlider(store);
  const stage = h("div.full.stage", null, panes, facts);
  let drawn: Pane[] = [];
  let room = 1;

  const at = () => cursorIn(shared.plot, store.get());
  const columns = () => drawn.map(({ column }) => column);
  const repaint = () => drawn.forEach(({ canvas }) => canvas?.paint());
  const shared: Shared = {
    store,
    plot: buildPlot([], null),
    cameras: new Map(),
    anchor: null,
    moved: repaint,
  };

  const arrange = (state: State) => {
    const { plot } = shared;
    const standings = state.shown.map(
      (name) => state.runs?.find(({ run }) => run === name)?.verdict?.severity,
    );
    const chosen = chosenColumns(state.choices.graphs ?? "", standings, room);
    refill(picker, state.shown.map((_, column) => pick(state, store, column, chosen, room)));
    const next = chosen.map((column) => pane(state, column, drawn, shared));
    shared.anchor = null;
    const same = next.length === drawn.length && next.every((p, i) => p.element === drawn[i]!.element);
    drawn = next;
    if (!same) panes.replaceChildren(...next.map(({ element }) => element));
    for (const shown of drawn) dressPane(shown, state, plot, retry);
    slider.show(plot, stepsOf(plot), chosen);
  };

  const point = () => {
    const { plot } = shared;
    const now = at();
    for (const { column, canvas } of drawn) {
      if (canvas) dressGraph(canvas, column, plot, now, store.get().dark);
    }
    refill(facts, ...layerFacts(plot, columns(), now, store));
    slider.point(now);
  };

  refill(zooms, zoomButtons((how) => drawn.forEach(({ canvas }) => canvas?.zoom(how))));
  return {
    element: h(
      "div",
      null,
      h(
        "section.section.model-view.model-tools",
        { "aria-label": "Measure" },
        h(
          "div.side",
          null,
          h("h2", null, "Layer graph"),
          h("p", null, "Input at the top, loss at the bottom."),
        ),
        tools,
      ),
      h(
        "section.section.model-view.model-graphs",
        { "aria-label": "Layer graph" },
        h(
          "div.side",
          null,
          picker,
          zooms,
          h("p.hint", null, "Drag moves the graph, Ctrl and wheel zoom it."),
        ),
        stage,
      ),
      h("div.model-view", null, slider.element),
    ),
    update(state, changed) {
      if (!changed(DRAWN)) return;
      shared.plot = plotOf(state);
      refill(tools, ...toolbar(state, store, shared.plot));
      arrange(state);
    },
    point,
    paint() {
      const wide = stage.clientWidth - FACTS_WIDTH;
      const fits = wide >= 2 * LEAST_WIDTH ? 2 : 1;
      if (fits !== room) {
        room = fits;
        arrange(store.get());
        point();
      }
      repaint();
      slider.show(shared.plot, stepsOf(shared.plot), columns());
    },
    cursor() {
      const { plot } = shared;
      const now = at();
      const rows = drawn.map((shown) => placeRows(shown, plot, now));
      const layers = alignLayers(rows.map((of) => of.map(({ name }) => name)));
      const here = rows.flat().find(({ of }) => of.includes(now.layer ?? ""));
      return { steps: stepsOf(plot), layers, at: { ...now, layer: here?.name ?? now.layer } };
    },
  };
}

function toolbar(state: State, store: Store, plot: Plot): Child[] {
  const runs = plot.columns.flatMap((column) => column.run ?? []);
  return [
    metricChoice(metricsOf(runs), runs, state.metric, store, "graph"),
    h(
      "div.about",
      null,
      h("p.quiet", null, plot.metric?.about ?? ""),
      plot.scale && legend(plot.scale, state.dark),
    ),
  ];
}

/** The steps of the measure; where there is none of it, all that were recorded. */
function stepsOf(plot: Plot): readonly number[] {
  if (plot.steps.length) return plot.steps;
  const all = plot.columns.flatMap(({ run }) => run?.steps ?? []);
  return [...new Set(all)].sort((a, b) => a - b);
}

function pick(
  state: State,
  store: Store,
  column: number,
  chosen: readonly number[],
  room: number,
): HTMLElement {
  const name = state.shown[column]!;
  const sign = state.runs?.find(({ run }) => run === name)?.verdict?.severity;
  return h(
    "button.pick",
    {
      "data-key": `graph ${name}`,
      "aria-pressed": String(chosen.includes(column)),
      title: name,
      onclick: () => store.choose("graphs", pressed(chosen, column, room)),
    },
    key(column),
    sign && glyph(sign, 13),
    h("span.name", null, name),
  );
}

function zoomButtons(zoom: (how: number | "fit") => void): HTMLElement[] {
  const button = (words: string, label: string, how: number | "fit") =>
    h("button", { "data-key": `zoom ${words}`, "aria-label": label, title: label, onclick: () => zoom(how) }, words);
  return [
    h(
      "div.segments",
      null,
      button("−", "Zoom out", 0.8),
      button("+", "Zoom in", 1.25),
      button("Fit", "Fit the whole graph", "fit"),
    ),
  ];
}

/** The pane of a run: as it is where nothing but values changed, else with a new graph. */
function pane(
  state: State,
  column: number,
  drawn: readonly Pane[],
  shared: Shared,
): Pane {
  const { store, cameras, anchor, moved } = shared;
  const { run, name } = shared.plot.columns[column]!;
  const layers = run?.model.layers ?? [];
  const graph = layers.length ? graphOf(layers, toggled(state)) : null;
  const known = drawn.find((other) => other.element.dataset.run === name);
  const same = known && known.column === column && known.canvas?.graph.key === graph?.key;
  if (same) return known;
  const rowOf = (place: Place) => {
    const { layers: names, columns } = shared.plot; // of now: runs come and go beside this one
    return names[columns[column]!.rows.indexOf(place.layers[0]!)] ?? null;
  };
  const actions: GraphActions = {
    pin: (place) => store.set({ layer: rowOf(place), hover: null }),
    open: (place) => store.set({ view: "layer", layer: rowOf(place), hover: null }),
    toggle(at) {
      shared.anchor = at;
      const all = toggled(store.get());
      if (!all.delete(at.block)) all.add(at.block);
      store.choose("blocks", all.size ? JSON.stringify([...all]) : "");
    },
  };
  const canvas = graph && graphCanvas(graph, layers, name, cameras, anchor, actions, moved);
  const [top, words] = [h("div.pane-head"), h("div.pane-words")];
  const element = h("div.pane", { "data-run": name }, top, words, canvas?.element);
  return { column, element, head: top, words, canvas };
}

/** Names of the blocks that the user folded or unfolded; a mangled link has none. */
function toggled(state: State): Set<string> {
  try {
    const names: unknown = JSON.parse(state.choices.blocks ?? "[]");
    return new Set(Array.isArray(names) ? names.map(String) : []);
  } catch {
    return new Set();
  }
}

function dressPane(shown: Pane, state: State, plot: Plot, retry: () => void): void {
  const { name, run, metric } = plot.columns[shown.column]!;
  refill(shown.head, head(state, name, shown.column));
  refill(shown.words, ...paneWords(shown, state, name, run, metric?.not_measured ?? null, retry));
}

/** What stands in place of a graph, or what is to be known about it. */
function paneWords(
  { canvas }: Pane,
  state: State,
  name: string,
  run: Run | undefined,
  notMeasured: string | null,
  retry: () => void,
): Child[] {
  const error = state.runs?.find((other) => other.run === name)?.error;
  const slot = slotOf(state, name, RUN);
  if (error) return [problem("This recording cannot be read", error)];
  if (!run && slot.failure) return [problem("This run could not be fetched", slot.failure, retry)];
  if (!run) return [h("p.quiet", { role: "status" }, "Loading the model …")];
  if (!canvas) return [h("p.quiet", null, "This recording describes no layers.")];
  const { known, edges } = canvas.graph;
  const gaps = edges.some(({ inferred }) => inferred);
  return [
    notMeasured && h("p", null, notMeasured),
    !known &&
      run.model.layers.length > 1 &&
      h("p", null, "No graph is known of a subclassed model: layers in the order of their creation"),
    known && gaps && h("p.quiet", null, "Dashed: not recorded, by the order of the layers."),
    layoutOf(canvas.graph).crowded &&
      h("p", null, "There are too many connections to draw: layers in their order."),
  ];
}

function dressGraph(canvas: Canvas, column: number, plot: Plot, at: Point, dark: boolean): void {
  const of = plot.columns[column]!;
  const { run, rows } = of;
  if (!run) return;
  const look = (place: Place): Look => {
    const row = shownRow(plot, column, place, rows, at.step);
    const member = layerAt(of, row);
    const found = foundBy(run, member?.name ?? "", at.step);
    const chosen = plot.layers.indexOf(at.layer ?? "");
    return {
      shown: shownAt(of, plot, row, at.step),
      severity: worstSeverity(found),
      found: [...new Set(found.map(({ title }) => title))].join(", "),
      judged: isJudged(run),
      member,
      metric: plot.metric?.title ?? "",
      selected: place.layers.includes(rows[chosen] ?? -1),
    };
  };
  const ramp = plot.scale && RAMPS[dark ? "dark" : "light"][plot.scale.ramp];
  canvas.dress(look, ramp, lossWords(run, at.step));
}

/** The row of a place's layer, of a folded block that of its worst one. */
function shownRow(
  plot: Plot,
  column: number,
  place: Place,
  rows: readonly number[],
  step: number,
): number {
  const own = place.layers.map((layer) => rows.indexOf(layer));
  return own.length === 1 ? own[0]! : worstRow(plot.columns[column]!, plot, own, step);
}

/** The rows of each place, and which of them stands for it. */
function placeRows({ column, canvas }: Pane, plot: Plot, at: Point) {
  const { rows } = plot.columns[column]!;
  return (canvas?.graph.places ?? []).map((place) => {
    const of = place.layers.map((layer) => plot.layers[rows.indexOf(layer)]!);
    const name = plot.layers[shownRow(plot, column, place, rows, at.step)]!;
    return { name, of };
  });
}

/** The model's end: its loss, and what was found in the whole model. */
function lossWords(run: Run, step: number): (Node | string | null)[] {
  const severity = worstSeverity(foundBy(run, null, step));
  const last = run.steps.findLastIndex((s) => s <= step);
  const loss = run.series.loss?.[last];
  return [
    h("span.place-sign", null, severity && glyph(severity, 13)),
    h(
      "span.place-line",
      null,
      h("span.place-name", { title: run.model.loss ?? "" }, `loss ${run.model.loss ?? ""}`),
      h("b.place-value", null, typeof loss === "number" ? formatMagnitude(loss) : "no number"),
    ),
  ];
}
