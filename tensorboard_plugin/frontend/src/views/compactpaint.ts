/** How the compact columns draw one line on a canvas; lengths are pixels of the page. */

import type { Limit } from "../api";
import type { Mark, Trend } from "../model/compact";
import { formatShare } from "../model/number";
import type { Pen } from "./canvas";
import { paintGlyph } from "./glyph";

/** Where a column shows a line. */
export interface Spot {
  x: number;
  /** Of the column. */
  width: number;
  middle: number;
  /** Of what fills the line. */
  height: number;
}

export const BAR = 60;
const THICK = 6;
const LOW = 13; // pixels; lower lines have smaller numbers

/** @param limits those that have a tick, the worst first. */
export function paintShare(pen: Pen, spot: Spot, mark: Mark, limits: readonly Limit[]): void {
  const { context, inks } = pen;
  const { x, middle, width } = spot;
  const top = Math.round(middle - THICK / 2);
  const lost = Number.isNaN(mark.value);
  context.fillStyle = inks.none;
  context.fillRect(x, top, BAR, THICK);
  if (lost) hatch(pen, x, top, BAR, THICK);
  else if (mark.value > 0) {
    context.fillStyle = mark.trouble ? inks[mark.trouble] : inks.curve;
    context.fillRect(x, top, Math.max(1, Math.round(Math.min(1, mark.value) * BAR)), THICK);
  }
  limits.forEach(({ value }, i) => {
    context.fillStyle = i === 0 ? inks.ink3 : inks.line2;
    context.fillRect(x + Math.round(value * BAR) - 1, top - 2, 1, THICK + 4);
  });
  const size = spot.height < LOW ? 10 : 11;
  write(pen, `${mark.trouble ? 600 : 400} ${size}px ${inks.font}`);
  context.fillStyle = mark.trouble ? inks.ink : mark.value === 0 ? inks.ink3 : inks.ink2;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillText(shareWords(mark.value), x + width, middle + 0.5, width - BAR - 4);
}

/** In percent, as the head of the column says. */
export const shareWords = (value: number): string =>
  Number.isNaN(value) ? "NaN" : formatShare(value).replace(" %", "");

/** To set a font takes longer than to write with it. */
function write(pen: Pen, font: string): void {
  if (pen.font !== font) pen.context.font = pen.font = font;
}

const DOT = 2.8; // radius
const LOST = 16; // a hatch where there is no place for a dot

/** @param along the place of the value, from 0 to 1. */
export function paintRatio({ context, inks }: Pen, spot: Spot, mark: Mark, along: number): void {
  const { x, middle, width } = spot;
  if (Number.isNaN(mark.value)) {
    hatch({ context, inks }, x + (width - LOST) / 2, Math.round(middle - THICK / 2), LOST, THICK);
    return;
  }
  const at = x + DOT + along * (width - 2 * DOT);
  if (mark.trouble) paintGlyph(context, mark.trouble, [at, middle], 9, inks[mark.trouble], inks["on-sign"]);
  else dot(context, at, middle, DOT, mark.beyond ? inks.bg : inks.curve, inks.curve);
}

export function paintTrend({ context, inks }: Pen, spot: Spot, trend: Trend): void {
  const { x, height } = spot;
  context.beginPath();
  trend.forEach((value, i) => {
    if (value === null || Number.isNaN(value)) return;
    const before = trend[i - 1];
    const goesOn = typeof before === "number" && !Number.isNaN(before);
    if (goesOn) context.lineTo(x + i + 0.5, rise(spot, value));
    else context.moveTo(x + i, rise(spot, value));
    if (!goesOn) context.lineTo(x + i + 0.5, rise(spot, value)); // a single point is seen too
  });
  Object.assign(context, { strokeStyle: inks.ink3, lineWidth: 1.1, lineJoin: "round" });
  context.stroke();
  const lost = trend.findIndex((value) => Number.isNaN(value));
  if (lost < 0) return;
  const last = trend.findLastIndex((value) => Number.isNaN(value));
  hatch({ context, inks }, x + lost, spot.middle - height / 2, last - lost + 1, height);
}

export function paintTrendDot({ context, inks }: Pen, spot: Spot, trend: Trend, at: number): void {
  const value = trend[at];
  if (value === null || value === undefined || Number.isNaN(value)) return;
  dot(context, spot.x + at + 0.5, rise(spot, value), 2, inks.ink, inks.bg);
}

const rise = ({ middle, height }: Spot, value: number) => middle + (0.5 - value) * (height - 4);

function dot(context: CanvasRenderingContext2D, x: number, y: number, radius: number, fill: string, line: string) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  Object.assign(context, { fillStyle: fill, strokeStyle: line, lineWidth: 1.2 });
  context.fill();
  context.stroke();
}

function hatch({ context, inks }: Pen, x: number, y: number, width: number, height: number): void {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.fillStyle = inks["hatch-ground"];
  context.fill();
  context.beginPath();
  for (let from = -height; from < width; from += 4.2 * Math.SQRT2) {
    context.moveTo(x + from, y + height);
    context.lineTo(x + from + height, y);
  }
  Object.assign(context, { strokeStyle: inks.hatch, lineWidth: 1 });
  context.stroke();
  context.restore();
}
