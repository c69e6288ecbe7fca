/** Severity as a shape and a word; colour only repeats them. */

import type { Standing } from "../api";
import { svg } from "./element";

export type Sign = Standing | "exempt";

export const WORDS: Record<Sign, string> = {
  critical: "Critical",
  warn: "Warning",
  watch: "Watch",
  ok: "OK",
  "not-evaluated": "Not evaluated",
  exempt: "Exempt",
};

type Part = [tag: string, properties: Record<string, string | number>];

const line = { fill: "none", stroke: "currentColor" };
const cut = { fill: "none", stroke: "var(--on-sign)" };

const SHAPES: Record<Sign, Part[]> = {
  critical: [
    ["path", { d: "M4.1 0h5.8L14 4.1v5.8L9.9 14H4.1L0 9.9V4.1z", fill: "currentColor" }],
    ["path", { d: "M4.6 4.6l4.8 4.8M9.4 4.6L4.6 9.4", ...cut, "stroke-width": 1.7 }],
  ],
  warn: [
    ["path", { d: "M7 .8L13.8 12.9H.2z", fill: "currentColor" }],
    ["path", { d: "M7 5v4M7 10.2v1.4", ...cut, "stroke-width": 1.5 }],
  ],
  watch: [
    ["path", { d: "M7 .9L13.1 7 7 13.1.9 7z", ...line, "stroke-width": 1.5 }],
    ["circle", { cx: 7, cy: 7, r: 1.6, fill: "currentColor" }],
  ],
  ok: [
    ["circle", { cx: 7, cy: 7, r: 5.8, ...line, "stroke-width": 1.2 }],
    ["path", { d: "M4.4 7.2l1.9 1.9 3.4-4", ...line, "stroke-width": 1.5 }],
  ],
  "not-evaluated": [
    [
      "circle",
      { cx: 7, cy: 7, r: 5.8, ...line, "stroke-width": 1.3, "stroke-dasharray": "2.2 2.2" },
    ],
  ],
  exempt: [["path", { d: "M3 7h8", ...line, "stroke-width": 1.5 }]],
};

/** @param title what the shape stands for here, if more than its word. */
export function glyph(sign: Sign, size = 14, title: string = WORDS[sign]): SVGElement {
  return svg(
    "svg",
    {
      class: `glyph ${sign}`,
      viewBox: "0 0 14 14",
      width: size,
      height: size,
      role: "img",
      "aria-label": title,
    },
    svg("title", null, title),
    ...SHAPES[sign].map(([tag, properties]) => svg(tag, properties)),
  );
}

/** The same shape on a canvas, its middle at a point. */
export function paintGlyph(
  context: CanvasRenderingContext2D,
  sign: Sign,
  [x, y]: readonly [number, number],
  size: number,
  ink: string,
  onSign: string,
): void {
  context.save();
  context.translate(x - size / 2, y - size / 2);
  context.scale(size / 14, size / 14);
  for (const [tag, { d, cx, cy, r, fill, stroke, "stroke-width": width }] of SHAPES[sign]) {
    const path = new Path2D(tag === "path" ? String(d) : undefined);
    if (tag === "circle") path.arc(Number(cx), Number(cy), Number(r), 0, 2 * Math.PI);
    Object.assign(context, { fillStyle: ink, strokeStyle: stroke === cut.stroke ? onSign : ink });
    if (fill === "currentColor") context.fill(path);
    if (stroke === undefined) continue;
    context.lineWidth = Number(width);
    context.stroke(path);
  }
  context.restore();
}
