import { expect, test } from "vitest";
import { BOX, spark } from "./spark";

const of = (loss: (number | null)[], last = loss.length) =>
  spark({ steps: loss.map((_, i) => i + 1), loss }, last)!;

/** The points of each piece of the line. */
const points = (path: string) =>
  path
    .split("M")
    .slice(1)
    .map((piece) => piece.split("L").map((point) => point.split(" ").map(parseFloat)));

const heights = (path: string) => points(path)[0]!.map(([, y]) => y!);

test("a loss that falls over decades is a straight line on a logarithmic scale", () => {
  const [a, b, c] = heights(of([10, 1, 0.1]).path);
  expect(a).toBeLessThan(b!);
  expect(c! - b!).toBeCloseTo(b! - a!, 1);
});

test("a loss within one decade, or with a zero, stands on zero and reaches the top", () => {
  expect(heights(of([4, 2, 1]).path)).toEqual([1, 7, 10]);
  expect(heights(of([100, 50, 0]).path)).toEqual([1, 7, 13]);
  expect(heights(of([-4, -2, 0]).path)).toEqual([13, 7, 1]);
});

test("steps go from 0 to the last one of the run", () => {
  expect(points(of([4, 2], 8).path)[0]!.map(([x]) => x)).toEqual([6, 12]);
  expect(points(of([4, 2], 0).path)[0]!.map(([x]) => x)).toEqual([24, 48]); // a loss is newer
});

test("where the loss is not finite the line ends and a hatch stands, never a low value", () => {
  const { path, broken } = of([4, 2, null, null, 2, 1, null, null]);
  expect(points(path).map((piece) => piece.length)).toEqual([2, 2]);
  expect(broken).toEqual([
    [18, 30],
    [42, 48],
  ]);
  expect(of([null, null]).path).toBe("");
  expect(of([null, null]).broken).toEqual([[24, 48]]);
});

test("a hatch is never too narrow to be seen, nor beyond the box", () => {
  expect(of([1, null]).broken).toEqual([[BOX.width - 3, BOX.width]]);
  expect(of([null, 1, 1]).broken[0]![0]).toBeGreaterThanOrEqual(0);
});

test("one point is a dash, a constant loss level, none at all nothing", () => {
  expect(of([2]).path).toBe("M48.0 1.0h-2");
  expect(new Set(heights(of([2, 2, 2]).path)).size).toBe(1);
  expect(heights(of([0, 0]).path)).toEqual([13, 13]);
  expect(spark({ steps: [], loss: [] }, 9)).toBeNull();
});

test("words tell from where to where it went", () => {
  expect(of([2.31, 1, 0.0617]).words).toBe("loss 2.3 at step 1 → 0.062");
  expect(of([2.31, null]).words).toBe("loss 2.3 at step 1 → not finite");
  expect(of([2.31]).words).toBe("loss 2.3 at step 1");
});
