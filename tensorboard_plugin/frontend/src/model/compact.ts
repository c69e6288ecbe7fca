/** The compact columns beside a heat map: which have room, and what a line shows in each. */

import type { Limit, Run, Severity } from "../api";
import type { Cells, Span } from "./cells";
import { measureOf } from "./findings";
import { foundBy, valueAt, worstSeverity } from "./health";
import { exemption } from "./layers";
import { isPast, limitsOf } from "./metrics";
import { layerAt, type PlotColumn } from "./plot";

export interface CompactColumn {
  kind: "share" | "ratio" | "trend";
  /** Pixels. */
  width: number;
  /** Pixels of it that are an axis; values stand in what is left at the right. */
  axis: number;
  /** What it draws of a layer: the first of these measures that the layer has. */
  measures: readonly string[];
}

const SHARE: CompactColumn = { kind: "share", width: 112, axis: 84, measures: ["dead_fraction", "saturated_fraction"] };
const RATIO: CompactColumn = { kind: "ratio", width: 64, axis: 64, measures: ["update_ratio"] };
const TOLD_RATIO: CompactColumn = { ...RATIO, width: 108 };
const TREND: CompactColumn = { kind: "trend", width: 56, axis: 56, measures: ["gradient_rms"] };

/** From much room to little. */
const CHOICES: readonly (readonly CompactColumn[])[] = [
  [SHARE, TOLD_RATIO, TREND],
  [SHARE, TOLD_RATIO],
  [SHARE, RATIO],
];

const BEFORE = 12; // pixels between a heat map's signs and the first column
const BETWEEN = 14;
const LEAST_MAP = 216; // pixels that a heat map and its signs keep

/** The columns that have room beside a heat map, and a measure in some of the runs. */
export function fitting(width: number, runs: readonly Run[]): readonly CompactColumn[] {
  const measured = new Set(
    runs.flatMap(({ metrics }) => metrics.flatMap((one) => (one.not_measured ? [] : one.name))),
  );
  const isOffered = ({ measures }: CompactColumn) => measures.some((name) => measured.has(name));
  const offered = CHOICES.map((columns) => columns.filter(isOffered));
  return offered.find((columns) => width - widthOf(columns) >= LEAST_MAP) ?? [];
}

/** Pixels that some columns take from a heat map. */
export function widthOf(columns: readonly CompactColumn[]): number {
  if (columns.length === 0) return 0;
  return columns.reduce((sum, { width }) => sum + BETWEEN + width, BEFORE - BETWEEN);
}

/** Where each column begins, in pixels. */
export const lefts = (columns: readonly CompactColumn[]): number[] =>
  columns.map((_, i) => (i === 0 ? BEFORE : widthOf(columns.slice(0, i)) + BETWEEN));

export const measuresOf = (columns: readonly CompactColumn[]): string[] =>
  columns.flatMap(({ measures }) => measures);

/** What a layer has in a column. */
export interface Mark {
  /** NaN where its tensor was not finite. */
  value: number;
  /** Beyond a limit, whatever the rules say of it. */
  beyond: boolean;
  /** What the rules found there until then; null where nothing is wrong. */
  trouble: Severity | null;
}

/** @returns null where nothing was measured. */
export function markAt(column: PlotColumn, row: number, step: number): Mark | null {
  const value = valueAt(column, row, step);
  if (value === null) return null;
  const { run, metric } = column;
  const beyond = metric!.limits.some((limit) => isPast(limit, value));
  return { value, beyond, trouble: beyond ? troubleAt(run!, column, row, step) : null };
}

function troubleAt(run: Run, column: PlotColumn, row: number, step: number): Severity | null {
  const { name } = layerAt(column, row)!;
  if (exemption(run, column.metric!, name)) return null;
  const found = foundBy(run, name, step);
  return worstSeverity(found.filter((one) => measureOf(one) === column.metric!.name));
}

/** Where a value lies on an axis, from 0 to 1; what is beyond an end lies on it. */
export type Along = (value: number) => number;

/** A logarithmic axis that reaches one decade beyond the limits of all runs. */
export function bandAxis(runs: readonly Run[], measure: string): Along {
  const limits = limitsOf(runs, measure).map(({ value }) => value);
  const ends = limits.filter((value) => value > 0).map(Math.log10);
  const [least, most] = ends.length ? [Math.min(...ends), Math.max(...ends)] : USUAL;
  const reach = Math.max(1, (LEAST_DECADES - (most - least)) / 2);
  const [from, to] = [least - reach, most + reach];
  return (value) => clamp((Math.log10(value) - from) / (to - from));
}

const USUAL = [-5, -1] as const; // decades of an axis that no limit tells of
const LEAST_DECADES = 4;

/** From where to where on the axis nothing is wrong; null where no limit says so. */
export function goodBand(limits: readonly Limit[], at: Along): [from: number, to: number] | null {
  if (limits.length === 0) return null;
  const ends = (above: boolean) => limits.flatMap((one) => (one.above === above ? at(one.value) : []));
  return [Math.max(0, ...ends(false)), Math.min(1, ...ends(true))];
}

/** Heights from 0 to 1 along the axis of steps: null where not measured, NaN where not finite. */
export type Trend = readonly (number | null)[];

const FLAT = 2; // decades that fill the height at least, so that noise looks like noise

/** The course of a magnitude on a logarithmic scale of its own; `spans` are those of its pixels. */
export function trendOf({ cells, rows }: PlotColumn, row: number, spans: readonly Span[]): Trend {
  const layer = rows[row] ?? -1;
  if (!cells || layer < 0) return [];
  const logs = spans.map((span) => {
    const value = lastOf(cells, layer, span);
    return value === null ? null : value > 0 ? Math.log10(value) : value === 0 ? -Infinity : NaN;
  });
  const finite = logs.filter((one): one is number => one !== null && Number.isFinite(one));
  const [least, most] = [Math.min(...finite), Math.max(...finite)];
  const height = (log: number) => 0.5 + (log - (least + most) / 2) / Math.max(FLAT, most - least);
  return logs.map((log) => (log === null || Number.isNaN(log) ? log : finite.length ? clamp(height(log)) : 0));
}

/** The newest value of some cells. */
function lastOf(cells: Cells, layer: number, [first, last]: Span): number | null {
  for (let cell = last; cell >= first && cell >= 0; cell--) {
    if (cells.broken(cell, layer)) return NaN;
    const value = cells.value(cell, layer);
    if (!Number.isNaN(value)) return value;
  }
  return null;
}

/** Where the cursor is on a trend: after its end at its last point; -1 where it is nowhere. */
export function trendPoint(trend: Trend, along: number): number {
  const wanted = Math.min(trend.length - 1, Math.max(0, Math.floor(along * trend.length)));
  for (let i = wanted; i >= 0; i--) {
    if (trend[i] !== null && trend[i] !== undefined) return i;
  }
  return -1;
}

const clamp = (x: number) => Math.min(1, Math.max(0, x));
