/** The colour scale with its limits, each by number and glyph. */

import type { Limit } from "../api";
import { cssColour, RAMPS } from "../model/colour";
import { SEVERITIES } from "../model/findings";
import { formatTick } from "../model/number";
import type { ColourScale } from "../model/scale";
import { h } from "./element";
import { glyph, WORDS } from "./glyph";

const STOPS = 32;

export function legend(scale: ColourScale, dark: boolean): HTMLElement {
  return h(
    "div.legend",
    { role: "img", "aria-label": describe(scale) },
    colours(scale, dark),
    noColours(scale),
  );
}

export const colours = (scale: ColourScale, dark: boolean): HTMLElement =>
  scale.kind === "count" ? h("span.swatch-zero", null, h("i"), "0") : bar(scale, dark);

/** What stands in place of a colour. */
export const noColours = (scale: ColourScale): HTMLElement[] => [
  h("span.swatch-nan", null, h("i"), scale.kind === "count" ? "above 0" : "NaN, Inf"),
  h("span.swatch-none", null, h("i"), "not measured"),
];

function bar(scale: ColourScale, dark: boolean): HTMLElement {
  return h(
    "div.scale",
    null,
    limitTicks(scale).map((limit) => {
      const words = `${WORDS[limit.severity]} ${limit.above ? "at or above" : "below"} ${formatTick(limit.value, scale.kind)}`;
      return h(
        "span.limit",
        { style: `left:${percent(scale.along(limit.value))}`, title: words },
        glyph(limit.severity, 10, words),
        h("span", null, formatTick(limit.value, scale.kind)),
      );
    }),
    ramp(scale, dark),
    scale.ticks.map((tick) =>
      h("span.tick", { style: `left:${percent(scale.along(tick))}` }, formatTick(tick, scale.kind)),
    ),
  );
}

/** The colours of a scale, from its low end to its high end. */
export function ramp(scale: ColourScale, dark: boolean): HTMLElement {
  const colours = RAMPS[dark ? "dark" : "light"][scale.ramp];
  const stops = Array.from({ length: STOPS + 1 }, (_, i) =>
    cssColour(colours, scale.position(valueAt(scale, i / STOPS))),
  );
  return h("div.ramp", { style: `background:linear-gradient(90deg,${stops.join()})` });
}

function valueAt(scale: ColourScale, along: number): number {
  if (scale.kind !== "log") return scale.lo + (scale.hi - scale.lo) * along;
  return scale.lo * (scale.hi / scale.lo) ** along;
}

/** Of limits that would lie on each other the worst is drawn. */
function limitTicks(scale: ColourScale): Limit[] {
  const drawn: Limit[] = [];
  const worstFirst = [...scale.limits].sort(
    (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
  for (const limit of worstFirst) {
    const place = scale.along(limit.value);
    if (drawn.every((other) => Math.abs(scale.along(other.value) - place) > 0.13))
      drawn.push(limit);
  }
  return drawn;
}

const percent = (x: number) => `${(x * 100).toFixed(2)}%`;

export function describe(scale: ColourScale): string {
  const limits = scale.limits.map(
    (l) =>
      `${WORDS[l.severity]} ${l.above ? "at or above" : "below"} ${formatTick(l.value, scale.kind)}`,
  );
  const ends = `Colour scale from ${formatTick(scale.lo, scale.kind)} to ${formatTick(scale.hi, scale.kind)}`;
  return [ends, ...limits].join("; ");
}
