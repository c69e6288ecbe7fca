/** One rule: its line, and below it the strips and fields of its thresholds, which fold away. */

import { type Gauge, gauges, stripOf } from "../model/strip";
import {
  common,
  disorder,
  type Edits,
  foremost,
  inShort,
  isFor,
  sentences,
  type Tunable,
  type TunableRule,
} from "../model/thresholds";
import { called } from "../requests";
import { type Child, h, prose, refill } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";
import { strip } from "./strip";
import { type Choose, type Field, field } from "./tuningfield";

export interface Block {
  element: HTMLElement;
  update(rule: TunableRule, edits: Edits, shown: readonly string[], filter: string, isOpen: boolean): void;
}

/** @param unfold asks that it is folded or unfolded; never of a rule with a changed number. */
export function ruleBlock(rule: TunableRule, choose: Choose, unfold: (to: boolean) => void): Block {
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
  const short = h("p.in-short");
  let isShown = false;
  const line = h(
    "button.rule-line",
    { "data-key": `rule ${rule.id}`, onclick: () => unfold(!isShown) },
    h("i.fold", { "aria-hidden": "true" }),
    rule.title,
  );
  const drawn = parts.gauges.map((gauge, i) =>
    h(
      "div.gauge",
      null,
      h("p.means", null, caption(gauge, shared[i]!)),
      strips[i]!,
      h("div.fields", null, elements(gauge.thresholds)),
    ),
  );
  const numbers = h(
    drawn.length === 1 ? "div.numbers.one-gauge" : "div.numbers",
    null,
    drawn.length > 0 && h("div.gauges", null, drawn),
    parts.rest.length > 0 && h("div.fields", null, elements(parts.rest)),
  );
  const element = h(
    "section.rule-block",
    { "aria-label": rule.title },
    h(
      "div.rule-title",
      null,
      h("h3", null, line),
      h("p.rule-more", null, h("code", null, rule.id), found, fold.button),
    ),
    short,
    numbers,
  );
  return {
    element,
    update(now, edits, shown, filter, isOpen) {
      const own = edits[now.id] ?? {};
      const isChanged = now.id in edits;
      isShown = isOpen;
      line.setAttribute("aria-expanded", String(isOpen));
      line.disabled = isChanged;
      element.classList.toggle("folded", !isOpen);
      [numbers.hidden, short.hidden] = [!isOpen, isOpen];
      short.textContent = inShort(now);
      line.title = isOpen ? "" : inShort(now);
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
        isChanged && h("b", null, "changed"),
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
