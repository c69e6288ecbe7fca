/** The gradient on its way back: what of it each edge of a graph hands to the layer above. */

import { cellAt } from "./cells";
import type { Graph, Place } from "./graph";
import { formatValue } from "./number";
import type { Plot, PlotColumn } from "./plot";

/** The measure that is taken for it, of weights alone. */
export const FLOW = "gradient_rms";

export interface Flow {
  kind: "value" | "zero" | "broken" | "none";
  /** Of a value, along the log scale of the plot, from 0 to 1. */
  along: number;
  /** "0.0022 in conv_2", or why there is none. */
  words: string;
}

const NONE: Flow = { kind: "none", along: 0, words: "not measured" };
const KINDS: readonly Flow["kind"][] = ["none", "zero", "value", "broken"];

/**
 * For each edge the gradient of the layer that it leaves. A layer without weights has none of its
 * own and hands on what it gets: there the strongest counts of those that feed it.
 *
 * @param plot that of `FLOW`, with this column.
 */
export function flowsOf(graph: Graph, column: PlotColumn, plot: Plot, step: number): Flow[] {
  const places = new Map(graph.places.map((place) => [place.id, place]));
  const known = new Map<string, Flow>();
  const before = (id: string): Flow => {
    const found = known.get(id);
    if (found) return found;
    known.set(id, NONE); // a circle ends here
    const feeding = () => graph.edges.filter(({ to }) => to === id).map(({ from }) => before(from));
    const flow = own(places.get(id), column, plot, step) ?? feeding().reduce(stronger, NONE);
    known.set(id, flow);
    return flow;
  };
  return graph.edges.map(({ from }) => before(from));
}

function stronger(a: Flow, b: Flow): Flow {
  const [kindOfA, kindOfB] = [KINDS.indexOf(a.kind), KINDS.indexOf(b.kind)];
  return kindOfB > kindOfA || (kindOfB === kindOfA && b.along > a.along) ? b : a;
}

/** That of the place's last layer that has a gradient; null if none has. */
function own(
  place: Place | undefined,
  { cells, run, filled, rows }: PlotColumn,
  plot: Plot,
  step: number,
): Flow | null {
  const cell = !cells ? -1 : step > cells.end ? cells.steps.length - 1 : cellAt(cells, step);
  if (!cells || cell < 0) return null;
  const layer = place?.layers.findLast((i) => filled[rows.indexOf(i)]);
  if (layer === undefined) return null;
  const where = ` in ${run?.model.layers[layer]?.name ?? ""}`;
  const value = cells.value(cell, layer);
  if (cells.broken(cell, layer) || Math.abs(value) === Infinity)
    return { kind: "broken", along: 1, words: `NaN or Inf${where}` };
  if (Number.isNaN(value)) return { ...NONE, words: `not measured${where}` };
  const words = formatValue(value, "log") + where;
  if (value <= 0) return { kind: "zero", along: 0, words };
  return { kind: "value", along: plot.scale?.along(value) ?? 0, words };
}
