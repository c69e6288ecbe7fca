/** Diagnosis: what is wrong in each run, in which layer, since when; and what the model looks at. */

import { lineLayers } from "../model/health";
import { buildPlot, type Plot } from "../model/plot";
import { cursorIn, plotOf, plotWants } from "../plotted";
import { CAMS } from "../resources";
import type { Point, Store } from "../state";
import { camPanel } from "./campanel";
import { curves } from "./curves";
import { h, refill } from "./element";
import { heads } from "./heads";
import { heatmaps } from "./heatmaps";
import type { Keys, Panel, View, ViewKind } from "./panel";
import { verdicts } from "./verdicts";

/** What each part is drawn from. The cursor is not among it: it only moves lines. */
const CARDS: Keys = ["runs", "shown", "loaded", "open", "names", "dark", "choices"];
const PLOTS: Keys = ["shown", "loaded", "metric", "dark", "choices"];
const CAMERA: Keys = ["shown", "loaded", "sample", "target", "runs"];

export const DIAGNOSIS: ViewKind = {
  create: diagnosis,
  wants: (state, name) => [...plotWants(state, name), CAMS],
};

function diagnosis(store: Store, retry: () => void): View {
  const [cards, plots, cams] = [h("div"), h("div"), h("div")];
  let plot: Plot = buildPlot([], null);
  let panels: Panel[] = [];
  let camera: Panel | null = null;

  const all = () => (camera ? [...panels, camera] : panels);
  const at = () => cursorIn(plot, store.get());
  const hoverStep = (point: Point | null, pin: boolean) =>
    store.set(pin && point ? { step: point.step } : { hover: point });

  return {
    element: h("div.diagnosis", null, cards, plots, cams),
    update(state, changed) {
      if (changed(CARDS)) refill(cards, heads(state), verdicts(state, store, retry));
      if (changed(PLOTS)) {
        plot = plotOf(state);
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
    docked: true,
    cursor() {
      const now = at();
      return { steps: plot.steps, layers: lineLayers(plot, now.layer, now.step), at: now };
    },
  };
}
