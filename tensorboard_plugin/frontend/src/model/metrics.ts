/** The measures that the shown runs offer, and which of them to begin with. */

import type { Limit, Metric, Run, Severity } from "../api";
import { measureOf, SEVERITIES } from "./findings";

/** Every measure once, in the order of the first run that has it. */
export function metricsOf(runs: readonly Run[]): Metric[] {
  const byName = new Map<string, Metric>();
  for (const metric of runs.flatMap((run) => run.metrics)) {
    const known = byName.get(metric.name);
    // One run that has it is enough to offer it without an excuse.
    if (!known || (known.not_measured && !metric.not_measured)) byName.set(metric.name, metric);
  }
  return [...byName.values()];
}

/** The measure of the worst finding, else the first that was measured. */
export function defaultMetric(runs: readonly Run[]): string | null {
  const metrics = metricsOf(runs).filter((metric) => !metric.not_measured);
  const names = new Set(metrics.map((metric) => metric.name));
  const found = runs.flatMap((run) => run.findings).filter((f) => names.has(measureOf(f) ?? ""));
  for (const severity of SEVERITIES) {
    const worst = found.find((finding) => finding.severity === severity);
    if (worst) return measureOf(worst);
  }
  return metrics[0]?.name ?? null;
}

/** The worst severity that a shown run found in a measure. */
export function severityOf(runs: readonly Run[], metric: string): Severity | null {
  const found = runs.flatMap((run) => run.findings).filter((f) => measureOf(f) === metric);
  return SEVERITIES.find((severity) => found.some((f) => f.severity === severity)) ?? null;
}

/** Whether a measure is asked for often: some rule has a limit on it, or found something in it. */
export const isUsual = (metric: Metric, runs: readonly Run[]): boolean =>
  limitsOf(runs, metric.name).length > 0 || severityOf(runs, metric.name) !== null;

/** The limits of all runs on one measure, each value once, ascending. */
export function limitsOf(runs: readonly Run[], metric: string): Limit[] {
  const byKey = new Map<string, Limit>();
  for (const run of runs) {
    for (const limit of run.metrics.find((m) => m.name === metric)?.limits ?? []) {
      byKey.set(`${limit.severity} ${limit.value} ${limit.above}`, limit);
    }
  }
  return [...byKey.values()].sort((a, b) => a.value - b.value);
}

/** Whether a value is where its rule begins to look for trouble. */
export const isPast = (limit: Limit, value: number): boolean =>
  limit.above ? value >= limit.value : value < limit.value;

/** The limits that are told on an axis: of those closer than so much of it the worst one. */
export function limitsApart(
  limits: readonly Limit[],
  along: (value: number) => number,
  least: number,
): Limit[] {
  const kept: Limit[] = [];
  const worstFirst = [...limits].sort(
    (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
  for (const limit of worstFirst) {
    const place = along(limit.value);
    if (kept.every((other) => Math.abs(along(other.value) - place) > least)) kept.push(limit);
  }
  return kept;
}

/** Measures by where they are taken, in their order. */
export function bySource(metrics: readonly Metric[]): [string, Metric[]][] {
  const groups = new Map<string, Metric[]>();
  for (const metric of metrics) {
    groups.set(metric.source, [...(groups.get(metric.source) ?? []), metric]);
  }
  return [...groups];
}
