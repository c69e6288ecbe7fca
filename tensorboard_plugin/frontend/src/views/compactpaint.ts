/** How the compact columns draw one line on a canvas; lengths are pixels of the page. */

import type { Limit } from "../api";
import type { Mark, Trend } from "../model/compact";
import { formatMagnitude, formatShare } from "../model/number";
import type { Pen } from "./canvas";
import { paintGlyph } from "./glyph";

/** Where a column shows a line. */
export interface Spot {
  x: number;
  /** Of the column. */
  width: number;
  /** How much of it is an axis; a value stands in what is left. */
  axis: number;
  middle: number;
  /** Of what fills the line. */
  height: number;
}

export const NO_RECORD = "no record";
const THICK = 6;
const LOW = 13; // pixels; lower lines have smaller numbers

/** @param limits those that have a tick, the worst first. */
export function paintShare(pen: Pen, spot: Spot, mark: Mark, limits: readonly Limit[]): void {
  const { context, inks } = pen;
  const { x, middle, axis } = spot;
  const top = Math.round(middle - THICK / 2);
  const lost = Number.isNaN(mark.value);
  context.fillStyle = inks.none;
  context.fillRect(x, top, axis, THICK);
  if (lost) hatch(pen, x, top, axis, THICK);
  else if (mark.value > 0) {
    context.fillStyle = mark.trouble ? inks[mark.trouble] : inks.curve;
    context.fillRect(x, top, Math.max(1, Math.round(Math.min(1, mark.value) * axis)), THICK);
  }
  limits.forEach(({ value }, i) => {
    context.fillStyle = i === 0 ? inks.ink3 : inks.line2;
    context.fillRect(x + Math.round(value * axis) - 1, top - 2, 1, THICK + 4);
  });
  writeValue(pen, spot, "share", mark);
}

/** A share in percent, as the head of the column says. */
export function words(kind: "share" | "ratio", value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return kind === "share" ? formatShare(value).replace(" %", "") : formatMagnitude(value);
}

/** Right of the axis. */
function writeValue(pen: Pen, spot: Spot, kind: "share" | "ratio", { value, trouble }: Mark): void {
  const { inks } = pen;
  const { x, width, axis } = spot;
  const ink = trouble ? inks.ink : value === 0 ? inks.ink3 : inks.ink2;
  write(pen, spot, words(kind, value), x + width, "right", ink, width - axis - 4, trouble ? 600 : 400);
}

/** Where a layer has the measure, but not at this step: once in words. */
export function paintGap(pen: Pen, spot: Spot, isFirst: boolean): void {
  const { ink3 } = pen.inks;
  const { x, width, axis } = spot;
  if (isFirst) write(pen, spot, NO_RECORD, x, "left", ink3, width);
  else if (width > axis) write(pen, spot, "–", x + width, "right", ink3, width - axis);
  else write(pen, spot, "–", x + axis / 2, "center", ink3, axis);
}

function write(
  pen: Pen,
  { middle, height }: Spot,
  text: string,
  x: number,
  align: CanvasTextAlign,
  ink: string,
  most: number,
  weight = 400,
): void {
  const { context, inks } = pen;
  const font = `${weight} ${height < LOW ? 10 : 11}px ${inks.font}`;
  if (pen.font !== font) context.font = pen.font = font; // to set it takes longer than to write with it
  context.fillStyle = ink;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.fillText(text, x, middle + 0.5, most);
}

const DOT = 2.8; // radius
const LOST = 16; // a hatch where there is no place for a dot

/** @param along the place of the value, from 0 to 1. */
export function paintRatio(pen: Pen, spot: Spot, mark: Mark, along: number): void {
  const { context, inks } = pen;
  const { x, middle, axis } = spot;
  const at = x + DOT + along * (axis - 2 * DOT);
  const fill = mark.beyond ? inks.bg : inks.curve;
  if (Number.isNaN(mark.value)) hatch(pen, x + (axis - LOST) / 2, Math.round(middle - THICK / 2), LOST, THICK);
  else if (mark.trouble) paintGlyph(context, mark.trouble, [at, middle], 9, inks[mark.trouble], inks["on-sign"]);
  else if (along === 0 || along === 1) arrow(context, at, middle, along === 0 ? -1 : 1, fill, inks.curve);
  else dot(context, at, middle, DOT, fill, inks.curve);
  if (spot.width > axis) writeValue(pen, spot, "ratio", mark);
  else if (mark.value === 0) write(pen, spot, "0", at + 7, "left", inks.ink2, axis);
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

/** To what lies beyond the end of an axis. */
function arrow(context: CanvasRenderingContext2D, x: number, y: number, side: 1 | -1, fill: string, line: string) {
  context.beginPath();
  context.moveTo(x + side * DOT, y);
  context.lineTo(x - side * DOT, y - DOT - 0.5);
  context.lineTo(x - side * DOT, y + DOT + 0.5);
  context.closePath();
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
