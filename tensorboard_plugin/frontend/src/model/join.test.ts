import { expect, test } from "vitest";
import contract from "../../../../tests/data/contract.json";
import type { Recorded, Run } from "../api";
import { readRun } from "../readers";
import { joinMeasurements, joinRuns } from "./join";

/** One layer; the value is ten times the step, the time a thousand later. */
function recorded(steps: number[], changes: Partial<Recorded> = {}): Recorded {
  return {
    recording: 1,
    layers: 1,
    steps: Float64Array.from(steps),
    wallTimes: Float64Array.from(steps, (step) => step + 1000),
    values: Float32Array.from(steps, (step) => step * 10),
    ...changes,
  };
}

function run(steps: number[], changes: Partial<Run> = {}): Run {
  const series = { loss: steps.map((step) => 1 / step) };
  const wall_times = steps.map((step) => step + 1000);
  return { ...readRun(contract["api/run"].answer), steps, wall_times, series, ...changes };
}

test("what is new follows what is known, for every layer", () => {
  const known = recorded([1, 2], { layers: 2, values: Float32Array.of(1, 2, NaN, 4) });
  const news = recorded([2, 5], { layers: 2, values: Float32Array.of(NaN, 4, 5, 6) });
  const joined = joinMeasurements(known, news)!;
  expect([...joined.steps]).toEqual([1, 2, 5]);
  expect([...joined.wallTimes]).toEqual([1001, 1002, 1005]);
  expect([...joined.values]).toEqual([1, 2, NaN, 4, 5, 6]);
  expect([...known.steps]).toEqual([1, 2]);
});

test("what is joined again and again is the same as what was joined at once", () => {
  let joined = recorded([0]);
  const before: Recorded[] = [];
  for (let step = 0; step < 100; step++) {
    before.push(joined);
    joined = joinMeasurements(joined, recorded([step, step + 1]))!;
  }
  const all = Array.from({ length: 101 }, (_, step) => step);
  for (const key of ["steps", "wallTimes", "values"] as const) {
    expect([...joined[key]]).toEqual([...recorded(all)[key]]);
    expect([...before[50]![key]]).toEqual([...recorded(all.slice(0, 51))[key]]);
  }
  expect(new Set(before.map(({ values }) => values.buffer)).size).toBeLessThan(30);
});

test("two continuations of the same measurements do not write over each other", () => {
  const known = joinMeasurements(recorded([1]), recorded([1, 2]))!;
  const [one, other] = [[2, 3], [2, 30, 31]].map((steps) => joinMeasurements(known, recorded(steps))!);
  expect([...one!.values]).toEqual([10, 20, 30]);
  expect([...other!.values]).toEqual([10, 20, 300, 310]);
  expect([...known.values]).toEqual([10, 20]);
});

test("where nothing is new the known itself comes back, so that nothing is drawn again", () => {
  const known = recorded([1, 2]);
  expect(joinMeasurements(known, recorded([2]))).toBe(known);
});

test.each([
  ["the last known step is gone", recorded([3, 4])],
  ["it was recorded anew after a restart", recorded([2], { wallTimes: Float64Array.of(5000) })],
  ["another recording took its place", recorded([2, 3], { recording: 2 })],
  ["the model has another number of layers", recorded([2], { layers: 2 })],
  ["training began again at an earlier step", recorded([])],
])("measurements are not joined where %s", (_, news) => {
  expect(joinMeasurements(recorded([1, 2]), news)).toBeNull();
});

test("a run keeps its known steps and has all else from the news", () => {
  const news = run([2, 3], { finished: true, last_step: 3 });
  const joined = joinRuns(run([1, 2], { finished: false }), news)!;
  expect(joined.steps).toEqual([1, 2, 3]);
  expect(joined.wall_times).toEqual([1001, 1002, 1003]);
  expect(joined.series).toEqual({ loss: [1, 1 / 2, 1 / 3] });
  expect(joined).toMatchObject({ finished: true, last_step: 3 });
});

test("a series that begins later, or is recorded no more, has a gap", () => {
  const known = run([1, 2], { series: { old: [1, 2] } });
  const news = run([2, 3, 4], { series: { new: [null, 3, 4] } });
  expect(joinRuns(known, news)!.series).toEqual({
    old: [1, 2, null, null],
    new: [null, null, 3, 4],
  });
});

test("a run that was made anew is not joined", () => {
  const known = run([1, 2]);
  expect(joinRuns(known, run([2, 3], { recording: "other" }))).toBeNull();
  expect(joinRuns(known, run([2, 3], { wall_times: [5002, 5003] }))).toBeNull();
  expect(joinRuns(known, run([3]))).toBeNull();
});
