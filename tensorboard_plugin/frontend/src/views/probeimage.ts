/** A sample's image with the map that was in effect at a step. */

import { content, mapOf, mapScale, sampleScale } from "../model/cams";
import type { Sample } from "../model/probe";
import { camImage } from "./camimage";
import type { Column, Drawing } from "./probecolumns";

export interface StepImage {
  element: HTMLElement;
  /** Returns what the map does not say by itself; nothing where it says all. */
  show(step: number): string;
}

const WORDS = { map: "", empty: "map is empty", undefined: "no map: NaN" } as const;

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
      // Before the first one there is none: what comes later is not shown for it.
      const snapshot = cams.steps.findLastIndex((taken) => taken <= step);
      show(snapshot, target, scaleAt(snapshot));
      const words =
        snapshot < 0 ? "no map yet" : WORDS[content(mapOf(cams, snapshot, image, target))];
      element.title = words;
      return words;
    },
  };
}
