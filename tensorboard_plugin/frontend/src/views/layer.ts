/** Layer: all that is known of one layer, in each run: facts, findings, curves, histograms. */

import { chosenLayer } from "../model/layerchoice";
import { type HistogramKind, histogramKind, HISTOGRAMS, OF_KIND } from "../model/histograms";
import { isMeasured, type LayerSource } from "../model/layercurves";
import { buildPlot, layerAt, type Plot, restingPoint } from "../model/plot";
import { histogramsOf, layerOf, RUN, slotOf, valueOf } from "../resources";
import type { Point, State, Store } from "../state";
import { h, refill } from "./element";
import { heads } from "./heads";
import { type HistogramSource, overlay, timelines } from "./histograms";
import { exemptions } from "./exemptions";
import { layerChoice } from "./layerchoice";
import { layerCurves } from "./layercurves";
import { layerFacts, layerFindings } from "./layerfacts";
import type { Keys, Panel, View, ViewKind } from "./panel";

const HEADS: Keys = ["runs", "shown", "names", "dark"];
const DRAWN: Keys = ["runs", "shown", "names", "dark", "loaded", "choices"];

export const LAYER: ViewKind = {
  create: layerView,
  /** Its histograms are asked for once it is known that there is something to count. */
  wants(state, name) {
    const isKnown = (run: string) => valueOf(state, run, RUN) ?? slotOf(state, run, RUN).failure;
    if (!state.shown.every(isKnown)) return [RUN]; // which layer it is depends on all runs
    const source = sourcesOf(state, plotOf(state)).find((one) => one.name === name);
    if (!source?.layer) return [RUN];
    const measures = [RUN, layerOf(source.layer.name)];
    const kind = histogramKind(state.choices);
    const isExpected = isMeasured(source, OF_KIND[kind].measure);
    return isExpected ? [...measures, histogramsOf(source.layer.name, kind)] : measures;
  },
};

function layerView(store: Store, retry: () => void): View {
  const [top, about, columns, exempt, body] = [
    h("div"),
    h("div"),
    h("div.columns"),
    h("div.columns"),
    h("div"),
  ];
  const choice = layerChoice(store);
  const element = h(
    "div.layer-view",
    null,
    top,
    h(
      "section.section",
      { "aria-label": "Facts and findings" },
      h("div.side", null, choice.element, about), // the list stays, so that an open one stays open
      columns,
      exempt,
    ),
    body,
  );
  let plot: Plot = buildPlot([], null);
  let wanted: string | null = null;
  let layer: string | null = null;
  let drawn: { layer: string | null; shown: readonly string[] } = { layer, shown: [] };
  let steps: number[] = [];
  let panels: Panel[] = [];

  const at = (): Point => {
    const { hover, step } = store.get();
    const resting = hover === null && step === null;
    return { step: hover?.step ?? step ?? restingPoint(plot).step, layer, resting };
  };
  const start = (step: number | null, pin: boolean) => {
    if (step === null) store.set({ hover: null });
    else store.set(pin ? { step } : { hover: { step, layer: null } });
  };
  const chooseHistograms = (kind: HistogramKind) => store.choose(HISTOGRAMS, kind === "gradients" ? "" : kind);
  const tell = (state: State, sources: readonly LayerSource[]) => {
    refill(columns, layerFindings(sources, state, store, retry));
    refill(exempt, exemptions(sources, state, store));
  };
  const draw = (state: State) => {
    plot = plotOf(state);
    wanted = state.layer;
    layer = chosenLayer(plot, wanted);
    choice.update(plot, layer, wanted);
    const sources = sourcesOf(state, plot);
    // The layer before stays until this one is there, so that nothing jumps.
    const isNext = steps.length > 0 && drawn.layer !== layer && drawn.shown === state.shown;
    const waits = isNext && sources.some((one) => isAwaited(state, one));
    element.classList.toggle("waiting", waits);
    if (waits) return;
    drawn = { layer, shown: state.shown };
    const kind = histogramKind(state.choices);
    const histograms = histogramSources(state, sources);
    steps = stepsOf(sources);
    panels = [
      layerCurves(sources, plot.end, start),
      timelines(histograms, kind, plot.end, start, { retry, choose: chooseHistograms }),
      overlay(histograms, kind, state),
    ];
    refill(about, layerFacts(sources));
    tell(state, sources);
    refill(
      body,
      panels.map((panel) => panel.element),
    );
    panels.forEach((panel) => panel.paint());
  };

  return {
    element,
    update(state, changed) {
      if (changed(HEADS)) refill(top, heads(state));
      if (changed(DRAWN)) draw(state);
      else if (changed(["open"])) tell(state, sourcesOf(state, plot));
    },
    point() {
      const state = store.get();
      if (state.layer !== wanted) draw(state); // the layer is what all here is about, no mere cursor
      panels.forEach((panel) => panel.point(at()));
    },
    paint: () => panels.forEach((panel) => panel.paint()),
    docked: true,
    cursor: () => ({ steps, layers: plot.layers, at: at() }),
  };
}

/** The rows that the layers of the shown runs share, and their common end; no measure. */
function plotOf(state: State): Plot {
  const run = (name: string) => valueOf(state, name, RUN);
  const nothing = { measured: undefined, counts: undefined };
  return buildPlot(
    state.shown.map((name) => ({ name, run: run(name), ...nothing })),
    null,
  );
}

/** What is there of the chosen layer in each run, which may call it by another name. */
function sourcesOf(state: State, plot: Plot): LayerSource[] {
  const row = plot.layers.indexOf(chosenLayer(plot, state.layer) ?? "");
  return plot.columns.map((column) => {
    const layer = layerAt(column, row);
    const measured = layer && valueOf(state, column.name, layerOf(layer.name));
    return { name: column.name, run: column.run, layer, measured };
  });
}

function isAwaited(state: State, { name, layer, measured }: LayerSource): boolean {
  return !!layer && !measured && !slotOf(state, name, layerOf(layer.name)).failure;
}

function histogramSources(state: State, sources: readonly LayerSource[]): HistogramSource[] {
  const kind = histogramKind(state.choices);
  return sources.map((source) => {
    const slot = source.layer && slotOf(state, source.name, histogramsOf(source.layer.name, kind));
    return { ...source, slot: slot ?? {}, expected: isMeasured(source, OF_KIND[kind].measure) };
  });
}

function stepsOf(sources: readonly LayerSource[]): number[] {
  const all = sources.flatMap((source) => [...(source.measured?.steps ?? [])]);
  return [...new Set(all)].sort((a, b) => a - b);
}
