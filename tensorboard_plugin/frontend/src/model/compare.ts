/** A run beside a baseline: which two, how far apart each cell is, and how that is said. */

import type { Comparison, Metric, Parting, Run, RunSummary, Setting, Severity } from "../api";
import { cellAt, type Cells } from "./cells";
import { measureOf, SEVERITIES } from "./findings";
import { absence } from "./layers";
import { formatCount, formatMagnitude, formatSetting, formatShare, plural } from "./number";
import { KEYS, VERDICTS } from "./runs";
import { layerAt, type Plot, type PlotColumn } from "./plot";
import { type ColourScale, roundUp, sample, symmetricScale } from "./scale";

export interface Pair {
  baseline: string;
  run: string;
}

const isComparable = (run: RunSummary) => run.recorded && run.error === null;

/** The shown runs that can be compared, in their order. */
export function comparable(
  shown: readonly string[],
  runs: readonly RunSummary[],
): RunSummary[] {
  return shown.flatMap((name) => runs.find((run) => run.run === name && isComparable(run)) ?? []);
}

/** What was chosen, else the healthiest run as the baseline and the worst one beside it. */
export function choosePair(
  candidates: readonly RunSummary[],
  baseline: string | undefined,
  run: string | undefined,
): Pair | null {
  if (candidates.length < 2) return null;
  const names = [...candidates].sort(healthierFirst).map((one) => one.run);
  const chosen = names.find((name) => name === run);
  const good = names.find((name) => name === baseline) ?? names.find((name) => name !== chosen)!;
  const other = chosen !== good ? chosen : undefined;
  return { baseline: good, run: other ?? names.findLast((name) => name !== good)! };
}

/** By the verdict; of alike ones, by how much was found. */
function healthierFirst(a: RunSummary, b: RunSummary): number {
  const rank = ({ verdict }: RunSummary) =>
    -VERDICTS.indexOf(verdict?.severity ?? "not-evaluated"); // these begin with the worst
  const found = (one: RunSummary, severity: Severity) => one.counts?.[severity] ?? 0;
  const more = SEVERITIES.map((severity) => found(a, severity) - found(b, severity));
  return rank(a) - rank(b) || (more.find((one) => one !== 0) ?? 0);
}

/** The letters of the two runs, by which they are called everywhere. */
export function letters(pair: Pair, shown: readonly string[]): Pair {
  const letter = (name: string) => KEYS[shown.indexOf(name)] ?? "?";
  return { baseline: letter(pair.baseline), run: letter(pair.run) };
}

/** One heat map of the differences between the columns of two: first the baseline, then the run. */
export function differencePlot(pair: Plot): Plot {
  const [theirs, ours] = pair.columns as [PlotColumn, PlotColumn];
  const both = pair.layers.map((_, row) => !!ours.filled[row] && !!theirs.filled[row]);
  const cells = pair.metric ? differences(ours, theirs, pair.metric.scale) : null;
  const column: PlotColumn = {
    name: ours.name,
    run: ours.run,
    metric: ours.metric,
    cells,
    rows: pair.layers.map((_, row) => row),
    filled: both,
  };
  return {
    ...pair,
    columns: [column],
    scale: pair.metric && cells ? differenceScale(pair.metric, cells, both) : null,
    steps: cells?.steps ?? [],
  };
}

/** Of each row and step at which one of both was measured; each is as it was measured last. */
function differences(
  ours: PlotColumn,
  theirs: PlotColumn,
  scale: Metric["scale"],
): Cells | null {
  const [a, b] = [ours.cells, theirs.cells];
  if (!a || !b) return null;
  const from = Math.max(a.steps[0] ?? Infinity, b.steps[0] ?? Infinity);
  const end = Math.min(a.end, b.end);
  const steps = [...new Set([...a.steps, ...b.steps])]
    .filter((step) => step >= from && step < end)
    .sort((x, y) => x - y);
  const [atA, atB] = [a, b].map((cells) => steps.map((step) => cellAt(cells, step)));
  const broken = (cell: number, row: number) =>
    a.broken(atA![cell]!, ours.rows[row]!) || b.broken(atB![cell]!, theirs.rows[row]!);
  return {
    layers: ours.rows.length,
    steps,
    end: steps.length ? end : 0,
    broken,
    value(cell, row) {
      const [i, j] = [ours.rows[row]!, theirs.rows[row]!];
      if (i < 0 || j < 0 || broken(cell, row)) return NaN;
      return difference(a.value(atA![cell]!, i), b.value(atB![cell]!, j), scale);
    },
  };
}

/** How many times twice as large for magnitudes, by how much larger for all others. */
export function difference(run: number, baseline: number, scale: Metric["scale"]): number {
  if (scale !== "log") return run - baseline;
  return run === baseline ? 0 : Math.log2(run / baseline);
}

/** Beyond this factor it says nothing any more how many times as large something is. */
const MOST_TIMES = 1000;

const MOST = 4000;
/** Smaller differences than these are no full colour. */
const LEAST_REACH = { log: 1, share: 0.1, linear: 0, count: 1 };
const MOST_REACH = { log: Math.log2(MOST_TIMES), share: 1, linear: Infinity, count: Infinity };

/** Neutral where both are equal; as far to one side as to the other. */
function differenceScale(metric: Metric, cells: Cells, rows: boolean[]): ColourScale {
  const values: number[] = [];
  rows.forEach((filled, row) => {
    for (let c = 0; filled && c < cells.steps.length; c++) values.push(cells.value(c, row));
  });
  const sizes = sample(values, MOST)
    .map(Math.abs)
    .sort((x, y) => x - y);
  const reach = Math.min(
    MOST_REACH[metric.scale],
    Math.max(LEAST_REACH[metric.scale], roundUp(sizes[Math.floor(sizes.length * 0.99)] ?? 0)),
  );
  return symmetricScale(reach);
}

/** "32 ×" or "20 points": a distance on the difference scale of a measure. */
export function formatDistance(distance: number, scale: Metric["scale"]): string {
  if (scale === "log") return formatTimes(2 ** distance);
  if (scale === "share") return formatPoints(distance);
  return formatMagnitude(distance);
}

/** "1.5 ×", "640 ×", or "over 1,000 ×": the values stand beside it. */
function formatTimes(factor: number): string {
  if (Math.round(factor) > MOST_TIMES) return `over ${formatCount(MOST_TIMES)} ×`;
  return `${factor < 10 ? String(Number(factor.toPrecision(2))) : formatMagnitude(factor)} ×`;
}

const formatPoints = (share: number) => `${formatShare(share).replace(" %", "")} points`;

/**
 * "4.2 × larger", "12 points smaller" or "equal": how the run is beside the baseline.
 *
 * @param called what the two are called.
 */
export function told(
  run: number | null,
  baseline: number | null,
  scale: Metric["scale"],
  called: Pair,
): string {
  const whoIs = (what: string, runIs: boolean, baselineIs: boolean) =>
    `${what} in ${runIs && baselineIs ? "both" : runIs ? called.run : called.baseline}`;
  if (run === null || baseline === null) return whoIs("NaN", run === null, baseline === null);
  if (run === baseline) return "equal";
  if (scale === "log" && (run === 0 || baseline === 0)) return whoIs("0", run === 0, false);
  const distance = difference(run, baseline, scale);
  const size = formatDistance(Math.abs(distance), scale);
  return `${size} ${distance > 0 ? "larger" : "smaller"}`;
}

/** The low end, the middle and the high end of the difference scale: run over or minus baseline. */
export function differenceTicks(end: number, scale: Metric["scale"]): [string, string, string] {
  const far = formatDistance(end, scale);
  return scale === "log" ? [`1/${far.replace(" ×", "")}`, "1", far] : [`−${far}`, "0", `+${far}`];
}

/** "up to 1.5 ×": what is still noise. */
export function noise(parting: Parting): string {
  if (parting.limit === null) return "–";
  const limit = parting.scale === "log" ? Math.log2(parting.limit) : parting.limit;
  return formatDistance(limit, parting.scale);
}

/** The first line of the page, and a sentence below it. */
export function headline(
  partings: readonly Parting[],
  called: Pair,
): { title: string; about: string } {
  const of = (outcome: Parting["outcome"]) => partings.filter((one) => one.outcome === outcome);
  const [parted, together, silent] = [of("parted"), of("together"), of("not-comparable")];
  const rest = [
    together.length > 0 && `${plural(together.length, "measure")} within the noise`,
    silent.length > 0 && `${silent.length} not comparable`,
  ].filter((words) => words !== false);
  const first = parted[0];
  if (first) {
    const where = first.layer === null ? "" : `, in \`${first.layer}\``;
    const atOnce = parted.filter(({ step }) => step === first.step);
    const after = parted.length - atOnce.length;
    const others = [
      atOnce.length > 1 && `${plural(atOnce.length - 1, "other measure")} at the same step`,
      after > 0 && `${plural(after, "measure")} later`,
    ].filter((words) => words !== false);
    return {
      title: `They part by step ${formatCount(first.step!)}${where}`,
      about: `${opening(first, called)}. ${sentence([...others, ...rest])}`.trim(),
    };
  }
  if (together.length > 0) {
    const last = Math.max(...together.map((one) => one.step ?? 0));
    return {
      title: `They do not part up to step ${formatCount(last)}`,
      about: sentence(rest),
    };
  }
  const reason = silent[0]?.reason;
  return { title: "They cannot be compared yet", about: reason ? sentence([reason]) : "" };
}

/** "First the loss: 4 × larger, where up to 1.5 × is noise". */
function opening(first: Parting, called: Pair): string {
  const { run, baseline, scale, title } = first;
  const limit = first.limit === null ? "" : `, where up to ${noise(first)} is noise`;
  return `First the ${inner(title)}: ${told(run, baseline, scale, called)}${limit}`;
}

const inner = (title: string) =>
  /^[A-Z][a-z]/.test(title) ? title[0]!.toLowerCase() + title.slice(1) : title;

const sentence = (parts: readonly string[]) => {
  const text = parts.join("; ");
  return text && `${text[0]!.toUpperCase()}${text.slice(1)}.`;
};

/** Measures that part, the first on top; the others by what is to be said of them. */
export function byOutcome(partings: readonly Parting[]): {
  parted: Parting[];
  others: { words: string; titles: string[] }[];
} {
  const parted = partings.filter((one) => one.outcome === "parted");
  const others = new Map<string, string[]>();
  for (const outcome of ["together", "not-comparable"] as const) {
    for (const one of partings.filter((one) => one.outcome === outcome)) {
      const words =
        outcome === "together"
          ? `within the noise up to step ${formatCount(one.step ?? 0)}`
          : `not comparable: ${one.reason ?? "no reason given"}`;
      others.set(words, [...(others.get(words) ?? []), one.title]);
    }
  }
  return {
    parted: parted.sort((a, b) => a.step! - b.step!),
    others: [...others].map(([words, titles]) => ({ words, titles })),
  };
}

/** The measure of the run's first finding if both have it, else one that has numbers in both. */
export function measureToBeginWith(
  { partings, findings }: Pick<Comparison, "partings" | "findings">,
  measures: readonly string[],
): string | null {
  const inBoth = partings.filter(
    ({ name, outcome }) => measures.includes(name) && outcome !== "not-comparable",
  );
  const found = findings?.run.map(measureOf).find((name) => inBoth.some((one) => one.name === name));
  const numbers = inBoth.find(
    (one) => one.outcome === "parted" && one.run !== null && one.baseline !== null,
  );
  return found ?? (numbers ?? inBoth[0])?.name ?? null;
}

/** Settings by their group, in order; only the different ones, or only the others. */
export function byGroup(settings: readonly Setting[], same: boolean): [string, Setting[]][] {
  const groups = new Map<string, Setting[]>();
  for (const setting of settings.filter((one) => one.same === same)) {
    groups.set(setting.group, [...(groups.get(setting.group) ?? []), setting]);
  }
  return [...groups];
}

/** What a setting was, in pieces of which none is broken. */
export interface SettingWords {
  pieces: string[];
  /** What the schedule is called whose rates these are. */
  schedule: string | null;
}

/**
 * A setting's value of one of both runs.
 *
 * @param recorded that run: of a schedule its name was recorded, and the rate at each step.
 */
export function settingWords(setting: Setting, side: keyof Pair, recorded?: Run): SettingWords {
  const plain = { pieces: [settingValue(setting, side)], schedule: null };
  const value = setting[side];
  if (setting.name !== "learning_rate" || typeof value !== "string" || !recorded) return plain;
  const pieces = rateWords(recorded.steps, recorded.series["learning_rate"] ?? []);
  return pieces.length ? { pieces, schedule: value } : plain;
}

/** The same as it was recorded. */
export function settingValue(setting: Setting, side: keyof Pair): string {
  if (setting.only !== null && setting.only !== side) return "not there";
  const value = setting[side];
  return value === null ? "none" : formatSetting(value);
}

/** More different rates than this are a curve. */
const MOST_RATES = 4;

/** "0.1" and "by step 210: 30", or of a curve "0.1 to 0.001" and "at most 0.5"; empty without a rate. */
export function rateWords(steps: readonly number[], rates: readonly (number | null)[]): string[] {
  const pieces: { step: number; rate: number }[] = [];
  rates.forEach((rate, i) => {
    if (rate !== null && rate !== pieces.at(-1)?.rate) pieces.push({ step: steps[i]!, rate });
  });
  const [first, ...others] = pieces;
  if (!first) return [];
  if (pieces.length <= MOST_RATES) {
    const later = others.map(({ step, rate }) => `by step ${formatCount(step)}: ${formatSetting(rate)}`);
    return [formatSetting(first.rate), ...later];
  }
  const [last, most] = [pieces.at(-1)!.rate, Math.max(...pieces.map(({ rate }) => rate))];
  const curve = `${formatMagnitude(first.rate)} to ${formatMagnitude(last)}`;
  return most > Math.max(first.rate, last) ? [curve, `at most ${formatMagnitude(most)}`] : [curve];
}

/** Key numbers by what they are of, which the first word of their titles tells. */
export function numbersByGroup<N extends { title: string }>(numbers: readonly N[]): [string, N[]][] {
  const groups: [string, N[]][] = [["At the end", []], ["At its lowest", []], ["Over all layers", []]];
  for (const one of numbers) {
    const word = one.title.split(" ")[0];
    groups[word === "last" ? 0 : word === "lowest" ? 1 : 2]![1].push(one);
  }
  return groups.filter(([, of]) => of.length > 0);
}

/** Why a row has no difference; null where it has one. */
export function emptyReason(pair: Plot, row: number, called: Pair): string | null {
  const [theirs, ours] = pair.columns as [PlotColumn, PlotColumn];
  if (ours.filled[row] && theirs.filled[row]) return null;
  const [a, b] = [layerAt(ours, row), layerAt(theirs, row)];
  if (!a || !b) return `only in ${a ? called.run : called.baseline}`;
  const reasons = [theirs, ours].map((column) =>
    column.filled[row] || !column.run || !column.metric
      ? null
      : (absence(column.run, column.metric, layerAt(column, row)) ?? "not measured"),
  );
  const [their, our] = reasons;
  if (their && our) return their === our ? our : `${called.baseline}: ${their}; ${called.run}: ${our}`;
  return our ? `${our} in ${called.run}` : `${their} in ${called.baseline}`;
}
