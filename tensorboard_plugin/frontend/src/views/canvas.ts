/** Canvases as sharp as the screen, in the colours of the page; lengths are pixels of the page. */

import type { Severity } from "../api";

/** What draws on a canvas: its context, and the colours of the page as they are now. */
export interface Pen {
  context: CanvasRenderingContext2D;
  inks: Inks;
  font?: string;
}

type Inks = Record<
  "bg" | "ink" | "ink2" | "ink3" | "line2" | "curve" | "none" | "hatch" | "hatch-ground" | "font" | "on-sign" | Severity,
  string
>;

function inksOf(element: Element): Inks {
  const style = getComputedStyle(element);
  const names: (keyof Inks)[] = [
    "bg", "ink", "ink2", "ink3", "line2", "curve", "none", "hatch", "hatch-ground", "font", "on-sign",
    "watch", "warn", "critical",
  ];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`)])) as Inks;
}

/** Pixels of a canvas per pixel of the page. */
export const sharpness = () => Math.min(2, window.devicePixelRatio || 1);

/** Tells whenever the screen is another one, or zoomed: nothing on the page need have another size then. */
export function onSharpness(tell: () => void): void {
  const now = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
  now.addEventListener("change", () => {
    onSharpness(tell);
    tell();
  }, { once: true });
}

/** Empties a canvas and gives it a size, in pixels of the page. */
export function penOf(canvas: HTMLCanvasElement, width: number, height: number): Pen {
  const scale = sharpness();
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  return { context, inks: inksOf(canvas) };
}
