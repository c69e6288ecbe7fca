import { expect, test } from "vitest";
import {
  entries,
  flatBuckets,
  HISTOGRAMS,
  histogramAxis,
  histogramKind,
  isBeyond,
  outline,
  thinned,
  zeroShare,
} from "./histograms";

const buckets = flatBuckets([
  [-0.5, -0.25, 3],
  [0, 0, 7],
  [0.125, 0.25, 90],
]);
test("gradients are shown unless weights are chosen, also by a mangled link", () => {
  expect(histogramKind({})).toBe("gradients");
  expect(histogramKind({ [HISTOGRAMS]: "weights" })).toBe("weights");
  expect(histogramKind({ [HISTOGRAMS]: "<b>" })).toBe("gradients");
});

const shown = [{ steps: [1], buckets: [buckets] }];

test("exact zeros are counted apart, but are entries like the others", () => {
  expect(entries(buckets)).toBe(100);
  expect(zeroShare(buckets)).toBe(0.07);
  expect(zeroShare(flatBuckets([]))).toBeNaN();
});

test("the axis has zero in its middle and the same magnitudes on both sides", () => {
  const axis = histogramAxis(shown)!;
  expect([axis.lo, axis.hi]).toEqual([-3, -1]);
  expect(axis.peak).toBe(0.9);
  expect(axis.at(0)).toBe(0.5);
  expect(axis.at(0.5)).toBe(1);
  expect(axis.at(0.2) + axis.at(-0.2)).toBeCloseTo(1);
  expect(axis.at(1e9)).toBe(1);
  expect(axis.at(1e-9)).toBeGreaterThan(0.5);
});

test("its ticks are powers of ten, the same on both sides", () => {
  const wide = { steps: [1], buckets: [flatBuckets([[2 ** -20, 2 ** -19, 1], [0.5, 1, 1]])] };
  expect(histogramAxis([wide])!.ticks).toEqual([-1, -0.001, 0, 0.001, 1]);
});

test("without an entry other than zero there is no axis", () => {
  expect(histogramAxis([])).toBeNull();
  expect(histogramAxis([{ steps: [1], buckets: [flatBuckets([[0, 0, 5]])] }])).toBeNull();
  expect(histogramAxis([{ steps: [1], buckets: [flatBuckets([])] }])).toBeNull();
});

test("rare magnitudes do not squeeze the others, and are counted outermost", () => {
  const rare = flatBuckets([
    [2 ** -30, 2 ** -29, 1],
    [0.125, 0.25, 99_998],
    [2 ** 20, 2 ** 21, 1],
  ]);
  const axis = histogramAxis([{ steps: [1], buckets: [rare] }])!;
  expect([axis.lo, axis.hi]).toEqual([-3, -2]);
  expect(outline(rare, axis).at(-2)![1]).toBe(1);
});

test("one step that exploded neither stretches the axis nor flattens the others", () => {
  const usual = flatBuckets([[0.125, 0.25, 3], [0.25, 0.5, 4], [0.5, 1, 3]]);
  const exploded = flatBuckets([[2 ** 20, 2 ** 21, 10]]);
  const axis = histogramAxis([{ steps: [], buckets: [...Array(99).fill(usual), exploded] }])!;
  expect([axis.lo, axis.hi, axis.peak]).toEqual([-3, 0, 0.4]);
  expect([isBeyond(usual, axis), isBeyond(exploded, axis)]).toEqual([false, true]);
  expect(Math.max(...outline(exploded, axis).map(([, y]) => y))).toBe(1); // it stays in its room
  expect(isBeyond(flatBuckets([[0, 0, 5]]), axis)).toBe(false);
});

test("an outline has a point in each bin and stands on the ground between the sides", () => {
  const axis = histogramAxis(shown)!;
  const points = outline(buckets, axis);
  expect(points.map(([, y]) => Number(y.toFixed(3)))).toEqual([0, 0.033, 0, 0, 1, 0, 0]);
  expect(points.map(([x]) => x)).toEqual(points.map(([x]) => x).sort((a, b) => a - b));
  expect(points[3]).toEqual([0.5, 0]);
});

test("records too near to each other are left out, never the first or last", () => {
  expect(thinned([0, 4, 9, 12, 20, 22], 9)).toEqual([0, 2, 5]);
  expect(thinned([0, 10, 20], 9)).toEqual([0, 1, 2]);
  expect(thinned([0, 1], 9)).toEqual([0, 1]);
  expect(thinned([5], 9)).toEqual([0]);
  expect(thinned([], 9)).toEqual([]);
});
