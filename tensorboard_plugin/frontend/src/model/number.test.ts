import { expect, test } from "vitest";
import {
  formatAge,
  formatCount,
  formatMagnitude,
  formatShare,
  formatTick,
  formatValue,
  plural,
  readableNumbers,
} from "./number";

test("a magnitude has two digits that count", () => {
  expect(formatMagnitude(0)).toBe("0");
  expect(formatMagnitude(0.0421)).toBe("0.042");
  expect(formatMagnitude(2.304)).toBe("2.3");
  expect(formatMagnitude(638.4)).toBe("638");
  expect(formatMagnitude(12345)).toBe("12,345");
  expect(formatMagnitude(7.12e-8)).toBe("7.1e-8");
  expect(formatMagnitude(3e12)).toBe("3e12");
  expect(formatMagnitude(-0.5)).toBe("−0.5");
  expect(formatMagnitude(-Infinity)).toBe("−Inf");
});

test("a small share is not rounded to none", () => {
  expect(formatShare(0)).toBe("0 %");
  expect(formatShare(0.97)).toBe("97 %");
  expect(formatShare(0.0997)).toBe("10 %"); // as it is rounded, so it is written
  expect(formatShare(0.045)).toBe("4.5 %");
  expect(formatShare(0.0000042)).toBe("4.2e-4 %");
  expect(formatShare(1)).toBe("100 %");
});

test("what was not measured is a dash", () => {
  expect(formatValue(NaN, "log")).toBe("–");
  expect(formatValue(NaN, "share")).toBe("–");
  expect(formatValue(1234.4, "count")).toBe("1,234");
});

test("ticks are short", () => {
  expect(formatTick(1e-7, "log")).toBe("1e-7");
  expect(formatTick(0.01, "log")).toBe("0.01");
  expect(formatTick(100, "log")).toBe("100");
  expect(formatTick(0.95, "share")).toBe("95 %");
  expect(formatTick(0, "linear")).toBe("0");
});

test("ages and plurals", () => {
  expect(formatAge(4.9)).toBe("4 s");
  expect(formatAge(-3)).toBe("0 s");
  expect(formatAge(720)).toBe("12 min");
  expect(formatAge(7300)).toBe("2 h");
  expect(formatAge(5 * 86400)).toBe("5 d");
  expect(plural(1, "layer")).toBe("1 layer");
  expect(plural(1200, "step")).toBe("1,200 steps");
  expect(formatCount(1e6)).toBe("1,000,000");
});

test("numbers of messages are written as all others, the rest of the text is left alone", () => {
  expect(readableNumbers("0 < 1e-03")).toBe("0 < 0.001");
  expect(readableNumbers("3.6e+18 > 100, below 1e-07 since")).toBe("3.6e18 > 100, below 1e-7 since");
  expect(readableNumbers("1.2e+04, -2.5e-05")).toBe("12,000, −2.5e-5");
  expect(readableNumbers("layer_1e-03 of lr-1e-05, conv2e-1x")).toBe("layer_1e-03 of lr-1e-05, conv2e-1x");
});
