/** How far the shown runs are from the limits of one measure: their worst values on one axis. */

import type { Severity } from "../api";
import { formatMagnitude, formatShare, formatTick } from "./number";
import { isShare, type Tunable } from "./thresholds";

/** Half of the room that a letter takes, as a share of the axis. */
const ROOM = 0.035;
/** The room of a limit's sign and of a letter of its label, as shares of the axis. */
const [SIGN, LETTER] = [0.07, 0.03];
/** Decades beyond the limits that are drawn; overflow on its way to NaN would stretch the axis. */
const MOST_DECADES = 6;

/** Limits of one rule on one side of the same measure. */
export interface Gauge {
  measure: string;
  /** Whether what is above them is in trouble. */
  isUpper: boolean;
  /** The lowest first. */
  thresholds: Tunable[];
}

export interface Strip {
  /** What stands at the two ends. */
  ends: [string, string];
  /** Places are shares of the axis; labels stand in so many lines that none lies over another. */
  limits: { at: number; severity: Severity | null; words: string; label: string; line: number }[];
  values: { at: number; words: string }[];
  /** The runs, by their positions among the shown ones, whose values are at about that place. */
  labels: { at: number; runs: number[] }[];
}

/** The thresholds of a rule that can be drawn, a measure's lower side first; the others come after. */
export function gauges(thresholds: readonly Tunable[]): { gauges: Gauge[]; rest: Tunable[] } {
  const drawn = thresholds.filter(({ measure }) => measure !== null);
  const sides = [...new Set(drawn.map(({ measure }) => measure!))].flatMap((measure) =>
    [false, true].map((isUpper) => ({
      measure,
      isUpper,
      thresholds: drawn
        .filter((one) => one.measure === measure && isAbove(one) === isUpper)
        .sort((a, b) => a.default - b.default),
    })),
  );
  return {
    gauges: sides.filter((side) => side.thresholds.length > 0),
    rest: thresholds.filter(({ measure }) => measure === null),
  };
}

/**
 * @param tried what the user changed, by threshold's name.
 * @param found the severity that the rule came to, by run: that of its limits where it is the only one.
 * @param called what a run is called.
 * @returns null where no shown run has a value.
 */
export function stripOf(
  { thresholds }: Gauge,
  tried: Readonly<Record<string, number>>,
  shown: readonly string[],
  found: ReadonlyMap<string, Severity> = new Map(),
  called: (run: string) => string = String,
): Strip | null {
  const [only = null, ...others] = new Set(found.values());
  const rest = others.length > 0 || thresholds.some((one) => one.severity) ? null : only;
  const limits = thresholds.flatMap(({ name, severity, sign, most, recorded }) => {
    const changed = tried[name];
    const own = shown.flatMap((run) => recorded.get(run) ?? []);
    const values = changed === undefined ? [...new Set(own)] : [changed];
    return values.map((value) => {
      const label = told(value, most);
      return { value, severity: severity ?? rest, words: `${name} ${sign} ${label}`, label };
    });
  });
  const values = shown.flatMap((run, i) => {
    const threshold = thresholds.find(({ worst }) => worst.has(run));
    if (!threshold) return [];
    const { value, layer } = threshold.worst.get(run)!;
    const where = layer === null ? [] : [`in ${layer}`];
    return [{ run: i, value, words: [called(run), told(value, threshold.most), ...where].join(" ") }];
  });
  if (values.length === 0) return null;
  const axis = thresholds.every(isShare) ? SHARES : axisOf(limits.map((one) => one.value), values.map((one) => one.value));
  const placed = values
    .map((one) => ({ ...one, at: axis.at(one.value) }))
    .sort((a, b) => a.at - b.at);
  return {
    ends: axis.ends,
    limits: inLines(limits.map(({ value, ...facts }) => ({ at: axis.at(value), ...facts }))),
    values: placed.map(({ at, words }) => ({ at, words })),
    labels: labels(placed),
  };
}

/** Each label in the first line in which it meets no other. */
function inLines<L extends { at: number; label: string }>(limits: readonly L[]): (L & { line: number })[] {
  const ends: number[] = [];
  return [...limits]
    .sort((a, b) => a.at - b.at)
    .map((limit) => {
      const half = (SIGN + LETTER * limit.label.length) / 2;
      const free = ends.findIndex((end) => end <= limit.at - half);
      const line = free < 0 ? ends.length : free;
      ends[line] = limit.at + half;
      return { ...limit, line };
    });
}

const isAbove = ({ sign }: Tunable) => sign === ">" || sign === "≥";

/** As the evidence of a finding writes it. */
const told = (value: number, most: number | null) =>
  most === 1 ? formatShare(value) : formatMagnitude(value);

interface Axis {
  ends: [string, string];
  at(value: number): number;
}

const clamp = (x: number) => Math.min(1, Math.max(0, x));

const SHARES: Axis = { ends: ["0 %", "100 %"], at: clamp };

/** A log axis around the limits; what lies beyond it stands at its end, 0 at the left one. */
function axisOf(limits: readonly number[], values: readonly number[]): Axis {
  const logs = (numbers: readonly number[]) => numbers.filter((x) => x > 0).map(Math.log10);
  const [lines, all] = [logs(limits), logs([...limits, ...values])];
  const near = lines.length ? lines : all.length ? all : [0];
  const [low, high] = [Math.min(...near, ...all) - 0.3, Math.max(...near, ...all) + 0.3];
  const from = Math.floor(Math.max(low, Math.min(...near) - MOST_DECADES));
  const to = Math.ceil(Math.min(high, Math.max(...near) + MOST_DECADES));
  const end = (power: number) => formatTick(Number(`1e${power}`), "linear");
  return {
    ends: [
      values.some((x) => x <= 0) ? "0" : low < from - 1 ? `< ${end(from)}` : end(from),
      high > to + 1 ? `> ${end(to)}` : end(to),
    ],
    at: (value) => (value > 0 ? clamp((Math.log10(value) - from) / (to - from)) : 0),
  };
}

/** One label for marks that are too near each other for two, in the middle of them. */
function labels(placed: readonly { run: number; at: number }[]): Strip["labels"] {
  const all: { from: number; to: number; runs: number[] }[] = [];
  for (const { run, at } of placed) {
    const last = all.at(-1);
    if (last && at - (last.from + last.to) / 2 < ROOM * (last.runs.length + 1)) {
      last.to = at;
      last.runs = [...last.runs, run].sort();
    } else all.push({ from: at, to: at, runs: [run] });
  }
  return all.map(({ from, to, runs }) => ({ at: (from + to) / 2, runs }));
}
