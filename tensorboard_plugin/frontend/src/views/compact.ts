/** The compact columns beside a heat map: what each line was like at the cursor's step. */

import { type Along, bandAxis, type CompactColumn, goodBand, lefts } from "../model/compact";
import { rowShown, valueAt } from "../model/health";
import { limitsApart, limitsOf, metricsOf } from "../model/metrics";
import { formatTick, formatValue } from "../model/number";
import type { Plot, PlotColumn } from "../model/plot";
import type { Point, Store } from "../state";
import { compactLines } from "./compactlines";
import { NO_RECORD } from "./compactpaint";
import { type Child, h, refill } from "./element";
import { glyph } from "./glyph";
import { placeRow } from "./heat";
import { layerUnder } from "./heatmaps";
import { limitWords } from "./legend";

/** By the name of a measure, each run's column of it. */
export type Beside = ReadonlyMap<string, readonly PlotColumn[]>;

export interface Compact {
  head: HTMLElement;
  element: HTMLElement;
  /** Takes what is there yet of the measures. */
  fill(beside: Beside): void;
  paint(): void;
  point(at: Point): void;
  /** What it shows of the cursor's layer, for the readout. */
  words(at: Point): Child;
}

/** @param index of the run in the plot. */
export function compact(
  columns: readonly CompactColumn[],
  index: number,
  plot: Plot,
  store: Store,
): Compact {
  const column = plot.columns[index]!;
  const runs = plot.columns.flatMap(({ run }) => run ?? []);
  const at = lefts(columns);
  const ratio = bandAxis(runs, columns.find(({ kind }) => kind === "ratio")?.measures[0] ?? "");
  const lines = compactLines(columns, column, plot, ratio);
  const rowBand = h("div.cursor-row");
  const head = h("div.compact-head", { "aria-hidden": "true" });
  const element = h(
    "div.compact",
    { "aria-hidden": "true" }, // the readout tells it
    columns.map((one, i) => one.kind === "ratio" && band(column, one, ratio, at[i]!)),
    lines.elements,
    rowBand,
  );
  let now: Point = { step: 0, layer: null };
  element.addEventListener("pointermove", (event) => {
    const y = event.clientY - element.getBoundingClientRect().top;
    const layer = layerUnder(y, column, plot, now.step);
    if (store.get().hover?.layer !== layer) store.set({ hover: { step: null, layer } });
  });
  element.addEventListener("pointerleave", () => store.set({ hover: null }));
  element.addEventListener("click", () => store.set({ layer: now.layer }));

  return {
    head,
    element,
    fill(beside) {
      refill(head, ...columns.map((one, i) => title(one, at[i]!, beside, ratio)));
      lines.fill(new Map([...beside].map(([name, all]) => [name, all[index]!])));
    },
    paint: lines.paint,
    point(point) {
      const ended = column.cells !== null && point.step > column.cells.end;
      element.classList.toggle("past", ended && point.resting !== true);
      now = point;
      placeRow(rowBand, point, plot);
      lines.move(point.step);
    },
    words(point) {
      const row = rowShown(column, plot, point.layer, point.step);
      const words = columns.flatMap((one) => {
        const measured = lines.measureIn(one, row);
        const value = measured && valueAt(measured, row, point.step);
        if (!measured || value === undefined || measured.metric!.name === plot.metric?.name) return [];
        const { title, scale } = measured.metric!;
        const told = value === null ? NO_RECORD : Number.isNaN(value) ? "NaN" : formatValue(value, scale);
        return `${title.charAt(0).toLowerCase()}${title.slice(1)} ${told}`;
      });
      return h("span.more", null, words.map((one) => [h("span", null, `· ${one}`), " "]));
    },
  };
}

/** Where nothing is wrong, behind all lines. */
function band({ run }: PlotColumn, { measures, axis }: CompactColumn, along: Along, left: number): HTMLElement | null {
  const limits = run?.metrics.find(({ name }) => name === measures[0])?.limits ?? [];
  const good = goodBand(limits, along);
  if (!good) return null;
  const [from, to] = good.map((end) => Math.round(end * axis)) as [number, number];
  return h("i.good-band", { style: `left:${left + from}px;width:${to - from}px` });
}

/** What a column shows, and below it the limits, each above its tick. */
function title(one: CompactColumn, left: number, beside: Beside, ratio: Along): HTMLElement {
  const { kind, width, axis, measures } = one;
  const drawn = measures.filter((name) => beside.get(name)?.some(({ filled }) => filled.includes(true)));
  const told = (drawn.length ? drawn : measures.slice(0, 1)).map((name) => {
    const runs = (beside.get(name) ?? []).flatMap(({ run }) => run ?? []);
    return { metric: metricsOf(runs).find((metric) => metric.name === name), limits: limitsOf(runs, name) };
  });
  const about = told.flatMap(({ metric, limits }) =>
    metric ? [`${metric.title}: ${metric.about}`, ...limits.map((limit) => limitWords(limit, metric.scale))] : [],
  );
  const titles = told.flatMap(({ metric }) => metric?.title.toLowerCase() ?? []);
  const along: Along = kind === "share" ? (value) => value : ratio;
  return h(
    "div",
    { style: `left:${left}px;width:${width}px`, title: about.join("\n") },
    kind === "trend" && [h("span", null, "gradient"), h("span", null, "trend")],
    kind === "ratio" && h("span", null, titles),
    kind === "share" && h("span", null, `${titles.map(firstWord).join(", ")} %`),
    kind !== "trend" &&
      limitsApart(told[0]!.limits, along, LABEL / axis).map((limit) =>
        h(
          "span.limit",
          { style: `left:${along(limit.value) * axis}px` },
          glyph(limit.severity, 7),
          formatTick(limit.value, told[0]!.metric!.scale).replace(" %", ""),
        ),
      ),
  );
}

const LABEL = 20; // pixels of a limit's number and sign

/** "dead units" are told as "dead". */
const firstWord = (title: string) => title.split(" ")[0]!;
