/** A sample enlarged, beneath its row: all that was recorded of it in each run. */

import { chooseSnapshots } from "../model/cams";
import { formatCount, formatMagnitude, formatShare } from "../model/number";
import { CHOICES, flips, lookIndex, outcomeOf, type Probe, type Sample } from "../model/probe";
import type { Store } from "../state";
import { stepAxis } from "./curves";
import { h } from "./element";
import type { Column, Drawing } from "./probecolumns";
import { picturedBy } from "./probeimage";
import { probePlot } from "./probeplot";
import type { Cell } from "./proberow";
import { spoken } from "./probewords";

/** Looks that are shown one by one; of more, evenly chosen ones. */
const MOST = 60;

/** The left end of the enlarged part: how to read it, and how to leave it. */
export function closing(columns: readonly Column[], store: Store): Cell {
  const classes = columns.some(({ probe }) => probe?.kind === "classes");
  const words = classes
    ? "Line: probability of the true class; dashed: of the predicted one. Over the steps."
    : "Line: size of the error, in the unit of the value. Over the steps.";
  const close = () => store.choose(CHOICES.open, "");
  const element = h(
    "div.side.probe-more",
    null,
    h("p", null, words),
    h(
      "button.small",
      { "data-key": "close sample", onclick: close },
      "Close ",
      h("kbd", null, "Esc"),
    ),
  );
  return { element, point() {} };
}

export function probeDetail(name: string, column: Column, drawing: Drawing, store: Store): Cell {
  const { probe } = column;
  const sample = probe?.samples.get(name);
  if (!probe || !sample) return { element: h("div.probe-more"), point() {} };
  const image = picturedBy(column, sample, drawing);
  const chosen = chooseSnapshots(probe.steps.length, MOST);
  const looks = chosen.map((look) => lookButton(column, probe, sample, look, drawing, store));
  const mapWords = h("p.quiet");
  const element = h(
    "div.probe-more",
    null,
    image && h("div.probe-large", null, image.element, mapWords),
    h(
      "div.probe-curve",
      null,
      ticks(probe, drawing),
      probePlot(probe, sample, drawing, true),
      h("span"),
      stepAxis(drawing.end),
    ),
    h("p.quiet", null, history(probe, sample, chosen.length)),
    h(image ? "div.probe-looks" : "div.probe-looks.wide", null, looks),
  );
  return {
    element,
    point(step) {
      const look = lookIndex(probe, step);
      const current = chosen.findLastIndex((one) => one <= look);
      mapWords.textContent = image?.show(probe.steps[look]!) ?? "";
      looks.forEach((button, i) => button.classList.toggle("on", i === current));
    },
  };
}

function lookButton(
  column: Column,
  probe: Probe,
  sample: Sample,
  look: number,
  drawing: Drawing,
  store: Store,
): HTMLElement {
  const step = probe.steps[look]!;
  const image = picturedBy(column, sample, drawing);
  image?.show(step);
  const predicted = sample.looks[look]?.predicted ?? null;
  const words = `Step ${formatCount(step)}: ${spoken(probe, sample, look)}`;
  const outcome = probe.kind === "classes" ? outcomeOf(sample, look) : null;
  return h(
    "button.probe-look",
    {
      "data-key": `look ${column.name} ${look}`,
      title: words,
      "aria-label": words,
      onclick: () => store.set({ step, hover: null }),
    },
    image?.element,
    h("span", null, formatCount(step)),
    !image &&
      sample.looks[look] &&
      h("b", null, predicted === null ? "NaN" : formatMagnitude(predicted)),
    outcome === "nan" && image && h("b", null, "NaN"),
    (outcome === "right" || outcome === "wrong") &&
      h("b.probe-sign", null, outcome === "right" ? "✓" : "✕"),
  );
}

function ticks(probe: Probe, drawing: Drawing): HTMLElement {
  const isValue = probe.kind === "values";
  const values = isValue ? drawing.errors.ticks : [0, 0.5, 1];
  const at = (tick: number) => (isValue ? drawing.errors.at(tick) : tick);
  return h(
    "div.probe-ticks",
    { "aria-hidden": "true" },
    values.map((tick) =>
      h(
        "span",
        { style: `bottom:${at(tick) * 100}%` },
        isValue ? formatMagnitude(tick) : formatShare(tick),
      ),
    ),
  );
}

function history(probe: Probe, sample: Sample, shown: number): string {
  const all = probe.steps.length;
  const some = shown < all ? `${shown} of ${formatCount(all)} looks` : `${all} looks`;
  if (probe.kind === "values") return some;
  const changes = flips(sample);
  return `${some}, ${changes ? `flipped ${changes === 1 ? "once" : `${changes} times`}` : "never flipped"}`;
}
