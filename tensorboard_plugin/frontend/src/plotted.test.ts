import { expect, test } from "vitest";
import contract from "../../../tests/data/contract.json";
import type { Recorded, Run } from "./api";
import { besideWants, cursorIn, plotAhead, plotOf } from "./plotted";
import { readRun } from "./readers";
import { metricOf, RUN } from "./resources";
import { initialState, type Loaded, type State } from "./state";

const recorded: Run = readRun(contract["api/run"].answer);
const [first, second] = recorded.metrics.filter((metric) => !metric.not_measured);
const unmeasured = { ...second!, name: "unmeasured", not_measured: "no such layer" };
const run: Run = { ...recorded, metrics: [first!, unmeasured, second!] };

/** The runs a and b side by side; of a this many bytes of a measure are there. */
function shown(bytes: number): State {
  const values = new Float32Array(bytes / 4);
  const measured: Recorded = {
    recording: 1,
    layers: 1,
    steps: new Float64Array(),
    wallTimes: new Float64Array(),
    values,
  };
  const loaded: [string, Loaded][] = ["a", "b"].map((name) => [
    name,
    new Map<string, { value: unknown }>([[RUN.name, { value: run }]]),
  ]);
  const kept: [string, Loaded] = ["gone", new Map([[metricOf("x").name, { value: measured }]])];
  return { ...initialState({}), shown: ["a", "b"], loaded: new Map([...loaded, kept]) };
}

test("what each measured measure needs is fetched ahead, of all shown runs before the next one", () => {
  const ahead = plotAhead(shown(0)).filter(([, resource]) => resource !== RUN);
  const names = ahead.map(([name, resource]) => `${name}: ${resource.name}`);
  const needs = (metric: typeof first) =>
    [...new Set([metric!.name, metric!.nonfinite])].map((name) => metricOf(name).name);
  const expected = [first, second].flatMap((metric) =>
    ["a", "b"].flatMap((name) => needs(metric).map((need) => `${name}: ${need}`)),
  );
  expect(names).toEqual(expected);
  expect(names.length).toBeGreaterThan(2);
});

test("nothing is fetched ahead once enough is kept, of runs no longer shown too", () => {
  expect(plotAhead(shown(99e6))).not.toEqual([]);
  expect(plotAhead(shown(100e6))).toEqual([]);
});

test("what stands beside a run's heat map is asked for once the map itself is there", () => {
  const state = { ...shown(0), metric: second!.name, beside: [first!.name, unmeasured.name, second!.name] };
  const wanted = (of: State) => [...new Set(besideWants(of, "a").map(({ name }) => name))];
  const withSlots = (slots: [string, { value?: unknown; failure?: string }][]) => ({
    ...state,
    loaded: new Map([["a", new Map<string, object>([[RUN.name, { value: run }], ...slots])]]),
  });
  const needs = [...new Set([second!.name, second!.nonfinite])].map((name) => metricOf(name).name);
  expect(wanted(state)).toEqual([]);
  const all = [first!.name, first!.nonfinite, second!.name, second!.nonfinite];
  const expected = [...new Set(all)].map((name) => metricOf(name).name);
  expect(wanted(withSlots(needs.map((name) => [name, { value: {} }]))).sort()).toEqual(expected.sort());
  expect(wanted(withSlots(needs.map((name) => [name, { failure: "gone" }])))).not.toEqual([]);
  expect(wanted({ ...withSlots(needs.map((name) => [name, { value: {} }])), beside: [] })).toEqual([]);
  expect(wanted({ ...state, metric: null })).toEqual([]);
});

test("a pointer that is at no step leaves the cursor at the pinned or newest one", () => {
  const plotted = (last_step: number) => {
    const loaded = new Map([["a", new Map([[RUN.name, { value: { ...run, last_step } }]])]]);
    return plotOf({ ...shown(0), shown: ["a"], loaded });
  };
  const layer = plotted(100).layers[1]!;
  const state = { ...shown(0), hover: { step: null, layer } };
  expect(cursorIn(plotted(100), state)).toEqual({ step: 100, layer, resting: true });
  expect(cursorIn(plotted(200), state)).toEqual({ step: 200, layer, resting: true });
  expect(cursorIn(plotted(200), { ...state, step: 40 })).toEqual({ step: 40, layer, resting: false });
  const pointed = { ...state, hover: { step: 7, layer } };
  expect(cursorIn(plotted(200), pointed)).toEqual({ step: 7, layer, resting: false });
});
