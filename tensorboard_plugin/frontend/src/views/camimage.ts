/** A probe image with its Grad-CAM map over it. */

import type { Cams } from "../api";
import { content, mapOf, overlay, picture, type Target } from "../model/cams";
import { h, refill } from "./element";

/** Of the sequential colours the one that is seen on black and on white, in either theme. */
const TEAL = [75, 163, 184] as const;

export interface CamImage {
  element: HTMLElement;
  /** Lays the map of a snapshot over it; -1 for none. `top` is the end of the map's scale. */
  show(snapshot: number, target: Target, top: number): void;
}

export function camImage(cams: Cams, sample: number): CamImage {
  const image = still(cams, sample);
  const element = h("div.cam-image", null, image);
  return {
    element,
    show(snapshot, target, top) {
      refill(element, image, snapshot >= 0 && over(cams, snapshot, sample, target, top));
    },
  };
}

/** A map that is not finite is a hatch; an empty one is nothing. */
function over(
  cams: Cams,
  snapshot: number,
  sample: number,
  target: Target,
  top: number,
): HTMLElement | null {
  const map = mapOf(cams, snapshot, sample, target);
  const kind = content(map);
  if (kind === "undefined") return h("i.cam-hatch");
  if (kind === "empty") return null;
  const { width, height } = map;
  const layer = h("canvas.cam-map", { width, height });
  layer.getContext("2d")?.putImageData(new ImageData(overlay(map, top, TEAL), width, height), 0, 0);
  return layer;
}

export function still(cams: Cams, sample: number): HTMLElement {
  const [height, width] = cams.image_size;
  const canvas = h("canvas.cam-still", { width, height, "aria-hidden": "true" });
  canvas.getContext("2d")?.putImageData(new ImageData(picture(cams, sample), width, height), 0, 0);
  return canvas;
}

/** @param top what the full colour stands for. */
export const scaleKey = (top: string) => h("span.cam-scale.quiet", null, "0", h("i"), top);
