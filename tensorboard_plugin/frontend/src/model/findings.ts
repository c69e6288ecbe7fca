/** Findings as a reader meets them: one number per problem, however many layers it is in. */

import type { Finding, Rule, Severity } from "../api";
import { formatCount } from "./number";

export interface Problem {
  /** Its number in this run, from 1; it marks the problem's place in the heat maps. */
  number: number;
  rule: string;
  title: string;
  severity: Severity;
  /** That of the worst, as all that is told of the problem: the value of one is not as old as another. */
  step: number;
  /** The worst comes first, as the server ordered them. */
  findings: [Finding, ...Finding[]];
}

/** That of the worst finding, to which the severity belongs; its cause may be a milder one. */
export function worstProblem(findings: readonly Finding[]): Problem | undefined {
  return problems(findings).find(({ rule }) => rule === findings[0]?.rule);
}

/**
 * Puts the findings of one rule together and numbers them: the worst first, but before it what it
 * follows from.
 */
export function problems(findings: readonly Finding[]): Problem[] {
  const byRule = new Map<string, Problem>();
  for (const finding of findings) {
    const known = byRule.get(finding.rule);
    if (known) {
      known.findings.push(finding);
      continue;
    }
    byRule.set(finding.rule, {
      number: 0,
      rule: finding.rule,
      title: finding.title,
      severity: finding.severity,
      step: finding.step,
      findings: [finding],
    });
  }
  return causesFirst([...byRule.values()]).map((problem, i) => ({ ...problem, number: i + 1 }));
}

/** What a problem follows from stands before it; otherwise the order is kept. */
function causesFirst(found: readonly Problem[]): Problem[] {
  const ordered = new Set<Problem>();
  const add = (problem: Problem, asked: readonly Problem[] = []) => {
    const source = sourceOf(problem, found);
    if (source && !asked.includes(source)) add(source, [...asked, problem]); // but never in a circle
    ordered.add(problem);
  };
  found.forEach((problem) => add(problem));
  return [...ordered];
}

/** Problems that are told at once, at most. */
const FEW = 3;

/** What is told at once: the first by their numbers, so that none is missed. The rest unfolds. */
export const heads = (found: readonly Problem[]): Problem[] => found.slice(0, FEW);

/** "dense", "dense and 8 more" with the worst first, or nothing, for the whole model alone. */
export function place({ findings }: Problem): string {
  const [worst, ...others] = new Set(findings.map(({ layer }) => layer));
  if (others.length === 0) return worst ?? "";
  return `${worst ?? "whole model"} and ${others.length} more`;
}

/** "conv_2 from 100": where a problem was seen before the step of its worst finding. */
export function earlier({ findings, step }: Problem): string {
  const first = findings.reduce((one, other) => (other.step < one.step ? other : one));
  return first.step < step ? `${first.layer ?? "whole model"} from ${formatCount(first.step)}` : "";
}

/**
 * The problem that a finding of this one follows from, if it is among them.
 *
 * @param finding the worst, if not told: another may have begun before the cause of that.
 */
export function sourceOf(
  problem: Problem,
  all: readonly Problem[],
  finding: Finding = problem.findings[0],
): Problem | undefined {
  return all.find((other) => other !== problem && other.rule === finding.follows?.rule);
}

/** Heat maps have values of layers; this one of them shows what a series of the whole model tells. */
const STAND_INS: Readonly<Record<string, string>> = { gradient_norm: "gradient_rms" };

/** The measure of the heat maps in which a finding is seen. */
export function measureOf({ metric }: Pick<Finding, "metric">): string | null {
  return metric === null ? null : (STAND_INS[metric] ?? metric);
}

/** Whether a finding is seen in the chart of the loss: it is about no layer and no measure. */
export function isInLoss(finding: Finding, measures: readonly { name: string }[]): boolean {
  const measure = measureOf(finding);
  if (measure === null) return finding.layer === null;
  return !measures.some(({ name }) => name === measure);
}

export interface Mark {
  number: number;
  rule: string;
  title: string;
  layer: string | null;
  step: number;
}

/** In the heat maps of a measure: the worst finding of each problem that is seen there. */
export function layerMarks(found: readonly Problem[], measure: string | null): Mark[] {
  return found.flatMap(({ number, rule, title, findings }) => {
    const seen = findings.find((f) => f.layer !== null && measureOf(f) === measure);
    return seen && measure !== null
      ? [{ number, rule, title, layer: seen.layer, step: seen.step }]
      : [];
  });
}

/** In the chart of the loss: the problems of the whole model. */
export function modelMarks(found: readonly Problem[]): Mark[] {
  return found.flatMap(({ number, rule, title, findings: [{ layer, step }] }) =>
    layer === null ? [{ number, rule, title, layer, step }] : [],
  );
}

/** Marks at one place of a row; more than one are told together. */
export interface Pill {
  /** Ascending by their steps. */
  marks: Mark[];
  /** "4", "4–6" or "1, 3". */
  words: string;
  /** Pixels. */
  left: number;
}

export const MARK = 15; // pixels of a number in a plot
const LETTER = 7;

/** Each mark of a row at its step; those that would lie on each other become one. @param at pixels. */
export function pills(marks: readonly Mark[], at: (step: number) => number, width: number): Pill[] {
  const placed: (Pill & { right: number })[] = [];
  for (const mark of [...marks].sort((a, b) => a.step - b.step)) {
    let pill = pillOf([mark], at, width);
    for (let before = placed.at(-1); before && pill.left < before.right; before = placed.at(-1)) {
      placed.pop();
      pill = pillOf([...before.marks, ...pill.marks], at, width);
    }
    placed.push(pill);
  }
  return placed.map(({ right: _, ...pill }) => pill);
}

function pillOf(marks: Mark[], at: (step: number) => number, width: number) {
  const words = ranges(marks.map(({ number }) => number));
  const size = MARK + (words.length - 1) * LETTER;
  const left = Math.max(0, Math.min(at(marks[0]!.step) - MARK / 2, width - size));
  return { marks, words, left, right: left + size };
}

/** [1, 4, 5, 6] is "1, 4–6". */
function ranges(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const starts = sorted.filter((n) => !sorted.includes(n - 1));
  const ends = sorted.filter((n) => !sorted.includes(n + 1));
  return starts.map((from, i) => (from === ends[i] ? `${from}` : `${from}–${ends[i]}`)).join(", ");
}

/** Moves marks of one row apart, so that each number can be read. Positions in pixels. */
export function spread(positions: number[], least: number, width: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
  const placed = [...positions];
  let next = least / 2;
  for (const i of order) {
    placed[i] = Math.max(next, positions[i]!);
    next = placed[i]! + least;
  }
  let most = width - least / 2;
  for (const i of order.reverse()) {
    placed[i] = Math.max(least / 2, Math.min(most, placed[i]!));
    most = placed[i]! - least;
  }
  return placed;
}

export const SEVERITIES: readonly Severity[] = ["critical", "warn", "watch"];

/** Is it about a layer in this measure? */
export const isAbout = (finding: Finding, measure: string | null): boolean =>
  finding.layer !== null && finding.metric !== null && measureOf(finding) === measure;

/** The worst severity of the findings about some layers. */
export function worstOf(
  findings: readonly Finding[],
  layers: ReadonlySet<string>,
): Severity | null {
  const here = findings
    .filter(({ layer }) => layer !== null && layers.has(layer))
    .map((f) => f.severity);
  return SEVERITIES.find((severity) => here.includes(severity)) ?? null;
}

/** "no ReLU: conv_1, pool" for each reason for which layers are exempt from a rule. */
export function exemptions(rule: Rule): { reason: string; layers: string[] }[] {
  const byReason = new Map<string, string[]>();
  for (const [layer, reason] of Object.entries(rule.exempt)) {
    byReason.set(reason, [...(byReason.get(reason) ?? []), layer]);
  }
  return [...byReason].map(([reason, layers]) => ({ reason, layers }));
}

/** From which rules a layer is exempt, by the reason; one that holds for the whole run is not meant. */
export function exemptFrom(rules: readonly Rule[], layer: string): { reason: string; rules: string[] }[] {
  const byReason = new Map<string, string[]>();
  for (const { title, exempt, reason: why } of rules) {
    const reason = Object.hasOwn(exempt, layer) ? exempt[layer] : undefined;
    if (reason && reason !== why) byReason.set(reason, [...(byReason.get(reason) ?? []), title]);
  }
  return [...byReason].map(([reason, titles]) => ({ reason: titled(reason, rules), rules: titles }));
}

/** "ReLU: see Dead ReLU": the id of another rule as its title, by which it is called here. */
export function titled(text: string, rules: readonly Pick<Rule, "id" | "title">[]): string {
  const titles = new Map(rules.map(({ id, title }) => [id, title]));
  return text.replace(/[\w-]+/g, (word) => titles.get(word) ?? word);
}

/** What was found about one layer, each with the number of its problem in this run. */
export function findingsOf(
  found: readonly Problem[],
  layer: string,
): { problem: Problem; finding: Finding }[] {
  return found.flatMap((problem) =>
    problem.findings.flatMap((finding) => (finding.layer === layer ? [{ problem, finding }] : [])),
  );
}

/** Whether something is not known for want of a rule that says nothing. */
export const isGap = ({ outcome, applies }: Rule) => outcome === "not-evaluated" && applies;

/** "5 passed · 1 not evaluated · 2 exempt · 1 suppressed" */
export function tally(rules: readonly Rule[], suppressed: number): string {
  const passed = rules.filter((rule) => rule.outcome === "healthy");
  const silent = rules.filter(isGap).length;
  const exempt = rules.filter((rule) => !rule.applies).length;
  return [
    `${passed.length} passed`,
    silent && `${silent} not evaluated`,
    exempt && `${exempt} exempt`,
    suppressed && `${suppressed} suppressed`,
  ]
    .filter(Boolean)
    .join(" · ");
}
