import { expect, test } from "vitest";
import { cssColour, fromOklab, RAMPS, ramp, rampIndex, toOklab } from "./colour";

test("a colour survives the way to OKLab and back", () => {
  expect(fromOklab(toOklab("#d69a5c"))).toEqual([0xd6, 0x9a, 0x5c]);
  expect(toOklab("#ffffff")[0]).toBeCloseTo(1, 5);
  expect(toOklab("#000000")[0]).toBeCloseTo(0, 5);
});

test("a ramp begins, bends and ends in its stops", () => {
  const colours = ramp([
    [0, "#000000"],
    [0.6, "#ff0000"],
    [1, "#ffffff"],
  ]);
  expect(cssColour(colours, 0)).toBe("rgb(0 0 0)");
  expect(cssColour(colours, 0.6)).toBe("rgb(255 0 0)");
  expect(cssColour(colours, 1)).toBe("rgb(255 255 255)");
});

test("positions outside are clamped", () => {
  expect(rampIndex(-3)).toBe(0);
  expect(rampIndex(7)).toBe(255 * 3);
});

test("lightness never turns back within a sequential ramp", () => {
  for (const theme of [RAMPS.light, RAMPS.dark]) {
    const lightness = Array.from({ length: 256 }, (_, i) => {
      const hex = [0, 1, 2].map((k) => theme.sequential[i * 3 + k]!.toString(16).padStart(2, "0"));
      return toOklab(`#${hex.join("")}`)[0];
    });
    const sign = Math.sign(lightness[255]! - lightness[0]!);
    for (let i = 1; i < 256; i++) {
      expect(sign * (lightness[i]! - lightness[i - 1]!)).toBeGreaterThan(-0.004);
    }
  }
});
