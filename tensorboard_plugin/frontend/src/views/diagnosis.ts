/** Diagnosis: what is wrong in each run, in which layer, since when; and what the model looks at. */

import { buildPlot, type Plot, restingPoint } from "../model/plot";
import { CAMS, metricOf, RUN, valueOf } from "../resources";
import type { Point, State, Store } from "../state";
import { camPanel } from "./campanel";
import { curves } from "./curves";
import { h, refill } from "./element";
import { heads } from "./heads";
import { heatmaps } from "./heatmaps";
import type { Keys, Panel, View, ViewKind } from "./panel";
import { verdicts } from "./verdicts";

/** What each part is drawn from. The cursor is not among it: it only moves lines. */
const CARDS: Keys = ["runs", "shown", "loaded", "open", "names", "dark"];
const PLOTS: Keys = ["shown", "loaded", "metric", "dark"];
const CAMERA: Keys = ["shown", "loaded", "sample", "target", "runs"];

export const DIAGNOSIS: ViewKind = {
  create: diagnosis,
  /** A run's description and maps, then the measures with their counts of NaN and Inf. */
  wants(state, name) {
    const run = valueOf(state, name, RUN);
    const names = [state.metric, state.ahead].flatMap((wanted) => {
      const metric = run?.metrics.find((m) => m.name === wanted);
      return metric && !metric.not_measured ? [metric.name, metric.nonfinite] : [];
    });
    return [RUN, CAMS, ...[...new Set(names)].map(metricOf)];
  },
};

function diagnosis(store: Store, retry: () => void): View {
  const [cards, plots, cams] = [h("div"), h("div"), h("div")];
  let plot: Plot = buildPlot([], null);
  let panels: Panel[] = [];
  let camera: Panel | null = null;

  const all = () => (camera ? [...panels, camera] : panels);
  const at = (): Point => {
    const { hover, step, layer } = store.get();
    const rest = restingPoint(plot);
    const known = layer !== null && plot.layers.includes(layer) ? layer : rest.layer;
    const resting = hover === null && step === null;
    return { step: hover?.step ?? step ?? rest.step, layer: hover?.layer ?? known, resting };
  };
  const hoverStep = (point: Point | null, pin: boolean) =>
    store.set(pin && point ? { step: point.step } : { hover: point });

  return {
    element: h("div", null, cards, plots, cams),
    update(state, changed) {
      if (changed(CARDS)) refill(cards, heads(state), verdicts(state, store, retry));
      if (changed(PLOTS)) {
        plot = buildPlot(sources(state), state.metric);
        panels = [heatmaps(state, store, plot, retry), curves(plot, hoverStep)];
        refill(plots, ...panels.map((panel) => panel.element));
        panels.forEach((panel) => panel.paint());
      }
      if (changed(CAMERA)) {
        camera = camPanel(state, store, retry);
        refill(cams, camera.element);
        camera.paint();
      }
    },
    point: () => all().forEach((panel) => panel.point(at())),
    paint: () => all().forEach((panel) => panel.paint()),
    cursor: () => ({ steps: plot.steps, layers: plot.layers, at: at() }),
  };
}

function sources(state: State) {
  return state.shown.map((name) => {
    const run = valueOf(state, name, RUN);
    const metric = run?.metrics.find((m) => m.name === state.metric);
    return {
      name,
      run,
      measured: valueOf(state, name, metricOf(metric?.name ?? "")),
      counts: valueOf(state, name, metricOf(metric?.nonfinite ?? "")),
    };
  });
}
