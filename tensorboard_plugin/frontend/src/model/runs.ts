/** Which runs there are, in which order, how old, and which of them stand side by side. */

import type { RunSummary } from "../api";
import { formatAge, formatCount } from "./number";

export const MOST_SHOWN = 4;
export const KEYS = ["A", "B", "C", "D"] as const;

const DEFAULT_SHOWN = 3;
/** A run that says nothing for so long is not called live any more. */
const STALE_AFTER = 120;

/** What a run came to, the worst first, as the rail sorts, counts and filters: silence is no health. */
export const VERDICTS = ["critical", "warn", "watch", "not-evaluated", "ok"] as const;
export type Verdict = (typeof VERDICTS)[number];

function rank(run: RunSummary): number {
  if (!run.recorded && run.error === null) return VERDICTS.length + 1;
  return run.verdict ? VERDICTS.indexOf(run.verdict.severity) : VERDICTS.length;
}

/** What a run is called where it is read: TensorBoard calls one in the log folder itself ".". */
export const titleOf = (run: string, folder: string | null): string =>
  run === "." ? (folder ?? "(log folder)") : run;

export function isShowable(run: RunSummary): boolean {
  return run.recorded || run.error !== null;
}

/** In which order runs can be listed. */
export const ORDERS = ["worst", "name", "newest"] as const;
export type Order = (typeof ORDERS)[number];

type Comparison = (a: RunSummary, b: RunSummary) => number;

const names = new Intl.Collator("en", { numeric: true }); // run_2 comes before run_10
const byName: Comparison = (a, b) => names.compare(a.run, b.run);
const newestFirst: Comparison = (a, b) => (b.last_time ?? 0) - (a.last_time ?? 0) || byName(a, b);

const COMPARISONS: Record<Order, Comparison> = {
  worst: (a, b) => rank(a) - rank(b) || newestFirst(a, b),
  name: byName,
  newest: newestFirst,
};

export function sorted(runs: readonly RunSummary[], order: Order): RunSummary[] {
  return [...runs].sort(COMPARISONS[order]);
}

export const worstFirst = (runs: readonly RunSummary[]): RunSummary[] => sorted(runs, "worst");

/** The runs to begin with: the worst few, in the order in which they were started. */
export function defaultShown(runs: readonly RunSummary[]): string[] {
  const worst = worstFirst(runs.filter(isShowable)).slice(0, DEFAULT_SHOWN);
  return worst.sort((a, b) => (a.start_time ?? 0) - (b.start_time ?? 0)).map((run) => run.run);
}

/** What was picked, as far as it exists. */
export function keepShown(picked: readonly string[], runs: readonly RunSummary[]): string[] {
  const there = new Set(runs.filter(isShowable).map((run) => run.run));
  return picked.filter((run) => there.has(run)).slice(0, MOST_SHOWN);
}

/** While nobody picked: what is shown keeps its column, new runs fill the free ones. */
export function growShown(shown: readonly string[], runs: readonly RunSummary[]): string[] {
  const kept = keepShown(shown, runs);
  if (kept.length === 0) return defaultShown(runs);
  const others = worstFirst(runs.filter((run) => isShowable(run) && !kept.includes(run.run)));
  return [...kept, ...others.map((run) => run.run)].slice(0, Math.max(kept.length, DEFAULT_SHOWN));
}

/** Runs whose name matches; `null` when the pattern is not a regular expression. */
export function filterRuns<R extends { run: string }>(
  runs: readonly R[],
  pattern: string,
): R[] | null {
  try {
    const expression = new RegExp(pattern, "i");
    return runs.filter((run) => expression.test(run.run));
  } catch {
    return null;
  }
}

export const verdictCounts = (runs: readonly RunSummary[]): { verdict: Verdict; count: number }[] =>
  VERDICTS.map((verdict) => ({
    verdict,
    count: runs.filter((run) => run.verdict?.severity === verdict).length,
  }));

export type Life = "live" | "stale" | "finished" | "none";

export function life(run: RunSummary, now: number): Life {
  if (run.last_time === null || run.finished === null) return "none";
  if (run.finished) return "finished";
  return now - run.last_time > STALE_AFTER ? "stale" : "live";
}

/** "live", "12 min ago" or "no data", for the rail; a hollow dot beside it says "stale". */
export function shortAge(run: RunSummary, now: number): string {
  if (run.error !== null) return "unreadable";
  const state = life(run, now);
  if (state === "none") return run.recorded ? "no steps yet" : "no data";
  return state === "live" ? "live" : `${formatAge(now - run.last_time!)} ago`;
}

/** "12 min ago · step 1,200", for the head of a column. */
export function longAge(run: RunSummary, now: number): string {
  const state = life(run, now);
  if (state === "none" || run.last_time === null) return "";
  const step = `step ${formatCount(run.last_step ?? 0)}`;
  const age = formatAge(now - run.last_time);
  if (state === "live") return `live · ${step}`;
  if (state === "stale") return `stale, ${age} ago · ${step}`;
  return `${age} ago · ${step}`;
}

/** The state of the whole page, for the pill in the bar. */
export function pulse(runs: readonly RunSummary[], now: number): { life: Life; words: string } {
  const of = (wanted: Life) =>
    runs.filter((run) => life(run, now) === wanted).map((run) => now - run.last_time!);
  const [live, stale, finished] = [of("live"), of("stale"), of("finished")];
  if (live.length)
    return { life: "live", words: `Live · updated ${formatAge(Math.min(...live))} ago` };
  if (stale.length)
    return { life: "stale", words: `Stale · nothing new for ${formatAge(Math.min(...stale))}` };
  if (finished.length)
    return { life: "finished", words: `Finished ${formatAge(Math.min(...finished))} ago` };
  return { life: "none", words: "Waiting for data" };
}

/** After how many seconds to ask for the runs again: sooner while something is about to come. */
export function pollAfter(runs: readonly RunSummary[], now: number): number {
  const recorded = runs.filter((run) => run.recorded);
  return recorded.length === 0 || recorded.some((run) => life(run, now) === "live") ? 5 : 10;
}

/** Changes whenever something of the run may have to be fetched again. */
export function version(run: RunSummary): string {
  return JSON.stringify([
    run.start_time,
    run.last_step,
    run.last_time,
    run.finished,
    run.verdict,
    run.error,
  ]);
}
