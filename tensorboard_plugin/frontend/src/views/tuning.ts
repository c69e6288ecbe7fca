/** The thresholds of every rule, to be changed. A block is made once, so that typing is not disturbed. */

import { plural } from "../model/number";
import { type Edits, isUnfolded, matches, refolded, type TunableRule } from "../model/thresholds";
import type { State, Store } from "../state";
import { arrange, h, refill } from "./element";
import { type Block, ruleBlock } from "./ruleblock";
import type { Choose } from "./tuningfield";

/** The name of the choice that holds the filter. */
const FILTER = "threshold-filter";

export interface Tuning {
  element: HTMLElement;
  update(state: State, rules: readonly TunableRule[], edits: Edits): void;
}

export function tuning(store: Store, choose: Choose): Tuning {
  const filter = h("input", {
    type: "text",
    placeholder: "Filter rules",
    "aria-label": "Filter rules by their words",
    spellcheck: "false",
    value: store.get().choices[FILTER] ?? "",
    oninput: () => store.choose(FILTER, filter.value),
  });
  /** Rules that found something, and those that did not. */
  const lists = [h("div.rules"), h("div.rules")] as const;
  const [rest, none] = [h("p.rules-rest"), h("p.quiet")];
  const fold = (rules: readonly string[], to: boolean) =>
    store.set({ open: refolded(store.get().open, rules, to) });
  const blocks = new Map<string, Block>();
  const element = h(
    "section.section.tuning",
    { "aria-label": "Thresholds" },
    h("div.side", null, h("h2", null, "Thresholds"), h("label.find", null, filter)),
    h(
      "p.full.quiet",
      null,
      "Rules that found something in the shown runs come first. " +
        "A strip shows the worst layer of each run at its last record, and the limits. " +
        "A value beyond a limit is a finding only if the rule's other conditions hold too, such as its patience.",
    ),
    lists[0],
    rest,
    lists[1],
    none,
  );
  return {
    element,
    update(state, rules, edits) {
      if (document.activeElement !== filter) filter.value = state.choices[FILTER] ?? "";
      const found = rules.filter((rule) => matches(rule, filter.value));
      const unfolded = found.filter((rule) => isUnfolded(rule, edits, state.open, filter.value, found.length));
      const quiet = found.filter((rule) => rule.found.size === 0);
      const elements = (of: readonly TunableRule[]) =>
        of.map((rule) => {
          const block = blocks.get(rule.id) ?? ruleBlock(rule, choose, (to) => fold([rule.id], to));
          blocks.set(rule.id, block);
          block.update(rule, edits, state.shown, filter.value, unfolded.includes(rule));
          return block.element;
        });
      const above = found.length - quiet.length;
      const wanted = [found.slice(0, above), found.slice(above)].map(elements);
      // Moving an element takes the focus away, and with it what is being typed there.
      const isInUse = lists.some((list) => list.contains(document.activeElement));
      if (!isInUse) lists.forEach((list, i) => arrange(list, wanted[i]!));
      const areAllOpen = quiet.every((rule) => unfolded.includes(rule));
      rest.hidden = quiet.length === 0;
      refill(
        rest,
        `${plural(quiet.length, above ? "more rule" : "rule")}, nothing found`,
        h(
          "button.link",
          { "data-key": "unfold all", onclick: () => fold(quiet.map(({ id }) => id), !areAllOpen) },
          areAllOpen ? "Fold all" : "Unfold all",
        ),
      );
      const words = rules.length ? "No rule has all of these words." : "Loading the rules …";
      none.textContent = found.length ? "" : words;
    },
  };
}
