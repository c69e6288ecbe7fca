// The same file is read by pytest, which holds the server to it.
import { afterEach, expect, test, vi } from "vitest";
import contract from "../../../tests/data/contract.json";
import {
  readCamIndex,
  readComparison,
  readFolder,
  readHistograms,
  readJudged,
  readLosses,
  readPredictions,
  readRules,
  readRun,
  readRuns,
} from "./readers";
import { readImages, readLayer, readMaps, readMeasurements } from "./model/binary";
import { problems } from "./model/findings";
import { defaultMetric } from "./model/metrics";
import { defaultShown, worstFirst } from "./model/runs";
import { fetchMetric } from "./requests";

const runAnswer = contract["api/run"].answer;
const runsAnswer = contract["api/runs"].answer;
const judgeAnswer = contract["api/judge"].answer;

/** Who reads the answer of each address; null for what no view asks for. */
const READERS: Record<string, ((answer: unknown) => unknown) | null> = {
  "api/runs": readRuns,
  "api/run": readRun,
  "api/report": null,
  "api/histograms": readHistograms,
  "api/judge": readJudged,
  "api/rules": readRules,
  "api/losses": readLosses,
  "api/compare": readComparison,
  "api/predictions": readPredictions,
  "api/cams": readCamIndex,
};

const BINARY_READERS: Record<string, (body: ArrayBuffer) => Iterable<number>> = {
  "api/metric": (body) => {
    const { recording, layers, steps, wallTimes, values } = readMeasurements(body);
    return [recording, layers, ...steps, ...wallTimes, ...values];
  },
  "api/layer": (body) => {
    const { steps, values } = readLayer(body);
    return [...steps, ...values.flatMap((metric) => [...metric])];
  },
  "api/cams/maps": (body) => readMaps(body, [2, 1, 2, 1, 2, 0]),
  "api/cams/images": (body) => readImages(body, [2, 2, 2, 1]),
};

const addresses = Object.entries(contract);

test("every address of the contract is read, or known to be read by nobody", () => {
  expect(Object.keys(contract).sort()).toEqual(
    [...Object.keys(READERS), ...Object.keys(BINARY_READERS)].sort(),
  );
  for (const [address, expected] of addresses) {
    if ("answer" in expected) expect(() => READERS[address]?.(expected.answer)).not.toThrow();
  }
});

test("a binary answer is read as the contract lays it out, and refused one byte shorter", () => {
  for (const [address, expected] of addresses) {
    if (!("example" in expected)) continue;
    const body = Uint8Array.from(atob(expected.example), (c) => c.charCodeAt(0)).buffer;
    expect([...BINARY_READERS[address]!(body)], address).toEqual(expected.numbers);
    expect(() => BINARY_READERS[address]!(body.slice(0, -1)), address).toThrow();
  }
});

test("an answer that there is none ends in its reason, as no failure", () => {
  for (const [address, expected] of addresses) {
    if (!("none" in expected)) continue;
    const absent = { message: expected.none.answer.reason, absent: true };
    expect(() => READERS[address]!(expected.none.answer), address).toThrow(
      expect.objectContaining(absent),
    );
  }
});

afterEach(() => vi.unstubAllGlobals());

/** A measure of one layer, as the server writes it. */
function binary(steps: number[], wallTimes: number[]): ArrayBuffer {
  const body = new ArrayBuffer(16 + 20 * steps.length);
  new Uint32Array(body, 0, 4).set([steps.length, 1, 7, 0]);
  new Float64Array(body, 16, 2 * steps.length).set([...steps, ...wallTimes]);
  return body;
}

function serve(...bodies: ArrayBuffer[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (address: string) => {
    asked.push(address);
    return Promise.resolve(new Response(bodies.shift()));
  });
  return asked;
}

test("only what is new of a measure is asked for", async () => {
  const asked = serve(binary([1, 2], [11, 12]), binary([2, 3], [12, 13]));
  const known = await fetchMetric("a", "m");
  expect([...(await fetchMetric("a", "m", known)).steps]).toEqual([1, 2, 3]);
  expect(asked).toEqual(["api/metric?run=a&metric=m", "api/metric?run=a&metric=m&since=2"]);
});

test("all of a measure is asked for again where what is new does not continue it", async () => {
  const asked = serve(binary([1, 2], [11, 12]), binary([2], [99]), binary([1, 2], [98, 99]));
  const known = await fetchMetric("a", "m");
  expect([...(await fetchMetric("a", "m", known)).wallTimes]).toEqual([98, 99]);
  expect(asked.at(-1)).toBe("api/metric?run=a&metric=m");
});

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
  expect(readFolder(runsAnswer)).toBe("logs");
  expect(readFolder({ folder: null })).toBeNull();
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
  expect(judged.thresholds[0]!.thresholds[0]).toMatchObject({ name: "warn", sign: "≥" });
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
