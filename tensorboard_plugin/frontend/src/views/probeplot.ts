/** One sample over the steps: a curve, and under it a cell for each look. */

import { runEnd } from "../model/cells";
import { curvePath, type Series } from "../model/curve";
import {
  errorOf,
  type Outcome,
  outcomeOf,
  type Probe,
  type Sample,
  stretchesOf,
} from "../model/probe";
import { formatMagnitude } from "../model/number";
import { h, svg } from "./element";
import { absolute, type Drawing } from "./probecolumns";

const WORDS: Record<Outcome, string> = { right: "right", wrong: "wrong", nan: "NaN" };

/** @param more draws the probability of the predicted class too. */
export function probePlot(
  probe: Probe,
  sample: Sample,
  drawing: Drawing,
  more = false,
): HTMLElement {
  const of = (key: "confidence" | "trueConfidence") =>
    sample.looks.map((look) => look?.[key] ?? null);
  const isValue = probe.kind === "values";
  const main = isValue
    ? sample.looks.map((_, i) => absolute(errorOf(sample, i)))
    : of("trueConfidence");
  const height = (value: number) => (isValue ? drawing.errors.at(value) : value);
  const x = (i: number) => (probe.steps[i]! / drawing.end) * 1000;
  const line = (series: Series, kind: string) =>
    svg("path", { class: kind, d: curvePath(series, x, (value) => (1 - height(value)) * 100) });
  return h(
    "div.probe-plot",
    { role: "img", "aria-label": describe(sample, isValue) },
    h(
      "div.curve",
      null,
      svg(
        "svg",
        { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("path", { class: "grid", d: "M0 0H1000M0 100H1000" }),
        more && !isValue && line(of("confidence"), "line second"),
        line(main, "line"),
      ),
    ),
    strip(probe, sample, drawing),
    h("i.cursor-step"),
  );
}

/** What a curve shows, from its lower to its upper line. */
export function curveWords(probe: Probe, { errors }: Drawing): string {
  if (probe.kind === "classes") return "Probability of the true class, 0 to 100\u00a0%";
  return `Size of the error, in the unit of the value, 0 to ${formatMagnitude(errors.hi)}`;
}

/** "right at 3 of 5 looks: wrong from look 1, right from look 3" */
function describe(sample: Sample, isValue: boolean): string {
  if (isValue) return `Size of the error of sample ${sample.name} over the steps`;
  const known = sample.looks.flatMap((_, i) => outcomeOf(sample, i) ?? []);
  const right = known.filter((outcome) => outcome === "right").length;
  return `Probability of the true class of sample ${sample.name} over the steps; right at ${right} of ${known.length} looks`;
}

/** Under the curve: right is a thin line, wrong a thick one, NaN a hatch, no look nothing. */
function strip(probe: Probe, sample: Sample, drawing: Drawing): HTMLElement {
  const ends = [...probe.steps.slice(1), runEnd(probe.steps)];
  const at = (step: number) => (step / drawing.end) * 100;
  const isTold = (outcome: Outcome) => outcome === "nan" || probe.kind === "classes";
  return h(
    "div.probe-strip",
    { "aria-hidden": "true" },
    stretchesOf(sample)
      .filter(({ outcome }) => isTold(outcome))
      .map(({ outcome, first, next }) => {
        const [from, to] = [at(probe.steps[first]!), at(ends[next - 1]!)];
        return h(MARKS[outcome], { style: `left:${from.toFixed(2)}%;width:${(to - from).toFixed(2)}%` });
      }),
  );
}

const MARKS = { right: "i.mark-right", wrong: "i.mark-wrong", nan: "i.hatch" } as const;

/** What the marks of the strip mean. */
export const stripKey = (outcomes: readonly Outcome[]): HTMLElement =>
  h(
    "span.probe-key",
    null,
    outcomes.map((outcome) => h("span", null, h(MARKS[outcome]), WORDS[outcome])),
  );
