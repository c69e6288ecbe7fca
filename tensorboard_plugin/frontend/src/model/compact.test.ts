import { expect, test } from "vitest";
import type { Limit, Metric, Run } from "../api";
import { columns as spansOf } from "./cells";
import { bandAxis, fitting, goodBand, lefts, markAt, measuresOf, trendOf, trendPoint, widthOf } from "./compact";
import { buildPlot } from "./plot";

const limit = (value: number, above: boolean, severity = "warn") =>
  ({ rule: "r", severity, value, above }) as Limit;

function metric(name: string, limits: Limit[] = [], not_measured: string | null = null): Metric {
  return { name, scale: "log", source: "probe set", limits, not_measured } as unknown as Metric;
}

const RATIO = metric("update_ratio", [limit(1e-5, false), limit(0.1, true)]);
const ALL = [metric("dead_fraction"), metric("saturated_fraction"), RATIO, metric("gradient_rms")];

const run = (metrics: Metric[], more = {}) =>
  ({
    run: "a",
    steps: [10, 20, 30, 40],
    last_step: 40,
    metrics,
    findings: [],
    rules: [],
    verdict: { severity: "ok" },
    model: { layers: ["a", "b"].map((name) => ({ name, type: "Dense", shape: [8], parameters: 1, trainable: true })) },
    ...more,
  }) as unknown as Run;

const kinds = (width: number, metrics = ALL) => fitting(width, [run(metrics)]).map(({ kind }) => kind);

test("where room is short the trend goes first, then the ratio's numbers, then all at once", () => {
  expect(kinds(1000)).toEqual(["share", "ratio", "trend"]);
  expect(kinds(470)).toEqual(["share", "ratio"]);
  expect(kinds(440)).toEqual(["share", "ratio"]);
  const roomForNumbers = (width: number) => fitting(width, [run(ALL)]).map((one) => one.width - one.axis > 0);
  expect(roomForNumbers(470)).toEqual([true, true]);
  expect(roomForNumbers(440)).toEqual([true, false]);
  expect(kinds(400)).toEqual([]);
  expect(kinds(0)).toEqual([]);
});

test("a column that no run has a measure for takes no room", () => {
  const none = metric("gradient_rms", [], "no such layer");
  expect(kinds(1000, [none, metric("saturated_fraction")])).toEqual(["share"]);
  expect(kinds(1000, [none])).toEqual([]);
  expect(fitting(1000, [])).toEqual([]);
  expect(measuresOf(fitting(1000, [run([RATIO])]))).toEqual(["update_ratio"]);
});

test("columns stand beside each other and end at the right edge", () => {
  const columns = fitting(1000, [run(ALL)]);
  const at = lefts(columns);
  columns.slice(1).forEach((_, i) => expect(at[i + 1]).toBeGreaterThan(at[i]! + columns[i]!.width));
  expect(at.at(-1)! + columns.at(-1)!.width).toBe(widthOf(columns));
  expect(widthOf([])).toBe(0);
});

test("the axis reaches beyond the limits of all runs, the band is between a run's own", () => {
  const other = run([metric("update_ratio", [limit(1e-4, false), limit(1, true)])]);
  const at = bandAxis([run([RATIO]), other], "update_ratio");
  expect(at(1e-6)).toBe(0);
  expect(at(10)).toBe(1);
  expect(at(0)).toBe(0);
  const [from, to] = goodBand(RATIO.limits, at)!;
  expect(from).toBeCloseTo(1 / 7);
  expect(to).toBeCloseTo(5 / 7);
  expect(goodBand([limit(0.1, true)], at)).toEqual([0, expect.closeTo(5 / 7)]);
  expect(goodBand([], at)).toBe(null);
});

function columnOf(values: number[], more = {}, broken = values.map(() => 0)) {
  const steps = Float64Array.of(10, 20, 30, 40);
  const measured = { steps, layers: 2, values: Float32Array.from(values) };
  const counts = { steps, layers: 2, values: Float32Array.from(broken) };
  return buildPlot([{ name: "a", run: run([RATIO], more), measured, counts }], "update_ratio").columns[0]!;
}

const finding = { layer: "a", step: 20, severity: "warn", metric: "update_ratio" };

test("beyond a limit is trouble from the step on at which a rule found it, while it lasts", () => {
  const column = columnOf([0.5, 0.5, 0.5, 0.5, 0.01, 0.5, 0.5, NaN], { findings: [finding] });
  expect(markAt(column, 0, 10)).toMatchObject({ beyond: true, trouble: null });
  expect(markAt(column, 0, 20)).toMatchObject({ value: 0.5, beyond: true, trouble: "warn" });
  expect(markAt(column, 0, 30)).toMatchObject({ beyond: false, trouble: null });
  expect(markAt(column, 1, 20)).toMatchObject({ beyond: true, trouble: null });
});

test("of another measure's finding, and of an exempt layer's, nothing is drawn", () => {
  const other = { ...finding, metric: "dead_fraction" };
  const exempt = [{ id: "r", exempt: { a: "no kernel" } }];
  const high = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
  expect(markAt(columnOf(high, { findings: [other] }), 0, 40)!.trouble).toBe(null);
  expect(markAt(columnOf(high, { findings: [finding], rules: exempt }), 0, 40)!.trouble).toBe(null);
});

test("what is not finite is NaN, what was not measured is nothing", () => {
  const column = columnOf([0.1, 0.1, NaN, NaN, 0.1, 0.1, 0.1, 0.1], {}, [0, 0, 3, 0, 0, 0, 0, 0]);
  expect(markAt(column, 0, 20)!.value).toBeNaN();
  expect(markAt(column, 0, 20)!.trouble).toBe(null);
  expect(markAt(column, 1, 20)).toBe(null);
  expect(markAt(column, 0, 5)).toBe(null);
  expect(markAt(column, 0, 999)!.value).toBeCloseTo(0.1); // after the end the last one
});

const trend = (values: number[], broken?: number[]) => {
  const column = columnOf(values.flatMap((value) => [value, 1]), {}, broken?.flatMap((n) => [n, 0]));
  return trendOf(column, 0, spansOf(column.cells!, 50, 5)).slice(1); // of 10 steps each
};

test("a steady magnitude is a level line in the middle, a large change fills the height", () => {
  expect(trend([1e-3, 1e-3, 1e-3, 1e-3])).toEqual([0.5, 0.5, 0.5, 0.5]);
  expect(trend([1, 1e-2, 1e-4, 1e-6])).toEqual([1, expect.closeTo(2 / 3), expect.closeTo(1 / 3), 0]);
  const noisy = trend([1e-3, 2e-3, 1e-3, 2e-3]);
  noisy.forEach((height) => expect(Math.abs(height! - 0.5)).toBeLessThan(0.1));
});

test("exact zeros lie at the bottom, NaN is told apart from what was not measured", () => {
  expect(trend([1, 1, 0, 0])).toEqual([0.5, 0.5, 0, 0]);
  expect(trend([0, 0, 0, 0])).toEqual([0, 0, 0, 0]);
  expect(trend([1, 1, NaN, NaN], [0, 0, 5, 0])).toEqual([0.5, 0.5, NaN, null]);
});

test("the cursor lies on the trend, after its end on its last point", () => {
  const heights = [null, 0.5, 0.4, null];
  expect(trendPoint(heights, 0.3)).toBe(1);
  expect(trendPoint(heights, 1)).toBe(2);
  expect(trendPoint(heights, 0)).toBe(-1);
  expect(trendPoint([], 0.5)).toBe(-1);
});
