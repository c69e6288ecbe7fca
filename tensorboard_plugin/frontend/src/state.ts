/** What the page shows: the chosen runs, measure, layer and step, and the data behind them. */

import type { RunSummary } from "./api";
import type { Target } from "./model/cams";
import { ORDERS, type Order } from "./model/runs";
import { VIEWS, type ViewName } from "./views/names";

/** Something fetched. Without value and failure it is loading; with both, its renewal failed. */
export interface Slot<T> {
  /** The version of the run for which it was asked last. */
  version?: string;
  value?: T;
  failure?: string;
  /** The server says that there is none; the failure tells why. */
  absent?: boolean;
}

/** What was fetched of one run, by the name of its resource; `resources.ts` reads it. */
export type Loaded = ReadonlyMap<string, Slot<unknown>>;

export interface Point {
  step: number;
  layer: string | null;
  /** Nobody points at or pinned this step: it is simply the last one. */
  resting?: boolean;
}

export interface Hover {
  /** Null where only a layer is pointed at: the cursor stays at the step that it is at. */
  step: number | null;
  layer: string | null;
}

export interface State {
  /** Null until the first answer. */
  runs: readonly RunSummary[] | null;
  failure: string | null;
  /** All runs in TensorBoard's order, which gives them their colours. */
  names: readonly string[];
  filter: string;
  /** In which order the runs are listed. */
  sort: Order;
  railOpen: boolean;
  dark: boolean;
  view: ViewName;
  /** The runs side by side, from left to right. */
  shown: readonly string[];
  /** Whether the user, or a link, chose them. */
  picked: boolean;
  loaded: ReadonlyMap<string, Loaded>;
  metric: string | null;
  /** A measure that will probably be chosen next: it is fetched ahead. */
  ahead: string | null;
  /** Measures that have room beside the heat maps, whichever is chosen. */
  beside: readonly string[];
  /** The pinned step and layer; null follows the newest data. */
  step: number | null;
  layer: string | null;
  /** Where the pointer is. */
  hover: Hover | null;
  sample: number;
  target: Target;
  /** What only one view knows of, by name, as text: all of it is in the link. */
  choices: Readonly<Record<string, string>>;
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

  /** Makes a choice of a view; an empty text takes it back. */
  choose(name: string, text: string): void {
    this.set({ choices: chosen(this.state.choices, name, text) });
  }

  toggle(name: string): void {
    const open = new Set(this.state.open);
    if (!open.delete(name)) open.add(name);
    this.set({ open });
  }
}

/** The choices of the views with another one; an empty text takes it back. */
export function chosen(choices: State["choices"], name: string, text: string): State["choices"] {
  const { [name]: _, ...others } = choices;
  return text ? { ...others, [name]: text } : others;
}

export function initialState(address: Record<string, string>): State {
  return {
    runs: null,
    failure: null,
    names: [],
    filter: "",
    sort: "worst",
    railOpen: true,
    dark: false,
    view: "diagnosis",
    shown: [],
    picked: false,
    loaded: new Map(),
    metric: null,
    ahead: null,
    beside: [],
    step: null,
    layer: null,
    hover: null,
    sample: 0,
    target: 0,
    choices: {},
    open: new Set(),
    ...fromAddress(address),
  };
}

/** The part of the state that a link carries. */
export function fromAddress(address: Record<string, string>): Partial<State> {
  const whole = (text: string | undefined) => (/^\d+$/.test(text ?? "") ? Number(text) : null);
  return {
    view: VIEWS.find(({ name }) => name === address.view)?.name ?? "diagnosis",
    ...readShown(address.runs),
    sort: ORDERS.find((order) => order === address.sort) ?? "worst",
    metric: address.metric || null,
    step: whole(address.step),
    layer: address.layer || null,
    sample: whole(address.sample) ?? 0,
    choices: readChoices(address.choices),
  };
}

export function toAddress(state: State): Record<string, string> {
  return {
    view: state.view === "diagnosis" ? "" : state.view,
    runs: state.picked ? JSON.stringify(state.shown) : "",
    sort: state.sort === "worst" ? "" : state.sort,
    metric: state.metric ?? "",
    step: state.step === null ? "" : String(state.step),
    layer: state.layer ?? "",
    sample: state.sample ? String(state.sample) : "",
    choices: Object.keys(state.choices).length ? JSON.stringify(state.choices) : "",
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

function readChoices(text: string | undefined): Record<string, string> {
  try {
    const choices: unknown = JSON.parse(text ?? "");
    if (typeof choices === "object" && choices !== null && !Array.isArray(choices))
      return Object.fromEntries(Object.entries(choices).map(([name, value]) => [name, `${value}`]));
  } catch {
    // A mangled link is as good as none.
  }
  return {};
}
