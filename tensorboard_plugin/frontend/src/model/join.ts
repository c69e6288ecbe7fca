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
    steps: appended(known.steps, news.steps.subarray(1)),
    wallTimes: appended(known.wallTimes, news.wallTimes.subarray(1)),
    values: appended(known.values, news.values.subarray(known.layers)),
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

/** How many bytes of a buffer with room at its end are taken. */
const taken = new WeakMap<ArrayBufferLike, number>();
const ROOM = 1.25;

/**
 * Both arrays as one. The first is copied once in a while only: behind it stays room for what comes,
 * which is written there if nothing else was, so that its own numbers are never touched.
 */
function appended<T extends Float32Array | Float64Array>(one: T, other: T): T {
  const kind = one.constructor as new (buffer: ArrayBufferLike, from: number, length: number) => T;
  const length = one.length + other.length;
  const bytes = length * one.BYTES_PER_ELEMENT;
  const { buffer, byteOffset, byteLength } = one;
  const hasRoom = taken.get(buffer) === byteOffset + byteLength && byteOffset + bytes <= buffer.byteLength;
  const room = Math.ceil(length * ROOM) * one.BYTES_PER_ELEMENT;
  const both = hasRoom ? new kind(buffer, byteOffset, length) : new kind(new ArrayBuffer(room), 0, length);
  if (!hasRoom) both.set(one);
  both.set(other, one.length);
  taken.set(both.buffer, both.byteOffset + bytes);
  return both;
}
