/** A sample's image with the map that was in effect at a step. */

import type { Cams } from "../api";
import { mapOf, mapScale, sampleScale } from "../model/cams";
import type { Sample } from "../model/probe";
import { camImage } from "./camimage";
import type { Column, Drawing } from "./probecolumns";

export interface StepImage {
  element: HTMLElement;
  show(step: number): void;
}

/** Null if there is no image of the sample. */
export function picturedBy(
  { cams: { value: cams } }: Column,
  { image }: Sample,
  { target, scale }: Drawing,
): StepImage | null {
  if (!cams || image < 0) return null;
  const { element, show } = camImage(cams, image);
  const top = sampleScale(cams, image, target);
  const scaleAt = (snapshot: number) =>
    scale === "map" && snapshot >= 0 ? mapScale(mapOf(cams, snapshot, image, target)) : top;
  return {
    element,
    show(step) {
      const snapshot = snapshotBefore(cams, step);
      show(snapshot, target, scaleAt(snapshot));
    },
  };
}

/** The last snapshot up to a step; -1 before the first: what comes later is not shown for it. */
export const snapshotBefore = (cams: Cams, step: number) =>
  cams.steps.findLastIndex((taken) => taken <= step);
