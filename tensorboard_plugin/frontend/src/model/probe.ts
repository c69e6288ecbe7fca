/** What a run predicted for single probe samples, from look to look; which samples to show. */

import type { Cams, Predictions } from "../api";
import { snapshotAt, type Target } from "./cams";

/** What the model said of one sample at one look. */
export interface Look {
  /** A class or a value; null where the output was not finite. */
  predicted: number | null;
  /** Probability of the predicted class; null for values. */
  confidence: number | null;
  /** Probability of the true class; null for values. */
  trueConfidence: number | null;
}

export interface Sample {
  name: string;
  /** Its class or value; null if it is not known. */
  truth: number | null;
  features: (number | null)[] | null;
  /** Its place among the images with Grad-CAM, -1 without one. */
  image: number;
  /** Per look of its run; null where this sample was not looked at. */
  looks: (Look | null)[];
}

export type Kind = Predictions["kind"];

/** One run's probe samples. */
export interface Probe {
  kind: Kind;
  steps: number[];
  samples: Map<string, Sample>;
}

/** A sample as the server describes it; of images no features are recorded. */
type Recorded = Cams["samples"][number] & Partial<Predictions["samples"][number]>;

/** Puts together what was recorded of the samples that are followed and of those with an image. */
export function probeOf(
  predictions: Predictions | undefined,
  cams: Cams | undefined,
): Probe | null {
  if (!predictions && !cams) return null;
  // Classes are told of images alone: beside values there is nothing that would fit.
  const pictured = predictions?.kind === "values" ? undefined : cams;
  const sources = [predictions, pictured].filter((source) => source !== undefined);
  const steps = [...new Set(sources.flatMap((source) => source.steps))].sort((a, b) => a - b);
  const samples = new Map<string, Sample>();
  for (const source of sources) {
    const at = source.steps.map((step) => steps.indexOf(step));
    source.samples.forEach((recorded: Recorded, n) => {
      const { name, true: truth, features = null } = recorded;
      const none = { name, truth, features, image: -1, looks: steps.map(() => null) };
      const sample: Sample = samples.get(name) ?? none;
      if (source === pictured) sample.image = n;
      at.forEach((look, s) => (sample.looks[look] ??= lookAt(source, s, n)));
      samples.set(name, sample);
    });
  }
  return { kind: predictions?.kind ?? "classes", steps, samples };
}

function lookAt(source: Predictions | Cams, s: number, n: number): Look {
  return {
    predicted: source.predicted[s]?.[n] ?? null,
    confidence: source.confidence?.[s]?.[n] ?? null,
    trueConfidence: source.true_confidence?.[s]?.[n] ?? null,
  };
}

/** The look in effect at a step: its place among the run's looks. */
export const lookIndex = (probe: Probe, step: number) => snapshotAt(probe.steps, step);

export type Outcome = "right" | "wrong" | "nan";

/** Null where the sample was not looked at, or where its class is not known. */
export function outcomeOf(sample: Sample, look: number): Outcome | null {
  const said = sample.looks[look];
  if (!said) return null;
  if (said.predicted === null) return "nan";
  if (sample.truth === null) return null;
  return said.predicted === sample.truth ? "right" : "wrong";
}

/** What is wrong: a class that is not the true one, or none. */
const isWrong = (outcome: Outcome | null) => outcome === "wrong" || outcome === "nan";

/**
 * How often a sample was right and then wrong, from look to look. That it is learnt once is no news.
 *
 * Source: the forgetting events of Toneva et al. (2019), arXiv:1812.05159.
 */
export function flips(sample: Sample): number {
  const known = sample.looks.flatMap((_, i) => outcomeOf(sample, i) ?? []).map(isWrong);
  return known.filter((wrong, i) => i > 0 && wrong && !known[i - 1]).length;
}

/** Predicted minus true value. */
export function errorOf(sample: Sample, look: number): number | null {
  const predicted = sample.looks[look]?.predicted ?? null;
  return predicted === null || sample.truth === null ? null : predicted - sample.truth;
}

/** Looks that follow each other with the same outcome. */
export function stretchesOf(sample: Sample): { outcome: Outcome; first: number; next: number }[] {
  const found: { outcome: Outcome; first: number; next: number }[] = [];
  sample.looks.forEach((_, i) => {
    const outcome = outcomeOf(sample, i);
    const last = found.at(-1);
    if (outcome === null) return;
    if (last?.outcome === outcome && last.next === i) last.next = i + 1;
    else found.push({ outcome, first: i, next: i + 1 });
  });
  return found;
}

// --- which samples are listed -------------------------------------------------------------------

export type Filter = "all" | "wrong" | "flipped" | "unsure" | "worse";
export type Order = "interest" | "number" | "confidence";

/** Samples of one true class that were taken for one; null where the output was not finite. */
export interface Cell {
  truth: number;
  predicted: number | null;
}

/** What of the samples is shown, and how; all of it is in the link. */
export interface Choice {
  filter: Filter;
  order: Order;
  /** The run that the filter asks; null for any. */
  run: string | null;
  /** Only samples of this true class; null for all. */
  truth: number | null;
  /** Only samples of this cell of the confusion table; null for all. */
  cell: Cell | null;
  /** The class that the maps explain. */
  target: Target;
  /** What the full colour of a map stands for: its own largest value, or that of the image's maps. */
  scale: "image" | "map";
  /** Of the maps, from 0 to 1. */
  opacity: number;
  /** The sample that is enlarged; null for none. */
  open: string | null;
}

/** Of the maps, so that the image below is still read. */
const OPACITY = 0.45;

/** The names of the choices in the state of the page. */
export const CHOICES = {
  filter: "probe.filter",
  order: "probe.order",
  run: "probe.run",
  truth: "probe.class",
  cell: "probe.cell",
  target: "probe.map",
  scale: "probe.scale",
  opacity: "probe.opacity",
  open: "probe.open",
} as const;

/** What is not chosen, or mangled, is as at the beginning. */
export function readChoice(choices: Readonly<Record<string, string>>): Choice {
  const text = (key: keyof typeof CHOICES) => choices[CHOICES[key]];
  const filters: readonly Filter[] = ["wrong", "flipped", "unsure", "worse"];
  const orders: readonly Order[] = ["number", "confidence"];
  const opacity = Number(text("opacity") ?? NaN);
  return {
    filter: filters.find((filter) => filter === text("filter")) ?? "all",
    order: orders.find((order) => order === text("order")) ?? "interest",
    run: text("run") ?? null,
    truth: /^\d+$/.test(text("truth") ?? "") ? Number(text("truth")) : null,
    cell: readCell(text("cell") ?? ""),
    target: text("target") === "predicted" ? 1 : 0,
    scale: text("scale") === "map" ? "map" : "image",
    opacity: opacity >= 0 && opacity <= 1 ? opacity : OPACITY,
    open: text("open") ?? null,
  };
}

/** "4 9": of class 4, taken for 9. */
export const cellText = ({ truth, predicted }: Cell): string => `${truth} ${predicted ?? "nan"}`;

function readCell(text: string): Cell | null {
  const [, truth, predicted] = /^(\d+) (\d+|nan)$/.exec(text) ?? [];
  if (truth === undefined) return null;
  return { truth: Number(truth), predicted: predicted === "nan" ? null : Number(predicted) };
}

/** Half way from a guess to certainty: 75 % of two classes, 55 % of ten. */
export function sureFrom(classes: number): number {
  return (1 + 1 / Math.max(2, classes)) / 2;
}

/** What one run says of a sample at its look in effect. */
interface Said {
  probe: Probe;
  sample: Sample;
  look: number;
}

/**
 * The samples that some run passes through the filter, by name and in order.
 *
 * @param asked of which runs one has to; all of them if none is meant.
 */
export function listed(
  probes: readonly (Probe | null)[],
  choice: Pick<Choice, "filter" | "order" | "truth" | "cell">,
  step: number,
  asked: readonly (Probe | null)[] = probes,
): string[] {
  const known = probes.filter((probe) => probe !== null);
  const limit = sureFrom(classesOf(known).length);
  const names = allNames(known).filter((name) =>
    saidOf(known, name, step).some((said) => asked.includes(said.probe) && passes(said, choice, limit)),
  );
  const isValue = known.some(({ kind }) => kind === "values");
  if (choice.order === "number" || (choice.order === "interest" && !isValue)) return names;
  const places = new Map(names.map((name) => [name, worst(saidOf(known, name, step))]));
  return names.sort((a, b) => places.get(a)! - places.get(b)!);
}

const saidOf = (probes: readonly Probe[], name: string, step: number): Said[] =>
  probes.flatMap((probe) => {
    const sample = probe.samples.get(name);
    return sample ? [{ probe, sample, look: lookIndex(probe, step) }] : [];
  });

function passes(
  { probe, sample, look }: Said,
  { filter, truth, cell }: Pick<Choice, "filter" | "truth" | "cell">,
  limit: number,
): boolean {
  if (probe.kind === "values") return filter !== "worse" || isWorse(sample, look);
  if (truth !== null && sample.truth !== truth) return false;
  if (cell && !(sample.truth === cell.truth && sample.looks[look]?.predicted === cell.predicted)) return false;
  if (filter === "wrong") return isWrong(outcomeOf(sample, look));
  if (filter === "flipped") return flips(sample) > 0;
  return filter !== "unsure" || isUnsure(sample, look, limit);
}

/** Whether its error is larger than at its first look, or not finite any more. */
function isWorse(sample: Sample, look: number): boolean {
  const first = sample.looks.findIndex((one) => one !== null);
  const size = (at: number) => Math.abs(errorOf(sample, at) ?? Infinity);
  return first >= 0 && sample.looks[look] !== null && size(look) > size(first);
}

const isUnsure = (sample: Sample, look: number, limit: number) =>
  (sample.looks[look]?.confidence ?? 0) < limit;

/** The least probability of the true class, or the largest error as a negative number; NaN is the worst. */
const worst = (of: readonly Said[]): number =>
  Math.min(
    ...of.map(({ probe, sample, look }) =>
      probe.kind === "values"
        ? -Math.abs(errorOf(sample, look) ?? Infinity)
        : (sample.looks[look]?.trueConfidence ?? -1),
    ),
  );

/** Samples of which the same is to be said. */
export interface Group {
  kind: "wrong" | "flipped" | "unsure" | "others";
  /** In how many runs they are wrong. */
  wrong: number;
  names: string[];
}

const KINDS: readonly Group["kind"][] = ["wrong", "flipped", "unsure", "others"];

/**
 * The samples in groups, those worth a look first: wrong in most runs, then flipped, then unsure. In
 * a group those with an image come first, then the least probable true class.
 */
export function grouped(
  probes: readonly (Probe | null)[],
  names: readonly string[],
  step: number,
): Group[] {
  const known = probes.filter((probe) => probe !== null);
  const limit = sureFrom(classesOf(known).length);
  const groups = new Map<string, Group>();
  const rank = new Map<string, [pictured: number, worst: number]>();
  for (const name of names) {
    const said = saidOf(known, name, step);
    const wrong = said.filter(({ sample, look }) => isWrong(outcomeOf(sample, look))).length;
    const kind = kindOf(said, wrong, limit);
    const group = groups.get(`${kind} ${wrong}`) ?? { kind, wrong, names: [] };
    group.names.push(name);
    groups.set(`${kind} ${wrong}`, group);
    rank.set(name, [said.some(({ sample }) => sample.image >= 0) ? 0 : 1, worst(said)]);
  }
  for (const group of groups.values())
    group.names.sort((a, b) => rank.get(a)![0] - rank.get(b)![0] || rank.get(a)![1] - rank.get(b)![1]);
  return [...groups.values()].sort(
    (a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || b.wrong - a.wrong,
  );
}

function kindOf(said: readonly Said[], wrong: number, limit: number): Group["kind"] {
  if (wrong > 0) return "wrong";
  if (said.some(({ sample }) => flips(sample) > 0)) return "flipped";
  return said.some(({ sample, look }) => isUnsure(sample, look, limit)) ? "unsure" : "others";
}

/** All samples by number, else by name. */
const allNames = (probes: readonly Probe[]): string[] =>
  [...new Set(probes.flatMap((probe) => [...probe.samples.keys()]))].sort(
    (a, b) => Number(a) - Number(b) || a.localeCompare(b),
  );

/** Of how many samples some run kept an image. */
export const picturesOf = (probes: readonly (Probe | null)[]): number =>
  new Set(
    probes.flatMap((probe) =>
      [...(probe?.samples.values() ?? [])].flatMap(({ name, image }) => (image < 0 ? [] : name)),
    ),
  ).size;

/** Every class that is true or predicted somewhere, at any look: the same table at each step. */
export function classesOf(probes: readonly (Probe | null)[]): number[] {
  const found = new Set<number>();
  for (const probe of probes) {
    if (probe?.kind !== "classes") continue;
    for (const { truth, looks } of probe.samples.values())
      for (const value of [truth, ...looks.map((look) => look?.predicted ?? null)])
        if (value !== null) found.add(value);
  }
  return [...found].sort((a, b) => a - b);
}

/** The true classes of the samples. */
export function truthsOf(probes: readonly (Probe | null)[]): number[] {
  const samples = probes.flatMap((probe) =>
    probe?.kind === "classes" ? [...probe.samples.values()] : [],
  );
  return [...new Set(samples.flatMap(({ truth }) => truth ?? []))].sort((a, b) => a - b);
}

/** Whether runs disagree about what is true of a sample: then their probe sets are different. */
export function isMixed(probes: readonly (Probe | null)[]): boolean {
  const truths = new Map<string, number | null>();
  return probes.some((probe) =>
    [...(probe?.samples.values() ?? [])].some(({ name, truth }) => {
      const known = truths.get(name);
      truths.set(name, truth);
      return known !== undefined && known !== truth;
    }),
  );
}

// --- the summary of a run -----------------------------------------------------------------------

export interface Tally {
  /** Samples with a known class that were looked at. */
  count: number;
  right: number;
  /** Without a prediction: the output was not finite. */
  broken: number;
  /** Changed since the look before. */
  becameRight: number;
  becameWrong: number;
  /** Step of the look before; null at the first one. */
  since: number | null;
}

export function tallyOf(probe: Probe, names: readonly string[], look: number): Tally {
  const tally = { count: 0, right: 0, broken: 0, becameRight: 0, becameWrong: 0 };
  for (const name of names) {
    const sample = probe.samples.get(name);
    const now = sample ? outcomeOf(sample, look) : null;
    if (!sample || now === null) continue;
    tally.count++;
    if (now === "right") tally.right++;
    if (now === "nan") tally.broken++;
    const before = look > 0 ? outcomeOf(sample, look - 1) : null;
    if (before === null || isWrong(before) === isWrong(now)) continue;
    if (now === "right") tally.becameRight++;
    else tally.becameWrong++;
  }
  return { ...tally, since: probe.steps[look - 1] ?? null };
}

export interface Pair {
  truth: number;
  /** Null where the output was not finite. */
  predicted: number | null;
  count: number;
}

/** How often each class was taken for each, right ones among them; the most frequent first. */
export function confusion(probe: Probe, names: readonly string[], look: number): Pair[] {
  const pairs = new Map<string, Pair>();
  for (const name of names) {
    const sample = probe.samples.get(name);
    const said = sample?.looks[look];
    if (!sample || sample.truth === null || !said) continue;
    const key = `${sample.truth} ${said.predicted}`;
    const pair = pairs.get(key) ?? { truth: sample.truth, predicted: said.predicted, count: 0 };
    pair.count++;
    pairs.set(key, pair);
  }
  return [...pairs.values()].sort((a, b) => b.count - a.count || a.truth - b.truth);
}

export interface Errors {
  count: number;
  /** Samples whose prediction was not finite. */
  broken: number;
  /** Mean of the absolute errors; null if there is none. */
  mean: number | null;
  /** The same at the look before. */
  before: number | null;
  since: number | null;
}

export function errorsOf(probe: Probe, names: readonly string[], look: number): Errors {
  const samples = names.flatMap((name) => probe.samples.get(name) ?? []);
  const sizes = (at: number) =>
    samples.flatMap((sample) => {
      const error = errorOf(sample, at);
      return error === null ? [] : [Math.abs(error)];
    });
  const mean = (of: number[]) => (of.length ? of.reduce((a, b) => a + b, 0) / of.length : null);
  const [now, before] = [sizes(look), look > 0 ? sizes(look - 1) : []];
  const broken = samples.filter(({ looks }) => looks[look]?.predicted === null).length;
  const since = probe.steps[look - 1] ?? null;
  return { count: now.length, broken, mean: mean(now), before: mean(before), since };
}
