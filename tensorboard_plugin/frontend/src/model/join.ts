/**
 * Joins what is known of a run with what came after it.
 *
 * News begin with the last step that is known. Only if that was recorded at the same time do they
 * continue it: after a restart from a checkpoint, in another recording, and where TensorBoard no
 * longer keeps that step, they do not, and all has to be fetched.
 */

import type { Recorded, Run } from "../api";

/** Null where the news do not continue what is known; the known itself where nothing is new. */
export function joinMeasurements(known: Recorded, news: Recorded): Recorded | null {
  const same = known.recording === news.recording && known.layers === news.layers;
  if (!same || !continues(known, known.wallTimes, news, news.wallTimes)) return null;
  if (news.steps.length === 1) return known;
  return {
    ...known,
    steps: appended(Float64Array, known.steps, news.steps.subarray(1)),
    wallTimes: appended(Float64Array, known.wallTimes, news.wallTimes.subarray(1)),
    values: appended(Float32Array, known.values, news.values.subarray(known.layers)),
  };
}

/** Null where the news do not continue what is known. */
export function joinRuns(known: Run, news: Run): Run | null {
  if (known.recording !== news.recording) return null;
  if (!continues(known, known.wall_times, news, news.wall_times)) return null;
  const gap = (run: Run) => run.steps.map(() => null);
  const names = new Set([...Object.keys(known.series), ...Object.keys(news.series)]);
  const series = [...names].map((name) => [
    name,
    [...(known.series[name] ?? gap(known)), ...(news.series[name] ?? gap(news)).slice(1)],
  ]);
  return {
    ...news,
    steps: [...known.steps, ...news.steps.slice(1)],
    wall_times: [...known.wall_times, ...news.wall_times.slice(1)],
    series: Object.fromEntries(series),
  };
}

type Steps = { steps: ArrayLike<number> };

function continues(
  { steps }: Steps,
  times: ArrayLike<number>,
  { steps: next }: Steps,
  nextTimes: ArrayLike<number>,
): boolean {
  const last = steps.length - 1;
  return last >= 0 && next[0] === steps[last] && nextTimes[0] === times[last];
}

function appended<T extends Float32Array | Float64Array>(
  kind: new (length: number) => T,
  one: T,
  other: T,
): T {
  const both = new kind(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
