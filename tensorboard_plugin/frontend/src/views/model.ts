/** Model: the layers as a graph, coloured by how they are at the cursor's step. */

import type { Finding, Run } from "../api";
import type { Anchor, Camera } from "../model/camera";
import { RAMPS } from "../model/colour";
import { FLOW, flowsOf } from "../model/flow";
import { graphOf, type Place } from "../model/graph";
import { foundBy, isJudged, shownAt, worstRow, worstSeverity } from "../model/health";
import { alignLayers } from "../model/layers";
import { layoutOf } from "../model/layout";
import { UNFOLDED } from "../model/lines";
import { buildPlot, layerAt, type Plot } from "../model/plot";
import { cursorIn, plotOf, plotWants } from "../plotted";
import { RUN, slotOf } from "../resources";
import type { Point, State, Store } from "../state";
import { lossAt } from "./curves";
import { type Child, h, refill } from "./element";
import { glyph } from "./glyph";
import { type Canvas, type GraphActions, graphCanvas } from "./graph";
import { flowLegend } from "./flowlegend";
import { layerExemptions, layerFacts, layerHealth } from "./graphfacts";
import { heads } from "./heads";
import { measureTools } from "./measuretools";
import { problem } from "./notices";
import type { Keys, View, ViewKind } from "./panel";
import type { Look } from "./place";

const DRAWN: Keys = ["runs", "shown", "loaded", "metric", "dark", "names", "choices"];

export const MODEL: ViewKind = {
  create: model,
  wants: (state, name) => [
    ...plotWants(state, name),
    ...plotWants({ ...state, metric: FLOW, ahead: null }, name),
  ],
};

/** What graphs have in common that come and go. */
interface Shared {
  store: Store;
  plot: Plot;
  /** Of the gradient, which the edges show. */
  flow: Plot;
  cameras: Map<string, Camera>;
  /** The block that was folded or unfolded just now. */
  anchor: Anchor | null;
  moved(): void;
}

/** A run's graph on the page. */
interface Pane {
  column: number;
  element: HTMLElement;
  words: HTMLElement;
  canvas: Canvas | null;
}

function model(store: Store, retry: () => void): View {
  const [top, tools, panes, flows, zooms, about, health, exempt] = [
    h("div"),
    h("div.columns"),
    h("div.columns"),
    h("div"),
    h("div.zooms", { role: "group", "aria-label": "Zoom" }),
    h("div"),
    h("div.columns"),
    h("div.columns"),
  ];
  let drawn: Pane[] = [];

  const at = () => cursorIn(shared.plot, store.get());
  const repaint = () => drawn.forEach(({ canvas }) => canvas?.paint());
  const shared: Shared = {
    store,
    plot: buildPlot([], null),
    flow: buildPlot([], null),
    cameras: new Map(),
    anchor: null,
    moved: repaint,
  };

  const arrange = (state: State) => {
    const next = state.shown.map((_, column) => pane(state, column, drawn, shared));
    shared.anchor = null;
    const same = next.length === drawn.length && next.every((p, i) => p.element === drawn[i]!.element);
    drawn = next;
    if (!same) panes.replaceChildren(...next.map(({ element }) => element));
    for (const shown of drawn) dressPane(shown, state, shared.plot, retry);
  };

  refill(zooms, zoomButtons((how) => drawn.forEach(({ canvas }) => canvas?.zoom(how))));
  return {
    element: h(
      "div.model-view",
      null,
      top,
      h(
        "section.section.model-tools",
        { "aria-label": "Measure" },
        h("div.side", null, h("h2", null, "Layer graph"), zooms),
        tools,
      ),
      h(
        "section.section.model-graphs",
        { "aria-label": "Layer graph" },
        h(
          "div.side",
          null,
          flows,
          h("p.signs-of", null, "Signs: worst finding so far"),
          h("p.hint", null, "Drag to move, Ctrl + wheel to zoom"),
        ),
        panes,
      ),
      h("aside.section", { "aria-label": "Chosen layer" }, h("div.side", null, about), health, exempt),
    ),
    update(state, changed) {
      if (!changed(DRAWN)) return;
      shared.plot = plotOf(state, UNFOLDED); // the graph has its own folding
      shared.flow = plotOf({ ...state, metric: FLOW }, UNFOLDED);
      refill(top, heads(state));
      refill(tools, measureTools(shared.plot, state, store, "graph"));
      refill(flows, flowLegend(shared.flow));
      arrange(state);
    },
    point() {
      const now = at();
      for (const { column, canvas } of drawn) {
        if (canvas) dressGraph(canvas, column, shared, now);
      }
      refill(about, layerFacts(shared.plot, now, store));
      refill(health, ...layerHealth(shared.plot, now, store));
      refill(exempt, layerExemptions(shared.plot, now, store.get(), store));
    },
    paint: repaint,
    docked: true,
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

/** The steps of the measure; where there is none of it, all that were recorded. */
function stepsOf(plot: Plot): readonly number[] {
  if (plot.steps.length) return plot.steps;
  const all = plot.columns.flatMap(({ run }) => run?.steps ?? []);
  return [...new Set(all)].sort((a, b) => a - b);
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
  const words = h("div.pane-words");
  const element = h("div.pane", { "data-run": name }, words, canvas?.element);
  return { column, element, words, canvas };
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

function dressGraph(canvas: Canvas, column: number, { plot, flow, store }: Shared, at: Point): void {
  const of = plot.columns[column]!;
  const { run, rows } = of;
  if (!run) return;
  const isOfNaN = ({ rule }: Finding) => rule.startsWith("nonfinite");
  const nan = run.findings.some((finding) => isOfNaN(finding) && finding.step <= at.step);
  const look = (place: Place): Look => {
    const row = shownRow(plot, column, place, rows, at.step);
    const member = layerAt(of, row);
    const found = foundBy(run, member?.name ?? "", at.step);
    const chosen = plot.layers.indexOf(at.layer ?? "");
    const shown = shownAt(of, plot, row, at.step);
    return {
      shown,
      severity: worstSeverity(found),
      follows: nan && shown.kind === "broken" && !found.some(isOfNaN),
      found: [...new Set(found.map(({ title }) => title))].join(", "),
      judged: isJudged(run),
      member,
      metric: plot.metric?.title ?? "",
      selected: place.layers.includes(rows[chosen] ?? -1),
    };
  };
  const ramp = plot.scale && RAMPS[store.get().dark ? "dark" : "light"][plot.scale.ramp];
  const flows = flowsOf(canvas.graph, flow.columns[column]!, flow, at.step);
  canvas.dress(look, ramp, flows, lossWords(run, at.step));
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
  const loss = lossAt(run, step);
  return [
    h("span.place-sign", null, severity && glyph(severity, 13)),
    h(
      "span.place-line",
      null,
      h("span.place-name", { title: run.model.loss ?? "" }, loss?.name ?? "loss"),
      h("b.place-value", null, loss?.words ?? "not recorded"),
    ),
    h("span.place-line.place-facts", null, h("span.place-what", null, run.model.loss ?? "")),
  ];
}
