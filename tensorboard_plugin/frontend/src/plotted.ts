/** The plot of the chosen measure as the state has it, and where its cursor is. */

import type { Recorded } from "./api";
import type { Ahead, Wants } from "./feed";
import { type Folding, readFolding, writeFolding } from "./model/lines";
import { metricsOf } from "./model/metrics";
import { buildPlot, columnOf, type Plot, type PlotColumn, type PlotSource, restingPoint } from "./model/plot";
import { metricOf, type Resource, RUN, slotOf, valueOf } from "./resources";
import type { Point, State, Store } from "./state";

/** Measures, as far as the run has them, with their counts of NaN and Inf. */
const measureWants = (state: State, name: string, measures: readonly (string | null)[]): Resource<Recorded>[] => {
  const run = valueOf(state, name, RUN);
  const names = measures.flatMap((wanted) => {
    const metric = run?.metrics.find((m) => m.name === wanted);
    return metric && !metric.not_measured ? [metric.name, metric.nonfinite] : [];
  });
  return [...new Set(names)].map(metricOf);
};

/** A run's description, then the measures, chosen and pointed at. */
export const plotWants: Wants = (state, name) => [
  RUN,
  ...measureWants(state, name, [state.metric, state.ahead]),
];

/** What stands beside a run's heat map: asked for once the map itself is there. */
export const besideWants: Wants = (state, name) => {
  const slots = plotWants(state, name).map((resource) => slotOf(state, name, resource));
  const isDrawn = state.metric !== null && slots.every(({ value, failure }) => value ?? failure);
  return isDrawn ? measureWants(state, name, state.beside) : [];
};

/** Bytes of measures, beyond which none is fetched before it is chosen. */
const ENOUGH = 100e6;

/** Measure by measure what a choice of it needs; nothing once enough is kept. */
export const plotAhead: Ahead = (state) => {
  if (keptBytes(state) >= ENOUGH) return [];
  const runs = state.shown.flatMap((name) => valueOf(state, name, RUN) ?? []);
  return metricsOf(runs).flatMap((metric) =>
    state.shown.flatMap((run) =>
      plotWants({ ...state, metric: metric.name, ahead: null }, run).map(
        (resource) => [run, resource] as const,
      ),
    ),
  );
};

function keptBytes(state: State): number {
  const measures = [...state.loaded.values()].flatMap((slots) =>
    [...slots].filter(([name]) => name.startsWith(metricOf("").name)).map(([, slot]) => slot),
  );
  return measures.reduce(
    (bytes, { value }) => bytes + ((value as Recorded | undefined)?.values.byteLength ?? 0),
    0,
  );
}

/** What there is yet of the runs that are shown. */
export const plotOf = (state: State, folding = foldingOf(state)): Plot =>
  buildPlot(sourcesOf(state, state.shown), state.metric, folding);

/** The name of the choice that holds which blocks of layers are folded. */
const FOLDING = "folding";

/** How the blocks of layers are folded, alike in all heat maps. */
export const foldingOf = (state: State): Folding => readFolding(state.choices[FOLDING]);

export const fold = (store: Store, folding: Folding): void =>
  store.choose(FOLDING, writeFolding(folding));

/** What there is yet of some runs, and of the chosen measure in them. */
export function sourcesOf(state: State, names: readonly string[]): PlotSource[] {
  return names.map((name) => {
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

/** Another measure of the same runs, in the rows of a plot. */
export const columnsBeside = (state: State, plot: Plot, metric: string): PlotColumn[] =>
  sourcesOf({ ...state, metric }, plot.columns.map(({ name }) => name)).map((source, i) =>
    columnOf(source, plot.columns[i]!.rows, metric),
  );

/** The step and layer that are pointed at, else the pinned ones, else those to begin with. */
export function cursorIn(plot: Plot, { hover, step, layer }: State): Point {
  const rest = restingPoint(plot);
  const known = layer !== null && plot.layers.includes(layer) ? layer : rest.layer;
  const chosen = hover?.step ?? step;
  return { step: chosen ?? rest.step, layer: hover?.layer ?? known, resting: chosen === null };
}
