/** The histograms of one layer: over the steps of each run, and of all runs at one step. */

import type { Histograms } from "../api";
import { runColour } from "../host";
import { stepTicks } from "../model/cells";
import { stretches } from "../model/curve";
import { spread } from "../model/findings";
import {
  type Buckets,
  entries,
  histogramAxis,
  type HistogramAxis,
  type HistogramKind,
  isBeyond,
  OF_KIND,
  outline,
  thinned,
  zeroShare,
} from "../model/histograms";
import { type LayerSource, missing, seriesOf } from "../model/layercurves";
import { formatCount, formatShare, formatTick } from "../model/number";
import { KEYS } from "../model/runs";
import { called } from "../requests";
import type { Point, Slot, State } from "../state";
import { share } from "./curves";
import { type Child, h, refill, svg } from "./element";
import { key } from "./heads";
import type { Start } from "./layercurves";
import { problem } from "./notices";
import type { Panel } from "./panel";
import { segments } from "./segments";

/** A run's part, with what came of asking for its histograms. */
export interface HistogramSource extends LayerSource {
  slot: Slot<Histograms>;
  /** Whether the layer has something to count, so that there should be histograms of it. */
  expected: boolean;
}

interface Actions {
  retry(): void;
  choose(kind: HistogramKind): void;
}

const HEIGHT = 240; // pixels of a timeline
const RISE = 30; // of the highest outline in it, which overlaps those before
const ROOM = RISE + HEIGHT + 38; // of a timeline with what stands above and below it
const GAP = 9; // between two outlines
const BAR = 4; // thickness of a bar of exact zeros
const OVERLAY = 150; // pixels
const LETTER = 18; // that a run's letter needs
/** Shares of the width: outlines, then the bars of exact zeros. */
const [SPREAD, ZEROS] = [800, 850];

export function timelines(
  sources: readonly HistogramSource[],
  kind: HistogramKind,
  end: number,
  start: Start,
  actions: Actions,
): Panel {
  const axis = histogramAxis(sources.flatMap(({ slot }) => slot.value ?? []));
  const parts = sources.map((source) => timeline(source, kind, axis, end, start, actions.retry));
  const place = (step: number) => `top:${RISE + (step / end) * HEIGHT}px`;
  const ticks = stepTicks(end, 6).map((step) =>
    h("span.y-tick", { style: place(step) }, step === 0 ? "step 0" : formatCount(step)),
  );
  const known = parts.some((part) => part.drawn);
  return {
    element: h(
      "section.section.histograms",
      { "aria-label": `${OF_KIND[kind].title} histograms` },
      h(
        "div.side",
        { style: known && `height:${RISE + HEIGHT}px` },
        h("h2", null, "Histograms"),
        segments("", "Histograms of", KINDS, kind, actions.choose),
        h("p", null, "Over the steps; magnitudes on a log scale on both sides of zero."),
        known && h("div.step-ticks", null, ticks),
      ),
      parts.map((part) => part.element),
    ),
    paint: () => {},
    point: (at) => parts.forEach((part) => part.point(at)),
  };
}

const KINDS = [
  { value: "gradients", words: "Gradients" },
  { value: "weights", words: "Weights" },
] as const;

function timeline(
  source: HistogramSource,
  kind: HistogramKind,
  axis: HistogramAxis | null,
  end: number,
  start: Start,
  retry: () => void,
) {
  const { value, failure, absent } = source.slot;
  if (!value && failure && !absent) {
    const words = problem("The histograms could not be fetched", failure, retry);
    return { element: h("div.plot", null, words), drawn: false, point: () => {} };
  }
  if (!value || !axis) {
    const words = value ? "No entry other than zero, NaN or Inf." : none(source, kind);
    // What is still to come has its place already, so that nothing jumps.
    const style = source.expected && !value && !absent && `min-height:${ROOM}px`;
    return { element: h("div.plot", { style }, h("p.quiet", null, words)), drawn: false, point: () => {} };
  }
  const { steps, buckets } = value;
  const readout = h("p.readout");
  const y = (step: number) => RISE + (step / end) * HEIGHT;
  const ridges = thinned(steps.map(y), GAP);
  const now = svg("g", { class: "now" });
  const area = h(
    "div.timeline",
    {
      style: `height:${RISE + HEIGHT}px`,
      role: "img",
      tabindex: 0,
      "data-key": `histograms ${source.name}`,
      "aria-label": `${OF_KIND[kind].title} histograms of ${called(source.name)}, ${formatCount(steps.length)} steps. Arrow keys move the step.`,
    },
    lost(source, kind, end),
    svg(
      "svg",
      { viewBox: `0 0 1000 ${RISE + HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("path", { class: "grid", d: `M${SPREAD / 2} 0V${RISE + HEIGHT}M${ZEROS} 0V${RISE + HEIGHT}` }),
      ridges.map((i) => ridge(buckets[i]!, axis, y(steps[i]!))),
      now,
    ),
    endWords(source, end, y),
  );
  const nearest = (event: MouseEvent): number => {
    const step = ((event.clientY - area.getBoundingClientRect().top - RISE) / HEIGHT) * end;
    return steps.reduce((a, b) => (Math.abs(b - step) < Math.abs(a - step) ? b : a), steps[0]!);
  };
  area.addEventListener("pointermove", (event) => start(nearest(event), false));
  area.addEventListener("pointerleave", () => start(null, false));
  area.addEventListener("click", (event) => start(nearest(event), true));
  return {
    element: h("div.plot", null, readout, area, valueAxis(axis)),
    drawn: true,
    point(at: Point) {
      const i = recordAt(steps, at.step);
      refill(readout, told(source, kind, axis, i, at.step));
      refill(now, i >= 0 && ridge(buckets[i]!, axis, y(steps[i]!)));
    },
  };
}

/** The record in effect at a step; before the first there is none. */
const recordAt = (steps: readonly number[], step: number) => steps.findLastIndex((s) => s <= step);

/** Why a run has no histogram of this layer. */
function none(source: HistogramSource, kind: HistogramKind): string {
  const { run, layer, measured, slot, expected } = source;
  if (!run || (layer && !measured)) return "Loading …";
  if (!layer) return "not in this model";
  if (!expected) return missing(source, OF_KIND[kind].measure);
  return slot.absent ? "No histogram of this layer was recorded." : "Loading …";
}

function told(
  source: HistogramSource,
  kind: HistogramKind,
  axis: HistogramAxis,
  record: number,
  step: number,
): Child {
  const { run, slot } = source;
  const { steps, buckets } = slot.value!;
  if (record < 0) return h("span.quiet", null, `no ${kind} before step ${formatCount(steps[0] ?? 0)}`);
  const count = entries(buckets[record]!);
  const ended = record === steps.length - 1 && step > steps[record]!;
  const when = ended && run?.finished ? "at its end, step" : "step";
  return [
    h("b", null, count === 0 ? "NaN" : `${formatShare(zeroShare(buckets[record]!))} exactly 0`),
    h("span.quiet", null, `${when} ${formatCount(steps[record]!)}`),
    isBeyond(buckets[record]!, axis) && h("span.quiet", null, "mostly beyond the axis"),
  ];
}

function path(points: [number, number][], x: number, width: number, y: number, rise: number) {
  return `M${points.map(([a, b]) => `${(x + a * width).toFixed(1)} ${(y - b * rise).toFixed(1)}`).join("L")}`;
}

/** One outline with its bar of exact zeros, standing at `y`. */
function ridge(buckets: Buckets, axis: HistogramAxis, y: number): Child {
  if (entries(buckets) === 0) return null;
  const zeros = zeroShare(buckets) * (1000 - ZEROS);
  return [
    svg("path", { class: "ridge", d: path(outline(buckets, axis), 0, SPREAD, y, RISE) }),
    zeros > 0 && svg("path", { class: "zeros", d: `M${ZEROS} ${y - BAR}h${zeros.toFixed(1)}v${BAR}H${ZEROS}` }),
  ];
}

/** Where there was NaN or Inf: a hatch, as in the curves. */
function lost(source: HistogramSource, kind: HistogramKind, end: number): HTMLElement[] {
  const steps = [...source.measured!.steps];
  return stretches(seriesOf(source, OF_KIND[kind].nonfinite)).map(([first, next]) => {
    const to = next < 0 ? Math.max(steps.at(-1)!, steps[first]! + end / 100) : steps[next]!;
    const top = RISE + (steps[first]! / end) * HEIGHT;
    const height = ((to - steps[first]!) / end) * HEIGHT;
    return h("div.hatch", { style: `top:${top}px;height:${height}px` }, h("span", null, "NaN"));
  });
}

/** Words where a run that was shorter than the others has nothing more to show. */
function endWords({ run }: HistogramSource, end: number, y: (step: number) => number): Child {
  if (!run?.finished || run.last_step > end * 0.85) return null;
  const style = `top:${y(run.last_step) + 4}px`;
  return h("p.row-words", { style }, `ended at step ${formatCount(run.last_step)}`);
}

/** The ticks under the outlines, and what the bars are. */
function valueAxis(axis: HistogramAxis): HTMLElement {
  return h(
    "div.value-axis",
    { "aria-hidden": "true" },
    axis.ticks.map((tick, i) =>
      h(
        i % 2 ? "span.between" : "span",
        { style: `left:${share(axis.at(tick) * SPREAD, 1000)}` },
        `${tick < 0 ? "−" : ""}${formatTick(Math.abs(tick), "log")}`,
      ),
    ),
    h("span.zeros-title", { style: `left:${share(ZEROS, 1000)}` }, "exactly 0"),
  );
}

/** The histograms of all shown runs at the step of the cursor, on each other. */
export function overlay(
  sources: readonly HistogramSource[],
  kind: HistogramKind,
  state: State,
): Panel {
  const axis = histogramAxis(sources.flatMap(({ slot }) => slot.value ?? []));
  const drawing = svg("svg", {
    viewBox: `0 0 1000 ${OVERLAY}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const letters = h("div.marks");
  const title = h("h2", null, "At one step");
  const lines = h("div.overlay-lines");
  const area = h(
    "div.overlay-plot",
    { role: "img", "aria-label": `${OF_KIND[kind].title} histograms of all shown runs`, style: `height:${OVERLAY}px` },
    drawing,
    h("span.zeros-all", { style: `right:${share(1000 - ZEROS, 1000)};top:${AIR}px` }, "100 %"),
    letters,
  );
  const colour = (i: number) => runColour(state.names, sources[i]!.name, state.dark);
  const element = h(
    "section.section.overlay",
    { "aria-label": `${OF_KIND[kind].title} histograms at one step` },
    h(
      "div.side",
      null,
      title,
      h("p", null, `${OF_KIND[kind].title}s of all runs; height is the share of entries.`),
      axis && h("span.y-tick", { style: `top:${AIR}px` }, formatShare(axis.peak)),
      h("span.y-tick", { style: `top:${OVERLAY}px` }, "0 %"),
    ),
    h("div.full", null, area, axis && valueAxis(axis), lines),
  );
  element.hidden = axis === null && !sources.some(({ expected, slot }) => expected && !slot.version);
  return {
    element,
    paint: () => {},
    point(at) {
      if (!axis) return;
      const records = sources.map(({ slot }) => recordAt(slot.value?.steps ?? [], at.step));
      const shown = sources.map(({ slot }, i) => slot.value?.buckets[records[i]!]);
      refill(title, `At step ${formatCount(at.step)}`);
      refill(drawing, frame(), shown.map((buckets, i) => buckets && overlaid(buckets, axis, i, shown.length, colour(i))));
      refill(letters, lettersOf(shown, axis, area.clientWidth));
      refill(lines, sources.map((source, i) => line(source, kind, axis, i, records[i]!, at.step, colour(i))));
    },
  };
}

const AIR = 18; // pixels above the highest outline, for the letters
const DASHES = ["none", "7 3", "2 2.5", "9 3 2 3"];

const frame = () =>
  svg("path", { class: "grid", d: `M0 ${OVERLAY}H${SPREAD}M${SPREAD / 2} 0V${OVERLAY}M${ZEROS} ${AIR}V${OVERLAY}H1000` });

function overlaid(
  buckets: Buckets,
  axis: HistogramAxis,
  i: number,
  runs: number,
  colour: string,
): Child {
  if (entries(buckets) === 0) return null;
  const [x, width] = zeroBar(i, runs);
  const height = zeroShare(buckets) * (OVERLAY - AIR);
  return [
    svg("path", {
      class: "outline",
      d: path(outline(buckets, axis), 0, SPREAD, OVERLAY, OVERLAY - AIR),
      style: `stroke:${colour};stroke-dasharray:${DASHES[i]}`,
    }),
    svg("path", {
      d: `M${x} ${OVERLAY}v${-height.toFixed(1)}h${width}V${OVERLAY}`,
      style: `fill:${colour}`,
    }),
  ];
}

/** Left edge and width of a run's bar of exact zeros. */
function zeroBar(i: number, runs: number): [x: number, width: number] {
  const room = (1000 - ZEROS) / runs;
  return [ZEROS + i * room + room * 0.15, room * 0.7];
}

/** Each outline's letter over its peak, each bar's letter over the bar. */
function lettersOf(shown: readonly (Buckets | undefined)[], axis: HistogramAxis, width: number): Child {
  const peaks = shown.flatMap((buckets, i) => {
    if (!buckets || entries(buckets) === 0) return [];
    const points = outline(buckets, axis);
    const [x, y] = points.reduce((a, b) => (b[1] > a[1] ? b : a));
    const [left, wide] = zeroBar(i, shown.length);
    const zero = { i, x: (left + wide / 2) / 1000, y: zeroShare(buckets), peak: false };
    return y > 0 ? [{ i, x: (x * SPREAD) / 1000, y, peak: true }, zero] : [zero];
  });
  const outlines = peaks.filter(({ peak }) => peak);
  const places = spread(outlines.map(({ x }) => x * width), LETTER, width);
  return peaks.map((one) => {
    const left = one.peak ? places[outlines.indexOf(one)]! : one.x * width;
    const bottom = one.y * (OVERLAY - AIR) + 2;
    return h("b.letter", { style: `left:${left}px;bottom:${bottom}px` }, KEYS[one.i] ?? "?");
  });
}

/** What a run has at this step, in words. */
function line(
  source: HistogramSource,
  kind: HistogramKind,
  axis: HistogramAxis,
  i: number,
  record: number,
  step: number,
  colour: string,
): HTMLElement {
  const stroke = svg(
    "svg",
    { width: 28, height: 8, "aria-hidden": "true" },
    svg("path", { d: "M0 4H28", class: "outline", style: `stroke:${colour};stroke-dasharray:${DASHES[i]}` }),
  );
  return h(
    "p",
    null,
    key(i),
    stroke,
    h("span.name", { title: called(source.name) }, called(source.name)),
    source.slot.value ? told(source, kind, axis, record, step) : h("span.quiet", null, none(source, kind)),
  );
}
