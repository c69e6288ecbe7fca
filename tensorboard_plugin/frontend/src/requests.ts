/** Every address that the tab asks. The contract is docs/http.md. */

import {
  type Cams,
  type Comparison,
  type Histograms,
  type Judged,
  type LayerMeasurements,
  type Losses,
  type Predictions,
  type Recorded,
  RequestError,
  type RuleTable,
  type Run,
  type RunSummary,
} from "./api";
import type { HistogramKind } from "./model/histograms";
import { readImages, readLayer, readMaps, readMeasurements } from "./model/binary";
import { joinMeasurements, joinRuns } from "./model/join";
import { titleOf } from "./model/runs";
import {
  readCamIndex,
  readComparison,
  readFolder,
  readHistograms,
  readJudged,
  readLosses,
  readPredictions,
  readRules,
  readRun,
  readRuns,
} from "./readers";

/** How far the server's clock is ahead of this one, in seconds: ages are told by the server's. */
let clockOffset = 0;

export function serverNow(): number {
  return Date.now() / 1000 + clockOffset;
}

/** The name of the log folder: a run in the folder itself has no other one. */
let folder: string | null = null;

/** What a run is called; its name is for the server, for keys and for the address. */
export const called = (run: string): string => titleOf(run, folder);

const PATIENCE_MS = 60_000;

async function ask(address: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new RequestError("TensorBoard does not answer. Is it still running?");
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) clockOffset = Math.round((date - Date.now()) / 1000);
  if (response.ok) return response;
  const told = (await response.text()).trim().slice(0, 1000);
  const words = told.replace(/^(Not found|Invalid argument): /, ""); // TensorBoard's, before ours
  throw new RequestError(words || `TensorBoard answered ${response.status}.`, response.status === 404);
}

const at = (path: string, query: Record<string, string>) =>
  `${path}?${new URLSearchParams(query).toString()}`;

export async function fetchRuns(): Promise<RunSummary[]> {
  const answer: unknown = await (await ask("api/runs")).json();
  folder = readFolder(answer);
  return readRuns(answer);
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

export async function fetchLosses(): Promise<Losses> {
  return readLosses(await (await ask("api/losses")).json());
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

export async function fetchHistograms(
  run: string,
  layer: string,
  kind: HistogramKind,
): Promise<Histograms> {
  return readHistograms(await (await ask(at("api/histograms", { run, layer, kind }))).json());
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
