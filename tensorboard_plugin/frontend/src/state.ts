/** What the page shows: the chosen runs, measure, layer and step, and the data behind them. */

import type { Cams, Measurements, Run, RunSummary } from "./api";
import type { Target } from "./model/cams";

/** Something fetched. Without value and failure it is loading; with both, its renewal failed. */
export interface Slot<T> {
  /** The version of the run for which it was asked last. */
  version?: string;
  value?: T;
  failure?: string;
  /** The server says that there is none; the failure tells why. */
  absent?: boolean;
}

export interface Loaded {
  run: Slot<Run>;
  metrics: Readonly<Record<string, Slot<Measurements>>>;
  cams: Slot<Cams>;
}

export interface Point {
  step: number;
  layer: string | null;
  /** Nobody points at or pinned this step: it is simply the last one. */
  resting?: boolean;
}

export interface State {
  /** Null until the first answer. */
  runs: readonly RunSummary[] | null;
  failure: string | null;
  /** All runs in TensorBoard's order, which gives them their colours. */
  names: readonly string[];
  filter: string;
  railOpen: boolean;
  dark: boolean;
  /** The runs side by side, from left to right. */
  shown: readonly string[];
  /** Whether the user, or a link, chose them. */
  picked: boolean;
  loaded: ReadonlyMap<string, Loaded>;
  metric: string | null;
  /** The pinned step and layer; null follows the newest data. */
  step: number | null;
  layer: string | null;
  /** Where the pointer is. */
  hover: Point | null;
  sample: number;
  target: Target;
  /** What is unfolded, by name. */
  open: ReadonlySet<string>;
}

export type Listener = (state: State, changed: ReadonlySet<keyof State>) => void;

export class Store {
  private readonly listeners: Listener[] = [];

  constructor(private state: State) {}

  get(): State {
    return this.state;
  }

  /** Tells the listeners only of what really changed. */
  set(patch: Partial<State>): void {
    const keys = Object.keys(patch) as (keyof State)[];
    const changed = new Set(keys.filter((key) => patch[key] !== this.state[key]));
    if (changed.size === 0) return;
    this.state = { ...this.state, ...patch };
    for (const tell of this.listeners) tell(this.state, changed);
  }

  listen(listener: Listener): void {
    this.listeners.push(listener);
  }

  toggle(name: string): void {
    const open = new Set(this.state.open);
    if (!open.delete(name)) open.add(name);
    this.set({ open });
  }
}

export function initialState(address: Record<string, string>): State {
  return {
    runs: null,
    failure: null,
    names: [],
    filter: "",
    railOpen: true,
    dark: false,
    shown: [],
    picked: false,
    loaded: new Map(),
    metric: null,
    step: null,
    layer: null,
    hover: null,
    sample: 0,
    target: 0,
    open: new Set(),
    ...fromAddress(address),
  };
}

/** The part of the state that a link carries. */
export function fromAddress(address: Record<string, string>): Partial<State> {
  const whole = (text: string | undefined) => (/^\d+$/.test(text ?? "") ? Number(text) : null);
  return {
    ...readShown(address.runs),
    metric: address.metric || null,
    step: whole(address.step),
    layer: address.layer || null,
    sample: whole(address.sample) ?? 0,
  };
}

export function toAddress(state: State): Record<string, string> {
  return {
    runs: state.picked ? JSON.stringify(state.shown) : "",
    metric: state.metric ?? "",
    step: state.step === null ? "" : String(state.step),
    layer: state.layer ?? "",
    sample: state.sample ? String(state.sample) : "",
  };
}

/** Names may hold any character, so a list of them is JSON. */
function readShown(text: string | undefined): Pick<State, "shown" | "picked"> {
  try {
    const names: unknown = JSON.parse(text ?? "");
    if (Array.isArray(names)) return { shown: names.map(String), picked: true };
  } catch {
    // A mangled link is as good as none.
  }
  return { shown: [], picked: false };
}
