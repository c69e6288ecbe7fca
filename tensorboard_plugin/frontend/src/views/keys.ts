/** The keyboard: arrows move the step, j and k the layer, / filters, Esc clears. */

import { neighbour } from "../model/cells";
import type { Store } from "../state";
import { lettingGo } from "./findings";
import type { View } from "./panel";

type Cursor = ReturnType<NonNullable<View["cursor"]>>;

export function listenToKeys(
  store: Store,
  cursor: () => Cursor | null,
  focusFilter: () => void,
): void {
  const toStep = (by: 1 | -1) => () => {
    const now = cursor();
    if (now) store.set({ step: neighbour(now.steps, now.at.step, by), hover: null });
  };
  const toLayer = (by: 1 | -1) => () => {
    const now = cursor();
    if (now) store.set({ layer: nextLayer(now, by), hover: null });
  };
  const moves: Record<string, () => void> = {
    ArrowRight: toStep(1),
    ArrowLeft: toStep(-1),
    j: toLayer(1),
    k: toLayer(-1),
    "/": focusFilter,
    Escape: () => store.set({ step: null, layer: null, hover: null, ...lettingGo(store.get()) }),
  };
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function nextLayer({ layers, at }: Cursor, by: 1 | -1): string | null {
  const row = layers.indexOf(at.layer ?? "");
  const next = Math.min(layers.length - 1, Math.max(0, row < 0 ? 0 : row + by));
  return layers[next] ?? null;
}
