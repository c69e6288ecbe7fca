/** Every address that the tab asks, every answer it gets. The contract is docs/http.md. */

import { readImages, readLayer, readMaps, readMeasurements } from "./model/binary";
import { flatBuckets } from "./model/histograms";
import { joinMeasurements, joinRuns } from "./model/join";

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
  numbers: { title: string; run: number; baseline: number }[];
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

/** The gradient histograms of one layer, one per step at which it had a gradient. */
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

/** What a request ended in, in words that a user can act on. `status` is 0 without an answer. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** How far the server's clock is ahead of this one, in seconds: ages are told by the server's. */
let clockOffset = 0;

export function serverNow(): number {
  return Date.now() / 1000 + clockOffset;
}

const PATIENCE_MS = 60_000;

async function ask(address: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new RequestError("TensorBoard does not answer. Is it still running?", 0);
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) clockOffset = Math.round((date - Date.now()) / 1000);
  if (response.ok) return response;
  const told = (await response.text()).trim().slice(0, 1000);
  const words = told.replace(/^(Not found|Invalid argument): /, ""); // TensorBoard's, before ours
  throw new RequestError(words || `TensorBoard answered ${response.status}.`, response.status);
}

const at = (path: string, query: Record<string, string>) =>
  `${path}?${new URLSearchParams(query).toString()}`;

export async function fetchRuns(): Promise<RunSummary[]> {
  return readRuns(await (await ask("api/runs")).json());
}

/** @param known what was fetched before: only what is new is asked for. */
export function fetchRun(run: string, known?: Run): Promise<Run> {
  const read = async (since: Since) =>
    readRun(await (await ask(at("api/run", { run, ...since }))).json());
  return continued(known, joinRuns, read);
}

/** @param choice JSON texts of changed thresholds and of suppressions; empty for none. */
export async function fetchJudged(
  run: string,
  choice: { thresholds: string; suppress: string },
): Promise<Judged> {
  return readJudged(await (await ask(at("api/judge", { run, ...choice }))).json());
}

export async function fetchRules(): Promise<RuleTable> {
  return readRules(await (await ask("api/rules")).json());
}

export async function fetchComparison(run: string, baseline: string): Promise<Comparison> {
  return readComparison(await (await ask(at("api/compare", { run, baseline }))).json());
}

/** @param known what was fetched before: only what is new is asked for. */
export function fetchMetric(run: string, metric: string, known?: Recorded): Promise<Recorded> {
  const read = async (since: Since) =>
    readMeasurements(await (await ask(at("api/metric", { run, metric, ...since }))).arrayBuffer());
  return continued(known, joinMeasurements, read);
}

type Since = { since?: string };

/** Asks for what came after the known; for all where the answer does not continue it. */
async function continued<T extends { steps: ArrayLike<number> }>(
  known: T | undefined,
  join: (known: T, news: T) => T | null,
  read: (since: Since) => Promise<T>,
): Promise<T> {
  if (!known?.steps.length) return read({});
  const news = await read({ since: String(known.steps[known.steps.length - 1]) });
  return join(known, news) ?? read({});
}

export async function fetchLayer(run: string, layer: string): Promise<LayerMeasurements> {
  return readLayer(await (await ask(at("api/layer", { run, layer }))).arrayBuffer());
}

export async function fetchHistograms(run: string, layer: string): Promise<Histograms> {
  return readHistograms(await (await ask(at("api/histograms", { run, layer }))).json());
}

export async function fetchPredictions(run: string): Promise<Predictions> {
  return readPredictions(await (await ask(at("api/predictions", { run }))).json());
}

export async function fetchCams(run: string): Promise<Cams> {
  const index = readCamIndex(await (await ask(at("api/cams", { run }))).json());
  const [maps, images] = await Promise.all(
    ["api/cams/maps", "api/cams/images"].map(async (path) =>
      (await ask(at(path, { run }))).arrayBuffer(),
    ),
  );
  const samples = index.samples.length;
  const mapShape = [index.steps.length, samples, 2, ...index.map_size, 0];
  return {
    ...index,
    maps: readMaps(maps!, mapShape),
    images: readImages(images!, [samples, ...index.image_size]),
  };
}

/** The report of a run in words, as a file. */
export const reportAddress = (run: string) => at("api/report", { run, format: "markdown" });

const LAYER = "name type shape parameters trainable activation role inputs";
const METRIC = "name title scale source nonfinite about not_measured limits";
const FINDING =
  "rule title severity layer step evidence message value limit metric why advice source follows";
const RULE = "id title outcome applies reason step exempt";
const RULE_FACTS = "id title group finds thresholds source";
const RULE_CELL = "outcome severity count findings reason exempt all_exempt exemptions";
const RUN =
  "run recording start_time last_time last_step finished verdict counts model metrics steps " +
  "wall_times series probe_samples findings rules versions monitor cost diagnosis suppressed";
const JUDGED =
  "run recording verdict counts diagnosis findings rules suppressed thresholds toml callback";
const THRESHOLD = "name about source value default sign whole least most severity measure worst";
const SUMMARY = "run recorded start_time last_time last_step finished verdict counts error";
const PREDICTIONS = "kind steps samples predicted confidence true_confidence";
const CAMS = "steps layer method samples predicted confidence true_confidence map_size image_size";

const COMPARISON = "run baseline partings settings findings numbers";
const PARTING = "name title scale outcome reason step layer run baseline apart limit";
const SETTING = "group name run baseline only same";

/** Refuses an answer without the keys that the tab reads. */
function demand(value: unknown, keys: string, what: string): void {
  const missing = keys
    .split(" ")
    .filter((key) => typeof value !== "object" || value === null || !(key in value));
  if (missing.length === 0) return;
  throw new RequestError(
    `The server's description of ${what} lacks ${missing.join(", ")}: this tab and the plugin ` +
      "are of different versions. Restart TensorBoard, then reload the page.",
    200,
  );
}

export function readRuns(answer: unknown): RunSummary[] {
  demand(answer, "runs", "the runs");
  const { runs } = answer as { runs: RunSummary[] };
  for (const run of runs) demand(run, SUMMARY, "a run");
  return runs;
}

export function readRun(answer: unknown): Run {
  demand(answer, RUN, "a run");
  const run = answer as Run;
  demand(run.verdict, "severity title summary try_first", "a verdict");
  demand(run.model, "layers loss optimizer settings", "a model");
  for (const layer of run.model.layers) demand(layer, LAYER, "a layer");
  for (const metric of run.metrics) demand(metric, METRIC, "a measure");
  for (const finding of run.findings) demand(finding, FINDING, "a finding");
  for (const rule of run.rules) demand(rule, RULE, "a rule");
  for (const finding of run.suppressed) demand(finding, `${FINDING} reason`, "what is suppressed");
  return run;
}

export function readJudged(answer: unknown): Judged {
  demand(answer, JUDGED, "a judgement");
  const judged = answer as Judged;
  demand(judged.verdict, "severity title summary try_first", "a verdict");
  for (const finding of judged.findings) demand(finding, FINDING, "a finding");
  for (const rule of judged.rules) demand(rule, RULE, "a rule");
  for (const finding of judged.suppressed)
    demand(finding, `${FINDING} reason`, "what is suppressed");
  for (const rule of judged.thresholds) {
    demand(rule, "id title thresholds", "a rule");
    for (const threshold of rule.thresholds) demand(threshold, THRESHOLD, "a threshold");
  }
  return judged;
}

export function readHistograms(answer: unknown): Histograms {
  demand(answer, "steps buckets", "the histograms");
  const { steps, buckets } = answer as { steps: number[]; buckets: number[][][] };
  return { steps, buckets: buckets.map(flatBuckets) };
}

export function readRules(answer: unknown): RuleTable {
  demand(answer, "rules runs", "the rules");
  const table = answer as RuleTable;
  for (const rule of table.rules) demand(rule, RULE_FACTS, "a rule");
  for (const run of table.runs) {
    demand(run, "run step error rules", "a run's rules");
    for (const cell of Object.values(run.rules)) demand(cell, RULE_CELL, "a rule in a run");
  }
  return table;
}

export function readComparison(answer: unknown): Comparison {
  demand(answer, COMPARISON, "a comparison");
  const comparison = answer as Comparison;
  for (const parting of comparison.partings) demand(parting, PARTING, "where runs part");
  for (const setting of comparison.settings) demand(setting, SETTING, "a setting");
  if (comparison.findings) demand(comparison.findings, "both run baseline", "compared findings");
  return comparison;
}

export function readPredictions(answer: unknown): Predictions {
  demand(answer, PREDICTIONS, "the predictions");
  return answer as Predictions;
}

export function readCamIndex(answer: unknown): CamIndex {
  demand(answer, CAMS, "the Grad-CAM maps");
  return answer as CamIndex;
}
