/** The thresholds of every rule, to be changed. A block is made once, so that typing is not disturbed. */

import { type Gauge, gauges, stripOf } from "../model/strip";
import {
  common,
  disorder,
  type Edits,
  foremost,
  isFor,
  matches,
  sentences,
  type Tunable,
  type TunableRule,
} from "../model/thresholds";
import { called } from "../requests";
import type { State, Store } from "../state";
import { type Child, h, prose, refill } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";
import { strip } from "./strip";
import { type Choose, type Field, field } from "./tuningfield";

/** The name of the choice that holds the filter. */
const FILTER = "threshold-filter";

export interface Tuning {
  element: HTMLElement;
  update(state: State, rules: readonly TunableRule[], edits: Edits): void;
}

interface Block {
  element: HTMLElement;
  update(rule: TunableRule, edits: Edits, shown: readonly string[], filter: string): void;
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
  const [list, none] = [h("div.rules"), h("p.quiet")];
  const blocks = new Map<string, Block>();
  const element = h(
    "section.section.tuning",
    { "aria-label": "Thresholds" },
    h(
      "div.side",
      null,
      h("h2", null, "Thresholds"),
      h("label.find", null, filter),
      h("p", null, "Rules that found something in the shown runs come first."),
      h("p", null, "A strip shows the worst layer of each run at its last record, and the limits."),
      h("p", null, "A value beyond a limit is a finding only if the rule's other conditions hold too, such as its patience."),
    ),
    h("div.full", null, list, none),
  );
  return {
    element,
    update(state, rules, edits) {
      if (document.activeElement !== filter) filter.value = state.choices[FILTER] ?? "";
      const found = rules.filter((rule) => matches(rule, filter.value));
      const wanted = found.map((rule) => {
        const block = blocks.get(rule.id) ?? ruleBlock(rule, choose);
        blocks.set(rule.id, block);
        block.update(rule, edits, state.shown, filter.value);
        return block.element;
      });
      // Moving an element takes the focus away, and with it what is being typed there.
      const isInUse = list.contains(document.activeElement);
      const isAsWanted =
        wanted.length === list.children.length && wanted.every((one, i) => list.children[i] === one);
      if (!isAsWanted && !isInUse) refill(list, wanted);
      const words = rules.length ? "No rule has all of these words." : "Loading the rules …";
      none.textContent = found.length ? "" : words;
    },
  };
}

function ruleBlock(rule: TunableRule, choose: Choose): Block {
  const found = h("span.found");
  const parts = gauges(rule.thresholds);
  const told = sentences(rule.thresholds);
  const shared = parts.gauges.map((gauge) => sharedBy(gauge, told));
  const isShared = (one: Tunable) =>
    parts.gauges.some(({ thresholds }, i) => shared[i] && thresholds.includes(one));
  const fields = new Map<string, Field>(
    rule.thresholds.map((one) => [
      one.name,
      field(rule, one, isShared(one) ? "" : told.get(one.name)!, choose),
    ]),
  );
  const elements = (thresholds: readonly Tunable[]) =>
    thresholds.map(({ name }) => fields.get(name)!.element);
  const strips = parts.gauges.map(() => h("div.strip-place"));
  const fold = folding(rule, fields);
  const element = h(
    "section.rule-block",
    { "aria-label": rule.title },
    h(
      "div.rule-title",
      null,
      h("h3", null, rule.title),
      h("p", null, h("code", null, rule.id)),
      h("p.found", null, found, fold.button),
    ),
    h(
      "div.numbers",
      null,
      parts.gauges.length > 0 &&
        h(
          "div.gauges",
          null,
          parts.gauges.map((gauge, i) =>
            h(
              "div.gauge",
              null,
              h("p.means", null, caption(gauge, shared[i]!)),
              strips[i]!,
              h("div.fields", null, elements(gauge.thresholds)),
            ),
          ),
        ),
      parts.rest.length > 0 && h("div.fields", null, elements(parts.rest)),
    ),
  );
  return {
    element,
    update(now, edits, shown, filter) {
      const own = edits[now.id] ?? {};
      gauges(now.thresholds).gauges.forEach((gauge, i) => {
        const drawn = stripOf(gauge, own, shown, now.found, called);
        refill(strips[i]!, drawn ? strip(drawn) : h("p.quiet", null, "not measured in these runs"));
      });
      refill(
        found,
        ...shown.flatMap((run, i) => {
          const severity = now.found.get(run);
          const words = severity && `${WORDS[severity]} in ${called(run)}`;
          return severity ? [h("span", { title: words }, key(i), glyph(severity, 12, words))] : [];
        }),
      );
      const value = (one: Tunable) => own[one.name] ?? common(one);
      for (const one of now.thresholds) {
        const odd = disorder(one, now.thresholds, value);
        fields.get(one.name)?.update(one, own[one.name], shown, odd);
      }
      fold.update(own, filter);
    },
  };
}

/** What all limits of a gauge are, if that is the same. */
function sharedBy({ thresholds }: Gauge, told: ReadonlyMap<string, string>): string {
  const [first = "", ...others] = new Set(thresholds.map(({ name }) => told.get(name)!));
  return others.length ? "" : first;
}

function caption({ isUpper }: Gauge, sentence: string): Child {
  return [sentence && [prose(sentence), " "], `The ${isUpper ? "largest" : "smallest"} of each run:`];
}

interface Folding {
  button: HTMLElement;
  update(own: Readonly<Record<string, number>>, filter: string): void;
}

/** All but the foremost fields are folded, until one of them is changed or the button is pressed. */
function folding(rule: TunableRule, fields: ReadonlyMap<string, Field>): Folding {
  const first = foremost(rule);
  const rest = rule.thresholds.filter(({ name }) => !first.has(name));
  let isOpen = false;
  let changed: readonly string[] = [];
  let filtered = "";
  const draw = () => {
    const hidden = rest.filter((one) => !isOpen && !isFor(one, rule, filtered));
    for (const one of rest) fields.get(one.name)!.element.hidden = hidden.includes(one);
    button.hidden = !isOpen && hidden.length === 0;
    const words = isOpen ? "Show fewer" : `${hidden.length} more`;
    refill(button, words, h("span.sr", null, ` thresholds of ${rule.title}`));
    button.setAttribute("aria-expanded", String(isOpen));
  };
  const button = h("button.link.more", {
    "data-key": `more ${rule.id}`,
    onclick: () => {
      isOpen = !isOpen;
      draw();
    },
  });
  return {
    button,
    update(own, filter) {
      const now = rest.map(({ name }) => name).filter((name) => name in own);
      if (now.some((name) => !changed.includes(name))) isOpen = true;
      [changed, filtered] = [now, filter];
      draw();
    },
  };
}
