/** The numbers behind the charts, as tables. */

import type { Cams, Run } from "../api";
import type { Table } from "./csv";
import type { Plot, PlotColumn } from "./plot";

/** One line per run and step, one column per layer; empty where nothing was measured. */
export function heatTable(plot: Plot): Table {
  const rows = plot.columns.flatMap((column) =>
    (column.cells?.steps ?? []).map((step, cell) => [
      column.name,
      step,
      ...plot.layers.map((_, row) => heatCell(column, cell, column.rows[row] ?? -1)),
    ]),
  );
  return { columns: ["run", "step", ...plot.layers], rows };
}

function heatCell({ cells }: PlotColumn, cell: number, layer: number): number | string | null {
  if (!cells || layer < 0) return null;
  if (cells.broken(cell, layer)) return "NaN";
  const value = cells.value(cell, layer);
  return Number.isNaN(value) ? null : value;
}

/** One line per run and step, one column per series; empty where nothing was measured. */
export function curveTable(runs: readonly Run[], series: readonly string[]): Table {
  const rows = runs.flatMap((run) =>
    run.steps.map((step, i) => [
      run.run,
      step,
      ...series.map((name) => run.series[name]?.[i] ?? null),
    ]),
  );
  return { columns: ["run", "step", ...series], rows };
}

/** One line per run, snapshot and probe image. */
export function camTable(shown: readonly { name: string; cams: Cams }[]): Table {
  const rows = shown.flatMap(({ name, cams }) =>
    cams.steps.flatMap((step, s) =>
      cams.samples.map((sample, n) => [
        name,
        step,
        sample.name,
        sample.true,
        cams.predicted[s]?.[n] ?? null,
        cams.confidence[s]?.[n] ?? null,
        cams.true_confidence[s]?.[n] ?? null,
      ]),
    ),
  );
  const columns = ["run", "step", "sample", "true class", "predicted class"];
  return { columns: [...columns, "its probability", "probability of the true class"], rows };
}
