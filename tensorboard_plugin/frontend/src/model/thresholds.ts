/** Thresholds that are tried: what was changed, whether it may be, and what comes of it. */

import type { Adjustable, Finding, Judged, Rule, Severity, Threshold, Worst } from "../api";
import { SEVERITIES } from "./findings";
import { plural } from "./number";

/** Rule's id to threshold's name to number: only what was changed. */
export type Edits = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Suppression {
  rule: string;
  /** `*` and `?` stand for anything; without it all findings of the rule are meant. */
  layer?: string;
  reason: string;
}

/** The changes that a link carries; a mangled link is as good as none. */
export function readEdits(text: string | undefined): Edits {
  const edits: Record<string, Record<string, number>> = {};
  const content = parsed(text);
  for (const [rule, values] of isRecord(content) ? Object.entries(content) : []) {
    for (const [name, value] of isRecord(values) ? Object.entries(values) : []) {
      if (typeof value === "number") edits[rule] = { ...edits[rule], [name]: value };
    }
  }
  return edits;
}

export function readSuppressions(text: string | undefined): Suppression[] {
  const content = parsed(text);
  return (Array.isArray(content) ? content : []).filter(
    (one): one is Suppression =>
      isRecord(one) &&
      typeof one.rule === "string" &&
      typeof one.reason === "string" &&
      ["string", "undefined"].includes(typeof one.layer),
  );
}

/** As the link and the server take it; nothing where nothing is changed. */
export function written(changes: Edits | readonly Suppression[]): string {
  return Object.keys(changes).length ? JSON.stringify(changes) : "";
}

/** @param value null takes the change back. */
export function edited(edits: Edits, rule: string, name: string, value: number | null): Edits {
  const { [rule]: ours = {}, ...others } = edits;
  const { [name]: _, ...kept } = ours;
  const next = value === null ? kept : { ...kept, [name]: value };
  return Object.keys(next).length ? { ...others, [rule]: next } : others;
}

export function countEdits(edits: Edits): number {
  return Object.values(edits).reduce((sum, values) => sum + Object.keys(values).length, 0);
}

/** Of one or several runs: a threshold with the number that each was recorded with. */
export interface Tunable extends Omit<Threshold, "value" | "worst"> {
  /** By run's name. */
  recorded: ReadonlyMap<string, number>;
  /** By run's name; without those that have none. */
  worst: ReadonlyMap<string, Worst>;
}

export interface TunableRule {
  id: string;
  title: string;
  thresholds: Tunable[];
  /** By run's name: the worst that the rule found there with the recorded thresholds. */
  found: ReadonlyMap<string, Severity>;
}

/** The rules of all runs; those that found something first, the worst before the others. */
export function tunable(judged: readonly Judged[]): TunableRule[] {
  const rules = new Map<string, Adjustable>();
  for (const rule of judged.flatMap((one) => one.thresholds))
    if (!rules.has(rule.id)) rules.set(rule.id, rule);
  const all = [...rules.values()].map((rule) => ({
    id: rule.id,
    title: rule.title,
    thresholds: rule.thresholds.map(({ value: _, worst: __, ...facts }) => ({
      ...facts,
      recorded: byRun(judged, rule.id, facts.name, ({ value }) => value),
      worst: byRun(judged, rule.id, facts.name, ({ worst }) => worst),
    })),
    found: worstBy(judged, rule.id),
  }));
  return all.sort((a, b) => rank(a) - rank(b)); // stable: otherwise in the order of the rules
}

/** What each run has of a threshold, without those that have nothing. */
function byRun<T>(
  judged: readonly Judged[],
  rule: string,
  name: string,
  read: (threshold: Threshold) => T | null,
): Map<string, T> {
  return new Map(
    judged.flatMap(({ run, thresholds }) => {
      const known = thresholds.find(({ id }) => id === rule)?.thresholds;
      const one = known?.find((threshold) => threshold.name === name);
      const value = one ? read(one) : null;
      return value === null ? [] : [[run, value] as const];
    }),
  );
}

function worstBy(judged: readonly Judged[], rule: string): Map<string, Severity> {
  return new Map(
    judged.flatMap(({ run, findings }) => {
      const worst = findings.find((finding) => finding.rule === rule); // the server has it first
      return worst ? [[run, worst.severity] as const] : [];
    }),
  );
}

function rank({ found }: TunableRule): number {
  const severities = [...found.values()];
  const worst = SEVERITIES.findIndex((severity) => severities.includes(severity));
  return worst < 0 ? SEVERITIES.length : worst;
}

/** The number that all runs were recorded with; null where they differ. */
export function common(threshold: Tunable): number | null {
  const [first = null, ...others] = new Set(threshold.recorded.values());
  return others.length ? null : first;
}

/** Whether every word of the text is in what a rule is called and in what it measures. */
export function matches(rule: TunableRule, text: string): boolean {
  const told = [rule.id, rule.title, ...rule.thresholds.flatMap((one) => [one.name, one.about])];
  const all = told.join(" ").toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** Whether a filter's words ask for this threshold, and not only for its rule. */
export function isFor(threshold: Tunable, { id, title }: TunableRule, text: string): boolean {
  const [rule, own] = [`${id} ${title}`, `${threshold.name} ${threshold.about}`].map((one) => one.toLowerCase());
  const words = text.toLowerCase().split(/\s+/);
  return words.some((word) => !rule!.includes(word) && own!.includes(word));
}

/** Shown of every rule, beside its limits. */
const TIMING: readonly string[] = ["patience", "warm_up"];

/** What is shown of a rule before it is unfolded, by name: its limits, and from when on they hold. */
export function foremost({ thresholds }: TunableRule): Set<string> {
  const limits = thresholds.filter(({ measure, severity }) => measure !== null || severity !== null);
  const first = limits.length ? limits : thresholds.slice(0, 1);
  const shown = thresholds.filter((one) => first.includes(one) || TIMING.includes(one.name));
  const isOneLeft = thresholds.length - shown.length < 2; // "1 more" takes as much room as the one
  return new Set((isOneLeft ? thresholds : shown).map(({ name }) => name));
}

/** What a folded rule tells of its foremost numbers: "norm > 100" and "patience 3". */
export function inShort(rule: TunableRule): string[] {
  const shown = foremost(rule);
  const words = (one: Tunable) => {
    const value = common(one);
    if (value === null) return `${one.name} differs`;
    return [one.name, one.sign, withUnit(value, one)].filter((part) => part !== null).join(" ");
  };
  return rule.thresholds.filter(({ name }) => shown.has(name)).map(words);
}

/** So many rules that a filter finds are unfolded at once. */
const FEW = 3;

/** The name by which it is remembered that the user has unfolded, or folded, a rule. */
const foldName = (rule: string, to: boolean) => `threshold ${to ? "unfolded" : "folded"} ${rule}`;

/** What is unfolded, once these rules are, or once they are folded. */
export function refolded(open: ReadonlySet<string>, rules: readonly string[], to: boolean): ReadonlySet<string> {
  if (rules.every((rule) => open.has(foldName(rule, to)))) return open;
  const next = new Set(open);
  for (const rule of rules) {
    next.delete(foldName(rule, !to));
    next.add(foldName(rule, to));
  }
  return next;
}

/**
 * Whether all of a rule is shown: as the user wants it, else if it found something, or if it is one of
 * the few that a filter finds. A number that is changed is always in sight.
 */
export function isUnfolded(
  { id, found }: TunableRule,
  edits: Edits,
  open: ReadonlySet<string>,
  filter: string,
  listed: number,
): boolean {
  if (id in edits || open.has(foldName(id, true))) return true;
  if (open.has(foldName(id, false))) return false;
  return found.size > 0 || (filter.trim() !== "" && listed <= FEW);
}

/** What each threshold is, by name, as a sentence; "the same" is what the one before it is. */
export function sentences(thresholds: readonly Tunable[]): Map<string, string> {
  let last = "";
  return new Map(
    thresholds.map(({ name, about }) => {
      if (about !== "the same") last = about;
      return [name, `${last.charAt(0).toUpperCase()}${last.slice(1)}.`];
    }),
  );
}

/** Whether it is typed and shown in percent. It is kept as a share all the same: 0.25. */
export const isShare = ({ most }: Pick<Tunable, "most">) => most === 1;

/** Neither 0.07 * 100 nor 0.7 / 100 has a trail of digits. */
const rounded = (value: number) => Number(value.toPrecision(12));

/** As it stands in its field: "25" for 0.25 where that is a share. */
export const inField = (value: number, threshold: Tunable) =>
  plain(isShare(threshold) ? rounded(value * 100) : value);

/** "25 %" */
export const withUnit = (value: number, threshold: Tunable) =>
  `${inField(value, threshold)}${isShare(threshold) ? " %" : ""}`;

/** The number that a field's text is, or in words what is wanted instead. */
export function numberOf(text: string, threshold: Tunable): number | string {
  const { whole, least, most } = threshold;
  const typed = text.trim() === "" ? NaN : Number(text);
  const value = isShare(threshold) ? rounded(typed / 100) : typed;
  const fits = Number.isFinite(value) && value >= least && value <= (most ?? Infinity);
  if (fits && (!whole || Number.isSafeInteger(value))) return value;
  const end = (limit: number) => inField(limit, threshold);
  if (most !== null) return `${isShare(threshold) ? "percent" : "a number"} from ${end(least)} to ${end(most)}`;
  return `${whole ? "a whole number" : "a number"} of at least ${least}`;
}

/** What is odd about a limit that is reached no later than a milder one of the same measure. */
export function disorder(
  limit: Tunable,
  all: readonly Tunable[],
  value: (threshold: Tunable) => number | null,
): string {
  const { severity, sign, measure } = limit;
  const own = value(limit);
  if (severity === null || measure === null || own === null) return "";
  const isUpper = sign === ">" || sign === "≥";
  const milder = all
    .filter((one) => one.measure === measure && one.sign === sign && one.severity !== null)
    .filter((one) => SEVERITIES.indexOf(one.severity!) > SEVERITIES.indexOf(severity))
    .find((one) => {
      const other = value(one);
      return other !== null && (isUpper ? own <= other : own >= other);
    });
  if (!milder) return "";
  return `Not ${isUpper ? "above" : "below"} ${milder.name}: it never comes to ${milder.name}.`;
}

/** One key press further: whole numbers by one, others by one in their second digit. */
export function nudged(value: number, by: 1 | -1, threshold: Tunable): number {
  const size = value === 0 ? threshold.default || 1 : value;
  const digit = threshold.whole ? 1 : 10 ** (Math.floor(Math.log10(size)) - 1);
  const next = rounded(value + by * digit);
  return Math.min(threshold.most ?? Infinity, Math.max(threshold.least, next));
}

export type Kind = "new" | "gone" | "severity" | "silent" | "heard" | "suppressed" | "same";

/** What became of the findings of one rule that fared alike. */
export interface Change {
  kind: Kind;
  rule: string;
  title: string;
  /** The severity now, or the last one of what is gone; null where there is no finding. */
  severity: Severity | null;
  /** The severity with the recorded thresholds, where it is another one. */
  was: Severity | null;
  /** Names of layers; empty for the whole model. */
  layers: string[];
  evidence: string;
  /** Why a rule says nothing now, or why a finding is suppressed. */
  reason: string | null;
}

const KINDS: readonly Kind[] = ["new", "severity", "gone", "suppressed", "silent", "heard", "same"];

/** Compares two judgements of one run; what changed comes first, what stays is told too. */
export function changes(before: Judged, after: Judged): Change[] {
  const [then, now] = [byPlace(before.findings), byPlace(after.findings)];
  const apart = byPlace(after.suppressed);
  const all: Change[] = [];
  for (const [place, finding] of now) {
    const old = then.get(place);
    const was = old && old.severity !== finding.severity ? old.severity : null;
    all.push(change(!old ? "new" : was ? "severity" : "same", finding, was, null));
  }
  for (const [place, finding] of then) {
    if (now.has(place)) continue;
    const suppressed = apart.get(place);
    const outcome = after.rules.find(({ id }) => id === finding.rule);
    if (suppressed) all.push(change("suppressed", finding, null, suppressed.reason));
    else if (outcome?.outcome === "not-evaluated")
      all.push(change("silent", finding, null, outcome.reason));
    else all.push(change("gone", finding, null, null));
  }
  all.push(...outcomes(before, after));
  return together(all).sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
}

/** The worst finding of each rule in each layer. */
function byPlace<F extends Finding>(findings: readonly F[]): Map<string, F> {
  const found = new Map<string, F>();
  for (const finding of findings) {
    const place = `${finding.rule}\n${finding.layer ?? ""}`;
    if (!found.has(place)) found.set(place, finding);
  }
  return found;
}

function change(kind: Kind, finding: Finding, was: Severity | null, reason: string | null): Change {
  const { rule, title, severity, layer, evidence } = finding;
  return { kind, rule, title, severity, was, layers: layer === null ? [] : [layer], evidence, reason };
}

/** Rules that found nothing, before and now, but can be evaluated no longer, or only now. */
function outcomes(before: Judged, after: Judged): Change[] {
  const old = new Map(before.rules.map((rule) => [rule.id, rule.outcome]));
  const told = (kind: Kind, { id, title, reason }: Rule): Change => ({
    ...{ kind, rule: id, title, reason, severity: null, was: null, layers: [], evidence: "" },
  });
  return after.rules.flatMap((rule) => {
    const [was, is] = [old.get(rule.id), rule.outcome];
    if (was === "healthy" && is === "not-evaluated") return [told("silent", rule)];
    return was === "not-evaluated" && is === "healthy" ? [told("heard", rule)] : [];
  });
}

/** One line for all layers in which the same happened to the same rule. */
function together(all: readonly Change[]): Change[] {
  const lines = new Map<string, Change>();
  for (const one of all) {
    const key = [one.kind, one.rule, one.severity, one.was, one.reason].join("\n");
    const known = lines.get(key);
    lines.set(key, known ? { ...known, layers: [...known.layers, ...one.layers] } : one);
  }
  return [...lines.values()];
}

/** "2 findings gone, 1 new", or that nothing changes; in the order of what a reader asks first. */
export function summary(all: readonly Change[]): string {
  const count = (...kinds: Kind[]) =>
    all
      .filter((one) => kinds.includes(one.kind) && one.severity !== null)
      .reduce((sum, one) => sum + Math.max(1, one.layers.length), 0);
  const rules = (kind: Kind) => all.filter((one) => one.kind === kind && !one.severity).length;
  const parts = [
    [count("gone"), "gone"],
    [count("new"), "new"],
    [count("severity"), "of another severity"],
    [count("suppressed"), "suppressed"],
    [count("silent"), "not evaluated"],
  ] as const;
  const told = parts.filter(([n]) => n > 0).map(([n, words]) => `${n} ${words}`);
  const [silent, heard] = [rules("silent"), rules("heard")];
  if (silent) told.push(`${plural(silent, "rule")} no longer evaluated`);
  if (heard) told.push(`${plural(heard, "rule")} evaluated now`);
  return told.length ? told.join(" · ") : "nothing changes";
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A number as one writes it in a file: "0.95", "100", "1e-5". */
export function plain(value: number): string {
  return value !== 0 && value < 1e-3 ? value.toExponential() : String(value);
}
