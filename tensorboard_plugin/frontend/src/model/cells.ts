/** The horizontal axis: from recorded steps to cells, from cells to columns of pixels. */

import type { Measurements } from "../api";
import { remember } from "./remember";
import type { ColourScale } from "./scale";

/** A measure of one run, reduced to the records in which it was taken. */
export interface Cells {
  layers: number;
  /** The step at which each cell begins; it ends where the next begins, the last at `end`. */
  steps: number[];
  end: number;
  /** `[cells, layers]`, NaN where not measured or not finite. */
  value(cell: number, layer: number): number;
  /** Whether the tensor held NaN or Inf there, so that `value` is undefined. */
  broken(cell: number, layer: number): boolean;
}

/** What a pixel shows: a position on the ramp, or one of these. */
export const BLANK = -1;
export const BROKEN = -2;

/** The usual distance between two steps. */
export function typicalGap(steps: ArrayLike<number>): number {
  const gaps = new Float64Array(Math.max(0, steps.length - 1));
  for (let i = 1; i < steps.length; i++) gaps[i - 1] = steps[i]! - steps[i - 1]!;
  gaps.sort(); // as numbers, and ten times as fast as with a function that compares
  return gaps[Math.floor(gaps.length / 2)] ?? Math.max(1, (steps[0] ?? 1) / 10);
}

/** Where a run's last cell ends. */
export function runEnd(steps: ArrayLike<number>): number {
  return steps.length ? steps[steps.length - 1]! + typicalGap(steps) : 1;
}

export function cellsOf(measured: Measurements, counts: Measurements | null): Cells {
  const L = measured.layers;
  const count = counts?.layers === L ? atSteps(counts, measured.steps) : null;
  const records: number[] = [];
  for (let s = 0; s < measured.steps.length; s++) {
    if (wasTaken(measured.values, count, s * L, L)) records.push(s);
  }
  const steps = records.map((s) => measured.steps[s]!);
  const end = Math.min(runEnd(measured.steps), runEnd(steps));
  return {
    layers: L,
    steps,
    end: steps.length ? Math.max(end, steps.at(-1)! + 1e-9) : 0,
    value: (cell, layer) => measured.values[records[cell]! * L + layer] ?? NaN,
    broken: (cell, layer) => (count?.[records[cell]! * L + layer] ?? 0) > 0,
  };
}

/** The values at these steps; what was fetched at another time may know fewer or more of them. */
function atSteps({ steps, layers, values }: Measurements, wanted: Float64Array): Float32Array {
  if (wanted.every((step, s) => step === steps[s])) return values;
  const found = new Float32Array(wanted.length * layers).fill(NaN);
  let at = 0;
  wanted.forEach((step, s) => {
    while (at < steps.length && steps[at]! < step) at++;
    if (steps[at] === step) found.set(values.subarray(at * layers, (at + 1) * layers), s * layers);
  });
  return found;
}

function wasTaken(
  values: Float32Array,
  counts: Float32Array | null,
  from: number,
  L: number,
): boolean {
  for (let i = from; i < from + L; i++) {
    if (!Number.isNaN(values[i]!) || (counts?.[i] ?? 0) > 0) return true;
  }
  return false;
}

/** The cell in which a step lies, -1 before the first and after the end. */
export function cellAt(cells: Cells, step: number): number {
  return step > cells.end ? -1 : lastAtMost(cells.steps, step);
}

/** The index of the last of some increasing steps that is not after `step`; -1 if all are. */
export function lastAtMost(steps: ArrayLike<number>, step: number): number {
  let [from, to] = [0, steps.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (steps[middle]! <= step) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

/** What each layer has at least once: a value, nothing but NaN or Inf, or nothing. */
export const layerContents = remember((cells: Cells) =>
  Array.from({ length: cells.layers }, (_, layer) => contentsOf(cells, layer)),
);

function contentsOf(cells: Cells, layer: number): "values" | "broken" | "nothing" {
  let broken = false;
  for (let c = 0; c < cells.steps.length; c++) {
    if (!Number.isNaN(cells.value(c, layer))) return "values";
    broken ||= cells.broken(c, layer);
  }
  return broken ? "broken" : "nothing";
}

/** The first and the last cell that a column of pixels touches; -1 for none. */
export type Span = [first: number, last: number];

/** One for each column of pixels. */
export function columns(cells: Cells, axisEnd: number, width: number): Span[] {
  const { steps, end } = cells;
  const last = steps.length - 1;
  let first = 0;
  return Array.from({ length: width }, (_, p) => {
    const from = (p / width) * axisEnd;
    const to = ((p + 1) / width) * axisEnd;
    if (last < 0 || to <= steps[0]! || from >= end) return [-1, -1];
    while (first < last && steps[first + 1]! <= from) first++;
    let until = first;
    while (until < last && steps[until + 1]! < to) until++;
    return [first, until];
  });
}

/**
 * What one row shows in each column of pixels. Where several cells share a column the most
 * telling one wins: NaN before numbers, then the number furthest from neutral.
 */
export function rowPixels(
  cells: Cells,
  layer: number,
  spans: Span[],
  scale: ColourScale,
): Float32Array {
  const shown = new Float32Array(spans.length);
  for (let p = 0; p < shown.length; p++) {
    const [first, last] = spans[p]!;
    const again = p > 0 && first === spans[p - 1]![0] && last === spans[p - 1]![1];
    shown[p] = again ? shown[p - 1]! : mostTelling(cells, layer, spans[p]!, scale);
  }
  return shown;
}

/** What a line of several layers shows: in each column of pixels the most telling of them. */
export function linePixels(
  cells: Cells,
  layers: readonly number[],
  spans: Span[],
  scale: ColourScale,
): Float32Array {
  const [first, ...others] = layers.map((layer) => rowPixels(cells, layer, spans, scale));
  for (const other of others) {
    for (let p = 0; p < first!.length; p++) {
      if (isMoreTelling(other[p]!, first![p]!, scale)) first![p] = other[p]!;
    }
  }
  return first!;
}

function isMoreTelling(colour: number, than: number, scale: ColourScale): boolean {
  if (colour === BLANK || than === BROKEN) return false;
  return colour === BROKEN || than === BLANK || distance(colour, scale) > distance(than, scale);
}

/** Plain loops: a deep model over many steps has a million cells. */
function mostTelling(cells: Cells, layer: number, [first, last]: Span, scale: ColourScale): number {
  let [low, high] = [NaN, NaN];
  for (let c = first; c >= 0 && c <= last; c++) {
    if (cells.broken(c, layer)) return BROKEN;
    const value = cells.value(c, layer);
    if (Number.isNaN(value)) continue;
    if (!(value >= low)) low = value;
    if (!(value <= high)) high = value;
  }
  if (Number.isNaN(low)) return BLANK;
  if (!scale.rises) return furthest(cells, layer, [first, last], scale);
  // Only the smallest and the largest can be furthest; which of two equally far ones comes first?
  const [from, to] = [colourOf(low, scale), colourOf(high, scale)];
  const apart = distance(to, scale) - distance(from, scale);
  if (apart === 0 && from !== to) return furthest(cells, layer, [first, last], scale);
  return apart > 0 ? to : from;
}

/** The colour of the first of the cells that are furthest from neutral. */
function furthest(cells: Cells, layer: number, [first, last]: Span, scale: ColourScale): number {
  let shown = BLANK;
  for (let c = first; c <= last; c++) {
    const value = cells.value(c, layer);
    if (Number.isNaN(value)) continue;
    const colour = colourOf(value, scale);
    if (shown === BLANK || distance(colour, scale) > distance(shown, scale)) shown = colour;
  }
  return shown;
}

const colourOf = (value: number, scale: ColourScale) => Math.fround(scale.position(value));

const distance = (colour: number, scale: ColourScale) =>
  Math.abs(colour - (scale.ramp === "diverging" ? 0.5 : 0));

/** The recorded step before or after a step, for the arrow keys. */
export function neighbour(steps: readonly number[], step: number, direction: 1 | -1): number {
  const found = direction > 0 ? steps.find((s) => s > step) : steps.findLast((s) => s < step);
  return found ?? (direction > 0 ? steps.at(-1) : steps[0]) ?? step;
}

/** About `most` round steps from 0 to the end of the axis. */
export function stepTicks(end: number, most: number): number[] {
  const rough = end / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const every = Math.max(1, [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough) ?? rough);
  return Array.from({ length: Math.floor(end / every) + 1 }, (_, i) => i * every);
}
