/** Every address that the tab asks, every answer it gets. The contract is docs/http.md. */

import { readImages, readMaps, readMeasurements } from "./model/binary";
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
  suppressed: unknown[];
}

/** The most likely single cause of a run's troubles. */
export interface Diagnosis {
  chain: { rule: string; layers: string[]; step: number; text: string }[];
  sureness: "possible" | "likely" | "very likely";
  reason: string;
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
  const words = (await response.text()).trim().slice(0, 1000);
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
const RULE = "id title outcome reason step exempt";
const RUN =
  "run recording start_time last_time last_step finished verdict counts model metrics steps " +
  "wall_times series probe_samples findings rules versions monitor cost diagnosis suppressed";
const SUMMARY = "run recorded start_time last_time last_step finished verdict counts error";
const CAMS = "steps layer method samples predicted confidence true_confidence map_size image_size";

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
  return run;
}

export function readCamIndex(answer: unknown): CamIndex {
  demand(answer, CAMS, "the Grad-CAM maps");
  return answer as CamIndex;
}
