/** One place of the layer graph: a layer, or a folded block with its worst layer. */

import type { Layer, Severity } from "../api";
import { cssColour, isDark, type Ramp } from "../model/colour";
import type { Place } from "../model/graph";
import type { Shown } from "../model/health";
import { describeLayer } from "../model/layers";
import type { Box } from "../model/layout";
import { plural } from "../model/number";
import { h, refill } from "./element";
import { glyph, WORDS } from "./glyph";
import { weights } from "./gutter";

/** What changes with the cursor and the measure. */
export interface Look {
  shown: Shown;
  /** The worst finding so far. */
  severity: Severity | null;
  /** It holds NaN or Inf, which another layer's finding tells of. */
  follows: boolean;
  /** Names of the rules behind it, for the label. */
  found: string;
  /** Whether any rule could judge the run. */
  judged: boolean;
  /** Of a block: the layer that is shown for all. */
  member: Layer | undefined;
  metric: string;
  selected: boolean;
}

/** A place on the page, and the parts of it that change. */
export interface PlaceElements {
  element: HTMLElement;
  label: HTMLElement;
  sign: HTMLElement;
  value: HTMLElement;
  more: HTMLElement;
}

export function placeElements(
  place: Place,
  layers: readonly Layer[],
  box: Box,
  key: string,
  title: string,
): PlaceElements {
  const layer = layers[place.layers[0]!]!;
  const label = h("span.sr"); // all of it, in the order in which it is listened to
  const hidden = { "aria-hidden": "true" };
  const [sign, value] = [h("span.place-sign", hidden), h("b.place-value")];
  const more = h("span.place-more", null, place.block ? "" : weights(layer));
  const element = h(
    place.block ? "button.place.block" : "button.place",
    {
      "data-key": key,
      "data-place": place.id,
      tabindex: -1,
      title: place.block?.name ?? layer.name,
      style: `left:${box.x}px;top:${box.y}px;width:${box.width}px;height:${box.height}px`,
    },
    label,
    sign,
    h("span.place-line", hidden, h("code.place-name", null, title), value),
    h(
      "span.place-line.place-facts",
      hidden,
      h("span.place-what", null, place.block ? plural(place.layers.length, "layer") : describeLayer(layer)),
      more,
    ),
  );
  return { element, label, sign, value, more };
}

/** "Dense 10 softmax, output" */
export function what(layer: Layer): string {
  return describeLayer(layer) + (layer.role === "hidden" ? "" : `, ${layer.role}`);
}

const FOLLOWS = "NaN follows";

/** Puts colour, sign and value on a place; nothing is made anew that stays. */
export function dressPlace(
  { element, label, sign, value, more }: PlaceElements,
  place: Place,
  look: Look,
  ramp: Ramp | null,
): void {
  const { shown, severity, selected, member } = look;
  const filled = shown.kind === "value" && ramp !== null;
  element.classList.toggle("on", selected);
  element.classList.toggle("hatched", shown.kind === "broken");
  element.classList.toggle("none", shown.kind === "none");
  element.classList.toggle("dark-fill", filled && isDark(ramp, shown.position));
  element.classList.toggle("light-fill", filled && !isDark(ramp, shown.position));
  element.style.background = filled ? cssColour(ramp, shown.position) : "";
  element.tabIndex = selected ? 0 : -1;
  if (sign.dataset.sign !== (severity ?? "")) {
    refill(sign, severity && glyph(severity, 13));
    sign.dataset.sign = severity ?? "";
  }
  const told = look.follows ? FOLLOWS : shown.words;
  if (value.textContent !== told) value.textContent = told;
  if (place.block && member) refill(more, "worst: ", h("code", null, shortName(member, place)));
  const words = labelOf(element.title, place, look);
  if (label.textContent !== words) label.textContent = words;
}

const shortName = (member: Layer, { block }: Place) => member.name.slice(block!.name.length + 1);

/** "dense, Dense 128 relu, 8,320 weights, Critical: Dead ReLU, Dead units 97 %" */
function labelOf(name: string, place: Place, look: Look): string {
  const { member, severity, found, judged, metric, shown, follows } = look;
  const about = place.block
    ? `folded block of ${plural(place.layers.length, "layer")}, worst ${member?.name ?? ""}`
    : member && `${what(member)}, ${weights(member)}`;
  const silence = judged ? "no finding" : "not evaluated";
  const health = severity ? `${WORDS[severity]}: ${found}` : silence;
  return [name, about, health, follows && FOLLOWS, `${metric} ${shown.words}`].filter(Boolean).join(", ");
}
