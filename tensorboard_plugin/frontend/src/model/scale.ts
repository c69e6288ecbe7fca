/** From a measured value to a place on a colour ramp, the same for all runs that are shown. */

import type { Limit, Metric } from "../api";

export interface ColourScale {
  kind: Metric["scale"];
  ramp: "sequential" | "diverging";
  /** The ends of the legend, in the unit of the values. */
  lo: number;
  hi: number;
  ticks: number[];
  limits: Limit[];
  /** Equal for scales that give equal colours. */
  id: string;
  /** A larger value never has a lower place on the ramp. */
  rises: boolean;
  /** Where a value lies on the ramp, from 0 to 1. */
  position(value: number): number;
  /** Where a value lies along the legend, from 0 to 1. */
  along(value: number): number;
}

/**
 * @param values some of the finite values that are shown.
 * @param healthy those of healthy runs; colours are neutral around their median.
 */
export function colourScale(
  metric: Metric,
  limits: Limit[],
  values: number[],
  healthy: number[],
): ColourScale {
  if (metric.scale === "log") return logScale(limits, values, healthy);
  if (metric.scale === "linear") return linearScale(limits, values);
  return {
    kind: metric.scale,
    ramp: "sequential",
    lo: 0,
    hi: 1,
    ticks: metric.scale === "share" ? [0, 0.5, 1] : [],
    limits: metric.scale === "share" ? limits : [],
    id: metric.scale,
    rises: true,
    position: (value) => (metric.scale === "share" ? clamp(value) : 0),
    along: clamp,
  };
}

const clamp = (x: number) => Math.min(1, Math.max(0, x));

const LEAST_REACH = 2.5; // decades from neutral to full colour, where no limit says better
const MOST_DECADES = 8; // beyond neutral; overflow on its way to NaN would stretch the legend
const QUIET = 0.03; // half of the ramp's share that healthy values get; the rest is for trouble
const AROUND = 0.5; // decades on both sides of what is healthy that look like it: noise is no trouble

function logScale(limits: Limit[], values: number[], healthy: number[]): ColourScale {
  const logs = logarithms(values);
  const usable = limits.filter((limit) => limit.value > 0);
  const ends = usable.map((limit) => Math.log10(limit.value));
  const below = Math.max(...ends.filter((_, i) => !usable[i]!.above));
  const above = Math.min(...ends.filter((_, i) => usable[i]!.above));
  const [calmLo, calmHi] = calm(below, above, logs, logarithms(healthy));
  const lo = Math.floor(Math.min(...ends.map((e) => e - 0.5), logs[0] ?? -1));
  const hi = Math.ceil(Math.max(...ends.map((e) => e + 0.5), logs.at(-1) ?? 1));
  const from = Math.max(calmLo - MOST_DECADES, lo);
  const to = Math.min(calmHi + MOST_DECADES, hi);
  const anchors: [number, number][] = [
    [Math.min(from, calmLo - LEAST_REACH, ...finite([below]).map((x) => x - 1)), 0],
    [below, 0.2],
    [calmLo, 0.5 - QUIET],
    [calmHi, 0.5 + QUIET],
    [above, 0.8],
    [Math.max(to, calmHi + LEAST_REACH, ...finite([above]).map((x) => x + 1)), 1],
  ];
  const known = anchors.filter(([x]) => Number.isFinite(x));
  const place = interpolation(known);
  return {
    kind: "log",
    ramp: "diverging",
    lo: 10 ** from,
    hi: 10 ** to,
    ticks: decades(from, to),
    limits: usable,
    id: JSON.stringify(known),
    rises: known.every(([x], i) => i === 0 || known[i - 1]![0] <= x), // limits may cross
    position: (value) => place(value > 0 ? Math.log10(value) : -Infinity),
    along: (value) => clamp((Math.log10(value) - from) / (to - from || 1)),
  };
}

const finite = (numbers: number[]) => numbers.filter(Number.isFinite);

/**
 * The decades in which nothing is wrong: those of healthy runs, else the middle of what is, and what
 * is near, but never a limit. They are rounded, so that a record more does not change every colour.
 */
function calm(below: number, above: number, logs: number[], healthy: number[]): [number, number] {
  const within = (x: number) => Math.min(above - 0.3, Math.max(below + 0.3, Math.round(x * 10) / 10));
  const around = (from: number, to: number): [number, number] => [within(from - AROUND), within(to + AROUND)];
  if (healthy.length) return around(quantile(healthy, 0.02), quantile(healthy, 0.98));
  const both = Number.isFinite(below) && Number.isFinite(above);
  const middle = both ? (below + above) / 2 : quantile(logs, 0.5);
  return around(middle, middle);
}

function logarithms(values: number[]): number[] {
  const positive = values.filter((v) => v > 0);
  return [...Float64Array.from(positive, Math.log10).sort()];
}

function quantile(sorted: number[], share: number): number {
  return sorted[Math.round((sorted.length - 1) * share)] ?? 0;
}

/** Whole decades, thinned out to what a legend can label. */
function decades(lo: number, hi: number): number[] {
  const every = Math.max(1, Math.ceil((hi - lo) / 5));
  const first = Math.ceil(lo / every) * every;
  const count = Math.max(0, Math.floor((hi - first) / every) + 1);
  return Array.from({ length: count }, (_, i) => Number(`1e${first + i * every}`));
}

/** Lines between points, level before the first and after the last. A map asks a million times. */
export function interpolation(points: [x: number, y: number][]): (x: number) => number {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const last = xs.length - 1;
  return (x) => {
    if (x <= xs[0]!) return ys[0]!;
    for (let i = 1; i <= last; i++) {
      const [from, to] = [xs[i - 1]!, xs[i]!];
      if (x <= to) return ys[i - 1]! + ((ys[i]! - ys[i - 1]!) * (x - from)) / (to - from || 1);
    }
    return ys[last]!;
  };
}

function linearScale(limits: Limit[], values: number[]): ColourScale {
  const sizes = [...values, ...limits.map((l) => l.value)].map(Math.abs).sort((a, b) => a - b);
  return symmetricScale(roundUp(sizes[Math.floor(sizes.length * 0.99)] ?? 1), limits);
}

/** Neutral at 0, as far to one side as to the other. */
export function symmetricScale(reach: number, limits: Limit[] = []): ColourScale {
  const along = (value: number) => clamp(0.5 + value / (2 * reach));
  return {
    kind: "linear",
    ramp: "diverging",
    lo: -reach,
    hi: reach,
    ticks: [-reach, 0, reach],
    limits,
    id: `linear ${reach}`,
    rises: true,
    position: along,
    along,
  };
}

/** The next 1, 2 or 5 times a power of ten. */
export function roundUp(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((f) => f * 10 ** power >= value * 0.9999) ?? 10;
  return Number(`${factor}e${power}`);
}

/**
 * At most `most` finite values. They are taken in steps of the golden section, which are evenly
 * spread and fall into no rhythm of the rows: every hundredth of 200 columns would be of two columns.
 */
export function sample(values: ArrayLike<number>, most: number): number[] {
  const { length } = values;
  const indices = Array.from({ length: Math.min(most, length) }, (_, k) =>
    length > most ? (Math.floor(((k * GOLDEN) % 1) * length) + k) % length : k,
  );
  return indices.map((i) => values[i]!).filter(Number.isFinite);
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;
