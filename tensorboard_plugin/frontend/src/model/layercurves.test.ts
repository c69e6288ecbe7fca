import { expect, test } from "vitest";
import type { Layer, Metric, Run } from "../api";
import { arranged, axisLabels, bare, brokenSince, curveRows, isMeasured, type LayerSource, leaving, missing, uncounted } from "./layercurves";

const metric = (name: string, more: Partial<Metric> = {}) =>
  ({
    name,
    title: `title of ${name}`,
    scale: "log",
    source: "training step",
    nonfinite: "bad",
    not_measured: null,
    limits: [],
    ...more,
  }) as unknown as Metric;

const BAD = metric("bad", { scale: "count" });
const DENSE = { name: "dense", parameters: 8, trainable: true } as Layer;

function source(metrics: Metric[], values: number[][], more: Partial<LayerSource> = {}): LayerSource {
  const run = { run: "a", metrics, finished: true, findings: [], rules: [] } as unknown as Run;
  const measured = {
    steps: Float64Array.from([1, 2, 3]),
    values: values.map((one) => Float32Array.from(one)),
  };
  return { name: "a", run, layer: DENSE, measured, ...more };
}

test("a measure has a row if one run has it, on one axis for all", () => {
  const m = metric("m");
  const a = source([m, BAD], [[1, 2, 4], [0, 0, 0]]);
  const b = source([m, BAD], [[NaN, NaN, NaN], [0, 0, 0]]);
  const rows = curveRows([a, b]);
  expect(rows.map((row) => row.metric.name)).toEqual(["m"]);
  expect(rows[0]!.curves[0]!.series).toEqual([1, 2, 4]);
  expect(rows[0]!.curves[1]).toBeNull();
  expect(rows[0]!.axis.log).toBe(true);
  expect(missing(b, "m")).toBe("not measured");
});

test("what was never finite has a row to say so", () => {
  const [row] = curveRows([source([metric("m"), BAD], [[NaN, NaN, NaN], [5, 5, 5]])]);
  expect(row!.metric.name).toBe("m");
  expect(row!.curves[0]!.broken).toEqual([5, 5, 5]);
});

test("a count of NaN has a row only where it is not always 0", () => {
  const counts = (values: number[]) => curveRows([source([BAD], [values])]);
  expect(counts([0, 0, 0])).toEqual([]);
  expect(counts([0, 3, 3])[0]!.curves[0]!.series).toEqual([0, 3, 3]);
  expect(missing(source([BAD], [[0, 0, 0]]), "bad")).toBe("always 0");
});

test("measures without a curve are told together where every run says the same", () => {
  const metrics = [
    BAD,
    metric("m"),
    metric("n", { not_measured: "no tanh or sigmoid" }),
    metric("o", { source: "probe set" }),
    metric("p"),
  ];
  const none = [NaN, NaN, NaN];
  const frozen = source(metrics, [[0, 0, 0], none, none, none, none], { layer: { ...DENSE, trainable: false } });
  const elsewhere = source(metrics, [], { layer: undefined, measured: undefined });
  expect(bare([], [], [frozen, elsewhere])).toEqual([
    { titles: ["title of bad"], words: ["always 0", "not in this model"], counts: null },
    { titles: ["title of m", "title of p"], words: ["frozen", "not in this model"], counts: null },
    { titles: ["title of n"], words: ["no tanh or sigmoid", "no tanh or sigmoid"], counts: null },
    { titles: ["title of o"], words: ["not measured", "not in this model"], counts: null },
  ]);
});

test("numbers of NaN stand first, in the runs that have some", () => {
  const metrics = [metric("m"), metric("n", { not_measured: "no probe set", nonfinite: "none" }), BAD];
  const sources = [[0, 3, 3], [0, 0, 0]].map((bad) => source(metrics, [[1, 1, 1], [], bad]));
  const rows = curveRows(sources);
  const { others, counts } = arranged(rows, sources);
  expect(bare(others, counts, sources)).toEqual([
    { titles: ["title of bad"], words: [null, "always 0"], counts: counts[0] },
    { titles: ["title of n"], words: ["no probe set", "no probe set"], counts: null },
  ]);
});

test("a value beyond a limit that was not found says why, as far as it is known", () => {
  const limit = { severity: "warn", rule: "r", value: 1e-5, above: false, patience: 3, instead: ["s"], once: true };
  const about = (more: object, values = [1, 0, 0, 0, 0]) => {
    const made = source([metric("m", { limits: [limit] as Metric["limits"] })], [values]);
    Object.assign(made.run!, { suppressed: [], rules: [{ id: "r", outcome: "healthy", exempt: {} }] }, more);
    return (value: number) => uncounted(made, "m", value);
  };
  expect(about({})(0)).toEqual({ words: "beyond the limit, not counted by the rule" });
  expect(about({})(1e-5)).toBeNull();
  const exempt = { rules: [{ id: "r", outcome: "healthy", exempt: { dense: "frozen" } }] };
  expect(about(exempt)(0)?.words).toBe("beyond the limit, exempt: frozen");
  const silent = { rules: [{ id: "r", outcome: "not-evaluated", reason: "too short", exempt: {} }] };
  expect(about(silent)(0)?.words).toBe("beyond the limit, not evaluated: too short");
  const suppressed = { suppressed: [{ rule: "r", layer: "dense", reason: "on purpose" }] };
  expect(about(suppressed)(0)?.words).toBe("beyond the limit, suppressed: on purpose");
  expect(about({ findings: [{ rule: "r", layer: "dense" }] })(0)).toBeNull();
  const instead = about({ findings: [{ rule: "s", title: "S", layer: "dense" }] })(0);
  expect(instead).toMatchObject({ words: "beyond the limit, see", see: { number: 1, title: "S" } });
  expect(about({ findings: [{ rule: "s", title: "S", layer: "other" }] })(0)?.see).toBeUndefined();
  const first = { rule: "r", title: "R", layer: "first", metric: "m", limit: 1e-5 };
  expect(about({ findings: [first] })(0)).toMatchObject({ see: { title: "R" }, layer: "first" });
  expect(about({ findings: [{ ...first, limit: 1 }] })(0)?.see).toBeUndefined(); // another of its limits
});

test("a value beyond a limit that was not so for long says for how long", () => {
  const limit = { severity: "warn", rule: "r", value: 5, above: true, patience: 3, instead: ["s"], once: false };
  const told = (values: number[]) => {
    const made = source([metric("m", { limits: [limit] as Metric["limits"] })], [values]);
    Object.assign(made.run!, { suppressed: [], findings: [{ rule: "s", title: "S", layer: "dense" }] });
    return uncounted(made, "m", 9)?.words;
  };
  expect(told([1, 9, 1])).toBe("beyond the limit, but not to the end");
  expect(told([9, 1, 9])).toBe("beyond the limit, see");
  limit.instead = [];
  expect(told([9, 1, 9])).toBe("beyond the limit, for 1 of 3 records in a row");
  expect(told([9, NaN, 9])).toBe("beyond the limit, for 2 of 3 records in a row");
});

test("an overflow does not flatten a linear axis", () => {
  const m = metric("m", { scale: "linear" });
  const [row] = curveRows([source([m], [[-0.5, 0.4, -3e38]])]);
  expect(row!.axis.lo).toBe(-0.5);
  expect(row!.axis.at(-3e38)).toBe(0);
});

test("what has not come yet is no missing measure", () => {
  const m = metric("m");
  expect(missing(source([m], [], { measured: undefined }), "m")).toBe("Loading …");
  expect(missing(source([m], [], { run: undefined }), "m")).toBe("Loading …");
  const elsewhere = source([m], [], { measured: undefined, layer: undefined });
  expect(missing(elsewhere, "m")).toBe("not in this model");
});

test("a layer has histograms if anything finite was measured of its gradient", () => {
  const gradient = metric("gradient_rms");
  expect(isMeasured(source([gradient], [[NaN, 0, NaN]]), gradient.name)).toBe(true);
  expect(isMeasured(source([gradient], [[NaN, NaN, NaN]]), gradient.name)).toBe(false);
  expect(isMeasured(source([gradient], [[1, 1, 1]]), "weight_rms")).toBe(false);
  expect(isMeasured(source([gradient], [], { measured: undefined }), gradient.name)).toBe(false);
  const frozen = { ...DENSE, trainable: false };
  expect(isMeasured(source([gradient], [[1, 1, 1]], { layer: frozen }), gradient.name)).toBe(false);
});

test("limits stand on the axis, or say that they are further", () => {
  const limits = [
    { severity: "warn", rule: "r", value: 1e-9, above: false },
    { severity: "critical", rule: "r", value: 20, above: true },
    { severity: "watch", rule: "r", value: 19, above: true },
  ] as Metric["limits"];
  const [row] = curveRows([source([metric("m", { limits })], [[1, 2, 10]])]);
  const labels = axisLabels(row!.axis, row!.limits, 60, 12);
  expect(labels[0]).toMatchObject({ value: 20, limit: { severity: "critical" } });
  expect(labels[0]!.beyond).toBeUndefined();
  expect(labels.find((label) => label.value === 1e-9)).toMatchObject({ at: 0, beyond: "below" });
  expect(labels.some((label) => label.value === 19)).toBe(false); // the worse one is in its place
  expect(labels.some((label) => !label.limit)).toBe(true);
});

test("a curve that leaves its axis says where, on which side and how far", () => {
  const { axis } = curveRows([source([metric("m")], [[1, 2, 4]])])[0]!;
  expect(leaving(axis, [1, 2, 4, null])).toBeNull();
  expect(leaving(axis, [1, null, 5e17, 1e20])).toEqual({ index: 2, below: false, most: 1e20 });
  expect(leaving(axis, [1, 1e-5, 1e-9])).toEqual({ index: 1, below: true, most: 1e-9 });
});

test("measures with a finding come first, the worst one before all", () => {
  const finding = (name: string, severity: string) => ({ rule: name, layer: "dense", metric: name, severity, step: 1 });
  const made = source([metric("a"), metric("b"), metric("c"), BAD], [[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 2]]);
  Object.assign(made.run!, { findings: [finding("b", "watch"), finding("c", "critical")] });
  const { found, others, counts } = arranged(curveRows([made]), [made]);
  expect([found, others, counts].map((rows) => rows.map((row) => row.metric.name))).toEqual([["c", "b"], ["a"], ["bad"]]);
});

test("a layer whose numbers end in NaN says since when, however many measures tell of it", () => {
  const other = metric("worse", { scale: "count", nonfinite: "worse" });
  expect(brokenSince(source([BAD, other], [[0, 0, 0], [NaN, 0, NaN]]))).toBeNull();
  expect(brokenSince(source([BAD, other], [[0, 0, 4], [0, 4, 4]]))).toBe(2);
  expect(brokenSince(source([BAD], [[4, 4, 0]]))).toBeNull(); // it came back
  expect(brokenSince(source([BAD], [], { measured: undefined }))).toBeNull();
});
