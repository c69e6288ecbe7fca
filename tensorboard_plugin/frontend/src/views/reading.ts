/** What a heat map says in words: the value under the cursor, and why a row is empty. */

import type { Metric, Run } from "../api";
import { cellAt } from "../model/cells";
import { rowShown } from "../model/health";
import { absence, exemption } from "../model/layers";
import { formatCount, formatValue } from "../model/number";
import { layerAt, lineAt, type Plot, type PlotColumn } from "../model/plot";
import type { Point } from "../state";
import { h } from "./element";

/** "97 % dense at step 400" */
export function reading(column: PlotColumn, plot: Plot, at: Point): (Node | string)[] {
  const { run, cells, metric } = column;
  const line = plot.lines[lineAt(plot, at.layer)];
  const row = rowShown(column, plot, at.layer, at.step);
  const layer = column.rows[row] ?? -1;
  if (!run) return [h("span.quiet", null, "Loading …")];
  if (metric?.not_measured || row < 0) return [h("span.quiet", null, metric?.not_measured ?? "")];
  if (!metric || !cells) return [h("span.quiet", null, metric ? "Loading …" : "")];
  const isBlock = line!.kind === "folded";
  const name = layerAt(column, row)?.name ?? (isBlock ? line!.name : at.layer!);
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
  const worst = isBlock ? `worst of ${formatCount(line!.count)}, ` : "";
  const step = `${worst}${when} ${formatCount(cells.steps[cell]!)}`;
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

/** Why lines are empty: said once where lines below each other have the same reason. */
export function emptyRows(column: PlotColumn, plot: Plot): HTMLElement[] {
  if (column.metric?.not_measured) return [h("p.row-words.all", null, column.metric.not_measured)];
  if (!column.cells) return [];
  const reasons = plot.lines.map(({ rows }) => emptyReason(column, rows));
  return reasons.flatMap((reason, line) => {
    if (!reason || reasons[line - 1] === reason) return [];
    const { tops, heights } = plot.layout;
    return [
      h("p.row-words", { style: `top:${tops[line]}px;line-height:${heights[line]}px` }, reason),
    ];
  });
}

/** Why none of some layers has a value; null if one has, or if it is not known yet. */
function emptyReason({ run, metric, cells, filled, rows: layers }: PlotColumn, rows: readonly number[]) {
  if (!run || !metric || !cells || rows.some((row) => filled[row])) return null;
  const all = rows.map((row) => absence(run, metric, run.model.layers[layers[row]!]) ?? "not measured");
  return [...new Set(all)].join(", ") || null;
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
