/** Every measure of one layer over the steps: one row per measure, one scale for all runs. */

import type { Finding, Metric } from "../api";
import { indexAt, seriesPath, stretches } from "../model/curve";
import { spread } from "../model/findings";
import { worstSeverity } from "../model/health";
import {
  arranged,
  type AxisLabel,
  axisLabels,
  type Bare,
  bare,
  type CurveRow,
  curveRows,
  type LayerCurve,
  type LayerSource,
  leaving,
  missing,
  seen,
  type Uncounted,
  uncounted,
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
const LOW = 36; // of one without a finding, where others have one
const LINE = 12; // of a label beside it
const MARK = 16;

export function layerCurves(sources: readonly LayerSource[], end: number, start: Start): Panel {
  const rows = curveRows(sources);
  const { found, others, counts } = arranged(rows, sources);
  const low = found.length > 0 ? LOW : HEIGHT;
  const first = found.map((row) => curveRow(row, sources, end, start, HEIGHT, `on the ${row.metric.source}`));
  const rest = others.map((row) => curveRow(row, sources, end, start, low));
  const drawn = [...first, ...rest];
  const without = bare([...found, ...others], counts, sources).map(bareRow);
  const element = h(
    "section.section.layer-curves",
    { "aria-label": "Measures over the steps" },
    first.length > 0 && h("h2.source", null, "With a finding"),
    first.map(parts),
    rest.map((row, i) => [
      others[i]!.metric.source !== others[i - 1]?.metric.source &&
        h("h2.source", null, `On the ${others[i]!.metric.source}`),
      parts(row),
    ]),
    drawn.length > 0 && [h("div.side"), sources.map(() => stepAxis(end))],
    without.length > 0 && h("h2.source.bare-head", null, "Without a curve"),
    without.map((row) => row.elements),
  );
  const plots = drawn.flatMap((row) => row.plots);
  return {
    element,
    paint: () => plots.forEach((plot) => plot.paint()),
    point: (at) => [...plots, ...without].forEach((part) => part.point(at)),
  };
}

const parts = ({ side, plots }: ReturnType<typeof curveRow>) => [side, plots.map(({ element }) => element)];

/** What is to be said of measures without a curve, or how many numbers were not finite at the cursor. */
function bareRow({ titles, words, counts }: Bare) {
  const cells = words.map((told) => h("p.bare", null, told));
  return {
    elements: [h("div.side.bare", null, h("h3", null, titles.join(", "))), cells],
    point({ step }: Point) {
      counts?.curves.forEach((curve, i) => {
        if (!curve) return;
        const at = indexAt(curve.steps, curve.series, step);
        const value = formatValue(curve.series[at] ?? NaN, counts.metric.scale);
        refill(cells[i]!, at < 0 ? "–" : [h("b", null, value), ` at step ${formatCount(curve.steps[at]!)}`]);
      });
    },
  };
}

/** @param about what is said beneath the title. */
function curveRow(
  row: CurveRow,
  sources: readonly LayerSource[],
  end: number,
  start: Start,
  height: number,
  about = "",
) {
  const labels = axisLabels(row.axis, row.limits, height, LINE);
  return {
    side: h(
      "div.side.curve-side",
      { style: `height:${height + 20}px` },
      h("h3", { title: row.metric.about }, row.metric.title),
      about && h("p", null, about),
      labels.map((label) => axisLabel(label, row.metric, height)),
    ),
    plots: sources.map((source, i) => curvePlot(row, i, source, end, start, height)),
  };
}

function axisLabel({ value, at, limit, beyond }: AxisLabel, { scale }: Metric, height: number): HTMLElement {
  const short = scale === "count" && value < 1e5; // a larger count is told by its power of ten
  const number = short ? formatCount(value) : formatTick(value, scale);
  const style = `bottom:${at * height}px`;
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

function curvePlot(
  row: CurveRow,
  column: number,
  source: LayerSource,
  end: number,
  start: Start,
  height: number,
) {
  const { metric } = row;
  const curve = row.curves[column] ?? null;
  const line = h("div.cursor-step");
  const readout = h("p.curve-readout");
  const marks = h("div.marks");
  const label = `${metric.title} of ${source.name}`;
  const found = seen(metric, source).map(({ finding }) => finding);
  const area = h(
    found.length > 0 ? "div.curve.marked" : "div.curve",
    { style: `height:${height}px`, role: "img", "aria-label": label },
    curve ? drawing(row, curve, source, end) : h("p.row-words.all", null, missing(source, metric.name)),
    marks,
    line,
  );
  listen(area, curve, end, start);
  const severity = worstSeverity(found);
  const worst = found.find((finding) => finding.severity === severity);
  return {
    element: h("div.plot.curve-plot", null, readout, area, worst && h("span.sign", { style: `height:${height}px` },  glyph(worst.severity, 11, wordsOf(worst)))),
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
    const why = uncounted(source, metric.name, series[i]!);
    return [why && reason(why), h("b", null, formatValue(series[i]!, scale))];
  }
}

/** "beyond the limit, see 3 Vanishing gradient" */
function reason({ words, see, layer }: Uncounted): HTMLElement {
  if (!see) return h("span.quiet", { title: words }, words);
  const where = layer ? ` in ${layer}` : "";
  return h(
    "span.quiet.why",
    { title: `${words} ${see.number}: ${see.title}${where}` },
    h("span", null, words),
    h("b.number.hollow", null, String(see.number)),
    h("span", null, `${see.title}${where}`),
  );
}

function drawing(
  { metric, axis, limits }: CurveRow,
  { steps, series, broken }: LayerCurve,
  source: LayerSource,
  end: number,
): Child {
  const y = (v: number) => (1 - axis.at(v)) * 100;
  const within = limits.filter((limit) => limit.value >= axis.lo && limit.value <= axis.hi);
  return [
    troubles(metric, source, end),
    svg(
      "svg",
      { viewBox: `0 0 ${end} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
      axis.ticks.map((tick) => svg("path", { class: "grid", d: `M0 ${y(tick)}H${end}` })),
      svg("path", { class: "line", d: seriesPath(series, steps, axis) }),
    ),
    within.map((limit) =>
      h(`i.limit-tick.${limit.severity}`, { style: `bottom:${axis.at(limit.value) * 100}%` }),
    ),
    hatches(broken, steps, end),
    endDot(series, steps, end, axis),
    clipped(leaving(axis, series), metric, steps, end),
  ];
}

/** "↑ 1.2e5" where a curve leaves an axis that is there for the other runs. */
function clipped(out: ReturnType<typeof leaving>, metric: Metric, steps: readonly number[], end: number): Child {
  if (!out) return null;
  const at = steps[out.index]! / end;
  const number = formatValue(out.most, metric.scale);
  const side = at > 0.5 ? `right:${share(1 - at, 1)}` : `left:${share(at, 1)}`;
  const arrow = out.below ? "↓" : "↑";
  const title = `Beyond the axis, which is for what the runs have in common: ${number}`;
  return h("span.clipped", { style: side, title }, at > 0.5 ? `${number} ${arrow}` : `${arrow} ${number}`);
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
