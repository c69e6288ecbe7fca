/** What the monitor itself took, and what that means. */

import type { Run, Standing } from "../api";
import { curveAxis, type CurveAxis, type Series } from "./curve";
import { formatAge, formatMagnitude, formatShare, plural } from "./number";
import { roundUp } from "./scale";

/** "every 20 steps"; no more often than at the beginning and the end is written as 0. */
export function often(every: number): string {
  return every > 0 ? `every ${plural(every, "step")}` : "at the beginning and the end";
}

/** How often one kind of measurement was asked for, and how often it is taken by now. */
export interface Cadence {
  asked: string;
  inForce: string;
  /** Whether it is taken more rarely than it was asked for. */
  stretched: boolean;
}

/**
 * @param asked from the settings of the monitor: 0 is "never".
 * @param inForce from what it cost: 0 is "at the beginning and the end".
 */
export function cadence(asked: number | undefined, inForce: number | undefined): Cadence {
  if (asked === 0) return { asked: "never", inForce: "never", stretched: false };
  const known = asked !== undefined && inForce !== undefined;
  return {
    asked: asked === undefined ? "not known" : often(asked),
    inForce: inForce === undefined ? "not known" : often(inForce),
    stretched: known && (inForce === 0 || inForce > asked),
  };
}

export interface Cadences {
  gradients: Cadence;
  probe: Cadence;
}

/** What of a run this file reads. */
export type Recorded = Pick<Run, "monitor" | "cost" | "probe_samples">;

export const cadences = ({ monitor, cost }: Recorded): Cadences => ({
  gradients: cadence(monitor.every, cost?.every),
  probe: cadence(monitor.probe_every, cost?.probe_every),
});

/** What `HealthMonitor` takes if nothing is asked for: where steps are fixed, what to compare with. */
const DEFAULT_BUDGET = 0.02;

/** Where the budget is on the axis, and what it is called; null where it is not known. */
export function budgetOf({ monitor: { budget } }: Recorded): { share: number; words: string } | null {
  if (budget === undefined) return null;
  if (budget === null)
    return { share: DEFAULT_BUDGET, words: `default budget ${formatShare(DEFAULT_BUDGET)}` };
  return { share: budget, words: `budget ${formatShare(budget)}` };
}

/** "4.6 s" or "3 min": both times of a run with as many digits as its share. */
export const duration = (seconds: number) => (seconds < 60 ? inSeconds(seconds) : formatAge(seconds));

export const inSeconds = (seconds: number) =>
  `${seconds >= 1 && seconds < 60 ? seconds.toFixed(1) : formatMagnitude(seconds)} s`;

/** Whether that was within the budget: as a sign, and in words. */
export interface BudgetVerdict {
  sign: Standing;
  words: string;
}

export function budgetVerdict(run: Recorded): BudgetVerdict {
  const { cost, monitor: { budget } } = run;
  const limit = budgetOf(run);
  if (!cost || !limit) return { sign: "not-evaluated", words: "Not known whether there was a budget" };
  const isAbove = exceeds(cost.share, limit.share);
  const where = isAbove ? "Above" : "Within";
  const why = isAbove && high(run) ? `: ${high(run)}` : "";
  if (budget === null)
    return {
      sign: isAbove ? "watch" : "ok",
      words: `${where} the default budget of ${formatShare(limit.share)}${why}. No budget was set: it records at fixed steps`,
    };
  return { sign: isAbove ? "warn" : "ok", words: `${where} the budget of ${formatShare(limit.share)}${why}` };
}

/** By the numbers that are read: 2.04 % is told as 2.0 %, which is no more than 2 %. */
const exceeds = (share: number, budget: number) => share > budget && Number(share.toPrecision(2)) > budget;

/** "32 ms each": what a record took on average, with all that is done once; null where it is not known. */
export function perRecord({ cost, steps }: Pick<Run, "cost" | "steps">): string | null {
  if (!cost || steps.length === 0) return null;
  const each = cost.seconds / steps.length;
  return each < 1 ? `${formatMagnitude(1000 * each)} ms each` : `${inSeconds(each)} each`;
}

/** One axis for all runs: from 0 to a round share above all that is drawn on it. */
export function shareAxis(runs: readonly Recorded[]): number {
  const shares = runs.flatMap((run) => [run.cost?.share ?? 0, budgetOf(run)?.share ?? 0]);
  return Math.min(1, roundUp(Math.max(...shares, 0.001) * 1.1));
}

/** Steps from each record to the one before it; null for the first. */
export function distances(steps: readonly number[]): (number | null)[] {
  return steps.map((step, i) => (i > 0 ? step - steps[i - 1]! : null));
}

/** A line of stairs: each distance holds from the record before to its own. */
export function stairs(
  steps: readonly number[],
  x: (step: number) => number,
  y: (distance: number) => number,
): string {
  return distances(steps)
    .map((distance, i) => {
      if (distance === null) return "";
      const [from, to] = [x(steps[i - 1]!).toFixed(1), x(steps[i]!).toFixed(1)];
      return `${i === 1 ? `M${from} ` : "V"}${y(distance).toFixed(1)}H${to}`;
    })
    .join("");
}

export interface Change {
  what: string;
  /** Arguments of `HealthMonitor`. */
  code: string;
}

export interface Meaning {
  /** Whether the budget was kept, and what that did to the records: a sentence each. */
  facts: string[];
  /** How to change it, if there is a reason to. */
  changes: Change[];
}

/** In plain words: whether the budget was kept, what that did to the records, how to change it. */
export function meaning(run: Recorded): Meaning {
  const { monitor, cost } = run;
  const { budget } = monitor;
  const why = cost ? whyHigh(cost, budget ?? MUCH) : [];
  if (!budget) return { facts: [...why, ...(budget === null ? [FIXED] : [])], changes: bounded(run) };
  if (!cost) return { facts: [], changes: denser(run, budget) };
  const rarer = inWords(cadences(run));
  if (exceeds(cost.share, budget)) {
    const although = rarer && `, although it records ${rarer} more rarely than asked for`;
    const over = `It took more than its budget${although}.`;
    return { facts: [over, ...why], changes: [...fewer(run), ...denser(run, budget)] };
  }
  if (rarer) {
    const kept = `To stay within its budget it records ${rarer} more rarely than asked for.`;
    return { facts: [kept, "Finer curves take more time."], changes: denser(run, budget) };
  }
  return { facts: ["It stays within its budget, and records as often as it was asked to."], changes: [] };
}

/** The axis of distances between records: there is no half a step. */
export function distanceAxis(all: readonly Series[]): CurveAxis {
  const axis = curveAxis(all);
  return { ...axis, ticks: axis.ticks.filter(Number.isInteger) };
}

/** Above this share of the time, and below this many seconds of training, a word is due. */
const [MUCH, SHORT] = [0.05, 300];

/** How long the training has taken by now, with the monitor. */
export const lasted = ({ seconds, share }: { seconds: number; share: number }) =>
  share > 0 ? seconds / share : 0;

/** "high because the run is short (20 s)": of a share above what is usual, or far above what was asked for. */
export function high({ cost, monitor: { budget } }: Recorded): string {
  if (!cost || cost.share <= (budget ? 2 * budget : MUCH)) return "";
  const time = lasted(cost);
  return time < SHORT ? `high because the run is short (${formatAge(Math.round(time))})` : "high";
}

function whyHigh(cost: { seconds: number; share: number }, usual: number): string[] {
  if (cost.share <= usual) return [];
  if (lasted(cost) < SHORT)
    return ["Starting and finishing have a fixed cost; on a longer run the share falls."];
  return ["Each record takes long beside a step of this training."];
}

/** What all runs have in common; null where they differ, or where there is only one. */
export function shared<T>(all: readonly T[]): T | null {
  const [first] = all;
  const text = JSON.stringify(first);
  return all.length > 1 && all.every((one) => JSON.stringify(one) === text) ? first! : null;
}

const FIXED = "It records at fixed steps, whatever they cost; with a budget, as often as that allows.";

const bounded = ({ monitor }: Recorded): Change[] => [
  { what: `Take at most ${formatShare(DEFAULT_BUDGET)} of the time`, code: `budget=${DEFAULT_BUDGET}` },
  { what: "Record half as often", code: steps(monitor, 2) },
];

const inWords = ({ gradients, probe }: Cadences) =>
  [gradients.stretched && "gradients", probe.stretched && "the probe set"].filter(Boolean).join(" and ");

const denser = ({ monitor }: Recorded, budget: number): Change[] => [
  {
    what: "Allow twice the time",
    code: `budget=${Number(Math.min(1, 2 * budget).toPrecision(3))}`,
  },
  { what: "Fix the steps, whatever they cost", code: steps(monitor, 1) },
];

const fewer = ({ probe_samples }: Recorded): Change[] =>
  probe_samples < 4
    ? []
    : [{ what: "Look at fewer samples", code: `probe_samples=${Math.ceil(probe_samples / 4)}` }];

function steps({ every, probe_every }: Run["monitor"], times: number): string {
  const known = { every: every || 20, probe_every };
  return Object.entries(known)
    .flatMap(([name, value]) => (value ? `${name}=${value * times}` : []))
    .join(", ");
}
