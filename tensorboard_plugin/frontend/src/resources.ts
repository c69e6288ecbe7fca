/** What can be asked of a run, and how to read what has come of it. */

import {
  type Cams,
  fetchCams,
  fetchMetric,
  fetchPredictions,
  fetchRun,
  type Measurements,
  type Predictions,
  type Run,
} from "./api";
import type { Slot, State } from "./state";

/** One thing to fetch of a run. It is fetched again when the run has grown. */
export interface Resource<T> {
  /** Unlike that of any other resource: it is kept under this name. */
  name: string;
  fetch(run: string): Promise<T>;
  /** Another run that it is made of too. */
  beside?: string;
}

export const RUN: Resource<Run> = { name: "run", fetch: fetchRun };

export const CAMS: Resource<Cams> = { name: "cams", fetch: fetchCams };

export const PREDICTIONS: Resource<Predictions> = { name: "predictions", fetch: fetchPredictions };

export const metricOf = (metric: string): Resource<Measurements> => ({
  name: `metric ${metric}`,
  fetch: (run) => fetchMetric(run, metric),
});

/** Returns what is there of a run; an empty slot if it was never asked for. */
export function slotOf<T>(state: State, run: string, resource: Resource<T>): Slot<T> {
  return (state.loaded.get(run)?.get(resource.name) ?? {}) as Slot<T>;
}

export function valueOf<T>(state: State, run: string, resource: Resource<T>): T | undefined {
  return slotOf(state, run, resource).value;
}
