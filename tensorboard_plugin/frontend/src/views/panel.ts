/** What the parts of the page that follow the cursor have in common. */

import type { Point } from "../state";

/** A part of the page that is drawn once it has a size, and that follows the cursor. */
export interface Panel {
  element: HTMLElement;
  paint(): void;
  point(at: Point): void;
}

/** Puts a vertical line at a step; it is what moves with the pointer, nothing is painted. */
export function place(line: HTMLElement, at: Point, end: number): void {
  line.hidden = at.resting === true;
  line.style.left = `${Math.min(100, (at.step / end) * 100)}%`;
}
