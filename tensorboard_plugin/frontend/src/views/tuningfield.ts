/** One threshold: its field, what it means, and what it was where that differs. Made once, so that typing is not disturbed. */

import {
  common,
  inField,
  isShare,
  nudged,
  numberOf,
  type Tunable,
  type TunableRule,
  withUnit,
} from "../model/thresholds";
import { type Child, h, prose, refill } from "./element";
import { glyph } from "./glyph";
import { key } from "./heads";

/** Between the last key press and the question to the server. */
const PAUSE_MS = 150;

export type Choose = (change: { rule: string; name: string; value: number | null }) => void;

export interface Field {
  element: HTMLElement;
  /** @param odd what is odd about the value beside others. */
  update(threshold: Tunable, value: number | undefined, shown: readonly string[], odd: string): void;
}

const DIRECTIONS = {
  ">": "trouble above",
  "≥": "trouble at or above",
  "<": "trouble below",
  "≤": "trouble at or below",
} as const;

/** @param sentence what it is; empty where the one above it tells the same. */
export function field(rule: TunableRule, first: Tunable, sentence: string, choose: Choose): Field {
  let threshold = first;
  let current: number | undefined;
  let timer = 0;
  const id = `threshold-${rule.id}-${first.name}`;
  const shownValue = () => {
    const value = current ?? common(threshold);
    return value === null ? "" : inField(value, threshold);
  };
  /** A text that nobody touched is the number that it stands for, with all of its digits. */
  const typed = () =>
    input.value !== "" && input.value === shownValue()
      ? (current ?? common(threshold)!)
      : numberOf(input.value, threshold);
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
    const value = typed();
    tell(typeof value === "string" ? `Wanted: ${value}.` : "");
    if (typeof value === "number") timer = window.setTimeout(() => commit(value), PAUSE_MS);
  };
  /** What cannot be taken is no change: the last good one comes back, and why stays to be read. */
  const leave = () => {
    const value = typed();
    if (typeof value === "number") return commit(value);
    if (input.value === "" && !input.validity.badInput) commit(null);
    input.value = shownValue();
    input.setAttribute("aria-invalid", "false");
  };
  const nudge = (event: KeyboardEvent) => {
    if (event.key === "Enter") leave();
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    const value = typed();
    event.preventDefault();
    if (typeof value !== "number") return;
    input.value = inField(nudged(value, event.key === "ArrowUp" ? 1 : -1, threshold), threshold);
    read();
  };
  const unit = isShare(first) ? "%" : "";
  const input = h("input", {
    type: "number",
    step: "any",
    min: inField(first.least, first),
    max: first.most === null ? null : inField(first.most, first),
    "data-key": id,
    "aria-label": `${rule.title}, ${first.name}: ${first.about}${unit && ", in percent"}`,
    "aria-describedby": `${id}-wrong ${id}-odd`,
    placeholder: "differs",
    oninput: read,
    onchange: leave,
    onblur: leave,
    onkeydown: nudge,
  });
  const wrong = h("span.wanted", { id: `${id}-wrong`, role: "status" });
  const beside = h("span.wanted", { id: `${id}-odd`, role: "status" });
  const was = h("span.was");
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
  const { sign, severity, source } = first;
  const direction = sign && DIRECTIONS[sign];
  const element = h(
    "div.threshold",
    null,
    h("b", null, first.name, severity && [" ", glyph(severity, 11)]),
    h("span.direction", { title: direction }, sign, h("span.sr", null, direction)),
    input,
    h("span.unit", null, unit),
    h(
      "p.told",
      null,
      h("span", { title: source ? `Default: ${source}` : null }, prose(sentence)),
      wrong,
      beside,
      was,
      reset,
    ),
  );
  return {
    element,
    update(now, value, shown, odd) {
      if (beside.textContent !== odd) beside.textContent = odd;
      const before = shownValue();
      [threshold, current] = [now, value];
      element.classList.toggle("changed", value !== undefined);
      reset.hidden = value === undefined;
      if (timer === 0 && (document.activeElement !== input || input.value === before))
        input.value = shownValue();
      refill(was, ...others(now, value, shown));
    },
  };
}

/** What it was recorded with and what it is by default, as far as the field says something else. */
function others(threshold: Tunable, value: number | undefined, shown: readonly string[]): Child[] {
  const one = common(threshold);
  const now = value ?? one;
  const known: Child[] =
    one === null
      ? shown.flatMap((run, i) => {
          const own = threshold.recorded.get(run);
          return own === undefined ? [] : [h("span", null, key(i), ` ${withUnit(own, threshold)}`)];
        })
      : one === now
        ? []
        : [h("span", null, withUnit(one, threshold))];
  const isOther = threshold.default !== now && threshold.default !== one;
  return [
    known.length > 0 && ["recorded ", known],
    isOther && h("span", null, `default ${withUnit(threshold.default, threshold)}`),
  ];
}
