/** Thresholds: what the rules would say of the shown runs with other ones. A trial; nothing is kept. */

import type { Judged, RunSummary } from "../api";
import {
  countEdits,
  edited,
  readEdits,
  readSuppressions,
  refolded,
  tunable,
  type Suppression,
  written,
} from "../model/thresholds";
import { JUDGED, slotOf, trialOf, valueOf } from "../resources";
import { chosen, type State, type Store } from "../state";
import { h, refill } from "./element";
import { kept, keeping } from "./kept";
import type { Keys, View, ViewKind } from "./panel";
import { suppressed, suppressing } from "./suppressions";
import { findings, lead, spoken } from "./trial";
import { tuning } from "./tuning";

const ALL: Keys = ["runs", "shown", "loaded", "choices", "open", "names", "dark"];

/** A run with the recorded thresholds, and with what the user tries. */
export interface Tried {
  name: string;
  summary: RunSummary | undefined;
  before: Judged | undefined;
  /** Of the last changes that were answered; the run as it was while nothing is changed. */
  after: Judged | undefined;
  /** Newer changes are on their way. */
  pending: boolean;
  failure: string | undefined;
}

export const THRESHOLDS: ViewKind = {
  create: thresholds,
  wants(state) {
    const trial = trialOfState(state);
    return trial ? [JUDGED, trial] : [JUDGED];
  },
};

/** Null while nothing is changed. */
function trialOfState({ choices }: State) {
  const thresholds = written(readEdits(choices.thresholds));
  const suppress = written(readSuppressions(choices.suppress));
  return thresholds || suppress ? trialOf(thresholds, suppress) : null;
}

function thresholds(store: Store, retry: () => void): View {
  const [top, list, apart, file] = [h("div.lead"), h("div"), h("div"), h("div")];
  const status = h("p.sr", { role: "status" });
  const answered = new Map<string, Judged>();

  const choose = (change: { rule: string; name: string; value: number | null }) => {
    const { choices, open } = store.get();
    const edits = readEdits(choices.thresholds);
    const text = written(edited(edits, change.rule, change.name, change.value));
    store.set({
      open: refolded(open, [change.rule], true), // it stays in sight when it is reset
      choices: chosen(choices, "thresholds", text),
    });
  };
  const table = tuning(store, choose);
  const form = suppressing((one) => {
    const others = readSuppressions(store.get().choices.suppress).filter(
      ({ rule, layer }) => rule !== one.rule || layer !== one.layer,
    );
    suppress([...others, one]);
    list.querySelector<HTMLElement>("section")?.focus({ preventScroll: true });
  }, () => drawFindings());
  const suppress = (all: readonly Suppression[]) => store.choose("suppress", written(all));

  const resetAll = () => {
    const choices = chosen(store.get().choices, "thresholds", "");
    store.set({ choices: chosen(choices, "suppress", "") });
  };

  let tried: Tried[] = [];
  const drawFindings = () => refill(list, () => findings(store.get(), store, tried, form, retry));

  return {
    element: h("div.trial", null, top, status, list, table.element, apart, file),
    update(state, changed) {
      if (!changed(ALL)) return;
      tried = state.shown.map((name) => tryOut(state, name, answered));
      const isChanged = trialOfState(state) !== null;
      const edits = readEdits(state.choices.thresholds);
      const all = readSuppressions(state.choices.suppress);
      const change = { tried, edits: countEdits(edits), suppressions: all.length };
      refill(top, lead(state, tried, isChanged, keeping(change, resetAll)));
      const words = isChanged ? spoken(tried) : "";
      if (status.textContent !== words) status.textContent = words;
      drawFindings();
      const before = tried.flatMap((one) => one.before ?? []);
      table.update(state, tunable(before), edits);
      refill(apart, all.length > 0 && suppressed(all, tried, suppress));
      refill(file, isChanged && kept(change));
    },
  };
}

/** @param answered the last answer of each run: shown until the next one is there. */
function tryOut(state: State, name: string, answered: Map<string, Judged>): Tried {
  const summary = state.runs?.find((run) => run.run === name);
  const base = slotOf(state, name, JUDGED);
  const trial = trialOfState(state);
  if (trial === null) {
    if (base.value) answered.set(name, base.value);
    const after = base.value;
    return { name, summary, before: base.value, after, pending: false, failure: base.failure };
  }
  const value = valueOf(state, name, trial);
  const fits = value?.edition === trial.edition;
  if (value && fits) answered.set(name, value);
  const { failure: refused, version = "" } = slotOf(state, name, trial);
  const failure = version.endsWith(trial.edition!) ? refused : undefined;
  return {
    name,
    summary,
    before: base.value,
    after: answered.get(name) ?? base.value,
    pending: !fits && failure === undefined,
    failure: failure ?? (base.value ? undefined : base.failure),
  };
}
