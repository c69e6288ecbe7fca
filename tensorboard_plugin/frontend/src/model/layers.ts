/** The vertical axis: which layers stand in which row, and why a row may be empty. */

import type { Layer, Metric, Run } from "../api";
import { titled } from "./findings";
import { formatCount } from "./number";
import { remember } from "./remember";

/** As much of a layer as its name tells of. */
export type Named = Pick<Layer, "name" | "type">;

/** Merges the layers of several runs into one order that agrees with each, as far as it can. */
export function alignLayers(lists: readonly (readonly string[])[]): string[] {
  const merged: string[] = [];
  for (const list of lists) {
    let place = 0;
    for (const name of list) {
      const found = merged.indexOf(name);
      if (found < 0) merged.splice(place++, 0, name);
      else place = Math.max(place, found + 1);
    }
  }
  return merged;
}

/**
 * For each model the names of the rows of its layers: its own names, but where an earlier model is
 * made of the same types and shapes, what Keras named takes the name of its counterpart there.
 */
export function rowNames(models: readonly (readonly Layer[])[]): string[][] {
  const make = (model: readonly Layer[]) => JSON.stringify(model.map((l) => [l.type, l.shape]));
  const first = new Map<string, readonly Layer[]>();
  return models.map((model) => {
    const twin = first.get(make(model));
    if (!twin) first.set(make(model), model);
    const own = model.map((layer) => layer.name);
    if (!twin) return own;
    const names = model.map((layer, i) =>
      isNamedByKeras(layer) && isNamedByKeras(twin[i]!) ? twin[i]!.name : layer.name,
    );
    return new Set(names).size === names.length ? names : own;
  });
}

/** "dense_4" of a Dense: the type in snake case, as Keras writes it, and perhaps a number. */
export function isNamedByKeras({ name, type }: Named): boolean {
  const words = type
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
  return name.replace(/_\d+$/, "") === words;
}

/** Why a layer has no value of a measure; null where the layer simply may have one. */
export function absence(run: Run, metric: Metric, layer: Layer | undefined): string | null {
  if (!layer) return "not in this model";
  const exempt = exemption(run, metric, layer.name);
  if (exempt) return exempt;
  if (metric.source !== "training step") return null;
  if (layer.parameters === 0) return "no weights";
  return layer.trainable ? null : "frozen";
}

/** Why a layer is exempt from the rules with a limit on this measure; null if it is not. */
export function exemption(run: Run, metric: Metric, layer: string): string | null {
  for (const limit of metric.limits) {
    const reason = run.rules.find((rule) => rule.id === limit.rule)?.exempt[layer];
    if (reason) return titled(reason, run.rules);
  }
  return null;
}

/**
 * Which words of a run's texts are names of its layers; "…25_dense" is one that was cut. What could
 * as well be a word of the language, as "output", is one only where something was found in that layer.
 */
export const layerNames = remember(({ model, findings }: Run) => {
  const found = new Set(findings.map(({ layer }) => layer));
  const all = model.layers.map(({ name }) => name).filter((name) => /[\d_/]/.test(name) || found.has(name));
  const names = new Set(all);
  return (word: string) =>
    names.has(word) || (word.startsWith("…") && all.some((name) => name.endsWith(word.slice(1))));
});

/** "Conv2D 8×8×16 relu" */
export function describeLayer(layer: Layer): string {
  const shape = layer.shape.map((n) => n ?? "?").join("×");
  return [layer.type, shape, layer.activation].filter(Boolean).join(" ");
}

/** What a layer is, in pairs of a title and words. */
export function facts(layer: Layer): [title: string, words: string][] {
  const weights = layer.parameters
    ? `${formatCount(layer.parameters)}${layer.trainable ? "" : ", frozen"}`
    : "none";
  return [
    ["Type", layer.type],
    ["Output", layer.shape.map((n) => n ?? "?").join(" × ")],
    ["Weights", weights],
    ["Role", layer.role],
    ["Activation", layer.activation ?? "none"],
    ["Input", layer.inputs.join(", ") || "the model's input"],
  ];
}

/**
 * Connections that are not simply to the line above: pairs of lines, from and to, each once.
 *
 * @param shown lines in which layers stand, in order; a head between two of them is no layer.
 */
export function skips(
  lineOf: ReadonlyMap<string, number>,
  layers: readonly Layer[],
  shown: readonly number[],
): [number, number][] {
  const place = new Map(shown.map((line, i) => [line, i]));
  const pairs = new Map<string, [number, number]>();
  for (const { name, inputs } of layers) {
    const to = lineOf.get(name) ?? -1;
    for (const input of inputs) {
      const from = lineOf.get(input) ?? -1;
      const between = (place.get(to) ?? -1) - (place.get(from) ?? Infinity) - 1;
      if (between > 0) pairs.set(`${from} ${to}`, [from, to]);
    }
  }
  return [...pairs.values()];
}

export interface RowLayout {
  tops: number[];
  heights: number[];
  total: number;
}

/** Rows without any value are lower; many rows are lower still, but a name always fits. */
export function rowLayout(filled: readonly boolean[]): RowLayout {
  const full = filled.length > 60 ? 12 : filled.length > 30 ? 15 : 19;
  const heights = filled.map((has) => (has ? full : Math.min(full, 15)));
  let total = 0;
  const tops = heights.map((height) => (total += height) - height);
  return { tops, heights, total };
}

export function rowAt(layout: RowLayout, y: number): number {
  const row = layout.tops.findLastIndex((top) => top <= y);
  return Math.max(0, row);
}
