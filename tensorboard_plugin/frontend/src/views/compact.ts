/** The compact columns beside a heat map: what each line was like at the cursor's step. */

import {
  type Along,
  bandAxis,
  type CompactColumn,
  goodBand,
  lefts,
  markAt,
  type Trend,
  trendOf,
  trendPoint,
  widthOf,
} from "../model/compact";
import { columns as spansOf } from "../model/cells";
import { furthestRow, rowShown, valueAt } from "../model/health";
import { limitsApart, limitsOf, metricsOf } from "../model/metrics";
import { formatTick, formatValue } from "../model/number";
import type { Plot, PlotColumn } from "../model/plot";
import type { Point, Store } from "../state";
import { BAR, inksOf, paintRatio, paintShare, paintTrend, paintTrendDot, type Pen, type Spot } from "./compactpaint";
import { type Child, h, refill } from "./element";
import { glyph } from "./glyph";
import { paintLater, placeRow } from "./heat";
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
  const ratio = bandAxis(runs, "update_ratio");
  const [under, over] = [h("canvas"), h("canvas")];
  const rowBand = h("div.cursor-row");
  const head = h("div.compact-head", { "aria-hidden": "true" });
  const element = h(
    "div.compact",
    { "aria-hidden": "true" },
    columns.map((one, i) => one.kind === "ratio" && band(column, one, ratio, at[i]!)),
    under,
    over,
    rowBand,
  );
  let own: ReadonlyMap<string, PlotColumn> = new Map();
  let now: Point = { step: 0, layer: null };
  let frame = 0;
  /** The row whose trend stands in each line. */
  let traced: number[] = [];
  let trends = new Map<number, Trend>();
  let pens: [Pen, Pen] | null = null;

  const measureIn = ({ measures }: CompactColumn, row: number) =>
    measures.map((name) => own.get(name)).find((one) => one?.filled[row]);

  const clear = ({ context }: Pen, line: number) =>
    context.clearRect(0, plot.layout.tops[line]!, widthOf(columns), plot.layout.heights[line]!);

  const trend = (measured: PlotColumn, row: number, width: number) => {
    if (!trends.has(row)) trends.set(row, trendOf(measured, row, spansOf(measured.cells!, plot.end, width)));
    return trends.get(row)!;
  };

  const drawLine = (line: number) => {
    const [below, above] = pens!;
    const { rows } = plot.lines[line]!;
    const row = rows.length > 1 ? furthestRow(column, plot, rows, now.step) : (rows[0] ?? -1);
    const isOther = traced[line] !== row;
    traced[line] = row;
    clear(above, line);
    if (isOther) clear(below, line);
    columns.forEach((one, i) => {
      const measured = measureIn(one, row);
      if (!measured) return;
      const spot = spotOf(plot, line, at[i]!);
      const mark = markAt(measured, row, now.step);
      if (one.kind === "share" && mark) paintShare(above, spot, one.width, mark, shareTicks(measured));
      if (one.kind === "ratio" && mark) paintRatio(above, spot, one.width, mark, ratio(mark.value));
      if (one.kind !== "trend") return;
      const course = trend(measured, row, one.width - DOT_ROOM);
      if (isOther) paintTrend(below, spot, course);
      paintTrendDot(above, spot, course, trendPoint(course, now.step / plot.end));
    });
  };

  const draw = () => {
    frame = 0;
    if (!pens) return;
    const drawn = now;
    const { top } = over.getBoundingClientRect();
    const { tops, heights } = plot.layout;
    const isSeen = (line: number) =>
      top + tops[line]! < window.innerHeight && top + tops[line]! + heights[line]! > 0;
    const lines = [...plot.lines.keys()];
    lines.filter(isSeen).forEach(drawLine);
    paintLater(lines.filter((line) => !isSeen(line)), drawLine, () => now === drawn && over.isConnected);
  };
  const redraw = () => {
    frame ||= requestAnimationFrame(draw);
  };
  element.addEventListener("pointermove", (event) => {
    const y = event.clientY - element.getBoundingClientRect().top;
    const layer = layerUnder(y, column, plot, now.step);
    if (layer !== now.layer || store.get().hover === null) store.set({ hover: { ...now, layer } });
  });
  element.addEventListener("pointerleave", () => store.set({ hover: null }));
  element.addEventListener("click", () => store.set({ layer: now.layer }));

  return {
    head,
    element,
    fill(beside) {
      refill(head, ...columns.map((one, i) => title(one, at[i]!, beside, ratio)));
      own = new Map([...beside].map(([name, all]) => [name, all[index]!]));
      trends = new Map();
      traced = [];
      redraw();
    },
    paint() {
      const pen = (canvas: HTMLCanvasElement) => penOf(canvas, widthOf(columns), plot.layout.total);
      pens = [pen(under), pen(over)];
      traced = [];
      redraw();
    },
    point(point) {
      const isMoved = point.step !== now.step;
      const ended = column.cells !== null && point.step > column.cells.end;
      element.classList.toggle("past", ended && point.resting !== true);
      now = point;
      placeRow(rowBand, point, plot);
      if (isMoved) redraw();
    },
    words(point) {
      const row = rowShown(column, plot, point.layer, point.step);
      const words = columns.flatMap((one) => {
        const measured = measureIn(one, row);
        const value = measured && valueAt(measured, row, point.step);
        if (!measured || value == null || measured.metric!.name === plot.metric?.name) return [];
        const { title, scale } = measured.metric!;
        return `${title.charAt(0).toLowerCase()}${title.slice(1)} ${Number.isNaN(value) ? "NaN" : formatValue(value, scale)}`;
      });
      return h("span.more", null, words.map((one) => [h("span", null, `· ${one}`), " "]));
    },
  };
}

/** Where nothing is wrong, behind all lines. */
function band({ run }: PlotColumn, { measures, width }: CompactColumn, along: Along, left: number): HTMLElement | null {
  const limits = run?.metrics.find(({ name }) => name === measures[0])?.limits ?? [];
  const good = goodBand(limits, along);
  if (!good) return null;
  const [from, to] = good.map((end) => Math.round(end * width)) as [number, number];
  return h("i.good-band", { style: `left:${left + from}px;width:${to - from}px` });
}

const DOT_ROOM = 3; // pixels behind a trend's end
const LABEL = 22; // pixels of a limit's number and sign

const shareTicks = ({ metric }: PlotColumn) => limitsApart(metric!.limits, (value) => value, LABEL / BAR);

/** What a column shows, and below it the limits, each above its tick. */
function title(one: CompactColumn, left: number, beside: Beside, ratio: Along): HTMLElement {
  const { kind, width, measures } = one;
  const drawn = measures.filter((name) => beside.get(name)?.some(({ filled }) => filled.includes(true)));
  const told = (drawn.length ? drawn : measures.slice(0, 1)).map((name) => {
    const runs = (beside.get(name) ?? []).flatMap(({ run }) => run ?? []);
    return { metric: metricsOf(runs).find((metric) => metric.name === name), limits: limitsOf(runs, name) };
  });
  const about = told.flatMap(({ metric, limits }) =>
    metric ? [`${metric.title}: ${metric.about}`, ...limits.map((limit) => limitWords(limit, metric.scale))] : [],
  );
  const titles = told.flatMap(({ metric }) => metric?.title.toLowerCase() ?? []);
  const along: Along = kind === "share" ? (value) => (value * BAR) / width : ratio;
  return h(
    "div",
    { style: `left:${left}px;width:${width}px`, title: about.join("\n") },
    kind === "trend" && [h("span", null, "gradient"), h("span", null, "trend")],
    kind === "ratio" && h("span", null, titles),
    kind === "share" && h("span", null, `${titles.map(firstWord).join(", ")} %`),
    kind !== "trend" &&
      limitsApart(told[0]!.limits, along, LABEL / width).map((limit) =>
        h(
          "span.limit",
          { style: `left:${along(limit.value) * width}px` },
          glyph(limit.severity, 8),
          formatTick(limit.value, told[0]!.metric!.scale).replace(" %", ""),
        ),
      ),
  );
}

/** "dead units" are told as "dead". */
const firstWord = (title: string) => title.split(" ")[0]!;

function spotOf({ layout }: Plot, line: number, x: number): Spot {
  const height = layout.heights[line]! - 1; // the heat map leaves a hairline between two lines
  return { x, middle: layout.tops[line]! + height / 2, height };
}

function penOf(canvas: HTMLCanvasElement, width: number, height: number): Pen {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  return { context, inks: inksOf(canvas) };
}
