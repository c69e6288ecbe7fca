import { expect, test } from "vitest";
import type { Metric, Run } from "../api";
import { findingSteps, foundBy, furthestRow, isJudged, lineLayers, shownAt, shownLayer, snapStep, worstRow, worstSeverity } from "./health";
import { buildPlot, lineAt } from "./plot";

const metric = {
  name: "m",
  scale: "share",
  source: "training step",
  limits: [{ rule: "r", severity: "warn", value: 0.5, above: true }],
  not_measured: null,
} as unknown as Metric;

const layer = (name: string, parameters = 1) => ({ name, type: "Dense", shape: [8], parameters, trainable: true });
const finding = (name: string | null, step: number, severity: string) => ({ layer: name, step, severity, metric: "m" });

const run = {
  run: "a",
  steps: [10, 20],
  last_step: 20,
  finished: true,
  metrics: [metric],
  findings: [finding("a", 20, "critical"), finding("a", 10, "watch"), finding(null, 20, "warn")],
  rules: [{ id: "r", exempt: { c: "no ReLU" } }],
  verdict: { severity: "ok" },
  model: { layers: [layer("a"), layer("b"), layer("c"), layer("d", 0)] },
} as unknown as Run;

const measured = {
  steps: Float64Array.of(10, 20),
  layers: 4,
  values: Float32Array.of(0.1, 0.8, NaN, NaN, 0.2, NaN, NaN, NaN),
};
const counts = { ...measured, values: Float32Array.of(0, 0, 0, 0, 0, 3, 2, 0) };
const plot = buildPlot([{ name: "a", run, measured, counts }], "m");
const shown = (row: number, step: number) => shownAt(plot.columns[0]!, plot, row, step);

test("a layer shows its value at the step, after the end its last one", () => {
  expect(shown(0, 10)).toEqual({ kind: "value", position: expect.closeTo(0.1), words: "10 %" });
  expect(shown(0, 19).words).toBe("10 %");
  expect(shown(0, 20).words).toBe("20 %");
  expect(shown(0, 999).words).toBe("20 %");
});

test("what is not finite is broken, what was not measured says why", () => {
  expect(shown(1, 20)).toMatchObject({ kind: "broken", words: "NaN" });
  expect(shown(2, 20)).toMatchObject({ kind: "none", words: "no ReLU" }); // though it holds NaN
  expect(shown(3, 20)).toMatchObject({ kind: "none", words: "no weights" });
  expect(shown(0, 5)).toMatchObject({ kind: "none", words: "not measured" });
});

test("before the values are there nothing is claimed", () => {
  const empty = buildPlot([{ name: "a", run, measured: undefined, counts: undefined }], "m");
  expect(shownAt(empty.columns[0]!, empty, 0, 10)).toMatchObject({ kind: "none", words: "loading" });
});

test("findings count from the step at which they begin", () => {
  expect(foundBy(run, "a", 9)).toEqual([]);
  expect(worstSeverity(foundBy(run, "a", 10))).toBe("watch");
  expect(worstSeverity(foundBy(run, "a", 20))).toBe("critical");
  expect(worstSeverity(foundBy(run, null, 20))).toBe("warn");
  expect(worstSeverity([])).toBe(null);
});

test("a run that no rule could judge is not a healthy one", () => {
  const judgedBy = (...outcomes: string[]) =>
    ({ rules: outcomes.map((outcome) => ({ outcome })) }) as unknown as Run;
  expect(isJudged(judgedBy("not-evaluated", "healthy"))).toBe(true);
  expect(isJudged(judgedBy("not-evaluated"))).toBe(false);
});

test("a block is as bad as its worst layer: by findings, then by values", () => {
  const worst = (rows: number[], step: number) => worstRow(plot.columns[0]!, plot, rows, step);
  expect(worst([0, 1, 2], 20)).toBe(0);
  expect(worst([0, 1, 2], 5)).toBe(0);
  expect(worst([2, 1], 10)).toBe(1);
  expect(worst([3, 1, 2], 20)).toBe(1);
});

test("findings by step, ascending", () => {
  expect(findingSteps(run).map(({ step, findings }) => [step, findings.length])).toEqual([
    [10, 1],
    [20, 2],
  ]);
});

test("a slider snaps to what was recorded, in its direction", () => {
  const steps = [1, 20, 40];
  expect(snapStep(steps, 2, 1)).toBe(20);
  expect(snapStep(steps, 19, 20)).toBe(1);
  expect(snapStep(steps, 99, 20)).toBe(40);
  expect(snapStep(steps, 0, 20)).toBe(1);
  expect(snapStep([], 7, 0)).toBe(7);
});

const names = ["in", "net/a", "net/b", "net/c", "out"];
const nested = {
  ...run,
  findings: [],
  model: { layers: names.map((name) => layer(name)) },
} as unknown as Run;
const values = {
  steps: Float64Array.of(10, 20),
  layers: 5,
  values: Float32Array.of(0, 0.1, 0.2, NaN, 0, 0, 0.3, NaN, 0.2, 0),
};
const lost = { ...values, values: Float32Array.of(0, 0, 0, 0, 0, 0, 0, 4, 0, 0) };
const folding = { base: "folded", toggled: new Set<string>() } as const;
const folded = buildPlot([{ name: "a", run: nested, measured: values, counts: lost }], "m", folding);

test("a folded block is one line, and shows NaN before the furthest number", () => {
  expect(folded.lines.map(({ name }) => name)).toEqual(["in", "net", "out"]);
  expect(folded.lineOf).toEqual([0, 1, 1, 1, 2]);
  expect(folded.layout.tops).toHaveLength(3);
  expect([lineAt(folded, "net/b"), lineAt(folded, "gone"), lineAt(folded, null)]).toEqual([1, -1, -1]);
  const shown = (step: number) => folded.layers[furthestRow(folded.columns[0]!, folded, [1, 2, 3], step)];
  expect([shown(10), shown(20), shown(999)]).toEqual(["net/b", "net/b", "net/b"]);
  expect(shownLayer(folded, "net/a", 10)).toBe("net/b");
  expect(shownLayer(folded, "gone", 10)).toBeNull();
  expect(furthestRow(folded.columns[0]!, folded, [1, 3], 20)).toBe(1);
  expect(furthestRow(folded.columns[0]!, folded, [], 20)).toBe(-1);
});

test("a layer that a run does not have is not what a line shows of it", () => {
  const less = { ...nested, model: { layers: [layer("in"), layer("net/b"), layer("net/c")] } } as unknown as Run;
  const sources = [nested, less].map((one, i) => ({ name: String(i), run: one, measured: undefined, counts: undefined }));
  const both = buildPlot(sources, "m", folding);
  expect(both.layers[furthestRow(both.columns[1]!, both, [1, 2, 3], 10)]).toBe("net/b");
});

test("j and k walk along the lines, and stay with the layer that was chosen", () => {
  expect(lineLayers(folded, "net/a", 10)).toEqual(["in", "net/a", "out"]);
  expect(lineLayers(folded, null, 10)).toEqual(["in", "net/b", "out"]);
  const open = buildPlot([{ name: "a", run: nested, measured: values, counts: lost }], "m");
  expect(open.lines.map(({ kind }) => kind)).toEqual(["layer", "unfolded", "layer", "layer", "layer", "layer"]);
  expect(lineLayers(open, "net/a", 10)).toEqual(names);
});
