/** Keeps the state fed: asks for what is shown, again when it changed, never while hidden. */

import { RequestError } from "./api";
import { fetchRuns, serverNow } from "./requests";
import { defaultMetric } from "./model/metrics";
import { growShown, keepShown, pollAfter, version } from "./model/runs";
import { FOLDER, type Resource, RUN, slotOf } from "./resources";
import type { Loaded, Slot, State, Store } from "./state";

/** What changes without anything new to ask for: pointing, and what this file itself puts there. */
const OURS: readonly (keyof State)[] = ["loaded", "runs", "failure", "hover", "dark", "names"];

/** Says what of a run, or of `FOLDER`, the page needs now; what is not there yet is asked for. */
export type Wants = (state: State, run: string) => readonly Resource<unknown>[];

/** Says what the page may need next, of which run, the likeliest first. */
export type Ahead = (state: State) => readonly (readonly [run: string, resource: Resource<unknown>])[];

/** What is first shown waits so long for what else was asked for: each answer redraws the page. */
const TOGETHER_MS = 60;

export class Feed {
  private reading: Promise<void> | null = null;
  private readonly underWay = new Set<string>();
  /** What has come, but is not shown yet. */
  private readonly arrived = new Map<string, [run: string, resource: Resource<unknown>, Slot<unknown>]>();
  private showing: ReturnType<typeof setTimeout> | undefined;
  private readingAhead = false;
  /** What could not be fetched ahead: left to be asked for when it is needed. */
  private readonly missed = new Set<string>();

  constructor(
    private readonly store: Store,
    private readonly isVisible: () => boolean,
    private readonly wants: Wants,
    private readonly ahead: Ahead,
    private readonly whenIdle: (task: () => void) => void,
  ) {
    store.listen((_, changed) => {
      const onlyFetched = [...changed].every((key) => OURS.includes(key));
      if (!onlyFetched) this.complete();
    });
    this.poll();
  }

  /** For ever: a run may begin, or be trained anew, long after all others have finished. */
  private poll(): void {
    const { runs, failure } = this.store.get();
    const wait = failure === null ? pollAfter(runs ?? [], serverNow()) : pollAfter([], 0);
    setTimeout(() => void this.refresh().then(() => this.poll()), wait * 1000);
  }

  /** Asks for the list of runs and for what is shown of those that changed. */
  refresh(): Promise<void> {
    if (!this.isVisible()) return Promise.resolve();
    this.reading ??= this.readRuns().finally(() => (this.reading = null));
    return this.reading;
  }

  /** To be called when the tab comes to the front. */
  wake(): void {
    void this.refresh();
  }

  /** Asks again for all that failed. */
  retry(): void {
    this.forgetFailures();
    void this.refresh();
  }

  private forgetFailures(): void {
    const forget = ({ value, failure, ...slot }: Slot<unknown>): Slot<unknown> =>
      failure ? { value } : { value, ...slot };
    const loaded = new Map<string, Loaded>();
    for (const [run, slots] of this.store.get().loaded) {
      loaded.set(run, new Map([...slots].map(([name, slot]) => [name, forget(slot)])));
    }
    this.store.set({ loaded });
  }

  private async readRuns(): Promise<void> {
    try {
      const runs = await fetchRuns();
      this.showArrived(); // one slow answer holds back the others no longer than until now
      const { shown, picked, failure, runs: known } = this.store.get();
      if (failure !== null) this.forgetFailures(); // what failed with the server comes back with it
      const next = picked ? keepShown(shown, runs) : growShown(shown, runs);
      const same = next.join("\n") === shown.join("\n");
      const news = JSON.stringify(runs) !== JSON.stringify(known);
      this.store.set({ runs: news ? runs : known, failure: null, shown: same ? shown : next });
      this.complete();
    } catch (error) {
      this.store.set({ failure: words(error) });
    }
  }

  /** Asks for whatever is shown and not there in its newest version. */
  private complete(): void {
    const state = this.store.get();
    for (const name of [FOLDER, ...state.shown]) {
      if (!isReadable(state, name)) continue;
      for (const resource of this.wants(state, name)) {
        if (resource.beside === undefined || isReadable(state, resource.beside))
          void this.fill(name, resource, versionOf(state, name, resource));
      }
    }
    this.store.set({ metric: firstMetric(state) });
    this.readAhead();
  }

  /** Asks for one thing that may be needed next; when that has come, for another. */
  private readAhead(): void {
    if (this.readingAhead) return;
    this.readingAhead = true;
    this.whenIdle(() => {
      this.readingAhead = false;
      if (this.underWay.size > 0) return; // what is needed now comes first
      const state = this.store.get();
      const next = this.ahead(state).find(
        ([run, resource]) =>
          isReadable(state, run) &&
          !this.missed.has(`${run}\n${resource.name}`) &&
          slotOf(state, run, resource).version === undefined,
      );
      if (next) void this.fill(...next, versionOf(state, ...next), true);
    });
  }

  private async fill(
    run: string,
    resource: Resource<unknown>,
    wanted: string,
    isAhead = false,
  ): Promise<void> {
    const key = `${run}\n${resource.name}`;
    const slot = slotOf(this.store.get(), run, resource);
    if (slot.version === wanted || this.underWay.has(key) || this.arrived.has(key)) return;
    if (!this.isVisible()) return; // asked for when the tab comes to the front
    this.underWay.add(key);
    const next: Slot<unknown> = { version: wanted };
    // What was asked ahead may be needed by now.
    const isNeeded = () =>
      !isAhead || this.wants(this.store.get(), run).some(({ name }) => name === resource.name);
    try {
      next.value = await resource.fetch(run, slot.value);
    } catch (error) {
      if (!isNeeded()) {
        this.underWay.delete(key);
        this.missed.add(key);
        if (this.underWay.size === 0) this.showArrived();
        return;
      }
      next.failure = words(error);
      next.absent = error instanceof RequestError && error.absent;
      if (!next.absent) next.value = slot.value; // old data is better than none
    }
    this.underWay.delete(key);
    this.arrived.set(key, [run, resource, next]);
    // What is first shown does not wait for long; what is only renewed, or not shown yet, waits for
    // all of it.
    const isFirst = slot.value === undefined && !slot.absent;
    if (this.underWay.size === 0) this.showArrived();
    else if (isFirst && isNeeded())
      this.showing ??= setTimeout(() => this.showArrived(), TOGETHER_MS);
  }

  private showArrived(): void {
    clearTimeout(this.showing);
    this.showing = undefined;
    if (this.arrived.size === 0) return;
    const loaded = new Map(this.store.get().loaded);
    for (const [run, resource, slot] of this.arrived.values()) {
      const kept = [...(loaded.get(run) ?? [])].filter(([name]) => !isReplaced(name, resource));
      loaded.set(run, new Map(kept).set(resource.name, slot));
    }
    this.arrived.clear();
    this.store.set({ loaded, metric: firstMetric({ ...this.store.get(), loaded }) });
    this.complete(); // a version that came up meanwhile, or what these answers make needed
  }
}

/** The chosen measure; where there is none, the one to begin with once all runs are there. */
function firstMetric(state: State): string | null {
  const slots = state.shown.map((name) => slotOf(state, name, RUN));
  if (state.metric !== null || slots.some((slot) => !slot.value && !slot.failure))
    return state.metric;
  return defaultMetric(slots.flatMap((slot) => slot.value ?? []));
}

function isReplaced(name: string, { insteadOf }: Resource<unknown>): boolean {
  return insteadOf !== undefined && name.startsWith(insteadOf);
}

export function isReadable(state: State, name: string): boolean {
  if (name === FOLDER) return state.runs?.some((run) => run.recorded) ?? false;
  const summary = state.runs?.find((run) => run.run === name);
  return summary !== undefined && summary.recorded && summary.error === null;
}

/** The state of a run, and of the one beside it, at which a resource is asked for. */
function versionOf(state: State, name: string, { beside, edition }: Resource<unknown>): string {
  if (name === FOLDER) return (state.runs ?? []).map(version).join(" ");
  const names = beside === undefined ? [name] : [name, beside];
  const versions = names
    .flatMap((one) => state.runs?.find((run) => run.run === one) ?? [])
    .map(version);
  return [...versions, ...(edition === undefined ? [] : [edition])].join(" ");
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
