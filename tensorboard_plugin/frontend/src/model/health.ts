/** How the layers of a run were at a step: what was measured, what was found until then. */

import type { Finding, Run, Severity } from "../api";
import { cellAt } from "./cells";
import { SEVERITIES } from "./findings";
import { absence } from "./layers";
import type { Line } from "./lines";
import { formatValue } from "./number";
import { layerAt, lineAt, type Plot, type PlotColumn } from "./plot";

/** What a layer shows of the chosen measure. */
export interface Shown {
  kind: "value" | "broken" | "none";
  /** On the colour ramp, from 0 to 1; 0 without a value. */
  position: number;
  /** The value, or why there is none. */
  words: string;
}

/** @param row the layer's row in the plot. */
export function shownAt(column: PlotColumn, plot: Plot, row: number, step: number): Shown {
  const { run, metric, cells } = column;
  const none = (words: string): Shown => ({ kind: "none", position: 0, words });
  if (metric?.not_measured) return none("not measured");
  if (!run || !metric || !cells || !plot.scale) return none(metric ? "loading" : "");
  const layer = column.rows[row] ?? -1;
  const why = absence(run, metric, layerAt(column, row));
  const cell = step > cells.end ? cells.steps.length - 1 : cellAt(cells, step);
  if (layer < 0 || cell < 0) return none(why ?? (run.finished ? "not measured" : "not measured yet"));
  const value = cells.value(cell, layer);
  if (column.filled[row] && cells.broken(cell, layer)) {
    const words = Number.isNaN(value) ? "NaN" : formatValue(value, metric.scale);
    return { kind: "broken", position: 0, words };
  }
  if (Number.isNaN(value)) return none(why ?? "not measured");
  const words = formatValue(value, metric.scale);
  return { kind: "value", position: plot.scale.position(value), words };
}

/** What was found in a layer up to a step, the worst first; null for the whole model. */
export function foundBy(run: Run, layer: string | null, step: number): Finding[] {
  return run.findings.filter((f) => f.layer === layer && f.step <= step);
}

/** Whether any rule had enough to say something: silence of the others is not health. */
export function isJudged(run: Run): boolean {
  return run.rules.some(({ outcome }) => outcome !== "not-evaluated");
}

export function worstSeverity(findings: readonly Finding[]): Severity | null {
  return SEVERITIES.find((s) => findings.some(({ severity }) => severity === s)) ?? null;
}

/** Of some layers the row of the worst: by what was found, then by what is measured. */
export function worstRow(
  column: PlotColumn,
  plot: Plot,
  rows: readonly number[],
  step: number,
): number {
  const badness = (row: number): [number, number] => {
    const found = foundBy(column.run!, layerAt(column, row)?.name ?? "", step);
    const severity = worstSeverity(found);
    const far = distance(column, plot, row, step);
    return [severity ? SEVERITIES.length - SEVERITIES.indexOf(severity) : 0, far];
  };
  let [worst, most] = [rows[0]!, badness(rows[0]!)];
  for (const row of rows.slice(1)) {
    const here = badness(row);
    if (here[0] > most[0] || (here[0] === most[0] && here[1] > most[1])) [worst, most] = [row, here];
  }
  return worst;
}

/** Of some layers the row that a line shows of them: NaN before numbers, else furthest from neutral. */
export function furthestRow(
  column: PlotColumn,
  plot: Plot,
  rows: readonly number[],
  step: number,
): number {
  const far = rows.map((row) => distance(column, plot, row, step));
  return rows[far.indexOf(Math.max(...far))] ?? -1;
}

/** The layer that a line shows: of a folded block the worst one in the first run that has values. */
function layerOf(plot: Plot, { rows }: Line, step: number): string {
  const column = plot.columns.find((one) => rows.some((row) => one.filled[row]));
  const row = rows.length > 1 && column ? furthestRow(column, plot, rows, step) : rows[0]!;
  return plot.layers[row]!;
}

/** The layer that is shown where this one stands; null if it stands nowhere. */
export function shownLayer(plot: Plot, layer: string | null, step: number): string | null {
  const line = plot.lines[lineAt(plot, layer)];
  return line ? layerOf(plot, line, step) : null;
}

/** The layers that j and k walk along: the given one, and of each other line the one that it shows. */
export function lineLayers(plot: Plot, layer: string | null, step: number): string[] {
  const here = lineAt(plot, layer);
  return plot.lines.flatMap((line, i) =>
    line.rows.length === 0 ? [] : i === here ? layer! : layerOf(plot, line, step),
  );
}

/** How far from neutral: NaN further than any number, nearer than any no value, then no layer. */
function distance(column: PlotColumn, plot: Plot, row: number, step: number): number {
  if ((column.rows[row] ?? -1) < 0) return -2;
  const value = valueAt(column, row, step);
  if (value !== null && Number.isNaN(value)) return 2;
  const neutral = plot.scale?.ramp === "diverging" ? 0.5 : 0;
  return value === null || !plot.scale ? -1 : Math.abs(plot.scale.position(value) - neutral);
}

/**
 * What a layer has of the column's measure at a step, after the run's end its last value: NaN where
 * its tensor was not finite, null where nothing was measured.
 */
export function valueAt({ cells, rows, filled }: PlotColumn, row: number, step: number): number | null {
  const layer = rows[row] ?? -1;
  if (!cells || layer < 0 || !filled[row]) return null;
  const cell = step > cells.end ? cells.steps.length - 1 : cellAt(cells, step);
  if (cell < 0) return null;
  if (cells.broken(cell, layer)) return NaN;
  const value = cells.value(cell, layer);
  return Number.isNaN(value) ? null : value;
}

/** The row that a heat map shows in a layer's line; -1 if the layer stands in none. */
export function rowShown(column: PlotColumn, plot: Plot, layer: string | null, step: number): number {
  const line = plot.lines[lineAt(plot, layer)];
  return line ? furthestRow(column, plot, line.rows, step) : -1;
}

/** Steps at which something begins to be found, each with its worst severity first. */
export function findingSteps(run: Run): { step: number; findings: Finding[] }[] {
  const byStep = new Map<number, Finding[]>();
  for (const finding of run.findings)
    byStep.set(finding.step, [...(byStep.get(finding.step) ?? []), finding]);
  return [...byStep]
    .map(([step, findings]) => ({ step, findings }))
    .sort((a, b) => a.step - b.step);
}

/** The recorded step in the direction in which a slider was moved. */
export function snapStep(steps: readonly number[], wanted: number, from: number): number {
  const next = wanted >= from ? steps.find((s) => s >= wanted) : undefined;
  const before = steps.findLast((s) => s <= wanted);
  return next ?? before ?? steps[0] ?? wanted;
}
