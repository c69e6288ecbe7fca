/** What can be asked of a run, and how to read what has come of it. */

import { type Cams, fetchCams, fetchMetric, fetchRun, type Recorded, type Run } from "./api";
import type { Slot, State } from "./state";

/** One thing to fetch of a run. It is fetched again when the run has grown. */
export interface Resource<T> {
  /** Unlike that of any other resource: it is kept under this name. */
  name: string;
  /** @param known what was fetched before; where only what is new is asked for, it is joined. */
  fetch(run: string, known?: T): Promise<T>;
  /** Another run that it is made of too. */
  beside?: string;
}

export const RUN: Resource<Run> = { name: "run", fetch: fetchRun };

export const CAMS: Resource<Cams> = { name: "cams", fetch: (run) => fetchCams(run) };

export const metricOf = (metric: string): Resource<Recorded> => ({
  name: `metric ${metric}`,
  fetch: (run, known) => fetchMetric(run, metric, known),
});

/** Returns what is there of a run; an empty slot if it was never asked for. */
export function slotOf<T>(state: State, run: string, resource: Resource<T>): Slot<T> {
  return (state.loaded.get(run)?.get(resource.name) ?? {}) as Slot<T>;
}

export function valueOf<T>(state: State, run: string, resource: Resource<T>): T | undefined {
  return slotOf(state, run, resource).value;
}
