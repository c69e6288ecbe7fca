/** Loss and accuracy under the heat maps, on the same axis of steps. */

import type { Run } from "../api";
import { lastAtMost, stepTicks } from "../model/cells";
import {
  brokenCount,
  curveAxis,
  type CurveAxis,
  indexAt,
  type Series,
  seriesPath,
  stretches,
} from "../model/curve";
import { modelMarks, problems } from "../model/findings";
import { formatCount, formatMagnitude, formatShare, formatTick } from "../model/number";
import type { Plot } from "../model/plot";
import type { Keep } from "../model/remember";
import { curveTable } from "../model/tables";
import type { Point, Store } from "../state";
import { arrange, h, refill, svg } from "./element";
import { exports } from "./export";
import { rowMarks } from "./marks";
import { type Panel, place } from "./panel";

/** One row of curves: which series it draws, and how its numbers are told. */
interface Row {
  title: string;
  about: string;
  series: { name: string; label: string }[];
  format(value: number): string;
  bounds?: [number, number];
  /** What stands in place of numbers where the model's are NaN or infinite. */
  lost: string;
  height: number;
  marked: boolean;
}

/** @param keep gives the curves of which nothing is new. */
export function curves(plot: Plot, store: Store, keep: Keep): Panel {
  const runs = plot.columns.flatMap((column) => column.run ?? []);
  const kinds = curveRows(runs);
  const names = kinds.flatMap((row) => row.series.map((series) => series.name));
  const rows = kinds.map((row) => curveRow(row, plot, store, keep));
  const element = keep("curves", [], () =>
    h("section.section.curves", { id: "loss", "aria-label": "Loss" }),
  );
  arrange(element, [
    ...rows.flatMap((row) => [row.side, ...row.cells]),
    h("div.side", null, names.length > 0 && exports("Loss", () => curveTable(runs, names))),
    ...(runs.length > 0 ? plot.columns.map(() => stepAxis(plot.end)) : []),
  ]);
  return {
    element,
    paint: () => rows.forEach((row) => row.paint()),
    point: (at) => rows.forEach((row) => row.point(at)),
  };
}

function curveRows(runs: Run[]): Row[] {
  const names = new Set(runs.flatMap((run) => Object.keys(run.series)));
  const loss = [
    { name: "loss", label: "" },
    { name: "probe_loss", label: "probe" },
  ].filter((series) => names.has(series.name));
  const accuracy = accuracyName([...names]);
  const rows: Row[] = [];
  if (loss.length) {
    rows.push({
      title: "Loss",
      about: "",
      series: loss,
      format: formatMagnitude,
      lost: "NaN",
      height: 64,
      marked: true,
    });
  }
  if (accuracy) {
    rows.push({
      title: "Probe accuracy",
      about: "",
      series: [{ name: accuracy, label: "" }],
      format: formatShare,
      bounds: [0, 1],
      lost: "not finite",
      height: 44,
      marked: false,
    });
  }
  return rows;
}

/** That the right answer is among several is another matter, in the rules too. */
export const accuracyName = (names: readonly string[]): string | undefined =>
  names.find((name) => /^probe_(?!.*top_k).*acc(uracy)?$/.test(name));

function curveRow(row: Row, plot: Plot, store: Store, keep: Keep) {
  const all = plot.columns.flatMap((c) => row.series.map(({ name }) => c.run?.series[name] ?? []));
  const axis = curveAxis(all, row.bounds);
  const names = row.series.map(({ name }) => name).join();
  const cells = plot.columns.map(({ run }, i) =>
    keep(`${row.title} ${i}`, [run, names, axis.id, plot.end], () => curveCell(row, run, plot.end, axis, store)),
  );
  const about = [row.about, axis.log && "log scale"].filter(Boolean).join(", ");
  return {
    side: h(
      "div.side.curve-side",
      { style: `height:${row.height + 20}px` },
      h("h2", null, row.title),
      h("p.quiet", null, about),
      axis.ticks.map((tick) =>
        h(
          "span.y-tick",
          { style: `bottom:${axis.at(tick) * row.height}px` },
          row.bounds ? formatShare(tick) : formatTick(tick, "linear"),
        ),
      ),
    ),
    cells: cells.map((cell) => cell.element),
    paint: () => cells.forEach((cell) => cell.paint()),
    point: (at: Point) => cells.forEach((cell) => cell.point(at)),
  };
}

function curveCell(
  row: Row,
  run: Run | undefined,
  end: number,
  axis: CurveAxis,
  store: Store,
) {
  let painted = -1;
  const line = h("div.cursor-step");
  const readout = h("p.curve-readout");
  const marks = h("div.marks");
  const steps = run?.steps ?? [];
  const drawn = row.series.flatMap(({ name, label }, i) => {
    const series = run?.series[name];
    return series ? [{ name, series, label, second: i > 0 }] : [];
  });
  const y = (v: number) => (1 - axis.at(v)) * 100;
  const area = h(
    "div.curve",
    { style: `height:${row.height}px` },
    svg(
      "svg",
      { viewBox: `0 0 ${end} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
      axis.ticks.map((tick) => svg("path", { class: "grid", d: `M0 ${y(tick)}H${end}` })),
      drawn.map(({ series, second }) =>
        svg("path", { class: second ? "line second" : "line", d: seriesPath(series, steps, axis) }),
      ),
    ),
    run && brokenSpans(run, row.series[0]!.name, end, row.lost),
    drawn.map(({ series }) => endDot(series, steps, end, axis)),
    marks,
    line,
  );
  const at = (event: MouseEvent): Point => {
    const box = area.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * end;
    return { step: steps[Math.max(0, lastAtMost(steps, step))] ?? 0, layer: null };
  };
  area.addEventListener("pointermove", (event) => store.set({ hover: at(event) }));
  area.addEventListener("pointerleave", () => store.set({ hover: null }));
  area.addEventListener("click", (event) => store.set({ step: at(event).step }));
  return {
    element: h("div.plot.curve-plot", null, readout, area),
    paint() {
      const width = area.clientWidth;
      if (width === painted) return;
      painted = width;
      refill(marks, run && row.marked && numbers(run, end, width, store));
    },
    point(point: Point) {
      place(line, point, end);
      refill(readout, ...values(row, run, drawn, point.step));
    },
  };
}

interface Drawn {
  name: string;
  series: Series;
  label: string;
  second: boolean;
}

/** The values in effect at the cursor; at rest those are the last ones. */
function values(row: Row, run: Run | undefined, drawn: Drawn[], step: number): Node[] {
  if (!run) return [];
  if (drawn.length === 0) return [h("span.quiet", null, "not recorded")];
  return drawn.map(({ name, series, label, second }) => {
    const i = indexAt(run.steps, series, step);
    const text = i < 0 ? "–" : row.format(series[i]!);
    const lost = brokenAt(run, name, step);
    return h(
      "span",
      null,
      label && h("span.quiet", null, h("i.dash"), `${label} `),
      h(second ? "span.second" : "b", null, lost ? row.lost : text),
    );
  });
}

/** The series that tells of the loss. */
export const lossName = (run: Run): string | undefined =>
  ["loss", "probe_loss"].find((one) => run.series[one]);

/** The loss at a step and by which name, the same wherever it is told; null without one. */
export function lossAt(run: Run, step: number): { name: string; words: string } | null {
  const name = lossName(run);
  if (!name) return null;
  const series = run.series[name]!;
  const i = indexAt(run.steps, series, step);
  const words = i < 0 ? "–" : formatMagnitude(series[i]!);
  return { name: name.replace("_", " "), words: brokenAt(run, name, step) ? "NaN" : words };
}

export function brokenAt(run: Run, name: string, step: number): boolean {
  const index = lastAtMost(run.steps, step);
  return stretches(brokenCount(run.series, name)).some(
    ([from, next]) => from <= index && (next < 0 || index < next),
  );
}

/** Where a series is of NaN or infinite numbers: a hatch, as in the heat maps. */
export function brokenSpans(run: Run, name: string, end: number, word: string): HTMLElement[] {
  return hatches(brokenCount(run.series, name), run.steps, end, word);
}

/** A hatch over the steps at which a tensor held NaN or Inf. */
export function hatches(
  count: Series,
  steps: readonly number[],
  end: number,
  word = "NaN",
): HTMLElement[] {
  return stretches(count).map(([first, next]) => {
    const from = steps[first]!;
    const to = next < 0 ? Math.max(steps.at(-1)!, from + end / 100) : steps[next]!;
    return h(
      "div.hatch",
      { style: `left:${share(from, end)};width:${share(to - from, end)}` },
      h("span", null, word),
    );
  });
}

/** Findings about the whole model have no layer; their numbers stand on the loss. */
function numbers(run: Run, end: number, width: number, store: Store): HTMLElement[] {
  const marks = modelMarks(problems(run.findings));
  return rowMarks(run, marks, end, width, 9, store);
}

export function endDot(
  series: Series,
  steps: readonly number[],
  end: number,
  axis: CurveAxis,
): HTMLElement | null {
  const i = series.findLastIndex((value) => value !== null);
  if (i < 0) return null;
  return h("i.end-dot", {
    style: `left:${share(steps[i]!, end)};bottom:${axis.at(series[i]!) * 100}%`,
  });
}

/** A part as a length in CSS. */
export const share = (part: number, whole: number) => `${((part / whole) * 100).toFixed(3)}%`;

export function stepAxis(end: number): HTMLElement {
  const ticks = stepTicks(end, 4);
  return h(
    "div.plot.axis",
    { "aria-hidden": "true" },
    ticks.map((step, i) =>
      h(
        i === 0 ? "span.first" : "span",
        { style: `left:${share(step, end)}` },
        i === 0 ? "step 0" : formatCount(step),
      ),
    ),
  );
}
