/** Compare: a run beside a baseline. What they were set to, when they part, and in which layer. */

import {
  choosePair,
  comparable,
  differencePlot,
  measureToBeginWith,
  type Pair,
} from "../model/compare";
import { lineLayers } from "../model/health";
import { defaultMetric } from "../model/metrics";
import { buildPlot, type Plot, restingPoint } from "../model/plot";
import { foldingOf, sourcesOf } from "../plotted";
import { comparisonWith, metricOf, RUN, slotOf, valueOf } from "../resources";
import type { Point, State, Store } from "../state";
import { apart } from "./apart";
import { comparedFindings, keyNumbers } from "./beside";
import { difference } from "./difference";
import { h, refill } from "./element";
import { problem } from "./notices";
import { pairHeads } from "./pairheads";
import { differentSettings } from "./pairsettings";
import type { Keys, Panel, View, ViewKind } from "./panel";

/** What each part is drawn from. The cursor is not among it: it only moves lines. */
const HEADS: Keys = ["runs", "shown", "choices", "names", "dark"];
const TABLES: Keys = ["runs", "shown", "choices", "loaded", "open"];
const PLOTS: Keys = ["runs", "shown", "choices", "loaded", "metric", "dark"];

/** The name of the choice that holds which pair has got its measure to begin with. */
const BEGUN = "compare begun";

export const COMPARE: ViewKind = {
  create: compare,
  /** Of the two runs their description and the chosen measure; of one of them the comparison. */
  wants(state, name) {
    const pair = pairOf(state);
    if (!pair || (name !== pair.run && name !== pair.baseline)) return [RUN];
    const metric = valueOf(state, name, RUN)?.metrics.find((m) => m.name === state.metric);
    const names = metric && !metric.not_measured ? [metric.name, metric.nonfinite] : [];
    const measures = [...new Set(names)].map(metricOf);
    return [RUN, ...(name === pair.run ? [comparisonWith(pair.baseline)] : []), ...measures];
  },
};

/** The two runs that are compared; null if fewer are shown. */
function pairOf(state: State): Pair | null {
  const candidates = comparable(state.shown, state.runs ?? []);
  return choosePair(candidates, state.choices["baseline"], state.choices["compared"]);
}

function compare(store: Store, retry: () => void): View {
  const [heads, tables, plots, findings] = [h("div"), h("div"), h("div"), h("div")];
  let pair: Pair | null = null;
  let plot: Plot = buildPlot([], null);
  let panel: Panel | null = null;

  /**
   * The measure that all shown runs begin with may tell nothing of these two, and nothing is seen of
   * one that cannot be compared. The address remembers for which pair this was done.
   */
  const begin = (next: Pair, state: State) => {
    const comparison = valueOf(state, next.run, comparisonWith(next.baseline));
    const metrics = valueOf(state, next.run, RUN)?.metrics;
    if (!comparison || !metrics || state.metric === null) return;
    const names = [next.baseline, next.run].join("\n");
    if (names === state.choices[BEGUN]) return;
    const outcome = comparison.partings.find((one) => one.name === state.metric)?.outcome;
    const isSeen = outcome !== undefined && outcome !== "not-comparable";
    const shown = state.shown.flatMap((name) => valueOf(state, name, RUN) ?? []);
    const isChosen = isSeen && state.metric !== defaultMetric(shown);
    const metric = measureToBeginWith(comparison, metrics.map((one) => one.name));
    queueMicrotask(() => {
      store.choose(BEGUN, names);
      if (metric && !isChosen) store.set({ metric });
    });
  };

  const at = (): Point => {
    const { hover, step, layer } = store.get();
    const rest = restingPoint(plot);
    const known = layer !== null && plot.layers.includes(layer) ? layer : null;
    const parted = pair && partingOf(store.get(), pair)?.layer;
    return {
      step: hover?.step ?? step ?? plot.steps.at(-1) ?? rest.step,
      layer: hover?.layer ?? known ?? parted ?? rest.layer,
      resting: (hover?.step ?? step) === null,
    };
  };

  return {
    element: h("div.compare", { style: "--n:3" }, heads, tables, plots, findings),
    update(state, changed) {
      pair = pairOf(state);
      if (!pair) {
        panel = null;
        refill(heads, tooFew(state));
        for (const place of [tables, plots, findings]) refill(place);
        return;
      }
      begin(pair, state);
      const slot = slotOf(state, pair.run, comparisonWith(pair.baseline));
      if (changed(HEADS)) refill(heads, pairHeads(state, pair, store));
      if (changed(TABLES)) {
        const failed = slot.failure !== undefined && !slot.value ? slot.failure : null;
        refill(
          tables,
          failed === null
            ? [
                slot.value && differentSettings(slot.value, pair, state, store),
                apart(slot.value, pair, state, store),
              ]
            : h("section.section", null, h("div.side"), trouble(failed, retry)),
        );
        refill(
          findings,
          slot.value && [comparedFindings(slot.value, pair, state), keyNumbers(slot.value, pair, state)],
        );
      }
      if (changed(PLOTS)) {
        const sources = sourcesOf(state, [pair.baseline, pair.run]);
        const both = buildPlot(sources, state.metric, foldingOf(state));
        plot = differencePlot(both);
        panel = difference(both, plot, pair, partingOf(state, pair), state, store, retry);
        refill(plots, panel.element);
        panel.paint();
      }
    },
    point: () => panel?.point(at()),
    paint: () => panel?.paint(),
    docked: true,
    about: () => ({ runs: pair ? [pair.baseline, pair.run] : [], columns: 3 }),
    cursor() {
      const now = at();
      return { steps: plot.steps, layers: lineLayers(plot, now.layer, now.step), at: now };
    },
  };
}

const trouble = (failure: string, retry: () => void) =>
  h("div.full", null, problem("The runs could not be compared", failure, retry));

function tooFew(state: State): HTMLElement {
  const there = comparable((state.runs ?? []).map((run) => run.run), state.runs ?? []).length;
  const unread = state.shown.length > comparable(state.shown, state.runs ?? []).length;
  return h(
    "div.empty",
    null,
    h("h2", null, "Two runs are needed"),
    h(
      "p",
      null,
      there < 2
        ? `This log folder has ${there === 1 ? "1 run" : "no run"} that can be compared. Train another one into it; this page fills by itself.`
        : "Tick two or more runs in the list of runs. Here you then choose which of them is the baseline, a run that went well, and which one is compared with it.",
    ),
    unread && h("p", null, "A run without a readable recording cannot be compared."),
  );
}

function partingOf(state: State, pair: Pair) {
  const found = valueOf(state, pair.run, comparisonWith(pair.baseline))?.partings;
  return found?.find((one) => one.name === state.metric && one.outcome === "parted");
}
