/** What a heat map says in words: the value under the cursor, and why a row is empty. */

import type { Metric, Run } from "../api";
import { cellAt } from "../model/cells";
import { absence, exemption } from "../model/layers";
import { formatCount, formatValue } from "../model/number";
import { layerAt, type Plot, type PlotColumn } from "../model/plot";
import type { Point } from "../state";
import { h } from "./element";

/** "97 % dense at step 400" */
export function reading(column: PlotColumn, plot: Plot, at: Point): (Node | string)[] {
  const { run, cells, metric } = column;
  const row = plot.layers.indexOf(at.layer ?? "");
  const layer = column.rows[row] ?? -1;
  if (!run) return [h("span.quiet", null, "Loading …")];
  if (metric?.not_measured || row < 0) return [h("span.quiet", null, metric?.not_measured ?? "")];
  if (!metric || !cells) return [h("span.quiet", null, metric ? "Loading …" : "")];
  const name = layerAt(column, row)?.name ?? at.layer!;
  const where = h("code", null, name);
  if (layer < 0) return [h("span.quiet", null, "not in this model"), where];
  const ended = at.step > cells.end;
  const cell = ended ? cells.steps.length - 1 : cellAt(cells, at.step);
  if (cell < 0) {
    const none = run.finished ? "not measured" : "not measured yet";
    return [h("span.quiet", null, absence(run, metric, run.model.layers[layer]) ?? none), where];
  }
  const measured = !Number.isNaN(cells.value(cell, layer));
  const exempt = measured && exemption(run, metric, name);
  const when = !ended ? "at step" : run.finished ? "at its end, step" : "newest, step";
  const step = `${when} ${formatCount(cells.steps[cell]!)}`;
  return [
    h("b", null, told(column, run, metric, cell, row)),
    where,
    h("span.quiet", null, exempt ? `${step} · exempt: ${exempt}` : step),
  ];
}

/** The value of a cell, or why there is none. */
function told(column: PlotColumn, run: Run, metric: Metric, cell: number, row: number): string {
  const layer = column.rows[row]!;
  const value = column.cells!.value(cell, layer);
  if (!Number.isNaN(value)) return formatValue(value, metric.scale);
  if (column.filled[row] && column.cells!.broken(cell, layer)) return "NaN";
  return absence(run, metric, run.model.layers[layer]) ?? "not measured";
}

/** Why rows are empty: said once where rows or runs beside each other have the same reason. */
export function emptyRows(column: PlotColumn, index: number, plot: Plot): HTMLElement[] {
  if (column.metric?.not_measured) return [h("p.row-words.all", null, column.metric.not_measured)];
  if (!column.cells) return [];
  const reasons = (of: PlotColumn, row: number) =>
    of.run && of.metric && of.cells && !of.filled[row]
      ? (absence(of.run, of.metric, of.run.model.layers[of.rows[row]!]) ?? "not measured")
      : null;
  return plot.layers.flatMap((_, row) => {
    const reason = reasons(column, row);
    const besides = plot.columns.slice(0, index).some((other) => reasons(other, row) === reason);
    if (!reason || besides || (row > 0 && reasons(column, row - 1) === reason)) return [];
    const { tops, heights } = plot.layout;
    return [
      h("p.row-words", { style: `top:${tops[row]}px;line-height:${heights[row]}px` }, reason),
    ];
  });
}

/** Words in the empty part of the axis, after a run that was shorter than the others. */
export function ending(column: PlotColumn, plot: Plot): HTMLElement | null {
  const end = column.cells?.end ?? plot.end;
  if (!column.run?.finished || end > plot.end * 0.7 || end < plot.end * 0.2) return null;
  const left = `${((end / plot.end) * 100).toFixed(2)}%`;
  return h(
    "p.row-words.ending",
    { style: `left:${left}` },
    `ended at step ${formatCount(column.run.last_step)}`,
  );
}
