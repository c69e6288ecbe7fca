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
import { type Child, h, refill } from "./element";
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
  const rows = [...parts.gauges.flatMap(({ thresholds }) => thresholds), ...parts.rest];
  const told = sentences(rule.thresholds);
  const sentence = (i: number) => told.get(rows[i]?.name ?? "") ?? "";
  const fields = new Map<string, Field>(
    rows.map((one, i) => {
      const isToldAbove = sentence(i) === sentence(i - 1);
      return [one.name, field(rule, one, isToldAbove ? "" : sentence(i), choose)];
    }),
  );
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
    h("div.gauge", null, h("p.means", null, caption(gauge)), strips[i]!),
  );
  const numbers = h(
    "div.numbers",
    null,
    h("div.fields", null, rows.map(({ name }) => fields.get(name)!.element)),
    drawn.length > 0 && h("div.gauges", null, drawn),
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
      refill(short, inShort(now).flatMap((words, i) => [i > 0 && " · ", h("span.unbroken", null, words)]));
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

/** "watch, warn: the largest of each run" */
const caption = ({ isUpper, thresholds }: Gauge): Child => [
  h("b", null, thresholds.map(({ name }) => name).join(", ")),
  `: the ${isUpper ? "largest" : "smallest"} of each run`,
];

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
  const button = h("button.link.hidden-more", {
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
