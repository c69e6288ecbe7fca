/** What the width of an edge in the layer graph stands for. */

import type { Flow } from "../model/flow";
import { formatTick } from "../model/number";
import type { Plot } from "../model/plot";
import { h, svg } from "./element";

const [THINNEST, THICKEST] = [1, 7]; // pixels

/** The width of an edge's line; what is no value has that of its own sign. */
export function flowWidth({ kind, along }: Pick<Flow, "kind" | "along">): number {
  if (kind === "value") return THINNEST + along * (THICKEST - THINNEST);
  return { zero: 2, broken: THICKEST, none: 1 }[kind];
}

/** @param plot that of the gradient. */
export function flowLegend({ metric, scale }: Plot): HTMLElement {
  if (!metric || metric.not_measured || !scale)
    return h("p", null, `Edges: ${metric?.not_measured ?? "no gradient was recorded"}.`);
  const [low, high] = [scale.lo, scale.hi].map((value) => formatTick(value, scale.kind));
  const line = (kind: Flow["kind"], words: string) => h("li", null, sample(kind), words);
  return h(
    "div.flow-legend",
    null,
    h("p", { title: "Of the layer that an edge leaves" }, `Edges: ${metric.title}`),
    h("p.wedge", null, low, svg("svg", WEDGE, svg("path", { d: `M0 3L48 0v${THICKEST}L0 4z` })), high),
    h("ul", null, line("zero", "exactly 0"), line("broken", "NaN, Inf"), line("none", "not measured")),
  );
}

const WEDGE = { width: 48, height: THICKEST, viewBox: `0 0 48 ${THICKEST}`, "aria-hidden": "true" };

function sample(kind: Flow["kind"]): SVGElement {
  const width = flowWidth({ kind, along: 0 });
  return svg(
    "svg",
    { width: 28, height: 8, viewBox: "0 0 28 8", "aria-hidden": "true" },
    svg("path", { class: `edge flow-${kind}`, d: "M0 4H28", style: `stroke-width:${width}px` }),
  );
}
