/** One axis with the limits of a measure and the worst value of each run. */

import type { Strip } from "../model/strip";
import { h } from "./element";
import { glyph } from "./glyph";
import { key } from "./heads";

export function strip({ ends, limits, values, labels }: Strip): HTMLElement {
  const lines = 1 + Math.max(0, ...limits.map(({ line }) => line));
  const words = [...values, ...limits].map((one) => one.words).join("; ");
  return h(
    "div.strip",
    { role: "img", "aria-label": `Worst value of each run, the last finite one, and limits: ${words}` },
    h("span", null, ends[0]),
    h(
      "div.strip-axis",
      { style: `--lines:${lines}` },
      limits.map(({ at, severity, words, label, line }) => [
        h("i.strip-limit", { style: left(at), title: words }),
        h("span.strip-label", { style: `${left(at)};--line:${line}` }, severity && glyph(severity, 10), label),
      ]),
      values.map(({ at, words }) => h("i.strip-value", { style: left(at), title: `${words}, last finite` })),
      labels.map(({ at, runs }) => h("b.strip-runs", { style: left(at) }, runs.map(key))),
    ),
    h("span", null, ends[1]),
  );
}

const left = (at: number) => `left:${(at * 100).toFixed(2)}%`;
