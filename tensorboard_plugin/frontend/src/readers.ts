/** Refuses what the tab cannot read, before a view stumbles over it. Binary answers: model/binary.ts. */

import {
  type CamIndex,
  type Comparison,
  type Histograms,
  type Judged,
  type Losses,
  type LossSample,
  type Predictions,
  RequestError,
  type RuleTable,
  type Run,
  type RunSummary,
} from "./api";
import { flatBuckets } from "./model/histograms";

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
const KEY_NUMBER = "title scale run baseline";

/** Refuses an answer without the keys that the tab reads. */
function demand(value: unknown, keys: string, what: string): void {
  const missing = keys
    .split(" ")
    .filter((key) => typeof value !== "object" || value === null || !(key in value));
  if (missing.length === 0) return;
  throw new RequestError(
    `The server's description of ${what} lacks ${missing.join(", ")}: this tab and the plugin ` +
      "are of different versions. Restart TensorBoard, then reload the page.",
  );
}

/** Ends in the reason where a run has none of what was asked for. */
function expectSome(answer: unknown): void {
  if (typeof answer === "object" && answer !== null && "reason" in answer)
    throw new RequestError(String(answer.reason), true);
}

/** The name of the log folder, if the server knows it. */
export function readFolder(answer: unknown): string | null {
  demand(answer, "folder", "the runs");
  const { folder } = answer as { folder: unknown };
  return typeof folder === "string" ? folder : null;
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

export function readLosses(answer: unknown): Losses {
  demand(answer, "runs", "the losses");
  const losses = new Map(Object.entries((answer as { runs: Record<string, LossSample> }).runs));
  for (const run of losses.values()) demand(run, "steps loss", "a run's loss");
  return losses;
}

export function readComparison(answer: unknown): Comparison {
  demand(answer, COMPARISON, "a comparison");
  const comparison = answer as Comparison;
  for (const parting of comparison.partings) demand(parting, PARTING, "where runs part");
  for (const setting of comparison.settings) demand(setting, SETTING, "a setting");
  for (const number of comparison.numbers) demand(number, KEY_NUMBER, "a key number");
  if (comparison.findings) demand(comparison.findings, "both run baseline", "compared findings");
  return comparison;
}

export function readPredictions(answer: unknown): Predictions {
  expectSome(answer);
  demand(answer, PREDICTIONS, "the predictions");
  return answer as Predictions;
}

export function readCamIndex(answer: unknown): CamIndex {
  expectSome(answer);
  demand(answer, CAMS, "the Grad-CAM maps");
  return answer as CamIndex;
}
