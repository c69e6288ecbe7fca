import { expect, test } from "vitest";
import type { Cams } from "../api";
import {
  chooseSnapshots,
  content,
  guessOf,
  mapOf,
  mapScale,
  overlay,
  picture,
  sampleScale,
  snapshotAt,
} from "./cams";

// Two steps, two samples, two classes, maps of one by two.
const cams: Cams = {
  steps: [1, 100],
  layer: "conv",
  method: "gradcam",
  samples: [
    { name: "0", true: 7 },
    { name: "1", true: 3 },
  ],
  predicted: [
    [3, 3],
    [7, null],
  ],
  confidence: [
    [0.2, 0.9],
    [0.98, null],
  ],
  true_confidence: [
    [0.1, 0.9],
    [0.98, null],
  ],
  map_size: [1, 2],
  image_size: [1, 2, 1],
  maps: Float32Array.from([0, 0, 1, 2, 0, 5, 0, 0, 4, 1, 0, 3, NaN, NaN, 0, 0]),
  images: Uint8Array.from([0, 255, 10, 20]),
};

test("maps are found by step, sample and class", () => {
  expect([...mapOf(cams, 0, 0, 1).values]).toEqual([1, 2]);
  expect([...mapOf(cams, 1, 0, 0).values]).toEqual([4, 1]);
});

test("an empty map is not a map, nor is one of NaN", () => {
  expect(content(mapOf(cams, 0, 0, 0))).toBe("empty");
  expect(content(mapOf(cams, 0, 0, 1))).toBe("map");
  expect(content(mapOf(cams, 1, 1, 0))).toBe("undefined");
});

test("one scale per image over all steps", () => {
  expect(sampleScale(cams, 0, 0)).toBe(4);
  expect(sampleScale(cams, 1, 0)).toBe(5);
  expect(sampleScale(cams, 1, 1)).toBe(0);
});

test("the scale of a single map", () => {
  expect(mapScale(mapOf(cams, 0, 0, 1))).toBe(2);
  expect(mapScale(mapOf(cams, 1, 1, 0))).toBe(0);
});

test("the snapshot in effect, and a few of many", () => {
  expect([
    snapshotAt(cams.steps, 0),
    snapshotAt(cams.steps, 99),
    snapshotAt(cams.steps, 100),
  ]).toEqual([0, 0, 1]);
  expect(chooseSnapshots(3, 8)).toEqual([0, 1, 2]);
  expect(chooseSnapshots(100, 4)).toEqual([0, 33, 66, 99]);
});

test("a guess is wrong unless it is the true class; without truth or a class it is neither", () => {
  expect(guessOf(cams, 0, 0)).toEqual({ truth: 7, predicted: 3, confidence: 0.2, wrong: true });
  expect(guessOf(cams, 1, 0).wrong).toBe(false);
  expect(guessOf(cams, 1, 1)).toMatchObject({ predicted: null, wrong: false });
  expect(guessOf({ ...cams, samples: [{ name: "0", true: null }] }, 0, 0).wrong).toBe(false);
});

test("pixels: strength is opacity, grey is grey", () => {
  const pixels = overlay(mapOf(cams, 1, 0, 0), 4, [75, 163, 184]);
  expect([...pixels.slice(0, 4)]).toEqual([75, 163, 184, 255]);
  expect(overlay(mapOf(cams, 1, 1, 0), 0, [1, 2, 3])[3]).toBe(0);
  expect([...picture(cams, 1)]).toEqual([10, 10, 10, 255, 20, 20, 20, 255]);
});
