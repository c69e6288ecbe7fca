// The same files are read by pytest, which holds the server to the same keys.
import { expect, test } from "vitest";
import judgeAnswer from "../../../tests/data/judge.json";
import runAnswer from "../../../tests/data/run.json";
import runsAnswer from "../../../tests/data/runs.json";
import { readCamIndex, readJudged, readRules, readRun, readRuns } from "./api";
import { problems } from "./model/findings";
import { defaultMetric } from "./model/metrics";
import { defaultShown, worstFirst } from "./model/runs";

test("the runs are read, with and without a recording", () => {
  const runs = readRuns(runsAnswer);
  expect(worstFirst(runs).map((run) => run.run)).toEqual([
    "exploding",
    "dying-relu",
    "healthy",
    "newer",
    "plain",
  ]);
  expect(defaultShown(runs)).toEqual(["healthy", "dying-relu", "exploding"]);
});

test("a run is read", () => {
  const run = readRun(runAnswer);
  expect(problems(run.findings)[0]).toMatchObject({
    rule: "dead-relu",
    number: 1,
    severity: "critical",
  });
  expect(defaultMetric([run])).toBe("dead_fraction");
  for (const series of Object.values(run.series)) expect(series).toHaveLength(run.steps.length);
});

test("a judgement is read, with its thresholds and what is suppressed", () => {
  const judged = readJudged(judgeAnswer);
  expect(judged.thresholds[0]!.thresholds[0]).toMatchObject({ name: "warn", above: true });
  expect(judged.suppressed[0]!.reason).toBe("by design");
  for (const key of Object.keys(judgeAnswer)) {
    const { [key as keyof typeof judgeAnswer]: _, ...rest } = judgeAnswer;
    expect(() => readJudged(rest), key).toThrow(/a judgement lacks .*Restart TensorBoard/);
  }
});

test("every metric names its count of NaN and Inf, every limit its rule", () => {
  const run = readRun(runAnswer);
  const names = run.metrics.map((metric) => metric.name);
  const rules = run.rules.map((rule) => rule.id);
  for (const metric of run.metrics) {
    expect(names).toContain(metric.nonfinite);
    for (const limit of metric.limits) expect(rules).toContain(limit.rule);
  }
});

test("an answer that lacks a key is refused with what to do", () => {
  for (const key of Object.keys(runAnswer)) {
    const { [key as keyof typeof runAnswer]: _, ...rest } = runAnswer;
    expect(() => readRun(rest), key).toThrow(/lacks .*Restart TensorBoard/);
  }
  const [first] = runsAnswer.runs;
  expect(() => readRuns({ runs: [{ ...first, finished: undefined }] })).not.toThrow();
  expect(() => readRuns({})).toThrow(/the runs lacks runs/);
  expect(() => readRuns({ runs: [{ run: "a" }] })).toThrow(/lacks recorded, start_time/);
  expect(() => readRules({ rules: [], runs: [{ run: "a" }] })).toThrow(/lacks step, error, rules/);
  expect(() => readCamIndex(null)).toThrow(/Grad-CAM/);
});
