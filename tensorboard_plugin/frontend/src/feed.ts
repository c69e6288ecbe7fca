/** Keeps the state fed: asks for what is shown, again when it changed, never while hidden. */

import { fetchCams, fetchMetric, fetchRun, fetchRuns, RequestError, serverNow } from "./api";
import { defaultMetric } from "./model/metrics";
import { growShown, keepShown, pollAfter, version } from "./model/runs";
import type { Loaded, Slot, State, Store } from "./state";

const NOTHING: Loaded = { run: {}, metrics: {}, cams: {} };

/** One thing to fetch of a run, and where it is kept. */
interface Resource {
  name: string;
  fetch(run: string): Promise<unknown>;
  get(entry: Loaded): Slot<unknown> | undefined;
  put(entry: Loaded, slot: Slot<never>): Loaded;
}

const RUN: Resource = {
  name: "run",
  fetch: fetchRun,
  get: (entry) => entry.run,
  put: (entry, run) => ({ ...entry, run }),
};

const CAMS: Resource = {
  name: "cams",
  fetch: fetchCams,
  get: (entry) => entry.cams,
  put: (entry, cams) => ({ ...entry, cams }),
};

const metricResource = (metric: string): Resource => ({
  name: `metric ${metric}`,
  fetch: (run) => fetchMetric(run, metric),
  get: (entry) => entry.metrics[metric],
  put: (entry, slot) => ({ ...entry, metrics: { ...entry.metrics, [metric]: slot } }),
});

export class Feed {
  private reading: Promise<void> | null = null;
  private readonly underWay = new Set<string>();

  constructor(
    private readonly store: Store,
    private readonly isVisible: () => boolean,
  ) {
    store.listen((_, changed) => {
      if (changed.has("shown") || changed.has("metric")) this.complete();
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
    const forget = <T>(slot: Slot<T>): Slot<T> => (slot.failure ? { value: slot.value } : slot);
    const loaded = new Map<string, Loaded>();
    for (const [name, { run, cams, metrics }] of this.store.get().loaded) {
      const kept = Object.entries(metrics).map(([metric, slot]) => [metric, forget(slot)]);
      loaded.set(name, { run: forget(run), cams: forget(cams), metrics: Object.fromEntries(kept) });
    }
    this.store.set({ loaded });
  }

  private async readRuns(): Promise<void> {
    try {
      const runs = await fetchRuns();
      const { shown, picked, failure } = this.store.get();
      if (failure !== null) this.forgetFailures(); // what failed with the server comes back with it
      const next = picked ? keepShown(shown, runs) : growShown(shown, runs);
      const same = next.join("\n") === shown.join("\n");
      this.store.set({ runs, failure: null, shown: same ? shown : next });
      this.complete();
    } catch (error) {
      this.store.set({ failure: words(error) });
    }
  }

  /** Asks for whatever is shown and not there in its newest version. */
  private complete(): void {
    const state = this.store.get();
    for (const name of state.shown) {
      const summary = state.runs?.find((run) => run.run === name);
      if (!summary?.recorded || summary.error !== null) continue;
      for (const resource of wanted(state, name)) {
        void this.fill(name, resource, version(summary));
      }
    }
    this.chooseMetric();
  }

  private async fill(run: string, resource: Resource, wantedVersion: string): Promise<void> {
    const key = `${run}\n${resource.name}`;
    const slot = resource.get(this.entry(run));
    if (slot?.version === wantedVersion || this.underWay.has(key)) return;
    if (!this.isVisible()) return; // asked for when the tab comes to the front
    this.underWay.add(key);
    const next: Slot<unknown> = { version: wantedVersion };
    try {
      next.value = await resource.fetch(run);
    } catch (error) {
      next.failure = words(error);
      next.absent = error instanceof RequestError && error.status === 404;
      if (!next.absent) next.value = slot?.value; // old data is better than none
    }
    this.underWay.delete(key);
    const entry = resource.put(this.entry(run), next as Slot<never>);
    this.store.set({ loaded: new Map(this.store.get().loaded).set(run, entry) });
    this.complete(); // a version that came up meanwhile, or what this answer makes needed
  }

  private chooseMetric(): void {
    const { metric, shown, loaded } = this.store.get();
    const slots = shown.map((name) => loaded.get(name)?.run ?? {});
    if (metric !== null || slots.some((slot) => !slot.value && !slot.failure)) return;
    const chosen = defaultMetric(slots.flatMap((slot) => slot.value ?? []));
    if (chosen) this.store.set({ metric: chosen });
  }

  private entry(run: string): Loaded {
    return this.store.get().loaded.get(run) ?? NOTHING;
  }
}

/** A run's description and maps, then the chosen measure with its count of NaN and Inf. */
function wanted(state: State, name: string): Resource[] {
  const run = state.loaded.get(name)?.run.value;
  const metric = run?.metrics.find((m) => m.name === state.metric);
  const metrics = metric && !metric.not_measured ? [metric.name, metric.nonfinite] : [];
  return [RUN, CAMS, ...[...new Set(metrics)].map(metricResource)];
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
