/** Which of the shown runs a view draws that has room for one or two. */

import type { Standing } from "../api";
import { KEYS } from "./runs";

const WORST_FIRST: readonly (Standing | undefined)[] = ["critical", "warn", "watch", "ok"];

/**
 * The columns that are drawn, from left to right.
 *
 * @param letters of the columns that the user chose, the newest last; other text is passed over.
 * @param standings the verdict of each shown run.
 */
export function chosenColumns(
  letters: string,
  standings: readonly (Standing | undefined)[],
  room: number,
): number[] {
  const picked = [...letters]
    .map((letter) => KEYS.findIndex((key) => key === letter))
    .filter((column) => column >= 0 && column < standings.length);
  const rank = (column: number) => {
    const at = WORST_FIRST.indexOf(standings[column]);
    return at < 0 ? WORST_FIRST.length : at;
  };
  const all = standings.map((_, column) => column).sort((a, b) => rank(a) - rank(b) || a - b);
  const chosen = picked.length ? [...new Set(picked)].slice(-room) : all.slice(0, room);
  return chosen.sort((a, b) => a - b);
}

/** The letters after a press on one: it comes, and the one that was there longest makes room. */
export function pressed(chosen: readonly number[], column: number, room: number): string {
  const others = chosen.filter((other) => other !== column);
  const next = chosen.includes(column)
    ? others.length ? others : [column] // one is always drawn
    : [...others.slice(room > 1 ? 1 - room : others.length), column];
  return next.map((at) => KEYS[at]).join("");
}
