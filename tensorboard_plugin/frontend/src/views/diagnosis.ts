/** Diagnosis: what is wrong in each run, in which layer, since when; and what the model looks at. */

import { lineLayers } from "../model/health";
import { buildPlot, type Plot } from "../model/plot";
import { cursorIn, plotAhead, plotOf, plotWants, sourcesOf } from "../plotted";
import { watch } from "../model/remember";
import { CAMS, metricOf, type Resource, RUN } from "../resources";
import type { Store } from "../state";
import { camPanel } from "./campanel";
import { curves } from "./curves";
import { h, refill } from "./element";
import { heads } from "./heads";
import { heatmaps } from "./heatmaps";
import type { Keys, Panel, View, ViewKind } from "./panel";
import { verdicts } from "./verdicts";

/**
 * What each part is drawn from, besides what was fetched. The cursor is not among it: it only
 * moves lines.
 */
const CARDS: Keys = ["runs", "shown", "open", "names", "dark", "choices"];
const PLOTS: Keys = ["shown", "metric", "dark", "choices"];
const CURVES: Keys = ["shown", "dark"];
const CAMERA: Keys = ["shown", "sample", "target", "runs"];

export const DIAGNOSIS: ViewKind = {
  create: diagnosis,
  wants: (state, name) => [...plotWants(state, name), CAMS],
  ahead: plotAhead,
};

function diagnosis(store: Store, retry: () => void): View {
  const [cards, plots, cams] = [h("div"), h("div"), h("div")];
  let plot: Plot = buildPlot([], null);
  let [maps, losses, camera]: (Panel | null)[] = [null, null, null];
  const [runsOther, measuresOther, camsOther] = [watch(), watch(), watch()];

  const all = () => [maps, losses, camera].flatMap((panel) => panel ?? []);
  const at = () => cursorIn(plot, store.get());

  return {
    element: h("div.diagnosis", null, cards, plots, cams),
    update(state, changed) {
      const slots = (resource: Resource<unknown>) =>
        state.shown.map((name) => state.loaded.get(name)?.get(resource.name));
      const otherRuns = runsOther(...slots(RUN));
      const otherMeasures = measuresOther(
        ...slots(metricOf(state.metric ?? "")),
        ...sourcesOf(state, state.shown).map((source) => source.counts),
      );
      const otherCams = camsOther(...slots(CAMS));
      if (otherRuns || changed(CARDS)) refill(cards, heads(state), verdicts(state, store, retry));
      if (otherRuns || otherMeasures || changed(PLOTS)) {
        plot = plotOf(state);
        maps = heatmaps(state, store, plot, retry);
        if (!losses || otherRuns || changed(CURVES)) losses = curves(plot, store);
        refill(plots, maps.element, losses.element);
        maps.paint();
        losses.paint();
      }
      if (otherRuns || otherCams || changed(CAMERA)) {
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
