/** Every measure of one layer over the steps: one row per measure, one scale for all runs. */

import type { Finding, Metric } from "../api";
import { curvePath, indexAt, stretches } from "../model/curve";
import { findingsOf, measureOf, problems, spread } from "../model/findings";
import { worstSeverity } from "../model/health";
import {
  type AxisLabel,
  axisLabels,
  type CurveRow,
  curveRows,
  type LayerCurve,
  type LayerSource,
  missing,
  type Reason,
  uncounted,
  withoutRow,
} from "../model/layercurves";
import { formatCount, formatTick, formatValue, readableNumbers } from "../model/number";
import type { Point } from "../state";
import { endDot, hatches, share, stepAxis } from "./curves";
import { type Child, h, refill, svg } from "./element";
import { glyph, WORDS } from "./glyph";
import { type Panel, place } from "./panel";

/** Tells at which step the pointer is; null where it has left. */
export type Start = (step: number | null, pin: boolean) => void;

const HEIGHT = 60; // pixels of a plot
const LINE = 12; // of a label beside it
const MARK = 16;

export function layerCurves(sources: readonly LayerSource[], end: number, start: Start): Panel {
  const rows = curveRows(sources);
  const drawn = rows.map((row) => curveRow(row, sources, end, start));
  const element = h(
    "section.section.layer-curves",
    { "aria-label": "Measures over the steps" },
    drawn.map((row, i) => [
      rows[i]!.metric.source !== rows[i - 1]?.metric.source &&
        h("h2.source", null, `On the ${rows[i]!.metric.source}`),
      row.side,
      row.plots.map((plot) => plot.element),
    ]),
    rows.length > 0 && [h("div.side"), sources.map(() => stepAxis(end))],
    h("div.side", null, h("h2", null, "Without a curve")),
    sources.map((source) => reasons(withoutRow(source, rows), source)),
  );
  const plots = drawn.flatMap((row) => row.plots);
  return {
    element,
    paint: () => plots.forEach((plot) => plot.paint()),
    point: (at) => plots.forEach((plot) => plot.point(at)),
  };
}

function reasons(found: readonly Reason[], { run, layer, measured }: LayerSource): HTMLElement {
  if (run && !layer) return h("p.quiet", null, "not in this model");
  if (!measured) return h("p.quiet", null, "Loading …");
  if (found.length === 0) return h("p.quiet", null, "none");
  return h(
    "dl.without",
    null,
    found.map(({ reason, titles }) => [h("dt", null, titles.join(", ")), h("dd", null, reason)]),
  );
}

function curveRow(row: CurveRow, sources: readonly LayerSource[], end: number, start: Start) {
  const labels = axisLabels(row.axis, row.limits, HEIGHT, LINE);
  return {
    side: h(
      "div.side.curve-side",
      { style: `height:${HEIGHT + 20}px` },
      h("h3", { title: row.metric.about }, row.metric.title),
      labels.map((label) => axisLabel(label, row.metric)),
    ),
    plots: sources.map((source, i) => curvePlot(row, i, source, end, start)),
  };
}

function axisLabel({ value, at, limit, beyond }: AxisLabel, { scale }: Metric): HTMLElement {
  const short = scale === "count" && value < 1e5; // a larger count is told by its power of ten
  const number = short ? formatCount(value) : formatTick(value, scale);
  const style = `bottom:${at * HEIGHT}px`;
  if (!limit) return h("span.y-tick", { style }, number);
  const side = limit.above ? "at or above" : "below";
  const words = `${WORDS[limit.severity]} ${side} ${number}`;
  const arrow = beyond && { above: " ↑", below: " ↓" }[beyond];
  return h(
    "span.y-tick.limit",
    { style, title: beyond ? `${words}, further than this axis reaches` : words },
    glyph(limit.severity, 10, words),
    `${number}${arrow ?? ""}`,
  );
}

function curvePlot(row: CurveRow, column: number, source: LayerSource, end: number, start: Start) {
  const { metric } = row;
  const curve = row.curves[column] ?? null;
  const line = h("div.cursor-step");
  const readout = h("p.curve-readout");
  const marks = h("div.marks");
  const label = `${metric.title} of ${source.name}`;
  const area = h(
    "div.curve",
    { style: `height:${HEIGHT}px`, role: "img", "aria-label": label },
    curve ? drawing(row, curve, source, end) : h("p.row-words.all", null, missing(source, metric.name)),
    marks,
    line,
  );
  listen(area, curve, end, start);
  const found = seen(metric, source).map(({ finding }) => finding);
  const severity = worstSeverity(found);
  const worst = found.find((finding) => finding.severity === severity);
  return {
    element: h("div.plot.curve-plot", null, readout, area, worst && h("span.sign", null, glyph(worst.severity, 11, wordsOf(worst)))),
    paint: () => refill(marks, curve && numbers(metric, source, end, area.clientWidth)),
    point(at: Point) {
      place(line, at, end);
      refill(readout, curve && value(curve, metric, at));
    },
  };

  function value({ steps, series, broken }: LayerCurve, { scale }: Metric, at: Point): Child {
    const record = steps.findLastIndex((step) => step <= at.step);
    const lost = stretches(broken.slice(0, record + 1)).at(-1)?.[1] === -1;
    const i = indexAt(steps, series, at.step);
    if (lost) return h("b", null, "NaN");
    if (i < 0) return h("b", null, "–");
    const words = uncounted(source, metric.name, series[i]!);
    return [
      words && h("span.quiet", { title: words }, words),
      h("b", null, formatValue(series[i]!, scale)),
    ];
  }
}

function drawing(
  { metric, axis, limits }: CurveRow,
  { steps, series, broken }: LayerCurve,
  source: LayerSource,
  end: number,
): Child {
  const x = (i: number) => (steps[i]! / end) * 1000;
  const y = (v: number) => (1 - axis.at(v)) * 100;
  const within = limits.filter((limit) => limit.value >= axis.lo && limit.value <= axis.hi);
  return [
    troubles(metric, source, end),
    svg(
      "svg",
      { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
      axis.ticks.map((tick) => svg("path", { class: "grid", d: `M0 ${y(tick)}H1000` })),
      svg("path", { class: "line", d: curvePath(series, x, y) }),
    ),
    within.map((limit) =>
      h(`i.limit-tick.${limit.severity}`, { style: `bottom:${axis.at(limit.value) * 100}%` }),
    ),
    hatches(broken, steps, end),
    endDot(series, steps, end, axis),
  ];
}

/** The findings that are seen in this measure of the layer. */
function seen(metric: Metric, { run, layer }: LayerSource) {
  const all = findingsOf(problems(run?.findings ?? []), layer?.name ?? "");
  return all.filter(({ finding }) => measureOf(finding) === metric.name);
}

/** A sign beside a measure may be of another one: the norm of all gradients stands with a layer's. */
const wordsOf = ({ severity, title, evidence }: Finding) =>
  `${WORDS[severity]}: ${title}, ${readableNumbers(evidence)}`;

/** A tint over the steps since which something is wrong; nothing is tinted in a healthy run. */
function troubles(metric: Metric, source: LayerSource, end: number): HTMLElement[] {
  const last = source.measured?.steps.at(-1) ?? 0;
  return seen(metric, source).map(({ finding: { step, severity } }) =>
    h(`div.trouble.${severity}`, {
      style: `left:${share(step, end)};width:${share(Math.max(0, last - step), end)}`,
    }),
  );
}

function numbers(metric: Metric, source: LayerSource, end: number, width: number): HTMLElement[] {
  const here = seen(metric, source);
  const places = spread(here.map(({ finding }) => (finding.step / end) * width), MARK, width);
  return here.map(({ problem, finding }, i) =>
    h(
      "b.number.mark",
      { style: `left:${places[i]}px;top:9px`, title: `${finding.title}: ${readableNumbers(finding.evidence)}` },
      String(problem.number),
    ),
  );
}

function listen(area: HTMLElement, curve: LayerCurve | null, end: number, start: Start): void {
  const steps = curve?.steps ?? [];
  const at = (event: MouseEvent): number => {
    const box = area.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * end;
    return steps.findLast((s) => s <= step) ?? steps[0] ?? 0;
  };
  if (!curve) return;
  area.addEventListener("pointermove", (event) => start(at(event), false));
  area.addEventListener("pointerleave", () => start(null, false));
  area.addEventListener("click", (event) => start(at(event), true));
}
