/** What can be asked of a run, and how to read what has come of it. */

import type {
  Cams,
  Comparison,
  Histograms,
  Judged,
  LayerMeasurements,
  Losses,
  Predictions,
  Recorded,
  RuleTable,
  Run,
} from "./api";
import type { HistogramKind } from "./model/histograms";
import {
  fetchCams,
  fetchComparison,
  fetchHistograms,
  fetchJudged,
  fetchLayer,
  fetchLosses,
  fetchMetric,
  fetchPredictions,
  fetchRules,
  fetchRun,
} from "./requests";
import type { Slot, State } from "./state";

/** One thing to fetch of a run, or of `FOLDER`. It is fetched again when that has grown. */
export interface Resource<T> {
  /** Unlike that of any other resource: it is kept under this name. */
  name: string;
  /** @param known what was fetched before; where only what is new is asked for, it is joined. */
  fetch(run: string, known?: T): Promise<T>;
  /** Another run that it is made of too. */
  beside?: string;
  /** What else it depends on: with another one it is fetched anew, and replaces what was there. */
  edition?: string;
  /** How the names of those begin that it takes the place of: large, and one of them is enough. */
  insteadOf?: string;
}

/**
 * Stands where a run's name does, for what is asked once of the whole log folder. No run has this
 * name: TensorBoard calls a run in the folder itself ".".
 */
export const FOLDER = "";

export const RUN: Resource<Run> = { name: "run", fetch: fetchRun };

export const CAMS: Resource<Cams> = { name: "cams", fetch: (run) => fetchCams(run) };

export const PREDICTIONS: Resource<Predictions> = { name: "predictions", fetch: fetchPredictions };

/** What the rules say of a run's statistics today, with the thresholds of the recording. */
export const JUDGED: Resource<Judged> = {
  name: "judged",
  fetch: (run) => fetchJudged(run, { thresholds: "", suppress: "" }),
};

/** The same with what the user tries; it says for which edition it holds. */
export function trialOf(thresholds: string, suppress: string): Resource<Trial> {
  const edition = `${thresholds}\n${suppress}`;
  return {
    name: "trial",
    edition,
    fetch: async (run) => ({ ...(await fetchJudged(run, { thresholds, suppress })), edition }),
  };
}

export interface Trial extends Judged {
  edition: string;
}

/** Of the whole folder. */
export const RULE_TABLE: Resource<RuleTable> = { name: "rules", fetch: fetchRules };

/** Of the whole folder: what the rail draws beside the name of each run. */
export const LOSSES: Resource<Losses> = { name: "losses", fetch: fetchLosses };

export const metricOf = (metric: string): Resource<Recorded> => ({
  name: `metric ${metric}`,
  fetch: (run, known) => fetchMetric(run, metric, known),
});

export const layerOf = (layer: string): Resource<LayerMeasurements> => ({
  name: `layer ${layer}`,
  fetch: (run) => fetchLayer(run, layer),
});

export const histogramsOf = (layer: string, kind: HistogramKind): Resource<Histograms> => ({
  name: `${kind} histograms ${layer}`,
  fetch: (run) => fetchHistograms(run, layer, kind),
  insteadOf: `${kind} histograms `,
});

/** The run beside that baseline. */
export const comparisonWith = (baseline: string): Resource<Comparison> => ({
  name: `comparison with ${baseline}`,
  fetch: (run) => fetchComparison(run, baseline),
  beside: baseline,
});

/** Returns what is there of a run, or of `FOLDER`; an empty slot if it was never asked for. */
export function slotOf<T>(state: State, run: string, resource: Resource<T>): Slot<T> {
  return (state.loaded.get(run)?.get(resource.name) ?? {}) as Slot<T>;
}

export function valueOf<T>(state: State, run: string, resource: Resource<T>): T | undefined {
  return slotOf(state, run, resource).value;
}
