import { expect, test } from "vitest";
import { readImages, readLayer, readMaps, readMeasurements } from "./binary";

function body(header: number[], bytes: number): ArrayBuffer {
  const start = Math.ceil((header.length * 4) / 8) * 8;
  const buffer = new ArrayBuffer(start + bytes);
  header.forEach((value, i) => new DataView(buffer).setUint32(i * 4, value, true));
  return buffer;
}

test("measurements are read as steps, their times, then values by step and layer", () => {
  const buffer = body([2, 3, 77, 0], 4 * 8 + 6 * 4);
  new Float64Array(buffer, 16, 4).set([1, 20, 1000.5, 1001.5]);
  new Float32Array(buffer, 48, 6).set([1, 2, NaN, 4, 5, 6]);
  const read = readMeasurements(buffer);
  expect(read.recording).toBe(77);
  expect([...read.steps]).toEqual([1, 20]);
  expect([...read.wallTimes]).toEqual([1000.5, 1001.5]);
  expect(read.layers).toBe(3);
  expect([...read.values]).toEqual([1, 2, NaN, 4, 5, 6]);
});

test("a layer is read as steps, then each measure over the steps", () => {
  const buffer = body([2, 3], 2 * 8 + 6 * 4);
  new Float64Array(buffer, 8, 2).set([1, 20]);
  new Float32Array(buffer, 24, 6).set([1, 2, 3, NaN, 5, 6]);
  const read = readLayer(buffer);
  expect([...read.steps]).toEqual([1, 20]);
  expect(read.values.map((one) => [...one])).toEqual([
    [1, 2],
    [3, NaN],
    [5, 6],
  ]);
});

test("a body shorter or longer than its header promises is refused", () => {
  expect(() => readMeasurements(body([2, 3, 0, 0], 8))).toThrow(/72 were expected/);
  expect(() => readMeasurements(body([1, 1, 0, 0], 40))).toThrow(/Try again/);
  expect(() => readMeasurements(new ArrayBuffer(3))).toThrow(/at least 16/);
  expect(() => readMeasurements(body([4294967295, 4294967295, 0, 0], 8))).toThrow(/were expected/);
});

test("maps and images must have the announced shape", () => {
  expect(readMaps(body([1, 2, 2, 2, 2, 0], 64), [1, 2, 2, 2, 2, 0])).toHaveLength(16);
  expect(() => readMaps(body([2, 2, 2, 2, 2, 0], 128), [1, 2, 2, 2, 2, 0])).toThrow(/anew/);
  expect(readImages(body([2, 2, 2, 1], 8), [2, 2, 2, 1])).toHaveLength(8);
  expect(() => readImages(body([2, 2, 2, 1], 7), [2, 2, 2, 1])).toThrow(/bytes/);
});
