/** Grad-CAM maps over the steps: one scale per image, and what a map can tell. */

import type { CamIndex, Cams } from "../api";

/** Which class a map explains. */
export type Target = 0 | 1; // the true class, the predicted class

export interface CamMap {
  values: Float32Array;
  height: number;
  width: number;
}

export function mapOf(cams: Cams, snapshot: number, sample: number, target: Target): CamMap {
  const [height, width] = cams.map_size;
  const size = height * width;
  const start = ((snapshot * cams.samples.length + sample) * 2 + target) * size;
  return { values: cams.maps.subarray(start, start + size), height, width };
}

/** "empty" when it is zero everywhere, "undefined" when nothing of it is finite. */
export function content(map: CamMap): "map" | "empty" | "undefined" {
  if (!map.values.some(Number.isFinite)) return "undefined";
  return map.values.some((v) => v > 0) ? "map" : "empty";
}

/** The largest finite value of a map, 0 if none is above 0. */
export function mapScale(map: CamMap): number {
  return map.values.reduce((top, v) => (Number.isFinite(v) && v > top ? v : top), 0);
}

/** The largest finite value of one sample over all steps: the top of its one scale. */
export function sampleScale(cams: Cams, sample: number, target: Target): number {
  return cams.steps.reduce((top, _, s) => Math.max(top, mapScale(mapOf(cams, s, sample, target))), 0);
}

/** The snapshot in effect at a step: the last one before it, or the first of all. */
export function snapshotAt(steps: readonly number[], step: number): number {
  return Math.max(
    0,
    steps.findLastIndex((s) => s <= step),
  );
}

/** About `most` snapshots, evenly chosen, always with the first and the last. */
export function chooseSnapshots(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  const chosen = Array.from({ length: most }, (_, i) => Math.round((i * (count - 1)) / (most - 1)));
  return [...new Set(chosen)];
}

export interface Guess {
  truth: number | null;
  /** Null where it was not finite: that is no class, neither the right nor a wrong one. */
  predicted: number | null;
  confidence: number | null;
  wrong: boolean;
}

export function guessOf(cams: CamIndex, snapshot: number, sample: number): Guess {
  const truth = cams.samples[sample]?.true ?? null;
  const predicted = cams.predicted[snapshot]?.[sample] ?? null;
  const confidence = cams.confidence[snapshot]?.[sample] ?? null;
  return { truth, predicted, confidence, wrong: truth !== null && predicted !== null && predicted !== truth };
}

/** RGBA bytes of a map: one colour, the stronger the value the more opaque. */
export function overlay(
  map: CamMap,
  top: number,
  [r, g, b]: readonly number[],
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(map.values.length * 4);
  map.values.forEach((value, i) => {
    const strength = Number.isFinite(value) && top > 0 ? Math.max(0, value / top) : 0;
    pixels.set([r!, g!, b!, Math.round(Math.min(1, strength) * 255)], i * 4);
  });
  return pixels;
}

/** RGBA bytes of a probe image with one, three or four channels. */
export function picture(cams: Cams, sample: number): Uint8ClampedArray<ArrayBuffer> {
  const [height, width, channels] = cams.image_size;
  const size = height * width;
  const pixels = new Uint8ClampedArray(size * 4);
  for (let i = 0; i < size; i++) {
    const at = (sample * size + i) * channels;
    const channel = (k: number) => cams.images[at + (channels < 3 ? 0 : k)] ?? 0;
    pixels.set([channel(0), channel(1), channel(2), 255], i * 4);
  }
  return pixels;
}
