/** The loss of a run as a line no larger than a word. */

import type { LossSample } from "../api";
import { curveAxis, stretches } from "./curve";
import { formatCount, formatMagnitude } from "./number";

/** Pixels. */
export const BOX = { width: 48, height: 14 } as const;

export interface Spark {
  /** The line, as an SVG path. */
  path: string;
  /** From where to where the loss was not finite, in pixels. */
  broken: [from: number, to: number][];
  /** "loss 2.3 at step 1 → 0.06" */
  words: string;
}

const EDGE = 1; // room for half of the line's width
const LEAST = 3; // a narrower hatch would not be seen
const DASH = 2; // a single point

/** Each run has a scale of its own, and fills the width as far as its loss is known. */
export function spark({ steps, loss }: LossSample, lastStep: number): Spark | null {
  if (steps.length === 0) return null;
  const end = Math.max(lastStep, steps.at(-1)!, 1);
  const x = (index: number) => Math.max(0, steps[index]! / end) * BOX.width;
  return { path: line(loss, x), broken: hatched(loss, x), words: words(steps, loss) };
}

function line(loss: LossSample["loss"], x: (index: number) => number): string {
  const at = height(loss);
  const y = (value: number) => EDGE + (1 - at(value)) * (BOX.height - 2 * EDGE);
  return pieces(loss)
    .map((piece) => {
      const points = piece.map((i) => `${x(i).toFixed(1)} ${y(loss[i]!).toFixed(1)}`);
      return `M${points.join("L")}${points.length === 1 ? `h-${DASH}` : ""}`;
    })
    .join("");
}

/** As in the large curves, but a linear scale ends at the largest loss: every pixel counts. */
function height(loss: LossSample["loss"]): (value: number) => number {
  const axis = curveAxis([loss]);
  if (axis.log) return axis.at;
  const most = loss.reduce<number>((a, b) => Math.max(a, b ?? a), axis.lo);
  return curveAxis([loss], [axis.lo, Math.max(0, most)]).at;
}

/** Indices of finite losses without another one between. */
function pieces(loss: LossSample["loss"]): number[][] {
  const found: number[][] = [];
  loss.forEach((value, i) => {
    if (value === null) return;
    if (i > 0 && loss[i - 1] !== null) found.at(-1)!.push(i);
    else found.push([i]);
  });
  return found;
}

function hatched(loss: LossSample["loss"], x: (index: number) => number): Spark["broken"] {
  const notFinite = loss.map((value) => (value === null ? 1 : 0));
  return stretches(notFinite).map(([first, next]) => {
    const to = Math.max(next < 0 ? BOX.width : x(next), LEAST);
    return [Math.min(x(first), to - LEAST), to];
  });
}

function words(steps: readonly number[], loss: LossSample["loss"]): string {
  const said = (value: number | null) => (value === null ? "not finite" : formatMagnitude(value));
  const [first, last] = [said(loss[0]!), said(loss.at(-1)!)];
  const begin = `loss ${first} at step ${formatCount(steps[0]!)}`;
  return steps.length > 1 ? `${begin} → ${last}` : begin;
}
