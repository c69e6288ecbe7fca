/** A name that is cut in its middle where there is no room: names of runs often differ at their end. */

import { ends } from "../model/runnames";
import { h } from "./element";

/** @param shown what is told of the name; all of it where nothing is left out. */
export function middleCut(name: string, shown = name): HTMLElement {
  const [start, end] = ends(shown);
  return h("span.middle-cut", { title: name }, h("span", null, start), h("span", null, end));
}
