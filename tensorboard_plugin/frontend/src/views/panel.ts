/** What the parts of the page that follow the cursor have in common. */

import type { Ahead, Wants } from "../feed";
import type { Resource } from "../resources";
import type { Point, State, Store } from "../state";

/** A part of the page that is drawn once it has a size, and that follows the cursor. */
export interface Panel {
  element: HTMLElement;
  paint(): void;
  point(at: Point): void;
}

/** What a view is drawn from, by name. */
export type Keys = readonly (keyof State)[];

/**
 * One of the tab's views. It is made once, the first time that it is shown, and keeps its element.
 *
 * `update` draws what has changed: `changed` answers whether one of some keys has. `point` moves
 * the cursor alone and must not draw; it is called after each update too.
 */
export interface View {
  element: HTMLElement;
  update(state: State, changed: (keys: Keys) => boolean): void;
  point?(): void;
  /** The view has another size. */
  paint?(): void;
  /** Its columns are the shown runs, and the dock below them tells of the cursor's step. */
  docked?: true;
  /** What the dock tells of where that is not each shown run in a column of its own. */
  about?(): Docked;
  /** What the arrow keys, j and k move along; without it they do nothing here. */
  cursor?(): { steps: readonly number[]; layers: readonly string[]; at: Point };
}

/** Runs beside each other in the first columns of a view. */
export interface Docked {
  runs: readonly string[];
  columns: number;
}

/** How a view is made, and what it needs of each run that is shown. */
export interface ViewKind {
  create(store: Store, retry: () => void): View;
  wants: Wants;
  /** What the user may choose next: fetched while nothing else is. */
  ahead?: Ahead;
  /** What it needs of the whole log folder. Such a view shows all runs; none has to be chosen. */
  ofFolder?: readonly Resource<unknown>[];
}

/** Puts a vertical line at a step; it is what moves with the pointer, nothing is painted. */
export function place(line: HTMLElement, at: Point, end: number): void {
  line.hidden = at.resting === true;
  line.style.left = `${Math.min(100, (at.step / end) * 100)}%`;
}
