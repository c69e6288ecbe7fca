/** What a run says of a sample at a look, in a few words; right and wrong by shape and word. */

import { formatMagnitude, formatShare } from "../model/number";
import { errorOf, type Outcome, outcomeOf, type Probe, type Sample } from "../model/probe";
import { type Child, h } from "./element";

export function said(probe: Probe, sample: Sample, look: number): Child[] {
  const now = sample.looks[look];
  if (!now) return [h("span.quiet", null, "not looked at")];
  if (now.predicted === null) return [h("b", null, "NaN"), h("span.sr", null, "no prediction")];
  return probe.kind === "values" ? value(sample, look, now.predicted) : guess(sample, look);
}

function guess(sample: Sample, look: number): Child[] {
  const { predicted, confidence, trueConfidence } = sample.looks[look]!;
  const outcome = outcomeOf(sample, look);
  return [
    h("b", null, String(predicted), outcome && sign(outcome)),
    confidence !== null && h("span.probe-sure", null, formatShare(confidence)),
    outcome === "wrong" &&
      trueConfidence !== null &&
      h(
        "span.probe-true",
        { title: "Probability of the true class" },
        `true ${formatShare(trueConfidence)}`,
      ),
  ];
}

function value(sample: Sample, look: number, predicted: number): Child[] {
  const error = errorOf(sample, look);
  return [
    h("b", null, formatMagnitude(predicted)),
    error !== null &&
      h("span.probe-sure", { title: "Error" }, `${error > 0 ? "+" : ""}${formatMagnitude(error)}`),
  ];
}

const sign = (outcome: Outcome) =>
  h(
    "span.probe-sign",
    { title: outcome },
    h("i", { "aria-hidden": "true" }, outcome === "right" ? "✓" : "✕"),
    h("span.sr", null, outcome),
  );

/** The same in one line of text. */
export function spoken(probe: Probe, sample: Sample, look: number): string {
  const now = sample.looks[look];
  if (!now) return "not looked at";
  const outcome = probe.kind === "classes" ? outcomeOf(sample, look) : null;
  const parts = [
    now.predicted === null ? "NaN" : formatMagnitude(now.predicted),
    now.confidence !== null && formatShare(now.confidence),
    outcome === "nan" ? "no prediction" : outcome,
  ];
  return parts.filter(Boolean).join(", ");
}
