import { expect, test } from "vitest";
import type { Metric, Run } from "../api";
import { buildPlot, type PlotSource, restingPoint } from "./plot";

const metric = {
  name: "m",
  scale: "share",
  source: "probe set",
  limits: [{ rule: "r", severity: "warn", value: 0.5, above: true }],
  not_measured: null,
} as unknown as Metric;

function source(
  name: string,
  layers: string[],
  steps: number[],
  values: number[],
  findings: object[] = [],
  exempt = {},
): PlotSource {
  const run = {
    run: name,
    steps,
    last_step: steps.at(-1),
    metrics: [metric],
    findings,
    rules: [{ id: "r", exempt }],
    finished: true,
    verdict: { severity: "ok" },
    model: { layers: layers.map((l) => ({ name: l, type: "Dense", shape: [8] })) },
  } as unknown as Run;
  const measured = {
    steps: Float64Array.from(steps),
    layers: layers.length,
    values: Float32Array.from(values),
  };
  return { name, run, measured, counts: undefined };
}

const a = source("a", ["in", "conv", "out"], [1, 21, 41], [NaN, 0.5, 1, NaN, 0.5, 1, NaN, 0.5, 1]);
const b = source(
  "b",
  ["conv", "extra", "out"],
  [1, 21],
  [0.1, 0.2, 0.3, 0.1, 0.2, 0.3],
  [{ layer: "extra", metric: "m", severity: "warn" }],
);

test("runs of different models share rows and axis", () => {
  const plot = buildPlot([a, b], "m");
  expect(plot.layers).toEqual(["in", "conv", "extra", "out"]);
  expect(plot.columns[1]!.rows).toEqual([-1, 0, 1, 2]);
  expect(plot.columns[0]!.filled).toEqual([false, true, false, true]);
  expect(plot.end).toBe(61);
  expect(plot.steps).toEqual([1, 21, 41]);
  expect(plot.layout.heights[0]).toBeLessThan(plot.layout.heights[1]!);
});

test("while a run goes on its axis has room, and seldom grows", () => {
  const live = (last: number) => {
    const going = source("c", ["conv"], [last - 20, last], [1, 1]);
    return buildPlot([a, { ...going, run: { ...going.run!, finished: false } }], "m").end;
  };
  const steps = Array.from({ length: 100 }, (_, i) => 1000 + 10 * i);
  expect(steps.every((step) => live(step) >= step + 20)).toBe(true); // the end of its last cell
  expect(new Set(steps.map(live)).size).toBeLessThan(40);
  expect([26, 27].map(live)).toEqual([61, 61]);
});

test("a finding of a layer that Keras named puts the cursor into the row beside it", () => {
  const twin = (name: string, layer: string, findings: object[]) =>
    source(name, ["in", layer], [1], [0.1, 0.2], findings);
  const one = twin("one", "dense", []);
  const two = twin("two", "dense_4", [{ layer: "dense_4", metric: "m", severity: "warn" }]);
  const plot = buildPlot([one, two], "m");
  expect(plot.layers).toEqual(["in", "dense"]);
  expect(plot.columns[1]!.rows).toEqual([0, 1]);
  expect(restingPoint(plot).layer).toBe("dense");
});

test("at rest the cursor is at the end, in the layer of a finding", () => {
  expect(restingPoint(buildPlot([a, b], "m"))).toEqual({ step: 41, layer: "extra" });
  expect(restingPoint(buildPlot([a], "m"))).toEqual({ step: 41, layer: "conv" });
});

test("the worst finding draws the cursor", () => {
  const findings = [
    { layer: "extra", metric: "m", severity: "watch" },
    { layer: "out", metric: "m", severity: "critical" },
  ];
  const c = source("c", ["conv", "extra", "out"], [1], [1, 1, 1], findings);
  expect(restingPoint(buildPlot([c], "m")).layer).toBe("out");
});

test("a layer that is left out is not hatched where its output is NaN", () => {
  const c = source("c", ["conv", "out"], [1], [NaN, NaN], [], { conv: "no ReLU" });
  const counts = { steps: Float64Array.of(1), layers: 2, values: Float32Array.of(9, 9) };
  expect(buildPlot([{ ...c, counts }], "m").columns[0]!.filled).toEqual([false, true]);
});

test("a plot of what is not there yet is an empty one", () => {
  const plot = buildPlot(
    [{ name: "a", run: undefined, measured: undefined, counts: undefined }],
    null,
  );
  expect(plot).toMatchObject({ layers: [], end: 1, scale: null, steps: [] });
  expect(restingPoint(plot)).toEqual({ step: 0, layer: null });
});

test("measurements of another model than the described one are not drawn", () => {
  const wrong = {
    ...a,
    measured: b.measured,
    run: { ...a.run!, model: { layers: [] } } as unknown as Run,
  };
  expect(buildPlot([wrong], "m").columns[0]!.cells).toBeNull();
});
