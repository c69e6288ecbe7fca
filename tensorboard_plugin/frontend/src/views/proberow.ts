/** One probe sample: which one it is at the left, what each run says of it in the columns. */

import { formatMagnitude } from "../model/number";
import { CHOICES, lookIndex } from "../model/probe";
import type { Store } from "../state";
import { h, refill } from "./element";
import type { Column, Drawing } from "./probecolumns";
import { closing, probeDetail } from "./probedetail";
import { picturedBy } from "./probeimage";
import { probePlot } from "./probeplot";
import { said, spoken } from "./probewords";

export interface Row {
  element: HTMLElement;
  /** @param open whether it is enlarged. */
  point(step: number, open: boolean): void;
}

/** One run's part of a row. */
export interface Cell {
  element: HTMLElement;
  point(step: number): void;
}

export function probeRow(
  name: string,
  columns: readonly Column[],
  drawing: Drawing,
  store: Store,
): Row {
  const toggle = () => store.choose(CHOICES.open, isOpen ? "" : name);
  const pictured = isPictured(name, columns);
  const cells = columns.map((column) => cell(name, column, drawing, pictured, toggle));
  const button = nameButton(name, columns, toggle);
  const row = h(
    pictured ? "section.section.probe-row" : "section.section.probe-row.bare",
    { "aria-label": `Sample ${name}` },
    h("div.side", null, button),
    cells.map(({ element }) => element),
  );
  let isOpen = false;
  let details: Cell[] = [];
  const enlarge = (open: boolean) => {
    isOpen = open;
    button.setAttribute("aria-expanded", String(open));
    row.classList.toggle("open", open);
    for (const { element } of details) element.remove();
    details = open
      ? [
          closing(columns, store),
          ...columns.map((column) => probeDetail(name, column, drawing, store)),
        ]
      : [];
    row.append(...details.map(({ element }) => element));
  };
  return {
    element: row,
    point(step, open) {
      if (open !== isOpen) enlarge(open);
      for (const part of [...cells, ...details]) part.point(step);
    },
  };
}

/** Whether some run kept an image of the sample. */
export const isPictured = (name: string, columns: readonly Column[]): boolean =>
  columns.some(({ probe }) => (probe?.samples.get(name)?.image ?? -1) >= 0);

function nameButton(name: string, columns: readonly Column[], toggle: () => void): HTMLElement {
  const known = columns.flatMap(({ probe }) => {
    const sample = probe?.samples.get(name);
    return probe && sample ? [{ kind: probe.kind, sample }] : [];
  });
  const truths = [...new Set(known.map(({ kind, sample: { truth } }) => truthWords(kind, truth)))];
  const features = known.flatMap(({ sample }) => sample.features ?? []).slice(0, FEATURES);
  return h(
    "button.probe-name",
    {
      "data-key": `sample ${name}`,
      "aria-expanded": "false",
      title: "Enlarge this sample",
      onclick: toggle,
    },
    h("b", null, `#${name}`),
    h("span", null, truths.join(" or ")),
    features.length > 0 &&
      h(
        "small",
        { title: `The first numbers of this sample: ${numbers(features)}` },
        numbers(features),
        " …",
      ),
  );
}

const FEATURES = 4;

const numbers = (features: readonly (number | null)[]) =>
  features.map((v) => (v === null ? "NaN" : formatMagnitude(v))).join(", ");

const truthWords = (kind: string, truth: number | null) =>
  kind === "classes"
    ? `class ${truth ?? "?"}`
    : `true ${truth === null ? "?" : formatMagnitude(truth)}`;

function cell(
  name: string,
  column: Column,
  drawing: Drawing,
  pictured: boolean,
  toggle: () => void,
): Cell {
  const { probe } = column;
  const sample = probe?.samples.get(name);
  if (!probe || !sample) {
    const words = probe ? "not among this run’s samples" : "";
    return { element: h("p.probe-cell.quiet", null, words), point() {} };
  }
  const image = picturedBy(column, sample, drawing);
  const words = h("p.probe-said");
  const element = h(
    "div.probe-cell",
    null,
    h(
      "div.probe-now",
      null,
      pictured &&
        h(
          "div.probe-image",
          null,
          image &&
            h(
              "button",
              { tabindex: -1, "aria-label": `Enlarge sample ${name}`, onclick: toggle },
              image.element,
            ),
        ),
      words,
    ),
    probePlot(probe, sample, drawing),
  );
  let shown = -1;
  return {
    element,
    point(step) {
      const look = lookIndex(probe, step);
      if (look === shown) return;
      shown = look;
      image?.show(probe.steps[look]!);
      refill(words, ...said(probe, sample, look));
      words.title = spoken(probe, sample, look);
    },
  };
}
