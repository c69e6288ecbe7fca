/** The rules from which a layer is exempt: one line below all columns, which unfolds. */

import type { Layer, Run } from "../api";
import { exemptFrom } from "../model/findings";
import { plural } from "../model/number";
import type { State, Store } from "../state";
import { type Child, h } from "./element";
import { glyph } from "./glyph";
import { key } from "./heads";

/** A run and its layer, as far as they are there. */
export interface Exempted {
  run: Run | undefined;
  layer: Layer | undefined;
}

/** One line for all runs in which the rules and the reasons are the same. */
export function exemptions(columns: readonly Exempted[], state: State, store: Store): Child {
  const reasons = columns.map(({ run, layer }) => (run && layer ? exemptFrom(run.rules, layer.name) : []));
  const groups = new Map<string, number[]>();
  reasons.forEach((of, i) => {
    if (of.length === 0) return;
    const alike = JSON.stringify(of);
    groups.set(alike, [...(groups.get(alike) ?? []), i]);
  });
  if (groups.size === 0) return null;
  const lines = [...groups.values()].map((of) =>
    line(reasons[of[0]!]!, of.length < columns.length ? of : [], state, store),
  );
  return [h("div.side"), h("div.full.exemptions", null, lines)];
}

/** @param of the columns that are meant, where it is not all of them. */
function line(
  reasons: ReturnType<typeof exemptFrom>,
  of: readonly number[],
  state: State,
  store: Store,
): HTMLElement {
  const name = `exempt ${of.join(" ")}`;
  const open = state.open.has(name);
  const count = reasons.reduce((sum, { rules }) => sum + rules.length, 0);
  return h(
    "div",
    null,
    h(
      "button.exempt-line",
      { "data-key": name, "aria-expanded": String(open), onclick: () => store.toggle(name) },
      glyph("exempt", 12),
      of.map(key),
      h("span.link", null, `${plural(count, "rule")} exempt`),
      !open && h("span.quiet", null, reasons.map(({ reason }) => reason).join(" · ")),
    ),
    open &&
      h(
        "dl.exempt-reasons",
        { "aria-label": "Rules from which this layer is exempt" },
        reasons.map(({ reason, rules }) => [h("dt", null, reason), h("dd", null, rules.join(", "))]),
      ),
  );
}
