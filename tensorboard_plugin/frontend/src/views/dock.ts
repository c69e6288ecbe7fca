/** The one step of all views: a slider, what each run was like there, when something was found. */

import type { Finding, Run } from "../api";
import { stepTicks } from "../model/cells";
import { brokenCount, curveAxis, seriesPath, stretches } from "../model/curve";
import { findingSteps, isJudged, snapStep, worstSeverity } from "../model/health";
import { formatCount, plural } from "../model/number";
import { place, problems, SEVERITIES, spread, worstProblem } from "../model/findings";
import { called } from "../requests";
import { RUN, valueOf } from "../resources";
import type { Point, State, Store } from "../state";
import { runColour } from "../host";
import { lossAt, lossName, share } from "./curves";
import { type Child, h, refill, svg } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";
import { middleCut } from "./name";
import type { Docked } from "./panel";

const MARK = 15;
const LEAST_WORDS = 48; // pixels in which a name can be told at all
const BROKEN = 44; // pixels of a letter and "NaN"
const THUMB = 16; // pixels of the slider's knob, by which its axis is shorter

export interface Dock {
  element: HTMLElement;
  /** Draws what there is of the runs. @param steps those that the slider stops at. */
  show(state: State, steps: readonly number[], at: Point, about?: Docked): void;
  point(at: Point): void;
}

/** One of the runs that it tells of. */
interface DockedRun {
  run: Run | undefined;
  /** Its place among the shown runs: that is its letter. */
  column: number;
  colour: string;
}

/** Made once, so that a slider that is being moved stays. */
export function dock(store: Store): Dock {
  let steps: readonly number[] = [];
  let now = 0;
  let readouts: ((at: Point) => void)[] = [];
  const words = h("p.step-now");
  const range = h("input.range", { type: "range", "aria-label": "Step", step: 1, min: 0 });
  const curves = h("div.loss-curves", { "aria-hidden": "true" }); // the readouts tell it in words
  const [fold, told, lanes] = [h("div.side"), h("div.columns"), h("div.columns")];
  const element = h(
    "section.section.dock",
    { "aria-label": "Step" },
    h("div.side", null, words),
    h("div.full.losses", null, curves, range),
    fold,
    told,
    lanes,
  );
  range.addEventListener("input", () => {
    store.set({ step: snapStep(steps, Number(range.value), now), hover: null });
  });
  const isPinned = () => store.get().step !== null;
  const newest = h(
    "button.link",
    { "data-key": "newest", onclick: () => store.set({ step: null, hover: null }) },
    "Newest",
  );
  const point = (at: Point) => {
    readouts.forEach((tell) => tell(at));
    if (steps.length === 0) return refill(words);
    now = at.step;
    range.value = String(at.step);
    const step = `step ${formatCount(at.step)}`;
    range.setAttribute("aria-valuetext", step);
    refill(words, h("b", null, capital(step)), " ", at.resting ? h("span.quiet", null, "newest") : isPinned() && newest);
  };
  return {
    element,
    point,
    show(state, recorded, at, about = { runs: state.shown, columns: state.shown.length }) {
      steps = recorded;
      element.style.setProperty("--n", String(Math.max(1, about.columns)));
      range.max = String(steps.at(-1) ?? 0);
      range.disabled = steps.length === 0;
      const open = Boolean(state.choices.dock);
      refill(fold, foldButton(open, store));
      const docked = about.runs.map((name) => ({
        name,
        run: valueOf(state, name, RUN),
        column: state.shown.indexOf(name),
        colour: runColour(state.names, name, state.dark),
      }));
      const columns = docked.map(({ run, column }) => readout(run, column));
      readouts = columns.map(({ tell }) => tell);
      refill(told, columns.map((column) => column.element));
      const width = () => Math.max(1, range.clientWidth - THUMB); // to ask costs a layout
      const end = steps.at(-1) || 1;
      refill(curves, losses(docked, end, width));
      refill(lanes, open && [
        docked.map(({ name, run, column }) => [
          h("div.side.lane-of", null, key(column), middleCut(called(name))),
          lane(run, column, end, width(), store),
        ]),
        laneAxis(end),
      ]);
      point(at);
    },
  };
}

/** The losses over the slider, each run's in its colour, and where something begins to be found. */
function losses(docked: readonly DockedRun[], end: number, width: () => number): Child {
  const lines = docked.flatMap(({ run, ...of }) => {
    const name = run && lossName(run);
    return run && name ? [{ ...of, run, name, series: run.series[name]! }] : [];
  });
  const axis = curveAxis(lines.map(({ series }) => series));
  const found = docked.flatMap(({ run }) => (run ? findingSteps(run) : []));
  const steps = [...new Set(found.map(({ step }) => step))].filter((step) => step <= end);
  return [
    svg(
      "svg",
      { viewBox: `0 0 ${end} 100`, preserveAspectRatio: "none" },
      lines.map(({ run, series, colour }) =>
        svg("path", { d: seriesPath(series, run.steps, axis), stroke: colour }),
      ),
    ),
    brokenSigns(lines, end, width),
    [...SEVERITIES].reverse().flatMap((severity) => // of marks that cover each other the worst is seen
      steps.flatMap((step) => {
        const here = found.filter((one) => one.step === step).flatMap(({ findings }) => findings);
        const mark = () => h("span.loss-mark", { style: `left:${share(step, end)}` }, glyph(severity, 9));
        return worstSeverity(here) === severity ? [mark()] : [];
      }),
    ),
  ];
}

/** "B NaN" where a run's loss first is no number: a hatch would hide the others' curves. */
function brokenSigns(
  lines: readonly { run: Run; name: string; column: number }[],
  end: number,
  width: () => number,
): Child {
  const broken = lines.flatMap(({ run, name, column }) => {
    const first = stretches(brokenCount(run.series, name))[0]?.[0];
    return first === undefined ? [] : [{ column, step: run.steps[first]! }];
  });
  if (broken.length === 0) return null;
  const whole = width();
  const places = spread(
    broken.map(({ step }) => (Math.min(step, end) / end) * whole + BROKEN / 2),
    BROKEN,
    whole,
  );
  return broken.map(({ column }, i) =>
    h("span.loss-broken", { style: `left:${places[i]! - BROKEN / 2}px` }, key(column), "NaN"),
  );
}

function foldButton(open: boolean, store: Store): HTMLElement {
  return h(
    "button.link",
    {
      "data-key": "dock",
      "aria-expanded": String(open),
      onclick: () => store.choose("dock", open ? "" : "open"),
    },
    open ? "Hide findings by step" : "Findings by step",
  );
}

/** "A  loss 0.017  3 findings so far" */
function readout(run: Run | undefined, column: number) {
  const element = h("p.dock-readout");
  return {
    element,
    tell(at: Point) {
      refill(element, key(column), run ? [loss(run, at.step), foundUntil(run, at.step)] : null);
    },
  };
}

function loss(run: Run, step: number): HTMLElement {
  const at = lossAt(run, step);
  if (!at) return h("span.quiet", null, "no loss recorded");
  return h("span", null, h("span.quiet", null, `${at.name} `), h("b", null, at.words));
}

function foundUntil(run: Run, step: number): HTMLElement {
  const found = run.findings.filter((finding) => finding.step <= step);
  const severity = worstSeverity(found);
  const count = problems(found).length; // as the table of findings has them
  const later = problems(run.findings).length - count;
  const more = later > 0 ? `, ${formatCount(later)} later` : "";
  const none = isJudged(run) ? "no finding" : "not evaluated";
  return h(
    "span.found",
    { title: listed(found) },
    severity && glyph(severity, 12),
    h("span", null, (count > 0 ? plural(count, "finding") : none) + more),
  );
}

/** The findings by name, the first dozen of them. */
const listed = (findings: readonly Finding[]) =>
  findings
    .slice(0, 12)
    .map(({ title, layer }) => (layer ? `${title} ${layer}` : title))
    .join("\n");

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** "Dead ReLU dense +2" */
function toldOf(findings: readonly Finding[]): Child {
  const worst = worstProblem(findings);
  const others = problems(findings).length - 1;
  return [
    worst && [worst.title, " ", h(worst.findings.length > 1 ? "span" : "code", null, place(worst))],
    others > 0 && h("span.quiet", null, ` +${others}`),
  ];
}

function laneAxis(end: number): HTMLElement {
  return h(
    "div.full.lane",
    { "aria-hidden": "true" },
    h(
      "div.lane-marks.axis",
      null,
      stepTicks(end, 8).map((step) => h("span", { style: `left:${share(step, end)}` }, formatCount(step))),
    ),
  );
}

/** One run's findings along the axis of the slider. */
function lane(
  run: Run | undefined,
  column: number,
  end: number,
  width: number,
  store: Store,
): HTMLElement {
  const found = run ? findingSteps(run) : [];
  const untold: Finding[] = [];
  const worth = ({ severity }: Finding) => SEVERITIES.indexOf(severity);
  const places = spread(
    found.map(({ step }) => (Math.min(step, end) / end) * width),
    MARK,
    width + MARK,
  );
  return h(
    "div.full.lane",
    null,
    h(
      "div.lane-marks",
      null,
      found.map(({ findings }, i) => {
        const left = places[i]! + MARK / 2;
        const right = (places[i + 1] ?? width + MARK) - MARK / 2 - left;
        const before = i === 0 ? left - MARK : 0; // further marks have words of the one before there
        const room = Math.max(right, before);
        const side = before > right ? `right:${width - before}px` : `left:${left}px`;
        untold.push(...findings);
        if (room <= LEAST_WORDS) return null; // told with the next one that has room
        const words = toldOf(untold.splice(0).sort((a, b) => worth(a) - worth(b)));
        // What the buttons beside it say too.
        return h("span.mark-words", { "aria-hidden": "true", style: `${side};max-width:${room}px` }, words);
      }),
      found.map(({ step, findings }, i) => {
        const severity = worstSeverity(findings)!;
        const count = plural(problems(findings).length, "finding");
        const label = `Step ${formatCount(step)}: ${count}, worst ${WORDS[severity]}`;
        return h(
          "button.step-mark",
          {
            "data-key": `mark ${column} ${step}`,
            style: `left:${places[i]}px`,
            title: `${label}\n${listed(findings)}`,
            "aria-label": label,
            onclick: () => store.set({ step, hover: null }),
          },
          glyph(severity, 12),
        );
      }),
      run &&
        found.length === 0 &&
        h("span.quiet.lane-none", null, isJudged(run) ? "nothing found" : "no rule was evaluated"),
    ),
  );
}
