import { expect, test } from "vitest";
import {
  brokenCount,
  curveAxis,
  curvePath,
  indexAt,
  magnitudeAxis,
  pieces,
  seriesPath,
  stretches,
  withoutExplosions,
} from "./curve";

test("an axis over several decades is logarithmic", () => {
  const axis = curveAxis([
    [2.3, 0.5],
    [0.02, null],
  ]);
  expect(axis.log).toBe(true);
  expect(axis.ticks).toEqual([0.1, 1]);
  expect(axis.at(2.3)).toBeGreaterThan(axis.at(0.02));
});

test("a logarithmic axis has two ticks at least", () => {
  expect(curveAxis([[2.3, 0.14]]).ticks).toEqual([0.3, 1, 3]);
});

test("an overflow does not flatten the other curves", () => {
  const axis = curveAxis([
    [2.3, 1, 0.5, 0.1],
    [2.3, 3, 5, 1e30],
  ]);
  expect(axis.hi).toBeLessThan(1000);
  expect(axis.at(1e30)).toBe(1);
});

test("otherwise it is linear and holds zero", () => {
  const axis = curveAxis([[2.3, 1.2]]);
  expect([axis.log, axis.lo, axis.hi]).toEqual([false, 0, 5]);
  expect(curveAxis([[-0.4, 30]]).log).toBe(false);
  expect(curveAxis([[null]]).at(3)).toBe(1);
  expect(curveAxis([[0.5]], [0, 1]).at(0.25)).toBe(0.25);
});

test("an axis of magnitudes has one decade at least", () => {
  const axis = magnitudeAxis([[2, 2.2]]);
  expect(axis.hi / axis.lo).toBeCloseTo(10);
  expect(axis.at(2.1)).toBeCloseTo(0.5, 1);
});

test("exact zeros lie below the smallest magnitude", () => {
  const axis = magnitudeAxis([[0, 1e-6, 1e-3]]);
  expect(axis.ticks[0]).toBe(0);
  expect(axis.at(0)).toBe(0);
  expect(axis.at(1e-6)).toBeGreaterThan(0.14);
  expect(magnitudeAxis([[1e-6, 1e-3]]).ticks).not.toContain(0);
  expect(magnitudeAxis([[0, 0]], [1e-7]).at(1e-7)).toBeGreaterThan(0.14);
});

test("an axis of magnitudes reaches to limits that are near, and not to those that are not", () => {
  expect(magnitudeAxis([[1e-3, 1e-2]], [1e-4]).lo).toBe(1e-4);
  expect(magnitudeAxis([[1e-3, 1e-2]], [1e-9]).lo).toBeCloseTo(1e-3);
  expect(magnitudeAxis([[1, 1, 1, 1e30]]).hi).toBe(1e8);
});

test("null is a gap, never a zero", () => {
  expect(pieces([2, 1, null, 1, 2])).toEqual([
    [0, 1],
    [3, 4],
  ]);
  expect(
    curvePath(
      [2, 1, null, 1],
      (i) => i,
      (v) => v,
    ),
  ).toBe("M0.0 2.0L1.0 1.0M3.0 1.0h0");
});

test("a path is made anew when its series, its steps or the heights are others", () => {
  const [series, steps, axis] = [[4, 2, null, 0], [0, 10, 20, 1000], curveAxis([], [0, 4])];
  const path = seriesPath(series, steps, axis);
  expect(path).toBe("M0.0 0.0L10.0 50.0M1000.0 100.0h0");
  expect(seriesPath(series, steps, curveAxis([], [0, 4]))).toBe(path);
  expect(seriesPath(series, steps, curveAxis([], [0, 8]))).toBe("M0.0 50.0L10.0 75.0M1000.0 100.0h0");
  expect(seriesPath(series, steps, axis)).toBe(path);
  const zero = [0, 1e-3, 1e-2, 0.1, 1];
  const alone = magnitudeAxis([zero]);
  const beside = magnitudeAxis([zero, [1e-6]]);
  expect([alone.lo, alone.ticks[0]]).toEqual([beside.lo, beside.ticks[0]]);
  const all = [0, 1, 2, 3, 4];
  expect(seriesPath(zero, all, alone)).not.toBe(seriesPath(zero, all, beside));
  expect(seriesPath(series, [0, 1, 2, 3], axis)).toBe("M0.0 0.0L1.0 50.0M3.0 100.0h0");
});

test("a series that is measured less often is joined", () => {
  expect(pieces([1, null, null, 1, null, null, 1])).toEqual([[0, 3, 6]]);
  expect(pieces([1, null, 1, null, null, null, 1, null, 1])).toEqual([
    [0, 2],
    [6, 8],
  ]);
});

test("a value is in effect until the next is due", () => {
  expect(indexAt([1, 20, 40], [3, 2, 1], 39)).toBe(1);
  expect(indexAt([1, 20, 40], [3, 2, 1], 99)).toBe(2);
  expect(indexAt([1, 20, 40, 60], [null, 3, 2, 1], 10)).toBe(-1);
  expect(indexAt([1, 20, 40, 60], [3, 2, null, null], 60)).toBe(-1);
  expect(indexAt([1, 2, 3, 4, 5, 6], [9, null, 8, null, 7, null], 6)).toBe(4);
});

test("records without a count do not end a stretch of NaN", () => {
  expect(stretches([null, 0, 0, 1, null, 1, null, null, 1, null])).toEqual([[3, -1]]);
  expect(stretches([2, null, 0, null, 1, 0])).toEqual([
    [0, 2],
    [4, 5],
  ]);
  expect(stretches([null, 0])).toEqual([]);
});

test("what is measured on the probe set is broken where the model's outputs are", () => {
  const series = { loss: [1], loss_nonfinite: [0], probe_loss: [1], probe_accuracy: [null] };
  expect(brokenCount(series, "loss")).toEqual([0]);
  expect(brokenCount(series, "probe_accuracy")).toEqual([]); // an older recording
  const told = { ...series, probe_nonfinite: [1] };
  expect(brokenCount(told, "probe_accuracy")).toEqual([1]);
  expect(brokenCount(told, "probe_loss")).toEqual([1]);
  expect(brokenCount(told, "loss")).toEqual([0]);
  expect(brokenCount(told, "learning_rate")).toEqual([]);
});

test("a run that explodes does not stretch the axis of the others", () => {
  const [calm, exploding] = [[0.06, 0.07], [0.07, 0.06, 5e17]];
  expect(withoutExplosions([calm, exploding])).toEqual([calm, [0.07, 0.06, null]]);
  expect(withoutExplosions([exploding])).toEqual([exploding]); // alone, that is what there is to see
  const grows = [1e-6, 0.05];
  expect(withoutExplosions([calm, grows])).toEqual([calm, grows]); // to what the others are
  expect(withoutExplosions([[0, 0, null], [1e-9, 1e-9], calm])).toEqual([[0, 0, null], [1e-9, 1e-9], calm]);
});
