import { expect, test } from "vitest";
import type { Limit, Metric } from "../api";
import { colourScale, interpolation, roundUp, sample } from "./scale";

function metric(scale: Metric["scale"]): Metric {
  return {
    name: "m",
    title: "M",
    scale,
    source: "probe set",
    nonfinite: "n",
    about: "",
    not_measured: null,
    limits: [],
  };
}

const limit = (value: number, above: boolean) => ({
  severity: "warn",
  rule: "r",
  value,
  above,
}) as Limit;

test("a share lies on the ramp where it is", () => {
  const scale = colourScale(metric("share"), [], [], []);
  expect(scale.position(0.25)).toBe(0.25);
  expect(scale.position(1.2)).toBe(1);
  expect(scale.ramp).toBe("sequential");
});

test("between its two limits a magnitude is neutral", () => {
  const scale = colourScale(metric("log"), [limit(1e-7, false), limit(10, true)], [1e-9, 1e3], []);
  expect(scale.position(1e-3)).toBeCloseTo(0.5);
  expect(scale.position(1e-7)).toBeCloseTo(0.2);
  expect(scale.position(10)).toBeCloseTo(0.8);
  expect(scale.position(0)).toBe(0);
  expect(scale.position(1e30)).toBe(1);
});

test("without limits a magnitude is neutral where healthy runs live", () => {
  const scale = colourScale(metric("log"), [], [1e-12, 1e-12, 0.01], [0.001, 0.01, 0.02]);
  for (const value of [0.001, 0.01, 0.02]) {
    expect(Math.abs(scale.position(value) - 0.5)).toBeLessThan(0.1);
  }
  expect(scale.position(1e-12)).toBeLessThan(0.1);
});

test("noise of healthy runs is neutral over a decade at least, up to a limit", () => {
  const isNeutral = ({ position }: { position(value: number): number }) => (value: number) =>
    Math.abs(position(value) - 0.5) < 0.035;
  const free = colourScale(metric("log"), [], [1e-6, 1], [0.01, 0.01]);
  expect([0.0035, 0.01, 0.03].map(isNeutral(free))).toEqual([true, true, true]);
  expect([1e-4, 1].map(isNeutral(free))).toEqual([false, false]);
  const limited = colourScale(metric("log"), [limit(0.02, true)], [1e-6, 1], [0.01, 0.01]);
  expect([0.0035, 0.01, 0.02].map(isNeutral(limited))).toEqual([true, true, false]);
});

test("a limit keeps its colour even where a healthy run comes near it", () => {
  const scale = colourScale(metric("log"), [limit(1e-7, false)], [1e-6, 1], [1e-8, 1]);
  expect(scale.position(1e-7)).toBeCloseTo(0.2);
  expect(scale.lo).toBeLessThan(1e-7);
});

test("positions grow with the value, and legend and ticks stay within the ends", () => {
  const scale = colourScale(metric("log"), [limit(0.1, true)], [1e-5, 1e-3, 4e38], [1e-3]);
  const positions = [0, 1e-9, 1e-6, 1e-3, 0.05, 0.1, 1, 1e6].map(scale.position);
  expect([...positions].sort((a, b) => a - b)).toEqual(positions);
  expect(scale.hi).toBeLessThan(1e9);
  for (const tick of scale.ticks) {
    expect(tick).toBeGreaterThanOrEqual(scale.lo);
    expect(tick).toBeLessThanOrEqual(scale.hi);
  }
});

test("values around zero get the same reach on both sides", () => {
  const scale = colourScale(metric("linear"), [], [-3, 1, 2], []);
  expect([scale.lo, scale.hi]).toEqual([-5, 5]);
  expect(scale.position(0)).toBe(0.5);
});

test("nothing measured still makes a scale", () => {
  for (const kind of ["log", "share", "linear", "count"] as const) {
    const scale = colourScale(metric(kind), [], [], []);
    expect(scale.position(1)).not.toBeNaN();
    expect(scale.along(1)).not.toBeNaN();
  }
});

test("the small parts", () => {
  const bent = interpolation([
    [0, 0],
    [1, 10],
    [2, 30],
  ]);
  expect([-1, 0, 0.5, 1.5, 2, 3].map(bent)).toEqual([0, 0, 5, 20, 30, 30]);
  expect([roundUp(3), roundUp(0.011), roundUp(0), roundUp(1)]).toEqual([5, 0.02, 1, 1]);
  expect(sample([1, NaN, 3, Infinity, 5], 100)).toEqual([1, 3, 5]);
  expect(sample(new Float32Array(1000), 10)).toHaveLength(10);
  const columns = Float32Array.from({ length: 400 * 200 }, (_, i) => i % 200);
  const seen = sample(columns, 1000);
  expect(new Set(seen).size).toBeGreaterThan(190);
  expect(seen.reduce((a, b) => a + b, 0) / seen.length).toBeCloseTo(99.5, 0);
});
