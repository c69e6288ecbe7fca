/** What stands where there is nothing to show: how to begin, waiting, what went wrong. */

import type { State } from "../state";
import { copyButton } from "./copy";
import { h, prose } from "./element";
import { glyph } from "./glyph";

const BEGIN = [
  "from tfdiag import HealthMonitor",
  'monitor = HealthMonitor("logs/run1", probe=(x_val, y_val))',
  "model.fit(x, y, callbacks=[monitor])",
].join("\n");

export function empty(state: State): HTMLElement {
  const count = state.runs?.length ?? 0;
  const there =
    count === 0
      ? "This log folder has no runs yet."
      : `This log folder has ${count === 1 ? "1 run, but it was not" : `${count} runs, but none was`} recorded with tfdiag.`;
  return h(
    "div.empty",
    null,
    h("h2", null, "No health data here yet"),
    h("p", null, `${there} Add one callback, then train; this page fills by itself.`),
    h("div.begin", null, h("pre", null, h("code", null, BEGIN)), copyButton(BEGIN, "begin")),
    h(
      "p",
      null,
      "No training at hand? ",
      h("code", null, "tfdiag demo"),
      " trains a healthy, a dying and an exploding run.",
    ),
  );
}

export function noneShown(): HTMLElement {
  return h(
    "div.empty",
    null,
    h("h2", null, "No run is shown"),
    h("p", null, "Tick up to four runs in the list to see them side by side."),
  );
}

export function loading(): HTMLElement {
  return h("div.empty", { role: "status" }, h("p.quiet", null, "Loading the runs …"));
}

export function unreachable(words: string, retry: () => void): HTMLElement {
  return h("div.empty", null, problem("The runs could not be fetched", words, retry));
}

/** What happened, in the words of whoever knows, and what to do about it. */
export function problem(title: string, words: string, retry?: () => void): HTMLElement {
  return h(
    "div.problem",
    { role: "status" },
    h("p", null, glyph("warn"), h("b", null, title)),
    h("p", null, prose(words)),
    retry && h("button.small", { "data-key": `retry ${title}`, onclick: retry }, "Try again"),
  );
}

/** A line over a page that still shows what was fetched before. */
export function banner(words: string, retry: () => void): HTMLElement {
  return h(
    "div.banner",
    { role: "status" },
    glyph("warn"),
    h("span", null, `${words} What you see was fetched before.`),
    h("button.small", { "data-key": "retry", onclick: retry }, "Try again"),
  );
}
