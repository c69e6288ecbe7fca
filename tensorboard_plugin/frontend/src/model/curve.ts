/** Curves over steps: one axis for all runs, gaps where nothing was measured. */

import { lastAtMost } from "./cells";
import { remember } from "./remember";
import { roundUp } from "./scale";

export type Series = readonly (number | null)[];

export interface CurveAxis {
  log: boolean;
  lo: number;
  hi: number;
  ticks: number[];
  /** Height of a value, 0 at the bottom and 1 at the top. */
  at(value: number): number;
  /** Equal for axes of equal heights. */
  id: string;
}

/** A logarithmic axis if all values are positive and span more than a factor of ten. */
export function curveAxis(all: readonly Series[], bounds?: [number, number]): CurveAxis {
  if (bounds) return linearAxis(...bounds);
  const values = sorted(all.flat());
  if (values.length === 0) return linearAxis(0, 1);
  const [lo, hi] = [values[0]!, values.at(-1)!];
  if (lo > 0 && hi / lo > 10) return logAxis(...steady(lo, Math.min(hi, middle(values)! * TOP)));
  return linearAxis(Math.min(0, lo), hi > 0 ? roundUp(hi) : Math.max(0, hi));
}

/** A little further, to parts of a decade: a record more seldom moves all that was drawn. */
const steady = (lo: number, hi: number): [number, number] => [
  10 ** (Math.floor(Math.log10(lo) * PARTS) / PARTS),
  10 ** (Math.ceil(Math.log10(hi) * PARTS) / PARTS),
];
const PARTS = 20;

/** A loss on its way to overflow leaves the axis at the top, so that the others keep a shape. */
const TOP = 300;

/** The finite ones, sorted as numbers: that is ten times as fast as with a function that compares. */
const sorted = (series: Series) =>
  Float64Array.from(series.filter((v): v is number => v !== null && Number.isFinite(v))).sort();

const middle = (values: Float64Array) => values[values.length >> 1];

function linearAxis(lo: number, hi: number): CurveAxis {
  const span = hi - lo || 1;
  return {
    log: false,
    lo,
    hi,
    ticks: lo < 0 && hi > 0 ? [lo, 0, hi] : [lo, lo + span / 2, hi],
    id: `linear ${lo} ${hi}`,
    at: (v) => unit((v - lo) / span),
  };
}

function logAxis(lo: number, hi: number): CurveAxis {
  const [a, b] = [Math.log10(lo), Math.log10(hi)];
  const pad = (b - a) * 0.06;
  return {
    log: true,
    lo,
    hi,
    ticks: logTicks(a - pad, b + pad),
    id: `log ${lo} ${hi}`,
    at: (v) => unit((Math.log10(v) - a + pad) / (b - a + 2 * pad)),
  };
}

/**
 * A logarithmic axis of one decade at least; exact zeros have a place of their own at its bottom.
 *
 * @param marks limits: the axis reaches to those that are near, not to all.
 */
export function magnitudeAxis(all: readonly Series[], marks: readonly number[] = []): CurveAxis {
  const values = sorted(all.flat());
  const positive = values.filter((v) => v > 0);
  const usual = middle(positive) ?? marks.find((mark) => mark > 0) ?? 1;
  const least = Math.max(positive[0] ?? usual, usual / MOST);
  const most = Math.min(positive.at(-1) ?? usual, usual * MOST);
  const near = marks.filter((mark) => mark >= least / NEAR && mark <= most * NEAR);
  const widen = Math.max(1, Math.sqrt((10 * least) / most));
  const axis = logAxis(Math.min(least / widen, ...near), Math.max(most * widen, ...near));
  return values.length > positive.length ? withZero(axis) : axis;
}

/**
 * The series without what lies far above the others: one that explodes leaves the axis at its end, so
 * that the others keep a shape. If all of them explode, that is what there is to see.
 */
export function withoutExplosions(all: readonly Series[]): readonly Series[] {
  const sizes = all.map((series) => series.flatMap((v) => (v ? [Math.abs(v)] : [])));
  const tops = sizes.map((of) => of.reduce((a, b) => Math.max(a, b), 0));
  const isSteady = (top: number, i: number) =>
    top > 0 && top <= FAR * Math.min(sizes[i]![0]!, middle(sorted(sizes[i]!))!);
  const most = Math.max(0, ...tops.filter(isSteady));
  return most === 0
    ? all
    : all.map((series, i) =>
        tops[i]! <= FAR * most ? series : series.map((v) => (v !== null && Math.abs(v) > most ? null : v)),
      );
}

const FAR = 100; // times what a run begins with, and times the largest of the others

const MOST = 1e8; // times the usual value; overflow on its way to NaN would flatten the others
const NEAR = 100;
const ZERO = 0.14; // share of the height between exact zeros and the smallest magnitude

function withZero(axis: CurveAxis): CurveAxis {
  const at = (v: number) => (v > 0 ? ZERO + (1 - ZERO) * axis.at(v) : 0);
  return { ...axis, lo: 0, ticks: [0, ...axis.ticks], at, id: `zero, ${axis.id}` };
}

/** At most four decades; where there are fewer than two, also their threes. */
function logTicks(from: number, to: number): number[] {
  const first = Math.floor(from);
  const decades = Array.from({ length: Math.ceil(to) - first + 1 }, (_, i) => first + i);
  const inside = (ticks: number[]) => ticks.filter((t) => t >= 10 ** from && t <= 10 ** to);
  const whole = inside(decades.map((d) => Number(`1e${d}`)));
  if (whole.length < 2) return inside(decades.flatMap((d) => [`1e${d}`, `3e${d}`].map(Number)));
  const every = Math.ceil(whole.length / 4);
  return whole.filter((_, i) => i % every === 0);
}

const unit = (x: number) => Math.min(1, Math.max(0, Number.isNaN(x) ? 0 : x));

/**
 * Runs of points that belong together: indices into the series. A series that is measured at
 * every n-th record is joined over the records between; a longer silence is a gap.
 */
export function pieces(series: Series): number[][] {
  const { measured, reach } = known(series);
  const joined: number[][] = [];
  measured.forEach((index, k) => {
    if (k > 0 && index - measured[k - 1]! <= reach) joined.at(-1)!.push(index);
    else joined.push([index]);
  });
  return joined;
}

/** The records at which a series was measured, and how far apart two may be to belong together. */
const known = remember((series: Series) => {
  const measured = series.flatMap((v, i) => (v === null ? [] : [i]));
  return { measured, reach: usualGap(measured) * 1.5 };
});

function usualGap(measured: number[]): number {
  const gaps = measured
    .slice(1)
    .map((i, k) => i - measured[k]!)
    .sort((a, b) => a - b);
  return gaps[Math.floor((gaps.length - 1) / 2)] ?? 1;
}

/** The SVG path of a series; round ends show a single point between two gaps. */
export function curvePath(
  series: Series,
  x: (index: number) => number,
  y: (value: number) => number,
): string {
  return pieces(series)
    .map((piece) => {
      const points = piece.map((i) => `${x(i).toFixed(1)} ${y(series[i]!).toFixed(1)}`);
      return `M${points.join("L")}${points.length === 1 ? "h0" : ""}`;
    })
    .join("");
}

/**
 * The path of a series over its steps: x is a step, y counts from the top, 100 at the bottom. Made
 * once for as long as the heights are the same: with a run that goes on, the others' stay.
 */
export function seriesPath(series: Series, steps: readonly number[], axis: CurveAxis): string {
  const known = paths.get(series);
  const made = known?.steps === steps ? known.made : new Map<string, string>();
  const path =
    made.get(axis.id) ?? curvePath(series, (i) => steps[i]!, (value) => (1 - axis.at(value)) * 100);
  if (made.size >= MOST_AXES) made.clear();
  paths.set(series, { steps, made: made.set(axis.id, path) });
  return path;
}

const paths = new WeakMap<Series, { steps: readonly number[]; made: Map<string, string> }>();
const MOST_AXES = 4; // on which the same series stands at once, in a plot and in the slider

/**
 * Tells where a series is of numbers that are NaN or infinite; what is measured on the probe set
 * is of the model's outputs there. Empty where a recording says nothing of it.
 */
export function brokenCount(series: Readonly<Record<string, Series>>, name: string): Series {
  const probed = name.startsWith("probe_") ? series.probe_nonfinite : undefined;
  return series[`${name}_nonfinite`] ?? probed ?? [];
}

/**
 * Where a count is above 0: the first record of each such stretch and the record that ends it, -1
 * for none. A record without a count is as the one before it.
 */
export const stretches = remember((count: Series) => {
  const found: [from: number, to: number][] = [];
  let open = false;
  for (const i of known(count).measured) {
    if (count[i]! > 0 && !open) found.push([i, -1]);
    else if (count[i] === 0 && open) found.at(-1)![1] = i;
    open = count[i]! > 0;
  }
  return found;
});

/** The index whose value is in effect at a step; -1 in a gap and before the first. */
export function indexAt(steps: readonly number[], series: Series, step: number): number {
  const record = lastAtMost(steps, step);
  const { measured, reach } = known(series);
  const index = measured[lastAtMost(measured, record)] ?? -1;
  return index >= 0 && record - index <= reach ? index : -1;
}
