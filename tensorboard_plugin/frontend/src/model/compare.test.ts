import { expect, test } from "vitest";
import type { Finding, Measurements, Metric, Parting, Run, RunSummary, Setting } from "../api";
import {
  byGroup,
  byOutcome,
  choosePair,
  comparable,
  difference,
  differencePlot,
  differenceTicks,
  emptyReason,
  formatDistance,
  headline,
  letters,
  measureToBeginWith,
  noise,
  numbersByGroup,
  rateWords,
  settingValue,
  settingWords,
  told,
} from "./compare";
import { buildPlot, type PlotSource } from "./plot";

function summary(run: string, severity: string | null, error: string | null = null): RunSummary {
  return {
    run,
    recorded: error === null,
    error,
    verdict: severity && { severity },
  } as unknown as RunSummary;
}

const runs = [
  summary("dying", "critical"),
  summary("good", "ok"),
  summary("young", null),
  summary("slow", "warn"),
  summary("broken", null, "damaged"),
];

test("the healthiest shown run is the baseline, the worst stands beside it", () => {
  const shown = comparable(["young", "broken", "dying", "gone", "good"], runs);
  expect(shown.map((one) => one.run)).toEqual(["young", "dying", "good"]);
  expect(choosePair(shown, undefined, undefined)).toEqual({ baseline: "good", run: "dying" });
  expect(choosePair(shown.slice(0, 1), undefined, undefined)).toBeNull();
  expect(choosePair(shown.slice(0, 2), undefined, undefined)).toEqual({
    baseline: "young",
    run: "dying",
  });
});

test("of runs with like verdicts the one with fewer findings is healthier", () => {
  const found = (run: string, severity: string, critical: number, warn: number) =>
    ({ ...summary(run, severity), counts: { critical, warn, watch: 0 } }) as RunSummary;
  const candidates = [found("worst", "critical", 2, 1), found("bad", "critical", 1, 9), found("warm", "ok", 0, 0)];
  const pair = { baseline: "warm", run: "worst" };
  expect(choosePair(candidates, undefined, undefined)).toEqual(pair);
  expect(choosePair([...candidates].reverse(), undefined, undefined)).toEqual(pair);
});

test("a choice counts as long as it is shown", () => {
  const choose = (baseline?: string, run?: string) => choosePair(runs.slice(0, 4), baseline, run);
  expect(choose("slow")).toEqual({ baseline: "slow", run: "dying" });
  expect(choose("dying")).toEqual({ baseline: "dying", run: "slow" });
  expect(choose(undefined, "good")).toEqual({ baseline: "young", run: "good" });
  expect(choose("slow", "young")).toEqual({ baseline: "slow", run: "young" });
  expect(choose("slow", "slow")).toEqual({ baseline: "slow", run: "dying" });
  expect(choose("hidden", "hidden")).toEqual({ baseline: "good", run: "dying" });
});

const metric = (scale: Metric["scale"], not_measured: string | null = null) =>
  ({ name: "m", scale, source: "training step", limits: [], not_measured }) as unknown as Metric;

function source(
  name: string,
  scale: Metric["scale"],
  layers: string[],
  steps: number[],
  rows: number[][],
  counts?: number[][],
): PlotSource {
  const measured = (values: number[][]): Measurements => ({
    steps: Float64Array.from(steps),
    layers: layers.length,
    values: Float32Array.from(values.flat()),
  });
  const run = {
    run: name,
    steps,
    last_step: steps.at(-1),
    metrics: [metric(scale)],
    findings: [],
    rules: [],
    verdict: { severity: "ok" },
    model: {
      layers: layers.map((layer) => ({
        name: layer,
        type: layer,
        shape: [8],
        parameters: layer === "pool" ? 0 : 8,
        trainable: true,
      })),
    },
  } as unknown as Run;
  return { name, run, measured: measured(rows), counts: counts && measured(counts) };
}

const run = source(
  "run",
  "log",
  ["conv", "pool", "extra", "out"],
  [0, 10, 20, 30],
  [
    [1, NaN, 1, 1],
    [4, NaN, 1, 0],
    [NaN, NaN, 1, 1],
    [8, NaN, 1, 0],
  ],
  [
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [3, 0, 0, 0],
    [0, 0, 0, 0],
  ],
);
const baseline = source(
  "baseline",
  "log",
  ["conv", "pool", "out", "last"],
  [5, 15],
  [
    [1, NaN, 1, 1],
    [2, NaN, 0, 1],
  ],
);

test("each difference is of what both measured last", () => {
  const both = buildPlot([baseline, run], "m");
  const plot = differencePlot(both);
  const cells = plot.columns[0]!.cells!;
  expect(plot.layers).toEqual(["conv", "pool", "extra", "out", "last"]);
  expect(cells.steps).toEqual([5, 10, 15, 20]); // not before the later start, nor after the earlier end
  expect(cells.end).toBe(25);
  const of = (row: number) => cells.steps.map((_, cell) => cells.value(cell, row));
  expect(of(0)).toEqual([0, 2, 1, NaN]);
  expect(cells.broken(3, 0)).toBe(true);
  expect(of(3)).toEqual([0, -Infinity, 0, Infinity]);
  expect(plot.columns[0]!.filled).toEqual([true, false, false, true, false]);
  expect([plot.scale!.position(-9), plot.scale!.position(0), plot.scale!.position(Infinity)]).toEqual(
    [0, 0.5, 1],
  );
});

test("an empty row says why", () => {
  const both = buildPlot([baseline, run], "m");
  expect(both.layers.map((_, row) => emptyReason(both, row, { baseline: "A", run: "C" }))).toEqual([
    null,
    "no weights",
    "only in C",
    null,
    "only in A",
  ]);
});

test("without the measure of one there is no difference", () => {
  const plot = differencePlot(buildPlot([{ ...baseline, measured: undefined }, run], "m"));
  expect(plot.columns[0]!.cells).toBeNull();
  expect(plot.scale).toBeNull();
  expect(plot.steps).toEqual([]);
});

test("runs without a step in common have no cell", () => {
  const late = source("late", "log", ["conv"], [100, 110], [[1], [2]]);
  const plot = differencePlot(buildPlot([baseline, late], "m"));
  expect(plot.steps).toEqual([]);
  expect(plot.columns[0]!.cells!.end).toBe(0);
});

test("magnitudes differ by a factor, everything else by an amount", () => {
  expect(difference(8, 2, "log")).toBe(2);
  expect(difference(0, 0, "log")).toBe(0);
  expect(difference(0.5, 0.75, "share")).toBe(-0.25);
  expect(formatDistance(5, "log")).toBe("32 ×");
  expect(formatDistance(0.25, "share")).toBe("25 points");
  expect(formatDistance(0.002, "linear")).toBe("0.002");
});

const called = { baseline: "A", run: "C" };

test("how the run is beside the baseline", () => {
  const of = (run: number | null, baseline: number | null, scale: Parting["scale"]) =>
    told(run, baseline, scale, called);
  expect(of(0.03, 0.001, "log")).toBe("30 × larger");
  expect(of(1, 1.5, "log")).toBe("1.5 × smaller");
  expect(of(1000, 1, "log")).toBe("1,000 × larger");
  expect(of(2e19, 0.1, "log")).toBe("over 1,000 × larger");
  expect(of(2, 2, "log")).toBe("equal");
  expect(of(0, 2, "log")).toBe("0 in C");
  expect(of(2, 0, "log")).toBe("0 in A");
  expect(of(null, 2, "log")).toBe("NaN in C");
  expect(of(2, null, "share")).toBe("NaN in A");
  expect(of(null, null, "log")).toBe("NaN in both");
  expect(of(0.97, 0.02, "share")).toBe("95 points larger");
  expect(of(-1, 1, "linear")).toBe("2 smaller");
});

test("runs are called by their letters", () => {
  expect(letters({ baseline: "good", run: "bad" }, ["bad", "x", "good"])).toEqual({
    baseline: "C",
    run: "A",
  });
});

const parting = (more: Partial<Parting>): Parting => ({
  name: "loss",
  title: "Loss",
  scale: "log",
  outcome: "together",
  reason: null,
  step: 40,
  layer: null,
  run: null,
  baseline: null,
  apart: null,
  limit: null,
  ...more,
});

const apart: Partial<Parting> = { outcome: "parted", run: 4, baseline: 1, apart: 4, limit: 1.5 };

test("the first line tells the first parting", () => {
  const silent = parting({ outcome: "not-comparable", step: null, reason: "no ReLU" });
  const first = parting({ ...apart, title: "Update ratio", layer: "dense_2", step: 1300 });
  expect(headline([first, parting(apart), parting({}), silent], called)).toEqual({
    title: "They part by step 1,300, in `dense_2`",
    about:
      "First the update ratio: 4 × larger, where up to 1.5 × is noise. 1 measure later; 1 measure within the noise; 1 not comparable.",
  });
  expect(headline([parting(apart)], called).title).toBe("They part by step 40");
  expect(headline([parting({ ...apart, run: null, limit: null })], called).about).toBe(
    "First the loss: NaN in C.",
  );
  const other = parting({ ...apart, title: "Output RMS" });
  expect(headline([parting(apart), other, first], called).about).toBe(
    "First the loss: 4 × larger, where up to 1.5 × is noise. 1 other measure at the same step; 1 measure later.",
  );
  expect(headline([parting({}), silent], called)).toEqual({
    title: "They do not part up to step 40",
    about: "1 measure within the noise; 1 not comparable.",
  });
  expect(headline([silent], called)).toEqual({ title: "They cannot be compared yet", about: "No ReLU." });
  expect(headline([], called).title).toBe("They cannot be compared yet");
});

test("noise in the unit of the measure", () => {
  expect(noise(parting(apart))).toBe("1.5 ×");
  expect(noise(parting({ ...apart, scale: "share", limit: 0.2 }))).toBe("20 points");
  expect(noise(parting({ limit: null }))).toBe("–");
});

const setting = (more: Partial<Setting>): Setting => ({
  group: "training",
  name: "x",
  run: 1,
  baseline: 2,
  only: null,
  same: false,
  ...more,
});

test("settings as they were set", () => {
  const of = (run: Setting["run"]) => settingValue(setting({ run }), "run");
  expect([1e-3, 47530, 0.10000000149, 1e-7, true, null, "Adam"].map(of)).toEqual([
    "0.001",
    "47,530",
    "0.1",
    "1e-7",
    "yes",
    "none",
    "Adam",
  ]);
  expect(settingValue(setting({ only: "run", baseline: null }), "baseline")).toBe("not there");
  expect(settingValue(setting({ only: "run", baseline: null }), "run")).toBe("1");
  const all = [setting({}), setting({ group: "data" }), setting({ same: true })];
  expect(byGroup(all, false).map(([group, of]) => [group, of.length])).toEqual([
    ["training", 1],
    ["data", 1],
  ]);
  expect(byGroup(all, true)).toEqual([["training", [all[2]]]]);
});

test("what parts first stands on top, and of what does not part each thing is said once", () => {
  const { parted, others } = byOutcome([
    parting({ title: "silent", outcome: "not-comparable", reason: "no ReLU" }),
    parting({ ...apart, name: "rms", step: 60 }),
    parting({ title: "together" }),
    parting({ ...apart, name: "early", step: 20 }),
    parting({ title: "alike" }),
  ]);
  expect(parted.map(({ name }) => name)).toEqual(["early", "rms"]);
  expect(others).toEqual([
    { words: "within the noise up to step 40", titles: ["together", "alike"] },
    { words: "not comparable: no ReLU", titles: ["silent"] },
  ]);
});

test("colours reach no further than a factor that says something", () => {
  const huge = source("huge", "log", ["conv"], [0, 10], [[1e30], [1e30]]);
  const small = source("small", "log", ["conv"], [0, 10], [[1], [1]]);
  const scale = differencePlot(buildPlot([small, huge], "m")).scale!;
  expect(differenceTicks(scale.hi, "log")).toEqual(["1/1,000", "1", "1,000 ×"]);
});

test("the first measure is that of a finding, or has numbers in both runs", () => {
  const broken = parting({ ...apart, name: "rms", run: null });
  const silent = parting({ name: "saturated", outcome: "not-comparable" });
  const all = [parting(apart), silent, broken, parting({ ...apart, name: "ratio" })];
  const layers = ["saturated", "rms", "ratio"]; // the loss has no heat map
  const begin = (partings: Parting[], ...found: string[]) => {
    const run = found.map((metric) => ({ metric }) as Finding);
    return measureToBeginWith({ partings, findings: { both: [], baseline: [], run } }, layers);
  };
  expect(begin(all)).toBe("ratio");
  expect(begin(all.slice(0, 3))).toBe("rms");
  expect(begin([silent])).toBeNull();
  expect(begin(all, "loss", "rms")).toBe("rms");
  expect(begin(all, silent.name)).toBe("ratio");
});

test("a factor is marked as a quotient, everything else as a difference", () => {
  expect(differenceTicks(5, "log")).toEqual(["1/32", "1", "32 ×"]);
  expect(differenceTicks(1, "share")).toEqual(["−100 points", "0", "+100 points"]);
});

test("a schedule is told by the rates that were recorded", () => {
  const steps = [0, 10, 20, 30, 40, 50];
  expect(rateWords(steps, [0.1, 0.1, null, 30, 30, 30])).toEqual(["0.1", "by step 30: 30"]);
  expect(rateWords(steps, [0.1, 0.1])).toEqual(["0.1"]);
  expect(rateWords(steps, [0.5, 0.4, 0.3, 0.2, 0.1, 0.01])).toEqual(["0.5 to 0.01"]);
  expect(rateWords(steps, [0, 0.4, 0.3, 0.2, 0.1, 0.01])).toEqual(["0 to 0.01", "at most 0.4"]);
  expect(rateWords(steps, [null])).toEqual([]);
  const decay = setting({ name: "learning_rate", run: "CosineDecay", baseline: 0.1 });
  const run = { steps, series: { learning_rate: [0.5, 0.5, 0.25] } } as unknown as Run;
  const pieces = ["0.5", "by step 20: 0.25"];
  expect(settingWords(decay, "run", run)).toEqual({ pieces, schedule: "CosineDecay" });
  const named = { pieces: ["CosineDecay"], schedule: null };
  expect(settingWords(decay, "run", { ...run, series: {} })).toEqual(named);
  expect(settingWords(decay, "baseline", run)).toEqual({ pieces: ["0.1"], schedule: null });
});

test("key numbers stand in groups, in their order", () => {
  const of = (...titles: string[]) => numbersByGroup(titles.map((title) => ({ title })));
  const groups = of("last step", "lowest loss", "last loss", "median update ratio");
  expect(groups.map(([group, numbers]) => [group, numbers.map(({ title }) => title)])).toEqual([
    ["At the end", ["last step", "last loss"]],
    ["At its lowest", ["lowest loss"]],
    ["Over all layers", ["median update ratio"]],
  ]);
  expect(of("last step")).toHaveLength(1);
});
