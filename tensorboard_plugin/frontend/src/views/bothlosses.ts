/** The losses of two runs, each alone and both in one chart, on the axes of the heat maps below. */

import type { Run } from "../api";
import type { Pair } from "../model/compare";
import { curveAxis, type CurveAxis, curvePath, indexAt, type Series } from "../model/curve";
import { formatMagnitude, formatTick } from "../model/number";
import type { Plot } from "../model/plot";
import { KEYS } from "../model/runs";
import type { Point, State, Store } from "../state";
import { brokenAt, brokenSpans, endDot } from "./curves";
import { h, refill, svg } from "./element";
import { key } from "./heads";
import { place } from "./panel";

const HEIGHT = 88;

/** One run's part of the chart; the baseline's line is dashed. */
interface Curve {
  run: Run;
  series: Series;
  column: number;
  dashed: boolean;
}

export function bothLosses(both: Plot, pair: Pair, state: State, store: Store) {
  const name = lossName(both);
  const curves = both.columns.flatMap(({ run }): Curve[] => {
    const series = run?.series[name];
    if (!run || !series) return [];
    const dashed = run.run === pair.baseline;
    return [{ run, series, column: state.shown.indexOf(run.run), dashed }];
  });
  const axis = curveAxis(curves.map((curve) => curve.series));
  const of = (run: string) => curves.filter((curve) => curve.run.run === run);
  const missing = both.columns.filter((column) => column.run).length > curves.length;
  const cells = [of(pair.baseline), of(pair.run), curves].map((drawn) =>
    lossCell(drawn, name, axis, both, store),
  );
  return {
    side: h(
      "div.side.curve-side",
      { style: `height:${HEIGHT + 20}px` },
      h("h2", null, name === "loss" ? "Loss" : "Probe loss"),
      h("p.quiet", null, axis.log ? "log scale" : ""),
      missing && h("p.quiet", null, "not recorded in both"),
      axis.ticks.map((tick) =>
        h("span.y-tick", { style: `bottom:${axis.at(tick) * HEIGHT}px` }, formatTick(tick, "linear")),
      ),
    ),
    elements: cells.map((cell) => cell.element),
    point: (at: Point) => cells.forEach((cell) => cell.point(at)),
  };
}

function lossCell(curves: Curve[], name: string, axis: CurveAxis, both: Plot, store: Store) {
  const line = h("div.cursor-step");
  const readout = h("p.curve-readout");
  const area = h(
    "div.curve",
    { style: `height:${HEIGHT}px` },
    curves.map(({ run, column }) => brokenSpans(run, name, both.end, `NaN in ${KEYS[column]}`)),
    chart(curves, axis, both.end),
    curves.map(({ run, series }) => endDot(series, run.steps, both.end, axis)),
    line,
  );
  listen(area, both, store);
  return {
    element: h("div.plot.curve-plot", null, readout, area),
    point(at: Point) {
      place(line, at, both.end);
      refill(readout, ...curves.map((curve) => value(curve, name, at.step)));
    },
  };
}

/** Of the training, unless only the probe set's is there. */
function lossName(both: Plot): string {
  const has = (name: string) => both.columns.some((column) => column.run?.series[name]);
  return has("loss") || !has("probe_loss") ? "loss" : "probe_loss";
}

function chart(curves: Curve[], axis: CurveAxis, end: number): SVGElement {
  const y = (value: number) => (1 - axis.at(value)) * 100;
  return svg(
    "svg",
    { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    axis.ticks.map((tick) => svg("path", { class: "grid", d: `M0 ${y(tick)}H1000` })),
    curves.map(({ run, series, dashed }) =>
      svg("path", {
        class: dashed ? "line second" : "line",
        d: curvePath(series, (i) => (run.steps[i]! / end) * 1000, y),
      }),
    ),
  );
}

function value(curve: Curve, name: string, step: number): HTMLElement {
  const { run, series, column, dashed } = curve;
  const i = indexAt(run.steps, series, step);
  const number = i < 0 ? "–" : formatMagnitude(series[i]!);
  return h(
    "span",
    null,
    h(dashed ? "i.dash" : "i.dash.solid"),
    key(column),
    " ",
    h("b", null, brokenAt(run, name, step) ? "NaN" : number),
  );
}

function listen(area: HTMLElement, both: Plot, store: Store): void {
  const steps = [...new Set(both.columns.flatMap(({ run }) => run?.steps ?? []))].sort(
    (a, b) => a - b,
  );
  const at = (event: MouseEvent): number => {
    const box = area.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * both.end;
    return steps.findLast((s) => s <= step) ?? steps[0] ?? 0;
  };
  area.addEventListener("pointermove", (event) =>
    store.set({ hover: { step: at(event), layer: null } }),
  );
  area.addEventListener("pointerleave", () => store.set({ hover: null }));
  area.addEventListener("click", (event) => store.set({ step: at(event) }));
}
