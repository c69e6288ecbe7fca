/** The keyboard: arrows move the step, j and k the layer, / filters, Esc clears. */

import { neighbour } from "../model/cells";
import type { Plot } from "../model/plot";
import type { Point, Store } from "../state";

export function listenToKeys(
  store: Store,
  plot: () => Plot,
  point: () => Point,
  focusFilter: () => void,
): void {
  const moves: Record<string, () => void> = {
    ArrowRight: () => store.set({ step: neighbour(plot().steps, point().step, 1), hover: null }),
    ArrowLeft: () => store.set({ step: neighbour(plot().steps, point().step, -1), hover: null }),
    j: () => store.set({ layer: nextLayer(plot(), point().layer, 1), hover: null }),
    k: () => store.set({ layer: nextLayer(plot(), point().layer, -1), hover: null }),
    "/": focusFilter,
    Escape: () => store.set({ step: null, layer: null, hover: null }),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement && event.target.type === "text";
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  });
}

function nextLayer(plot: Plot, layer: string | null, by: 1 | -1): string | null {
  const row = plot.layers.indexOf(layer ?? "");
  const next = Math.min(plot.layers.length - 1, Math.max(0, row < 0 ? 0 : row + by));
  return plot.layers[next] ?? null;
}
