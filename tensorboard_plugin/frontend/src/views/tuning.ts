/** Every threshold of every rule, to be changed. A row is made once, so that typing is not disturbed. */

import {
  common,
  countEdits,
  disorder,
  type Edits,
  matches,
  nudged,
  numberOf,
  plain,
  type Tunable,
  type TunableRule,
} from "../model/thresholds";
import { gauges, stripOf } from "../model/strip";
import { plural } from "../model/number";
import { called } from "../requests";
import type { State, Store } from "../state";
import { h, prose, refill } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";
import { strip } from "./strip";

/** Between the last key press and the question to the server. */
const PAUSE_MS = 150;
/** The name of the choice that holds the filter. */
const FILTER = "threshold-filter";

export type Choose = (change: { rule: string; name: string; value: number | null }) => void;

export interface Tuning {
  element: HTMLElement;
  update(state: State, rules: readonly TunableRule[], edits: Edits): void;
}

interface Row {
  element: HTMLElement;
  /** @param odd what is odd about the value beside others. */
  update(threshold: Tunable, value: number | undefined, shown: readonly string[], odd: string): void;
}

interface Block {
  element: HTMLElement;
  update(rule: TunableRule, edits: Edits, shown: readonly string[]): void;
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
  const [tally, list, none] = [h("div.tally"), h("div.rules"), h("p.quiet")];
  const blocks = new Map<string, Block>();
  const element = h(
    "section.section.tuning",
    { "aria-label": "Thresholds" },
    h(
      "div.side",
      null,
      h("h2", null, "Thresholds"),
      h("p", null, "Rules that found something in the shown runs come first."),
      h(
        "p",
        null,
        "A strip shows the worst layer of each run at its last record, and the limits. A value beyond one is no finding while the rule asks for more, as for patience or a poor loss.",
      ),
      h("label.find", null, filter),
      tally,
    ),
    h("div.full", null, headings(), list, none),
  );
  return {
    element,
    update(state, rules, edits) {
      if (document.activeElement !== filter) filter.value = state.choices[FILTER] ?? "";
      const found = rules.filter((rule) => matches(rule, filter.value));
      const wanted = found.map((rule) => {
        const block = blocks.get(rule.id) ?? ruleBlock(rule, choose);
        blocks.set(rule.id, block);
        block.update(rule, edits, state.shown);
        return block.element;
      });
      // Moving an element takes the focus away, and with it what is being typed there.
      const isInUse = list.contains(document.activeElement);
      const isAsWanted =
        wanted.length === list.children.length && wanted.every((one, i) => list.children[i] === one);
      if (!isAsWanted && !isInUse) refill(list, wanted);
      const words = rules.length ? "No rule has all of these words." : "Loading the rules …";
      none.textContent = found.length ? "" : words;
      refill(tally, ...tallied(edits, store));
    },
  };
}

const headings = () =>
  h(
    "div.headings",
    { "aria-hidden": "true" },
    ["Rule", "Threshold", "", "Value", "Recorded", "Default", ""].map((words) =>
      h("span", null, words),
    ),
  );

function tallied(edits: Edits, store: Store): HTMLElement[] {
  const count = countEdits(edits);
  if (count === 0) return [h("p", null, "Nothing is changed.")];
  const reset = () => store.choose("thresholds", "");
  return [
    h("p", null, `${plural(count, "number")} changed`),
    h("p.tally-links", null, h("button.small", { "data-key": "reset all", onclick: reset }, "Reset all"), takeAlong()),
  ];
}

/** To what was changed as a file and as code, at the end of the page. */
function takeAlong(): HTMLElement {
  const go = () => {
    const place = document.getElementById("take-along");
    place?.scrollIntoView({ behavior: "smooth" });
    place?.focus({ preventScroll: true });
  };
  return h("button.link", { "data-key": "take along", onclick: go }, "Take along");
}

function ruleBlock(rule: TunableRule, choose: Choose): Block {
  const found = h("p.found");
  const rows = new Map<string, Row>(
    rule.thresholds.map((one) => [one.name, thresholdRow(rule, one, choose)]),
  );
  const parts = gauges(rule.thresholds);
  const strips = new Map(parts.gauges.map(({ measure }) => [measure, h("div.strip-place")]));
  const rowsOf = (thresholds: readonly Tunable[]) =>
    thresholds.map(({ name }) => rows.get(name)!.element);
  const element = h(
    "section.rule-block",
    { "aria-label": rule.title },
    h("div.rule-title", null, h("h3", null, rule.title), h("code", null, rule.id), found),
    h(
      "div.rows",
      null,
      parts.gauges.map(({ measure, thresholds }) =>
        h("div.gauge", null, strips.get(measure)!, h("div.abreast", null, rowsOf(thresholds))),
      ),
      rowsOf(parts.rest),
    ),
  );
  return {
    element,
    update(now, edits, shown) {
      for (const gauge of gauges(now.thresholds).gauges) {
        const drawn = stripOf(gauge, edits[now.id] ?? {}, shown, now.found, called);
        const nothing = h("p.quiet", null, "not measured in these runs");
        refill(strips.get(gauge.measure)!, drawn ? strip(drawn) : nothing);
      }
      refill(
        found,
        ...shown.flatMap((run, i) => {
          const severity = now.found.get(run);
          const words = severity && `${WORDS[severity]} in ${called(run)}`;
          return severity ? [h("span", { title: words }, key(i), glyph(severity, 12, words))] : [];
        }),
      );
      const value = (one: Tunable) => edits[now.id]?.[one.name] ?? common(one);
      for (const one of now.thresholds) {
        const odd = disorder(one, now.thresholds, value);
        rows.get(one.name)?.update(one, edits[now.id]?.[one.name], shown, odd);
      }
    },
  };
}

const DIRECTIONS = {
  ">": "trouble above",
  "≥": "trouble at or above",
  "<": "trouble below",
  "≤": "trouble at or below",
} as const;

function thresholdRow(rule: TunableRule, first: Tunable, choose: Choose): Row {
  let threshold = first;
  let current: number | undefined;
  let timer = 0;
  const id = `threshold-${rule.id}-${first.name}`;
  const shownValue = () => {
    const value = current ?? common(threshold);
    return value === null ? "" : plain(value);
  };
  const tell = (words: string) => {
    wrong.textContent = words;
    input.setAttribute("aria-invalid", String(words !== ""));
  };
  const commit = (value: number | null) => {
    clearTimeout(timer);
    timer = 0;
    const next = value === common(threshold) ? null : value;
    if (next !== (current ?? null)) choose({ rule: rule.id, name: first.name, value: next });
  };
  const read = () => {
    clearTimeout(timer);
    timer = 0;
    if (input.value === "" && !input.validity.badInput) return tell("");
    const value = numberOf(input.value, threshold);
    tell(typeof value === "string" ? `Wanted: ${value}.` : "");
    if (typeof value === "number") timer = window.setTimeout(() => commit(value), PAUSE_MS);
  };
  /** What cannot be taken is no change: the last good one comes back, and why stays to be read. */
  const leave = () => {
    const value = numberOf(input.value, threshold);
    if (typeof value === "number") return commit(value);
    if (input.value === "" && !input.validity.badInput) commit(null);
    input.value = shownValue();
    input.setAttribute("aria-invalid", "false");
  };
  const nudge = (event: KeyboardEvent) => {
    if (event.key === "Enter") leave();
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    const value = numberOf(input.value, threshold);
    event.preventDefault();
    if (typeof value !== "number") return;
    input.value = plain(nudged(value, event.key === "ArrowUp" ? 1 : -1, threshold));
    read();
  };
  const input = h("input", {
    type: "number",
    step: "any",
    min: first.least,
    max: first.most,
    "data-key": id,
    "aria-label": `${rule.title}, ${first.name}: ${first.about}`,
    "aria-describedby": `${id}-wrong ${id}-odd`,
    placeholder: "differs",
    oninput: read,
    onchange: leave,
    onblur: leave,
    onkeydown: nudge,
  });
  const wrong = h("p.wanted", { id: `${id}-wrong`, role: "status" });
  const beside = h("p.quiet", { id: `${id}-odd`, role: "status" });
  const recorded = h("span.recorded-value");
  const reset = h(
    "button.link",
    {
      "data-key": `reset ${id}`,
      "aria-label": `Reset ${rule.title}, ${first.name}`,
      onclick: () => {
        input.focus({ preventScroll: true }); // the button goes away
        commit(null);
        input.value = shownValue();
        tell("");
      },
    },
    "Reset",
  );
  const { sign, severity } = first;
  const direction = sign && DIRECTIONS[sign];
  const element = h(
    severity ? `div.threshold.of-${severity}` : "div.threshold",
    null,
    h(
      "p.measure",
      { title: first.source ? `Default: ${first.source}` : null },
      severity && [glyph(severity, 11), " "],
      h("b", null, first.name),
      " ",
      prose(first.about),
    ),
    h("span.direction", { title: direction }, sign, h("span.sr", null, direction)),
    h("div", null, input, wrong, beside),
    recorded,
    h("span.quiet.default", null, plain(first.default)),
    reset,
  );
  return {
    element,
    update(now, value, shown, odd) {
      if (beside.textContent !== odd) beside.textContent = odd;
      const before = shownValue();
      [threshold, current] = [now, value];
      element.classList.toggle("changed", value !== undefined);
      element.classList.toggle("as-default", common(now) === now.default);
      reset.hidden = value === undefined;
      if (timer === 0 && (document.activeElement !== input || input.value === before))
        input.value = shownValue();
      const one = common(now);
      refill(
        recorded,
        ...(one !== null
          ? [h("span", null, plain(one))]
          : shown.flatMap((run, i) => {
              const own = now.recorded.get(run);
              return own === undefined ? [] : [h("span", null, key(i), ` ${plain(own)}`)];
            })),
      );
    },
  };
}
