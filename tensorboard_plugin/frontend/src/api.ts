/** Every answer that the tab gets, as it is read. The contract is docs/http.md. */

export type Severity = "watch" | "warn" | "critical";
export type Standing = Severity | "ok" | "not-evaluated";

export interface Verdict {
  severity: Standing;
  title: string;
  summary: string;
  try_first: { text: string; code: string | null } | null;
}

export interface Counts {
  critical: number;
  warn: number;
  watch: number;
  healthy: number;
  not_evaluated: number;
  not_applicable: number;
}

/** One line of `api/runs`; all but `run` and `error` is null for a run without a recording. */
export interface RunSummary {
  run: string;
  recorded: boolean;
  start_time: number | null;
  last_time: number | null;
  last_step: number | null;
  finished: boolean | null;
  verdict: Verdict | null;
  counts: Counts | null;
  error: string | null;
}

export interface Layer {
  name: string;
  type: string;
  shape: (number | null)[];
  parameters: number;
  trainable: boolean;
  activation: string | null;
  role: string;
  inputs: string[];
}

export interface Limit {
  severity: Severity;
  rule: string;
  value: number;
  above: boolean;
  /** Records in a row, up to the last one, that the rule waits for; null where it waits for none. */
  patience: number | null;
  /** Rules of which one speaks of a layer in place of this one. */
  instead: string[];
  /** One finding, in the first layer from the input side, tells of all layers. */
  once: boolean;
}

export interface Metric {
  name: string;
  title: string;
  scale: "log" | "share" | "linear" | "count";
  source: string;
  nonfinite: string;
  about: string;
  not_measured: string | null;
  limits: Limit[];
}

export interface Finding {
  rule: string;
  title: string;
  severity: Severity;
  layer: string | null;
  step: number;
  evidence: string;
  message: string;
  value: number | null;
  limit: number | null;
  metric: string | null;
  why: string;
  advice: string[];
  source: string;
  /** The finding of which this one is probably a consequence. */
  follows: { rule: string; layer: string | null } | null;
}

export interface Rule {
  id: string;
  title: string;
  outcome: "found" | "healthy" | "not-evaluated";
  /** False where it was not evaluated and nothing is missing: there is nothing for it to judge. */
  applies: boolean;
  reason: string | null;
  step: number | null;
  exempt: Record<string, string>;
}

export interface Run {
  run: string;
  recording: string;
  start_time: number;
  last_time: number;
  last_step: number;
  finished: boolean;
  verdict: Verdict;
  counts: Counts;
  model: {
    layers: Layer[];
    loss: string | null;
    optimizer: string | null;
    settings: Record<string, string | number | boolean | null>;
  };
  metrics: Metric[];
  steps: number[];
  wall_times: number[];
  series: Record<string, (number | null)[]>;
  probe_samples: number;
  findings: Finding[];
  rules: Rule[];
  versions: Record<string, string>;
  monitor: { every: number; probe_every: number; budget?: number | null };
  cost: { seconds: number; share: number; every?: number; probe_every?: number } | null;
  diagnosis: Diagnosis | null;
  suppressed: Suppressed[];
}

/** A finding that counts for nothing, and why. */
export interface Suppressed extends Finding {
  reason: string;
}

/** One threshold of a rule. `value` is the one that the run was recorded with. */
export interface Threshold {
  name: string;
  about: string;
  source: string;
  value: number;
  default: number;
  /** How a value in trouble compares with it; null where it only counts what to judge by. */
  sign: ">" | "≥" | "<" | "≤" | null;
  whole: boolean;
  least: number;
  most: number | null;
  /** The worst that it leads to; null if it is no line in a chart. */
  severity: Severity | null;
  /** What is compared with it just as it was recorded; null where the rule makes a number of it. */
  measure: string | null;
  worst: Worst | null;
}

/** The worst of what was measured last; of the whole model where there is no layer. */
export interface Worst {
  value: number;
  layer: string | null;
}

export interface Adjustable {
  id: string;
  title: string;
  thresholds: Threshold[];
}

/** A run that was judged anew, and what was changed for that, written down. */
export interface Judged
  extends Pick<Run, "verdict" | "counts" | "diagnosis" | "findings" | "rules" | "suppressed"> {
  run: string;
  recording: string;
  thresholds: Adjustable[];
  toml: string;
  callback: string;
}

/** The most likely single cause of a run's troubles. */
export interface Diagnosis {
  cause: { text: string };
  chain: { rule: string; layers: string[]; step: number; text: string }[];
  sureness: "possible" | "likely" | "very likely";
  reason: string;
}

/** A rule as the catalogue has it: `thresholds` are the defaults. */
export interface RuleFacts {
  id: string;
  title: string;
  group: string;
  finds: string;
  thresholds: Record<string, number>;
  source: string;
}

/** What one rule says of one run, in short: its worst findings, its first exempt layers. */
export interface RuleCell {
  outcome: Rule["outcome"];
  severity: Severity | null;
  count: number;
  findings: Pick<Finding, "severity" | "layer" | "step" | "evidence" | "metric">[];
  reason: string | null;
  exempt: number;
  all_exempt: boolean;
  exemptions: { reason: string; count: number; layers: string[] }[];
}

export interface JudgedRun {
  run: string;
  /** That of the report; null if there is none. */
  step: number | null;
  error: string | null;
  rules: Record<string, RuleCell>;
}

/** What every rule says of every run. */
export interface RuleTable {
  rules: RuleFacts[];
  runs: JudgedRun[];
}

/** By the name of a run. */
export type Losses = ReadonlyMap<string, LossSample>;

/** The training loss of a run at some of its steps, null where it was not finite. */
export interface LossSample {
  steps: number[];
  loss: (number | null)[];
}

/** When a measure of two runs stops being alike. */
export interface Parting {
  name: string;
  title: string;
  scale: Metric["scale"];
  outcome: "parted" | "together" | "not-comparable";
  reason: string | null;
  step: number | null;
  layer: string | null;
  /** The values at that step, null where one is not finite. */
  run: number | null;
  baseline: number | null;
  /** Run over baseline for the scale "log", otherwise run minus baseline. */
  apart: number | null;
  /** What that had to exceed. */
  limit: number | null;
}

export interface Setting {
  group: string;
  name: string;
  run: string | number | boolean | null;
  baseline: string | number | boolean | null;
  /** Which of the two alone has it. */
  only: "run" | "baseline" | null;
  same: boolean;
}

/** A run beside a baseline. */
export interface Comparison {
  run: string;
  baseline: string;
  partings: Parting[];
  settings: Setting[];
  /** Null before both were judged. */
  findings: {
    both: { run: Finding; baseline: Finding }[];
    run: Finding[];
    baseline: Finding[];
  } | null;
  numbers: { title: string; scale: Metric["scale"]; run: number; baseline: number }[];
}

/** One number per recorded step and layer; NaN where it was not measured. */
export interface Measurements {
  steps: Float64Array;
  layers: number;
  values: Float32Array;
}

/** Measurements with what tells whether later ones continue them. */
export interface Recorded extends Measurements {
  /** Changes with the model and the settings of the monitor. */
  recording: number;
  wallTimes: Float64Array;
}

/** Every measure of one layer, in the order of the run's `metrics`; NaN where not measured. */
export interface LayerMeasurements {
  steps: Float64Array;
  values: Float32Array[];
}

/** The histograms of one layer's gradient or weights, one per step at which they were taken. */
export interface Histograms {
  steps: number[];
  /** For each step left edge, right edge and count of each bucket, one after the other. */
  buckets: Float64Array[];
}

/** What was predicted for some probe samples: classes with probabilities, or values without. */
export interface Predictions {
  kind: "classes" | "values";
  steps: number[];
  samples: { name: string; true: number | null; features: (number | null)[] | null }[];
  predicted: (number | null)[][];
  confidence: (number | null)[][] | null;
  true_confidence: (number | null)[][] | null;
}

export interface CamIndex {
  steps: number[];
  layer: string;
  method: string;
  samples: { name: string; true: number | null }[];
  predicted: (number | null)[][];
  confidence: (number | null)[][];
  true_confidence: (number | null)[][];
  map_size: [number, number];
  image_size: [number, number, number];
}

export interface Cams extends CamIndex {
  /** `[steps, samples, 2, height, width]`: for the true class, for the predicted class. */
  maps: Float32Array;
  /** `[samples, height, width, channels]` */
  images: Uint8Array;
}

/** What a request ended in, in words that a user can act on. `absent`: there is no such thing, and nothing is wrong. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly absent = false,
  ) {
    super(message);
  }
}
