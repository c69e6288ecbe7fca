/** Diagnosis: what is wrong in each run, in which layer, since when; and what the model looks at. */

import { type CompactColumn, fitting, measuresOf, widthOf } from "../model/compact";
import { lineLayers } from "../model/health";
import { buildPlot, type Plot, type PlotColumn } from "../model/plot";
import { besideWants, columnsBeside, cursorIn, plotAhead, plotOf, plotWants, sourcesOf } from "../plotted";
import { keeper, watch } from "../model/remember";
import { CAMS, metricOf, type Resource, RUN } from "../resources";
import type { State, Store } from "../state";
import { camPanel } from "./campanel";
import { type Compact, compact } from "./compact";
import { curves } from "./curves";
import { arrange, h, keepFocus, refill } from "./element";
import { heads } from "./heads";
import { heatmaps, mapOf } from "./heatmaps";
import type { Keys, Panel, View, ViewKind } from "./panel";
import { verdicts } from "./verdicts";

/**
 * What each part is drawn from, besides what was fetched. The cursor is not among it: it only
 * moves lines.
 */
const CARDS: Keys = ["runs", "shown", "open", "names", "dark", "choices"];
const PLOTS: Keys = ["shown", "metric", "dark", "choices"];
const CURVES: Keys = ["shown", "dark"];
const CAMERA: Keys = ["shown", "sample", "target"];

export const DIAGNOSIS: ViewKind = {
  create: diagnosis,
  wants: (state, name) => [...plotWants(state, name), ...besideWants(state, name), CAMS],
  ahead: plotAhead,
};

function diagnosis(store: Store, retry: () => void): View {
  const [cards, plots, cams] = [h("div"), h("div"), h("div")];
  let plot: Plot = buildPlot([], null);
  let [maps, losses, camera]: (Panel | null)[] = [null, null, null];
  let columns: readonly CompactColumn[] = [];
  let besides: Compact[] = [];
  const [runsOther, measuresOther, besideOther, camsOther] = [watch(), watch(), watch(), watch()];

  let keep = keeper();

  const all = () => [maps, losses, camera].flatMap((panel) => panel ?? []);
  const at = () => cursorIn(plot, store.get());

  /** Chooses the columns that have room beside the heat maps; says whether they are other ones. */
  const fit = (): boolean => {
    const room = cards.querySelector(".head")?.clientWidth ?? 0;
    const fits = fitting(room, plot.columns.flatMap(({ run }) => run ?? []));
    const areSame = widthOf(fits) === widthOf(columns) && measuresOf(fits).join() === measuresOf(columns).join();
    if (areSame) return false;
    columns = fits;
    return true;
  };
  const beside = (column: PlotColumn, i: number) =>
    keep(`beside ${i}`, [columns, ...mapOf(column, plot), store.get().dark], () => compact(columns, i, plot, store));
  const drawPlots = (state: State, otherLosses: boolean) => {
    besides = columns.length ? plot.columns.map((column, i) => beside(column, i)) : [];
    maps = heatmaps(state, store, plot, retry, besides, keep);
    if (!losses || otherLosses) losses = curves(plot, store, keep);
    for (const { element } of [maps, losses]) element.style.setProperty("--compact", `${widthOf(columns)}px`);
    arrange(plots, [maps.element, losses.element]);
    maps.paint();
    losses.paint();
  };
  const fillBesides = (state: State) => {
    const measured = measuresOf(columns).map((name) => [name, columnsBeside(state, plot, name)] as const);
    besides.forEach((beside, i) => {
      const cells = measured.map(([, runs]) => runs[i]?.cells);
      const offered = measured.map(([, runs]) => runs.some(({ filled }) => filled.includes(true)));
      keep(`filled ${i}`, [beside, ...cells, ...offered], () => beside.fill(new Map(measured)));
    });
  };
  /** In the end: what has to be fetched now is asked for at once, and drawn again. */
  const wantBesides = () => {
    const wanted = measuresOf(columns);
    if (wanted.join() !== store.get().beside.join()) store.set({ beside: wanted });
  };

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
      const errors = state.shown.map((name) => state.runs?.find(({ run }) => run === name)?.error);
      const otherCams = camsOther(...slots(CAMS), ...errors);
      if (changed(["shown"])) keep = keeper(); // all is other, and what is gone takes no room
      if (otherRuns || changed(CARDS)) {
        const headed = state.runs?.map(({ run, verdict }) => `${run} ${verdict?.severity}`).join("\n");
        const top = keep("heads", [headed, state.shown, state.names, state.dark], () => heads(state));
        keepFocus(cards, () => arrange(cards, [top, verdicts(state, store, retry, keep)]));
      }
      const otherPlots = otherRuns || otherMeasures || changed(PLOTS);
      if (otherPlots) {
        plot = plotOf(state);
        keepFocus(plots, () => drawPlots(state, fit() || otherRuns || changed(CURVES)));
      }
      const shown = measuresOf(columns).flatMap((metric) => sourcesOf({ ...state, metric }, state.shown));
      if (besideOther(...shown.flatMap(({ measured, counts }) => [measured, counts])) || otherPlots)
        fillBesides(state);
      if (otherCams || changed(CAMERA)) {
        camera = camPanel(state, store, retry);
        refill(cams, camera.element);
        camera.paint();
      }
      wantBesides();
    },
    point: () => all().forEach((panel) => panel.point(at())),
    paint() {
      if (!fit()) return all().forEach((panel) => panel.paint());
      keepFocus(plots, () => drawPlots(store.get(), true));
      fillBesides(store.get());
      all().forEach((panel) => panel.point(at()));
      wantBesides();
    },
    docked: true,
    cursor() {
      const now = at();
      return { steps: plot.steps, layers: lineLayers(plot, now.layer, now.step), at: now };
    },
  };
}
