/** Two runs and their difference, layers × steps, below the losses. */

import type { Parting } from "../api";
import { cellAt } from "../model/cells";
import { differenceTicks, emptyReason, formatDistance, letters, type Pair, told } from "../model/compare";
import { furthestRow } from "../model/health";
import { formatCount } from "../model/number";
import { lineAt, type Plot, type PlotColumn } from "../model/plot";
import type { ColourScale } from "../model/scale";
import { called } from "../requests";
import { metricOf, RUN, slotOf } from "../resources";
import type { Point, State, Store } from "../state";
import { bothLosses } from "./bothlosses";
import { stepAxis } from "./curves";
import { h, refill } from "./element";
import { foldAll, gutter, lineFacts } from "./gutter";
import { type Canvases, heatCanvas, paintHeat, placeRow } from "./heat";
import { heatmap, layerUnder } from "./heatmaps";
import { colours, describe, noColours, ramp } from "./legend";
import { measureTools } from "./measuretools";
import { problem } from "./notices";
import { type Panel, place } from "./panel";

const canvases: Canvases = new WeakMap();

/**
 * @param both the measure of the baseline and of the run, in this order.
 * @param plot their difference, in the same rows.
 * @param parting where they part in this measure, if they do.
 */
export function difference(
  both: Plot,
  plot: Plot,
  pair: Pair,
  parting: Parting | undefined,
  state: State,
  store: Store,
  retry: () => void,
): Panel {
  const facts = h("div.side.layer-facts");
  const names = gutter(both, store);
  const losses = bothLosses(both, pair, state, store);
  const alone = both.columns.map((column, i) => heatmap(column, i, both, state, store, retry, canvases));
  const maps = [...alone, heatMap(both, plot, pair, parting, state, store, retry)];
  return {
    element: h(
      "section.section.layers",
      { id: "difference", "aria-label": "Difference by layers and steps" },
      h(
        "div.side",
        null,
        h("h2", null, "Layers × steps"),
        h("p", null, "A difference is of what both recorded last."),
        foldAll(both, store),
      ),
      measureTools(both, state, store, "heat maps", both.scale && legend(both, both.scale, plot.scale, letters(pair, state.shown), state.dark)),
      losses.side,
      losses.elements,
      facts,
      maps.map((map) => map.readout),
      names.element,
      maps.map((map) => map.plot),
      h("div.side"),
      maps.map(() => stepAxis(plot.end)),
    ),
    paint: () => maps.forEach((map) => map.paint()),
    point(at) {
      refill(facts, ...lineFacts(both, at));
      names.point(at);
      losses.point(at);
      maps.forEach((map) => map.point(at));
    },
  };
}

function heatMap(
  both: Plot,
  plot: Plot,
  pair: Pair,
  parting: Parting | undefined,
  state: State,
  store: Store,
  retry: () => void,
) {
  const column = plot.columns[0]!;
  const named = letters(pair, state.shown);
  const canvas = heatCanvas(column, canvases);
  canvas.style.height = `${plot.layout.total}px`;
  const stepLine = h("div.cursor-step");
  const rowBand = h("div.cursor-row");
  const readout = h("div.readout", { id: "readout-difference" });
  const title = both.metric?.title ?? "Measure";
  const area = h(
    "div.area",
    {
      role: "img",
      tabindex: 0,
      "data-key": "difference",
      "aria-label": `${title} of ${called(pair.run)} beside ${called(pair.baseline)}, ${plot.layers.length} layers. Arrow keys move the step, j and k the layer.`,
      "aria-describedby": readout.id,
    },
    canvas,
    emptyRows(both, named),
    rowBand,
    stepLine,
    first(parting, plot),
  );
  listen(area, column, plot, store);
  return {
    readout,
    plot: h(
      "div.plot",
      { style: `height:${plot.layout.total}px` },
      area,
      failures(state, pair).map((words) => h("div.over", null, problem("Not fetched", words, retry))),
    ),
    paint: () => paintHeat(canvas, column, plot, state.dark),
    point(at: Point) {
      place(stepLine, at, plot.end);
      placeRow(rowBand, at, plot);
      readout.setAttribute("aria-live", document.activeElement === area ? "polite" : "off");
      refill(readout, ...reading(both, plot, at, named));
    },
  };
}

/** Marks where the two part first in this measure. */
function first(parting: Parting | undefined, plot: Plot): HTMLElement | null {
  const line = lineAt(plot, parting?.layer ?? null);
  if (line < 0) return null;
  const top = plot.layout.tops[line]! + (plot.layout.heights[line]! - 1) / 2;
  const left = ((parting!.step! / plot.end) * 100).toFixed(2);
  return h("b.parts", { style: `left:clamp(14px,${left}%,calc(100% - 14px));top:${top}px` }, "first");
}

/** "4.2 × larger  dense  at step 400" */
function reading(both: Plot, plot: Plot, at: Point, named: Pair): (Node | string)[] {
  const column = plot.columns[0]!;
  const { cells } = column;
  const line = plot.lines[lineAt(plot, at.layer)];
  const row = line ? furthestRow(column, plot, line.rows, at.step) : -1;
  if (row < 0 || !both.metric) return [];
  const where = h("code", null, both.layers[row]!);
  const worst = line!.kind === "folded" ? `worst of ${formatCount(line!.count)}, ` : "";
  const reason = cells && emptyReason(both, row, named);
  if (!cells) return [h("span.quiet", null, absent(both, named) ?? "Loading …"), where];
  if (reason) return [h("span.quiet", null, reason), where];
  const cell = at.step > cells.end ? -1 : cellAt(cells, at.step);
  if (cell < 0) return [h("span.quiet", null, "not measured in both at this step"), where];
  const step = cells.steps[cell]!;
  const [baseline, run] = both.columns.map((one) => valueAt(one, row, step));
  const scale = both.metric.scale;
  if (run === undefined || baseline === undefined)
    return [h("span.quiet", null, "not measured in both at this step"), where];
  return [
    h("b", null, told(run, baseline, scale, named)),
    where,
    h("span.quiet", null, `${worst}at step ${formatCount(step)}`),
  ];
}

/** A value of one of the two; null for NaN, undefined if it was not measured. */
function valueAt(column: PlotColumn, row: number, step: number): number | null | undefined {
  const [cells, layer] = [column.cells!, column.rows[row]!];
  const cell = cellAt(cells, step);
  if (cell < 0) return undefined;
  if (cells.broken(cell, layer)) return null;
  const value = cells.value(cell, layer);
  return Number.isNaN(value) ? undefined : value;
}

/** Why there is no difference at all. */
function absent(both: Plot, named: Pair): string | null {
  const names = [named.baseline, named.run];
  const reasons = both.columns.map((column, i) =>
    column.metric?.not_measured ? `${names[i]} has none: ${column.metric.not_measured}` : null,
  );
  return reasons.find((reason) => reason !== null) ?? null;
}

/** Why rows are empty, said once for rows below each other. */
function emptyRows(both: Plot, named: Pair): HTMLElement[] {
  const all = absent(both, named);
  if (all !== null) return [h("p.row-words.all", null, all)];
  if (both.columns.some((column) => !column.cells)) return [];
  const { tops, heights } = both.layout;
  const reasons = both.lines.map(({ rows }) => {
    const all = rows.map((row) => emptyReason(both, row, named));
    return all.includes(null) ? null : [...new Set(all)].join(", ");
  });
  return reasons.flatMap((reason, line) =>
    !reason || reason === reasons[line - 1]
      ? []
      : [h("p.row-words", { style: `top:${tops[line]}px;line-height:${heights[line]}px` }, reason)],
  );
}

function failures(state: State, pair: Pair): string[] {
  const slots = [pair.run, pair.baseline].flatMap((name) => [
    slotOf(state, name, RUN),
    slotOf(state, name, metricOf(state.metric ?? "")),
  ]);
  const failed = slots.flatMap((slot) => (slot.value ? [] : (slot.failure ?? [])));
  return [...new Set(failed)].slice(0, 1);
}

function listen(area: HTMLElement, column: PlotColumn, plot: Plot, store: Store): void {
  const at = (event: MouseEvent): Point => {
    const box = area.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * plot.end;
    const cell = column.cells ? cellAt(column.cells, step) : -1;
    const at = column.cells?.steps[cell] ?? Math.max(0, Math.round(step));
    return { step: at, layer: layerUnder(event.clientY - box.top, column, plot, at) };
  };
  area.addEventListener("pointermove", (event) => store.set({ hover: at(event) }));
  area.addEventListener("pointerleave", () => store.set({ hover: null }));
  area.addEventListener("click", (event) => {
    const { step, layer } = at(event);
    store.set({ step, layer });
  });
}

/** The colours of both runs and, once it is known, of their difference; NaN and nothing look alike. */
function legend(both: Plot, values: ColourScale, between: ColourScale | null, named: Pair, dark: boolean): HTMLElement {
  const of = both.metric!.scale;
  const end = between && formatDistance(between.hi, of);
  const words = end && `difference from ${named.baseline} larger by ${end} to ${named.run} larger by ${end}`;
  return h(
    "div.legend",
    { role: "img", "aria-label": [describe(values), words].filter(Boolean).join("; ") },
    h("span", null, "value"),
    colours(values, dark),
    between && [
      h("span", null, `${named.run} against ${named.baseline}`),
      h(
        "div.scale",
        null,
        ramp(between, dark),
        differenceTicks(between.hi, of).map((tick, i) =>
          h("span.tick", { style: `left:${i * 50}%` }, tick),
        ),
      ),
    ],
    noColours(values),
  );
}
