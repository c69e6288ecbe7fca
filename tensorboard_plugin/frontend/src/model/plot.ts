/** All that the heat maps of the shown runs have in common: rows, axis, colours. */

import type { Finding, Layer, Measurements, Metric, Run } from "../api";
import { type Cells, cellsOf, layerContents, runEnd } from "./cells";
import { measureOf, SEVERITIES } from "./findings";
import { absence, alignLayers, rowLayout, rowNames, type RowLayout } from "./layers";
import { type Folding, type Line, linesOf, USUAL } from "./lines";
import { limitsOf, metricsOf } from "./metrics";
import { remember } from "./remember";
import { colourScale, type ColourScale, sample } from "./scale";

/** One run's part: what of it is there yet. */
export interface PlotSource {
  name: string;
  run: Run | undefined;
  measured: Measurements | undefined;
  counts: Measurements | undefined;
}

export interface PlotColumn {
  name: string;
  run: Run | undefined;
  metric: Metric | undefined;
  cells: Cells | null;
  /** Each row's place among this run's layers, -1 if the model does not have it. */
  rows: number[];
  /** Each row: is there anything to draw? */
  filled: boolean[];
}

export interface Plot {
  metric: Metric | undefined;
  /** Names of the rows: of all layers, shown or folded. */
  layers: string[];
  /** What stands below each other: layers and blocks of them. */
  lines: Line[];
  /** The line in which each row is shown. */
  lineOf: number[];
  /** Of the lines. */
  layout: RowLayout;
  /** The last step of the axis. */
  end: number;
  scale: ColourScale | null;
  columns: PlotColumn[];
  /** Every step at which some run was measured. */
  steps: number[];
}

const SAMPLE = 2000;
const sampled = remember((values: Float32Array) => sample(values, SAMPLE));

export function buildPlot(
  sources: readonly PlotSource[],
  metricName: string | null,
  folding: Folding = USUAL,
): Plot {
  const runs = sources.flatMap((source) => source.run ?? []);
  const names = rowNames(runs.map((run) => run.model.layers));
  const layers = alignLayers(names);
  const namesOf = ({ run }: PlotSource) => (run ? names[runs.indexOf(run)]! : []);
  const columns = sources.map((source) => {
    const own = namesOf(source);
    return columnOf(source, layers.map((layer) => own.indexOf(layer)), metricName);
  });
  const metric = metricsOf(runs).find((m) => m.name === metricName);
  const drawn = columns.some((c) => c.cells);
  const lines = linesOf(named(layers, columns), folding);
  // Until there is data a line is as high as it will probably be, so that little moves.
  const filled = lines.map(({ rows }) =>
    rows.some((row) => columns.some((c) => (drawn ? c.filled[row] : mayHave(c, row)))),
  );
  return {
    metric,
    layers,
    lines,
    lineOf: lineOfEach(layers.length, lines),
    layout: rowLayout(filled),
    end: axisEnd(runs),
    scale: metric ? scaleOf(metric, sources, runs) : null,
    columns,
    steps: [...new Set(columns.flatMap((c) => c.cells?.steps ?? []))].sort((a, b) => a - b),
  };
}

/** Up to so much of the axis is kept free for a run that goes on: else all would move with it. */
const ROOM = 1.02;

function axisEnd(runs: readonly Run[]): number {
  const ends = runs.map(({ steps, finished }) => {
    const end = runEnd(steps);
    const grown = Math.ceil(ROOM ** (Math.floor(Math.log(end) / Math.log(ROOM)) + 1));
    return finished ? end : Math.max(grown, end);
  });
  return Math.max(1, ...ends);
}

/** @param rows each row's place among the run's layers. */
export function columnOf(source: PlotSource, rows: number[], metricName: string | null): PlotColumn {
  const { name, run, measured, counts } = source;
  const fits = measured?.layers === run?.model.layers.length;
  const cells = measured && fits ? remembered(measured, counts) : null;
  const metric = run?.metrics.find((m) => m.name === metricName);
  const contents = cells ? layerContents(cells) : [];
  // NaN in the output of a layer that has no such measure is shown where it is measured.
  const isFilled = (layer: number) =>
    contents[layer] === "values" ||
    (contents[layer] === "broken" && absence(run!, metric!, run!.model.layers[layer]) === null);
  return { name, run, metric, cells, rows, filled: rows.map(isFilled) };
}

/** The rows as layers; a run may call one by another name, but not make it of another type. */
function named(layers: readonly string[], columns: readonly PlotColumn[]) {
  return layers.map((name, row) => {
    const layer = columns.map((column) => layerAt(column, row)).find((one) => one !== undefined);
    return { name, type: layer?.type ?? "" };
  });
}

function lineOfEach(rows: number, lines: readonly Line[]): number[] {
  const lineOf = Array.from({ length: rows }, () => -1);
  lines.forEach((line, i) => line.rows.forEach((row) => (lineOf[row] = i)));
  return lineOf;
}

/** The line in which a layer is shown, -1 if it is not. */
export const lineAt = (plot: Plot, layer: string | null): number =>
  plot.lineOf[plot.layers.indexOf(layer ?? "")] ?? -1;

function scaleOf(
  metric: Metric,
  sources: readonly PlotSource[],
  runs: readonly Run[],
): ColourScale {
  const values = (wanted: readonly PlotSource[]) =>
    wanted.flatMap(({ measured }) => (measured ? sampled(measured.values) : []));
  const healthy = sources.filter((source) => source.run?.verdict.severity === "ok");
  return colourScale(metric, limitsOf(runs, metric.name), values(sources), values(healthy));
}

function mayHave(column: PlotColumn, row: number): boolean {
  const { run, metric } = column;
  const layer = layerAt(column, row);
  return !run || !metric || (layer !== undefined && absence(run, metric, layer) === null);
}

/** Cells are made once of the same measurements, so that who drew them can tell. */
const made = new WeakMap<Measurements, { counts: Measurements | undefined; cells: Cells }>();

function remembered(measured: Measurements, counts: Measurements | undefined): Cells {
  const known = made.get(measured);
  if (known && known.counts === counts) return known.cells;
  const cells = cellsOf(measured, counts ?? null);
  made.set(measured, { counts, cells });
  return cells;
}

/** The layer of a run in a row; its name may differ from the row's. */
export function layerAt({ run, rows }: PlotColumn, row: number): Layer | undefined {
  return run?.model.layers[rows[row] ?? -1];
}

function worst(findings: readonly Finding[]): Finding | undefined {
  const severity = SEVERITIES.find((s) => findings.some((f) => f.severity === s));
  return findings.find((f) => f.severity === severity);
}

/** Tells two plots apart that differ in their rows or in what the runs' settings say of them. */
export const rowsOf = remember(({ layers, lines, layout, columns }: Plot) =>
  JSON.stringify([
    ...[layers, lines, layout],
    columns.map(({ name, rows, filled, run, metric, cells }) => [
      ...[name, rows, filled],
      ...[run?.recording, metric?.not_measured, cells === null],
    ]),
  ]),
);

/** Where the cursor is when nobody put it anywhere: at the end, in the layer most talked of. */
export const restingPoint = remember((plot: Plot): { step: number; layer: string | null } => {
  const last = plot.columns.map((c) => c.run?.last_step ?? 0);
  const found = plot.columns.flatMap((column) => {
    const rows = new Map(plot.layers.map((layer, row) => [layerAt(column, row)?.name, layer]));
    return (column.run?.findings ?? []).flatMap((f) => {
      const layer = f.layer === null ? undefined : rows.get(f.layer);
      return layer === undefined ? [] : [{ ...f, layer }];
    });
  });
  const about = found.filter((f) => measureOf(f) === plot.metric?.name);
  const here = worst(about) ?? worst(found);
  const firstFilled = plot.layers.find((_, row) => plot.columns.some((c) => c.filled[row]));
  return { step: Math.max(0, ...last), layer: here?.layer ?? firstFilled ?? null };
});
