/** The measures of one layer in the shown runs: which have a curve, on which axis, why others not. */

import type { Finding, Layer, LayerMeasurements, Limit, Metric, Run } from "../api";
import { curveAxis, type CurveAxis, magnitudeAxis, type Series, stretches, withoutExplosions } from "./curve";
import { findingsOf, measureOf, type Problem, problems, SEVERITIES, titled } from "./findings";
import { worstSeverity } from "./health";
import { absence } from "./layers";
import { isPast, limitsOf, metricsOf } from "./metrics";

/** One run's part: what of it is there yet. */
export interface LayerSource {
  name: string;
  run: Run | undefined;
  /** As this run's model calls it; undefined if it has no such layer. */
  layer: Layer | undefined;
  measured: LayerMeasurements | undefined;
}

export interface LayerCurve {
  steps: readonly number[];
  series: Series;
  /** How many NaN and Inf the same tensor held. */
  broken: Series;
}

export interface CurveRow {
  metric: Metric;
  axis: CurveAxis;
  limits: Limit[];
  /** Of each run; null where it has nothing to draw. */
  curves: (LayerCurve | null)[];
}

/** One row for each measure that at least one run has of this layer. */
export function curveRows(sources: readonly LayerSource[]): CurveRow[] {
  const runs = sources.flatMap((source) => source.run ?? []);
  return metricsOf(runs).flatMap((metric) => {
    const curves = sources.map((source) => curveOf(source, metric.name));
    if (curves.every((curve) => curve === null)) return [];
    const limits = metric.scale === "count" ? [] : limitsOf(runs, metric.name);
    const axis = axisOf(metric, curves.map((curve) => curve?.series ?? []), limits);
    return [{ metric, axis, limits, curves }];
  });
}

/** The rows by how much there is to see in them. */
export interface Arranged {
  /** With a finding in some run, the worst first. */
  found: CurveRow[];
  others: CurveRow[];
  /** Numbers of NaN and Inf of which no rule speaks: the other rows are hatched where they are. */
  counts: CurveRow[];
}

export function arranged(rows: readonly CurveRow[], sources: readonly LayerSource[]): Arranged {
  const rank = ({ metric }: CurveRow) => {
    const severity = worstSeverity(sources.flatMap((source) => seen(metric, source).map(({ finding }) => finding)));
    return severity ? SEVERITIES.indexOf(severity) : SEVERITIES.length;
  };
  const isFound = (row: CurveRow) => rank(row) < SEVERITIES.length;
  const isCount = ({ metric }: CurveRow) => metric.scale === "count";
  const others = rows.filter((row) => !isFound(row));
  return {
    found: rows.filter(isFound).sort((a, b) => rank(a) - rank(b)),
    others: others.filter((row) => !isCount(row)),
    counts: others.filter(isCount),
  };
}

/** The findings that are seen in this measure of the layer. */
export function seen(metric: Metric, { run, layer }: LayerSource) {
  const all = findingsOf(problems(run?.findings ?? []), layer?.name ?? "");
  return all.filter(({ finding }) => measureOf(finding) === metric.name);
}

export interface Leaving {
  /** Where the curve leaves its axis for the first time. */
  index: number;
  /** On which side that is, and how far it goes there. */
  below: boolean;
  most: number;
}

/** What is beyond the ends of an axis by less than its margin is drawn where it is. */
export function leaving({ lo, hi, at }: CurveAxis, series: Series): Leaving | null {
  const isAbove = (v: number | null): v is number => v !== null && v > hi && at(v) === 1;
  const isBelow = (v: number | null): v is number => v !== null && v < lo && at(v) === 0;
  const index = series.findIndex((v) => isAbove(v) || isBelow(v));
  if (index < 0) return null;
  const below = isBelow(series[index]!);
  const beyond = series.filter(below ? isBelow : isAbove);
  return { index, below, most: beyond.reduce((a, b) => (b < a === below ? b : a)) };
}

function axisOf(metric: Metric, recorded: readonly Series[], limits: readonly Limit[]): CurveAxis {
  const all = withoutExplosions(recorded);
  if (metric.scale === "share") return curveAxis(all, [0, 1]);
  if (metric.scale !== "log") return curveAxis(all.map((series) => usual(series, all)));
  return magnitudeAxis(all, limits.map((limit) => limit.value));
}

/** A series without what is on its way to overflow, which leaves the axis at its end. */
function usual(series: Series, all: readonly Series[]): Series {
  const sizes = all.flat().flatMap((value) => (value ? [Math.abs(value)] : []));
  const most = OVERFLOW * (sizes.sort((a, b) => a - b)[Math.floor(sizes.length / 2)] ?? 1);
  return series.map((value) => (value !== null && Math.abs(value) > most ? null : value));
}

const OVERFLOW = 1e4; // times the usual size

function curveOf(source: LayerSource, name: string): LayerCurve | null {
  const { run, layer, measured } = source;
  const metric = run?.metrics.find((m) => m.name === name);
  if (!run || !metric || !measured) return null;
  const series = seriesOf(source, name);
  const counts = metric.scale === "count";
  if (counts) return series.some((v) => v !== null && v > 0) ? curve(measured, series, []) : null;
  const broken = seriesOf(source, metric.nonfinite);
  // NaN in the output of a layer that has no such measure is shown where it is measured.
  const isBroken = broken.some((v) => v !== null && v > 0) && absence(run, metric, layer) === null;
  return isBroken || series.some((v) => v !== null) ? curve(measured, series, broken) : null;
}

const curve = (measured: LayerMeasurements, series: Series, broken: Series): LayerCurve => ({
  steps: [...measured.steps],
  series,
  broken,
});

/** A measure of this layer over the steps, as it was recorded. */
export function seriesOf({ run, measured }: LayerSource, name: string): Series {
  const values = measured?.values[run?.metrics.findIndex((m) => m.name === name) ?? -1] ?? [];
  return Array.from(values, (value) => (Number.isFinite(value) ? value : null));
}

/** The step since which numbers of the layer are NaN or infinite, up to its last record; or null. */
export function brokenSince(source: LayerSource): number | null {
  const counts = source.run?.metrics.filter(({ name, nonfinite }) => name === nonfinite) ?? [];
  const since = counts.flatMap(({ name }) => {
    const [first, next] = stretches(seriesOf(source, name)).at(-1) ?? [-1, 0];
    return first >= 0 && next < 0 ? [source.measured!.steps[first]!] : [];
  });
  return since.length > 0 ? Math.min(...since) : null;
}

/** Whether anything finite was recorded of a measure of the layer. */
export function isMeasured(source: LayerSource, name: string): boolean {
  const metric = source.run?.metrics.find((m) => m.name === name);
  if (!source.run || !metric || absence(source.run, metric, source.layer) !== null) return false;
  return seriesOf(source, name).some((value) => value !== null);
}

/** Why this run has no curve of a measure. */
export function missing({ run, layer, measured }: LayerSource, name: string): string {
  const metric = run?.metrics.find((m) => m.name === name);
  if (!run || (layer && !measured)) return "Loading …";
  const reason = metric ? (metric.not_measured ?? absence(run, metric, layer)) : "not recorded";
  if (reason) return reason;
  if (metric?.scale === "count" && measured!.steps.length) return "always 0";
  return run.finished ? "not measured" : "not measured yet";
}

/** Measures without a curve of which the same is to be said. */
export interface Bare {
  titles: string[];
  /** Of each run; null where it has numbers. */
  words: (string | null)[];
  /** Numbers of NaN and Inf, where a run has some. */
  counts: CurveRow | null;
}

/** The measures that are not drawn: those with numbers, then the others, together where the words are the same. */
export function bare(
  drawn: readonly CurveRow[],
  counts: readonly CurveRow[],
  sources: readonly LayerSource[],
): Bare[] {
  const shown = new Set([...drawn, ...counts].map(({ metric }) => metric.name));
  const wordsOf = (source: LayerSource, name: string) =>
    isAlwaysZero(source, name) ? "always 0" : missing(source, name);
  const numbers = counts.map((row) => ({
    titles: [row.metric.title],
    words: sources.map((source, i) => (row.curves[i] ? null : wordsOf(source, row.metric.name))),
    counts: row,
  }));
  const alike = new Map<string, Bare>();
  for (const { name, title } of metricsOf(sources.flatMap(({ run }) => run ?? []))) {
    if (shown.has(name)) continue;
    const words = sources.map((source) => wordsOf(source, name));
    const known = alike.get(words.join("\n"));
    if (known) known.titles.push(title);
    else alike.set(words.join("\n"), { titles: [title], words, counts: null });
  }
  return [...numbers, ...alike.values()];
}

/** Why a value beyond a limit is no finding of the limit's rule. */
export interface Uncounted {
  words: string;
  /** The problem that tells of it. */
  see?: Problem;
  /** The layer in which it does, if that is another one. */
  layer?: string;
}

/** What to say of a value beyond a limit that its rule did not find; null where nothing is to be said. */
export function uncounted(source: LayerSource, name: string, value: number): Uncounted | null {
  const { run, layer } = source;
  if (!run || !layer) return null;
  const isHere = (one: { rule: string; layer: string | null }, rule: string) =>
    one.rule === rule && (one.layer === layer.name || one.layer === null);
  const limit = run.metrics
    .find((metric) => metric.name === name)
    ?.limits.find((one) => isPast(one, value));
  if (!limit || run.findings.some((one) => isHere(one, limit.rule))) return null;
  const hidden = run.suppressed.find((one) => isHere(one, limit.rule));
  if (hidden) return { words: `beyond the limit, suppressed: ${hidden.reason}` };
  const rule = run.rules.find(({ id }) => id === limit.rule);
  const exempt = rule?.exempt[layer.name];
  if (exempt) return { words: `beyond the limit, exempt: ${titled(exempt, run.rules)}` };
  if (rule?.outcome === "not-evaluated")
    return { words: `beyond the limit, not evaluated: ${rule.reason ?? ""}` };
  const records = recordsPast(limit, seriesOf(source, name));
  if (records === 0) return { words: "beyond the limit, but not to the end" };
  const found = problems(run.findings);
  const see = (of: string, where: (finding: Finding) => boolean) =>
    found.find((problem) => problem.rule === of && problem.findings.some(where));
  for (const other of limit.instead) {
    const told = see(other, (finding) => isHere(finding, other));
    if (told) return { words: "beyond the limit, see", see: told };
  }
  const isThis = (finding: Finding) => finding.metric === name && finding.limit === limit.value;
  const first = limit.once ? see(limit.rule, isThis) : undefined;
  if (first) return { words: "beyond the limit, see", see: first, layer: first.findings.find(isThis)!.layer! };
  if (limit.patience !== null && records < limit.patience)
    return { words: `beyond the limit, for ${records} of ${limit.patience} records in a row` };
  return { words: "beyond the limit, not counted by the rule" };
}

/** How many records in a row, up to the last one, are beyond a limit. */
function recordsPast(limit: Limit, series: Series): number {
  const known = series.filter((value) => value !== null);
  const within = known.findLastIndex((value) => !isPast(limit, value));
  return known.length - 1 - within;
}

function isAlwaysZero(source: LayerSource, name: string): boolean {
  const known = seriesOf(source, name).filter((value) => value !== null);
  return known.length > 0 && known.every((value) => value === 0);
}

export interface AxisLabel {
  value: number;
  /** Height on the axis, from 0 to 1. */
  at: number;
  limit?: Limit;
  /** The limit lies further than the axis reaches. */
  beyond?: "above" | "below";
}

/** What stands beside an axis: its limits, worst first, then the ticks for which there is room. */
export function axisLabels(
  axis: CurveAxis,
  limits: readonly Limit[],
  height: number,
  lineHeight: number,
): AxisLabel[] {
  const worstFirst = [...limits].sort(
    (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
  const wanted: AxisLabel[] = [
    ...worstFirst.map((limit) => limitLabel(axis, limit)),
    ...axis.ticks.map((value) => ({ value, at: axis.at(value) })),
  ];
  const placed: AxisLabel[] = [];
  for (const label of wanted) {
    if (placed.every((other) => Math.abs(other.at - label.at) * height >= lineHeight))
      placed.push(label);
  }
  return placed;
}

function limitLabel(axis: CurveAxis, limit: Limit): AxisLabel {
  const label = { value: limit.value, at: axis.at(limit.value), limit };
  if (limit.value > axis.hi) return { ...label, at: 1, beyond: "above" };
  return limit.value < axis.lo ? { ...label, at: 0, beyond: "below" } : label;
}
