import { expect, test } from "vitest";
import { type Gauge, gauges, stripOf } from "./strip";
import type { Tunable } from "./thresholds";

const warn: Tunable = {
  name: "warn",
  about: "share of units",
  source: "",
  default: 0.5,
  sign: "≥",
  whole: false,
  least: 0,
  most: 1,
  severity: "warn",
  measure: "dead_fraction",
  recorded: new Map([
    ["a", 0.5],
    ["b", 0.5],
  ]),
  worst: new Map([
    ["a", { value: 0.02, layer: "conv" }],
    ["b", { value: 0.97, layer: "dense" }],
  ]),
};
const watch: Tunable = { ...warn, name: "watch", severity: "watch", recorded: new Map([["a", 0.25]]) };
const patience: Tunable = { ...warn, name: "patience", sign: null, measure: null };

const norm = (name: string, sign: ">" | "<", limit: number, values: Record<string, number>): Tunable => ({
  ...warn,
  ...{ name, sign, most: null, measure: "output_rms" },
  recorded: new Map([["a", limit]]),
  worst: new Map(Object.entries(values).map(([run, value]) => [run, { value, layer: null }])),
});
const gauge = (...thresholds: Tunable[]): Gauge => ({ measure: "output_rms", isUpper: true, thresholds });

const lower = (watched: Tunable): Tunable => ({ ...watched, default: 0.25 });

test("limits of one measure stand together, the lowest first; what only counts does not", () => {
  expect(gauges([warn, patience, lower(watch)])).toEqual({
    gauges: [{ measure: "dead_fraction", isUpper: true, thresholds: [lower(watch), warn] }],
    rest: [patience],
  });
});

test("each side of a measure has its own gauge, the lower one first", () => {
  const [high, low] = [norm("high", ">", 1e3, { a: 5 }), norm("low", "<", 1e-3, { a: 0.5 })];
  expect(gauges([high, low]).gauges.map(({ isUpper, thresholds }) => [isUpper, thresholds])).toEqual([
    [false, [low]],
    [true, [high]],
  ]);
});

test("a share lies between nothing and all, each run once", () => {
  const strip = stripOf(gauge(watch, warn), {}, ["a", "b"])!;
  expect(strip.ends).toEqual(["0 %", "100 %"]);
  expect(strip.values).toEqual([
    { at: 0.02, words: "a 2 % in conv" },
    { at: 0.97, words: "b 97 % in dense" },
  ]);
  expect(strip.limits).toEqual([
    { at: 0.25, severity: "watch", words: "watch ≥ 25 %", label: "25 %", line: 0 },
    { at: 0.5, severity: "warn", words: "warn ≥ 50 %", label: "50 %", line: 0 },
  ]);
});

test("labels of limits that are near each other stand in lines below each other", () => {
  const tried = (watched: number, warned: number) =>
    stripOf(gauge(watch, warn), { watch: watched, warn: warned }, ["a"])!.limits;
  const lines = (watched: number, warned: number) =>
    tried(watched, warned).map(({ label, line }) => [label, line]);
  expect(lines(0.48, 0.5)).toEqual([["48 %", 0], ["50 %", 1]]);
  expect(lines(0.5, 0.48)).toEqual([["48 %", 0], ["50 %", 1]]);
  expect(lines(0.1, 0.9)).toEqual([["10 %", 0], ["90 %", 0]]);
});

test("a limit stands where it is tried, and where each run has its own", () => {
  expect(stripOf(gauge(warn), { warn: 0.4 }, ["a"])!.limits.map(({ at }) => at)).toEqual([0.4]);
  const differs = { ...warn, recorded: new Map([["a", 0.5], ["b", 0.6]]) };
  expect(stripOf(gauge(differs), {}, ["a", "b"])!.limits.map(({ at }) => at)).toEqual([0.5, 0.6]);
});

test("magnitudes lie on a log axis; nothing stretches it, and 0 is at its left end", () => {
  const strip = stripOf(gauge(norm("high", ">", 1e3, { a: 1, b: 3e38 })), {}, ["a", "b"])!;
  expect(strip.ends[1]).toBe("> 1e9");
  expect(strip.values[1]).toEqual({ at: 1, words: "b 3e38" });
  expect(strip.values[0]!.at).toBeLessThan(strip.limits[0]!.at);
  const zero = stripOf(gauge(norm("low", "<", 1e-3, { a: 0, b: 1 })), {}, ["a", "b"])!;
  expect(zero.ends[0]).toBe("0");
  expect(zero.values[0]).toEqual({ at: 0, words: "a 0" });
});

test("a run has one mark, however many limits there are", () => {
  const two = gauge(norm("norm", ">", 100, { a: 5 }), norm("extreme", ">", 1e3, { a: 5 }));
  expect(stripOf(two, {}, ["a"])!.values.map(({ words }) => words)).toEqual(["a 5"]);
});

test("runs that are near each other have one label, those without a value none", () => {
  const near = norm("high", ">", 1e3, { a: 1, b: 1.01, c: 900 });
  const { labels } = stripOf(gauge(near), {}, ["c", "b", "a", "d"])!;
  expect(labels.map(({ runs }) => runs)).toEqual([[1, 2], [0]]);
  expect(stripOf(gauge(near), {}, ["d"])).toBeNull();
});
