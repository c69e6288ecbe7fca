/** Reads the plugin's binary answers: a header of uint32, then numbers, all little-endian. */

import type { LayerMeasurements, Recorded } from "../api";

export function readMeasurements(body: ArrayBuffer): Recorded {
  const [S = 0, L = 0, recording = 0] = header(body, 4);
  const [times, values] = [16 + 8 * S, 16 + 16 * S];
  expectLength(body, values + 4 * S * L);
  return {
    recording,
    steps: new Float64Array(body, 16, S),
    wallTimes: new Float64Array(body, times, S),
    layers: L,
    values: new Float32Array(body, values, S * L),
  };
}

export function readLayer(body: ArrayBuffer): LayerMeasurements {
  const [S = 0, metrics = 0] = header(body, 2);
  const values = 8 + 8 * S;
  expectLength(body, values + 4 * S * metrics);
  return {
    steps: new Float64Array(body, 8, S),
    values: Array.from({ length: metrics }, (_, m) => new Float32Array(body, values + 4 * S * m, S)),
  };
}

/** @param shape what the JSON beside it promises: steps, samples, 2, height, width, 0. */
export function readMaps(body: ArrayBuffer, shape: number[]): Float32Array {
  expectShape(header(body, 6), shape);
  expectLength(body, 24 + 4 * product(shape.slice(0, 5)));
  return new Float32Array(body, 24);
}

/** @param shape what the JSON beside it promises: samples, height, width, channels. */
export function readImages(body: ArrayBuffer, shape: number[]): Uint8Array {
  expectShape(header(body, 4), shape);
  expectLength(body, 16 + product(shape));
  return new Uint8Array(body, 16);
}

const product = (numbers: number[]) => numbers.reduce((a, b) => a * b, 1);

function header(body: ArrayBuffer, count: number): number[] {
  if (body.byteLength < count * 4) throw broken(body, `at least ${count * 4}`);
  const view = new DataView(body);
  return Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
}

function expectLength(body: ArrayBuffer, bytes: number): void {
  if (body.byteLength !== bytes) throw broken(body, String(bytes));
}

function broken(body: ArrayBuffer, expected: string): Error {
  return new Error(
    `The server sent ${body.byteLength} bytes, but ${expected} were expected. Try again; if it ` +
      "stays so, restart TensorBoard.",
  );
}

function expectShape(shape: number[], expected: number[]): void {
  if (shape.join() === expected.join()) return;
  throw new Error(
    `The Grad-CAM maps have the shape ${shape.join(" × ")}, but ${expected.join(" × ")} was ` +
      "announced: the run was probably recorded anew in between. Try again.",
  );
}
