/** Histograms: one bin per power of two on both sides of zero, exact zeros apart. */

import type { Histograms } from "../api";

/** What histograms are of. */
export type HistogramKind = "gradients" | "weights";

/** Which ones the page shows: gradients, unless the other ones are chosen. */
export function histogramKind(choices: Readonly<Record<string, string>>): HistogramKind {
  return choices[HISTOGRAMS] === "weights" ? "weights" : "gradients";
}

/** The name of that choice in the state of the page. */
export const HISTOGRAMS = "histograms";

interface KindFacts {
  /** As in "Gradient histograms". */
  title: string;
  /** The measure without which a layer has none of them. */
  measure: string;
  /** The measure that counts what has no place in them. */
  nonfinite: string;
}

export const OF_KIND: Record<HistogramKind, KindFacts> = {
  gradients: { title: "Gradient", measure: "gradient_rms", nonfinite: "gradient_nonfinite" },
  weights: { title: "Weight", measure: "weight_rms", nonfinite: "weight_nonfinite" },
};

/** The buckets of one histogram: left edge, right edge and count of each, one after the other. */
export type Buckets = Float64Array;

export function flatBuckets(buckets: readonly (readonly number[])[]): Buckets {
  const flat = new Float64Array(buckets.length * 3);
  buckets.forEach((bucket, i) => flat.set(bucket.slice(0, 3), i * 3));
  return flat;
}

export interface HistogramAxis {
  /** Powers of two at the ends: of the smallest and of the largest magnitude with a bin. */
  lo: number;
  hi: number;
  /** The largest share of entries in one bin of a histogram that fits, which gives the height of all. */
  peak: number;
  ticks: number[];
  /** Where a value lies, from 0 to 1: zero in the middle, magnitudes as logarithms beside it. */
  at(value: number): number;
}

/** The axis of all histograms that are shown; null if none has an entry other than zero. */
export function histogramAxis(shown: readonly Histograms[]): HistogramAxis | null {
  const all = shown.flatMap((histograms) => histograms.buckets);
  const ends = usualOctaves(all);
  if (!ends) return null;
  const [lo, hi] = [ends[0], ends[1] + 1];
  const fitting = all.filter((one) => !isBeyond(one, { lo, hi }));
  const peak = Math.max(...fitting.map((one) => Math.max(0, ...binShares(one, lo, hi).values())));
  const side = hi - lo;
  const whole = 2 * side + MIDDLE;
  return {
    lo,
    hi,
    peak,
    ticks: ticks(lo, hi),
    at(value) {
      if (value === 0) return 0.5;
      const out = Math.min(side, Math.max(0, Math.log2(Math.abs(value)) - lo)) + MIDDLE / 2;
      return 0.5 + (Math.sign(value) * out) / whole;
    },
  };
}

const MIDDLE = 1; // octaves between the smallest negative and the smallest positive magnitude
const RARE = 0.02; // share of all entries beyond either end of the axis

/** The first and last octave without rare magnitudes, which would squeeze all others together. */
function usualOctaves(all: readonly Buckets[]): [number, number] | null {
  const shares = new Map<number, number>();
  let sum = 0;
  for (const buckets of all) {
    const total = entries(buckets);
    each(buckets, (left, right, count) => {
      if (left === right) return;
      const octave = octaveOf(left, right);
      shares.set(octave, (shares.get(octave) ?? 0) + count / total);
      sum += count / total;
    });
  }
  const octaves = [...shares.keys()].sort((a, b) => a - b);
  const firstUsual = (ordered: readonly number[]) => {
    let passed = 0;
    return ordered.find((octave) => (passed += shares.get(octave)!) > RARE * sum);
  };
  const [first, last] = [firstUsual(octaves), firstUsual(octaves.reverse())];
  return first === undefined || last === undefined ? null : [first, last];
}

/** Whether most entries are larger or smaller than all of the axis: rare, as of one step that exploded. */
export function isBeyond(buckets: Buckets, { lo, hi }: { lo: number; hi: number }): boolean {
  let [sum, outside] = [0, 0];
  each(buckets, (left, right, count) => {
    if (left === right) return;
    const octave = octaveOf(left, right);
    sum += count;
    outside += octave < lo || octave >= hi ? count : 0;
  });
  return outside > sum / 2;
}

/** The exponent of the power of two at which a bucket's magnitudes begin. */
function octaveOf(left: number, right: number): number {
  const size = Math.max(Math.abs(left), Math.abs(right));
  return Math.ceil(Math.log2(size)) - 1;
}

/** The share of each bin, from 1 on for positive, -1 for negative numbers; rare ones are outermost. */
function binShares(buckets: Buckets, lo: number, hi: number): Map<number, number> {
  const shares = new Map<number, number>();
  const total = entries(buckets);
  each(buckets, (left, right, count) => {
    if (left === right) return;
    const place = Math.min(hi - 1, Math.max(lo, octaveOf(left, right))) - lo + 1;
    const bin = left < 0 ? -place : place;
    shares.set(bin, (shares.get(bin) ?? 0) + count / total);
  });
  return shares;
}

/** Powers of ten, the same on both sides: near the ends, and one between them and zero. */
function ticks(lo: number, hi: number): number[] {
  const last = Math.floor(hi * Math.log10(2));
  const middle = Math.round(((lo + hi) / 2) * Math.log10(2));
  const powers = [...new Set([last, middle])].map((exponent) => Number(`1e${exponent}`));
  return [...powers.map((power) => -power), 0, ...powers.reverse()];
}

function each(buckets: Buckets, tell: (left: number, right: number, count: number) => void): void {
  for (let i = 0; i < buckets.length; i += 3) tell(buckets[i]!, buckets[i + 1]!, buckets[i + 2]!);
}

/** How many numbers a histogram counts; NaN and Inf are not among them. */
export function entries(buckets: Buckets): number {
  let sum = 0;
  each(buckets, (_left, _right, count) => (sum += count));
  return sum;
}

/** The share of entries that are exactly zero; NaN if there are no entries. */
export function zeroShare(buckets: Buckets): number {
  let zeros = 0;
  each(buckets, (left, right, count) => (zeros += left === right ? count : 0));
  return zeros / entries(buckets);
}

/** The outline from left to right: place along the axis and height, both from 0 to 1, where it ends. */
export function outline(buckets: Buckets, axis: HistogramAxis): [x: number, y: number][] {
  const { lo, hi, peak } = axis;
  const shares = binShares(buckets, lo, hi);
  const point = (bin: number): [number, number] => {
    const size = 2 ** (lo + Math.abs(bin) - 0.5);
    return [axis.at(Math.sign(bin) * size), Math.min(1, (shares.get(bin) ?? 0) / peak)];
  };
  const bins = Array.from({ length: 2 * (hi - lo) + 1 }, (_, i) => i - (hi - lo));
  return [[0, 0], ...bins.map(point), [1, 0]];
}

/**
 * Which records to draw so that two are at least `gap` pixels apart. It begins at the first, so
 * that little changes when a record comes; the last is always among them.
 */
export function thinned(places: readonly number[], gap: number): number[] {
  const kept: number[] = [];
  places.forEach((place, i) => {
    if (kept.length === 0 || place - places[kept.at(-1)!]! >= gap) kept.push(i);
  });
  const last = places.length - 1;
  if (kept.length > 0 && kept.at(-1) !== last) {
    if (kept.length > 1) kept.pop();
    kept.push(last);
  }
  return kept;
}
