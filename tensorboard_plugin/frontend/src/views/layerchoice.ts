/** Which layer: a list in groups, and a step to the one before or after. */

import { layerGroups, worstOfRow } from "../model/layerchoice";
import type { Plot } from "../model/plot";
import type { Store } from "../state";
import { h, refill } from "./element";
import { glyph, WORDS } from "./glyph";

export interface LayerChoice {
  element: HTMLElement;
  /** @param wanted what the address asks for; there may be no such layer. */
  update(plot: Plot, layer: string | null, wanted: string | null): void;
}

/** The list is made once and filled only when it changes, so that an open one stays open. */
export function layerChoice(store: Store): LayerChoice {
  const select = h("select", {
    "aria-label": "Layer",
    onchange: () => store.set({ layer: select.value, hover: null }),
  });
  let layers: readonly string[] = [];
  let filledWith = "";
  const move = (by: 1 | -1) => {
    const next = layers[layers.indexOf(select.value) + by];
    if (next !== undefined) store.set({ layer: next, hover: null });
  };
  const before = mover("‹", "The layer before, key k", () => move(-1));
  const after = mover("›", "The layer after, key j", () => move(1));
  const sign = h("span.sign");
  const words = h("span.quiet", { role: "status" });
  const element = h(
    "div.layer-choice",
    null,
    h("h2", null, "Layer"),
    select,
    h("p", null, before, after, sign, words),
  );
  return {
    element,
    update(plot, layer, wanted) {
      layers = plot.layers;
      const groups = layerGroups(plot);
      const content = JSON.stringify(groups);
      if (content !== filledWith) refill(select, groups.map(optionGroup));
      filledWith = content;
      element.hidden = layer === null;
      if (layer === null) return;
      select.value = select.title = layer;
      const row = layers.indexOf(layer);
      before.disabled = row === 0;
      after.disabled = row === layers.length - 1;
      const severity = worstOfRow(plot, row);
      refill(sign, severity && glyph(severity, 14, `Worst finding: ${WORDS[severity]}`));
      const unknown = wanted !== null && wanted !== layer;
      const place = `${row + 1} of ${layers.length}, input first`;
      const told = unknown ? `${place}. No shown run has a layer ${wanted}.` : place;
      if (words.textContent !== told) refill(words, told);
    },
  };
}

const mover = (sign: string, words: string, onclick: () => void) =>
  h("button.small", { "aria-label": words, title: words, onclick }, sign);

function optionGroup({ title, layers }: ReturnType<typeof layerGroups>[number]): HTMLElement {
  return h(
    "optgroup",
    { label: title },
    layers.map((name) => h("option", { value: name }, name)),
  );
}
