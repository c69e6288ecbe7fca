/** The lines of the compact columns, on two canvases: courses below, what follows the cursor above. */

import type { Metric } from "../api";
import { columns as spansOf } from "../model/cells";
import { type Along, type CompactColumn, lefts, markAt, type Trend, trendOf, trendPoint, widthOf } from "../model/compact";
import { furthestRow } from "../model/health";
import { limitsApart } from "../model/metrics";
import type { Plot, PlotColumn } from "../model/plot";
import { remember } from "../model/remember";
import { turns } from "../model/turns";
import { type Pen, penOf, sharpness } from "./canvas";
import {
  paintGap,
  paintRatio,
  paintShare,
  paintTrend,
  paintTrendDot,
  type Spot,
  words,
} from "./compactpaint";
import { h } from "./element";

export interface CompactLines {
  elements: HTMLElement[];
  /** Takes what is there yet of this run, by the name of the measure. */
  fill(measured: ReadonlyMap<string, PlotColumn>): void;
  paint(): void;
  /** Lets the lines follow the cursor to a step. */
  move(step: number): void;
  /** The measure that a column draws of a row. */
  measureIn(one: CompactColumn, row: number): PlotColumn | undefined;
}

/** What a column shows in a line: with the same look it is the same picture. */
interface Part {
  look: string;
  paint(): void;
}

const RESTING_MS = 150; // after which what is out of sight follows the cursor, too
const DOT_ROOM = 3; // pixels behind a trend's end

/**
 * Runs take turns, one in each frame: the lines of the cursor must not wait for all of them, and
 * numbers that change faster cannot be read.
 */
const drawInTurn = turns((next) => requestAnimationFrame(next));

/** @param ratio the axis of update ratios. */
export function compactLines(
  columns: readonly CompactColumn[],
  column: PlotColumn,
  plot: Plot,
  ratio: Along,
): CompactLines {
  const [under, over] = [h("canvas"), h("canvas")];
  const at = lefts(columns);
  const lines = [...plot.lines.keys()];
  let own: ReadonlyMap<string, PlotColumn> = new Map();
  let trends = new Map<number, Trend>();
  let pens: [below: Pen, above: Pen] | null = null;
  /** Of each line the row whose course it shows, and what it looks like. */
  let [traced, looks]: [number[], string[]] = [[], []];
  /** Of each column the first line that has its measure. */
  let firsts: number[] = [];
  let now = 0;
  let frame = 0;
  let rest: ReturnType<typeof setTimeout> | undefined;

  const measureIn = ({ measures }: CompactColumn, row: number) =>
    measures.map((name) => own.get(name)).find((one) => one?.filled[row]);

  const trend = (measured: PlotColumn, row: number, width: number) => {
    if (!trends.has(row)) trends.set(row, trendOf(measured, row, spansOf(measured.cells!, plot.end, width)));
    return trends.get(row)!;
  };

  const trendPart = (measured: PlotColumn, row: number, spot: Spot, isOther: boolean): Part => {
    const course = trend(measured, row, spot.width - DOT_ROOM);
    const place = trendPoint(course, now / plot.end);
    const paint = () => {
      if (isOther) paintTrend(pens![0], spot, course);
      paintTrendDot(pens![1], spot, course, place);
    };
    return { look: `${place}`, paint };
  };

  const markPart = (kind: "share" | "ratio", measured: PlotColumn, row: number, spot: Spot, isFirst: boolean): Part => {
    const mark = markAt(measured, row, now);
    const above = pens![1];
    if (!mark) return { look: "gap", paint: () => paintGap(above, spot, isFirst) };
    const look = `${words(kind, mark.value)} ${mark.beyond} ${mark.trouble}`;
    if (kind === "share") return { look, paint: () => paintShare(above, spot, mark, ticksOf(measured.metric!)) };
    const place = Math.round(ratio(mark.value) * spot.axis * 2) / (spot.axis * 2); // half pixels
    return { look: `${place} ${look}`, paint: () => paintRatio(above, spot, mark, place) };
  };

  const drawLine = (line: number) => {
    const { rows } = plot.lines[line]!;
    const row = rows.length > 1 ? furthestRow(column, plot, rows, now) : (rows[0] ?? -1);
    const isOther = traced[line] !== row;
    const parts = columns.map((one, i): Part[] => {
      const measured = measureIn(one, row);
      if (!measured) return [];
      const spot = spotOf(plot, line, at[i]!, one);
      return [
        one.kind === "trend"
          ? trendPart(measured, row, spot, isOther)
          : markPart(one.kind, measured, row, spot, line === firsts[i]),
      ];
    });
    const look = parts.map((some) => some.map((part) => part.look)).join("|");
    if (!isOther && looks[line] === look) return; // as are most lines from one step to the next
    for (const { context } of isOther ? pens! : [pens![1]])
      context.clearRect(0, plot.layout.tops[line]!, widthOf(columns), plot.layout.heights[line]!);
    parts.flat().forEach((part) => part.paint());
    traced[line] = row;
    looks[line] = look;
  };

  const draw = () => {
    frame = 0;
    if (!pens || !over.isConnected) return;
    clearTimeout(rest);
    const { top } = over.getBoundingClientRect();
    const { tops, heights } = plot.layout;
    const isSeen = (line: number) =>
      top + tops[line]! < window.innerHeight && top + tops[line]! + heights[line]! > 0;
    lines.filter(isSeen).forEach(drawLine);
    rest = setTimeout(() => over.isConnected && lines.forEach(drawLine), RESTING_MS);
  };
  const drawSoon = () => {
    frame ||= requestAnimationFrame(draw);
  };

  return {
    elements: [under, over],
    measureIn,
    fill(measured) {
      own = measured;
      trends = new Map();
      firsts = columns.map((one) => plot.lines.findIndex(({ rows }) => rows.some((row) => measureIn(one, row))));
      traced = [];
      drawSoon();
    },
    paint() {
      const [width, height] = [widthOf(columns), plot.layout.total];
      if (pens && over.height === Math.round(height * sharpness())) return;
      pens = [penOf(under, width, height), penOf(over, width, height)];
      traced = [];
      drawSoon();
    },
    move(step) {
      if (step === now) return;
      now = step;
      drawInTurn(draw);
    },
  };
}

/** The worst first; those in the same place have one tick. */
const ticksOf = remember(({ limits }: Metric) => limitsApart(limits, (value) => value, 0));

function spotOf({ layout }: Plot, line: number, x: number, { width, axis }: CompactColumn): Spot {
  const height = layout.heights[line]! - 1; // the heat map leaves a hairline between two lines
  return { x, width, axis, middle: layout.tops[line]! + height / 2, height };
}
