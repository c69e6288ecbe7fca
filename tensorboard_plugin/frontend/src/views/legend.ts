/** The colour scale with its limits, each by number and glyph. */

import type { Limit } from "../api";
import { cssColour, RAMPS } from "../model/colour";
import { limitsApart } from "../model/metrics";
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
    limitsApart(scale.limits, scale.along, 0.13).map((limit) => {
      const words = limitWords(limit, scale.kind);
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

/** The limits alone, each by its glyph. */
export const limitSigns = (scale: ColourScale): HTMLElement[] =>
  limitsApart(scale.limits, scale.along, 0.13).map((limit) => {
    const words = limitWords(limit, scale.kind);
    return h("span.limit", { style: `left:${percent(scale.along(limit.value))}`, title: words }, glyph(limit.severity, 8));
  });

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

const percent = (x: number) => `${(x * 100).toFixed(2)}%`;

/** "Warning at or above 50 %" */
export const limitWords = ({ severity, above, value }: Limit, kind: ColourScale["kind"]): string =>
  `${WORDS[severity]} ${above ? "at or above" : "below"} ${formatTick(value, kind)}`;

export function describe(scale: ColourScale): string {
  const limits = scale.limits.map((limit) => limitWords(limit, scale.kind));
  const ends = `Colour scale from ${formatTick(scale.lo, scale.kind)} to ${formatTick(scale.hi, scale.kind)}`;
  return [ends, ...limits].join("; ");
}
