/** Which layer the Layer view is about, and among which others it can be chosen. */

import type { Severity } from "../api";
import { SEVERITIES } from "./findings";
import { layerAt, type Plot, restingPoint } from "./plot";

/** The wanted row if it is there, else that of the worst finding, else the first with weights. */
export function chosenLayer(plot: Plot, wanted: string | null): string | null {
  if (wanted !== null && plot.layers.includes(wanted)) return wanted;
  const weighty = plot.layers.find((_, row) => hasWeights(plot, row));
  return restingPoint(plot).layer ?? weighty ?? plot.layers[0] ?? null;
}

export interface LayerGroup {
  title: string;
  layers: string[];
}

/** The rows in their order: first those with findings, then with, then without weights. */
export function layerGroups(plot: Plot): LayerGroup[] {
  const layers = plot.layers.map((name, row) => ({
    name,
    severity: worstOfRow(plot, row),
    weighty: hasWeights(plot, row),
  }));
  const group = (title: string, wanted: (layer: (typeof layers)[number]) => boolean) => ({
    title,
    layers: layers.filter(wanted).map(({ name }) => name),
  });
  return [
    group("With findings", (layer) => layer.severity !== null),
    group("With weights", (layer) => layer.severity === null && layer.weighty),
    group("Without weights", (layer) => layer.severity === null && !layer.weighty),
  ].filter(({ layers }) => layers.length > 0);
}

function hasWeights(plot: Plot, row: number): boolean {
  return plot.columns.some((column) => (layerAt(column, row)?.parameters ?? 0) > 0);
}

/** The worst severity that any shown run found in a row. */
export function worstOfRow(plot: Plot, row: number): Severity | null {
  const found = plot.columns.flatMap((column) => {
    const layer = layerAt(column, row)?.name;
    const findings = layer === undefined ? [] : (column.run?.findings ?? []);
    return findings.filter((finding) => finding.layer === layer);
  });
  return SEVERITIES.find((severity) => found.some((f) => f.severity === severity)) ?? null;
}
