/** Rules by runs: which columns and rows there are, in which order, and what a cell says. */

import type { JudgedRun, RuleCell, RuleFacts, Standing } from "../api";
import { SEVERITIES } from "./findings";
import { formatCount, plural } from "./number";
import { MOST_SHOWN } from "./runs";

/** More columns than this nobody reads, and a browser draws them slowly. */
export const MOST_COLUMNS = 200;

export type CellSign = Standing | "exempt";

/** A run's column; `key` is its position among the shown runs, -1 for the others. */
export interface Column {
  run: JudgedRun;
  key: number;
  /** The number of rules that found something in it. */
  found: number;
}

/** A rule's row. */
export interface Row {
  rule: RuleFacts;
  /** The number of runs in which it found something. */
  found: number;
}

/** Rows under one heading; null where they stand in one list. */
export interface Block {
  title: string | null;
  rows: Row[];
}

/** What a rule says of a run; a recording of another tfdiag may lack the rule. */
export function cellOf(run: JudgedRun, rule: string): RuleCell {
  const known = Object.hasOwn(run.rules, rule) ? run.rules[rule] : undefined;
  const reason = run.error ?? "recorded by a tfdiag that does not have this rule";
  return known ?? { ...SILENT, reason };
}

const SILENT: RuleCell = {
  outcome: "not-evaluated",
  severity: null,
  count: 0,
  findings: [],
  reason: null,
  exempt: 0,
  all_exempt: false,
  exemptions: [],
};

export function signOf(cell: RuleCell): CellSign {
  if (cell.all_exempt) return "exempt";
  return cell.severity ?? (cell.outcome === "healthy" ? "ok" : "not-evaluated");
}

/** The signs of cells, in the order in which they are told of. */
export const SIGNS: readonly CellSign[] = ["critical", "warn", "watch", "ok", "not-evaluated", "exempt"];

/** How many rules say what of a run; without what none says. */
export function tallyOf(run: JudgedRun, rules: readonly RuleFacts[]): { sign: CellSign; count: number }[] {
  const signs = rules.map(({ id }) => signOf(cellOf(run, id)));
  return SIGNS.map((sign) => ({ sign, count: signs.filter((one) => one === sign).length })).filter(
    ({ count }) => count > 0,
  );
}

/** "2 findings", "passed", or why there is nothing to say. */
export function wordsOf(cell: RuleCell): string {
  if (cell.count > 0) return plural(cell.count, "finding");
  if (cell.outcome === "healthy") return "passed";
  const reason = cell.reason ?? "no reason given";
  if (!cell.all_exempt) return `not evaluated: ${reason}`;
  return reason.startsWith("every layer is exempt") ? reason : `every layer is exempt: ${reason}`;
}

/** What there is room for in a wide cell: where the worst finding is, and by which numbers. */
export function shortWords(cell: RuleCell): { place: string; more: number; words: string } {
  const [worst] = cell.findings;
  if (worst) return { place: worst.layer ?? "", more: cell.count - 1, words: worst.evidence };
  return { place: "", more: 0, words: cell.outcome === "healthy" ? "" : (cell.reason ?? "") };
}

/** "14 layers exempt, no ReLU: conv_1, pool, flatten and 11 more", one text per reason. */
export function exemptWords(cell: RuleCell): string[] {
  return cell.exemptions.map(({ reason, count, layers }) => {
    const others = count - layers.length;
    const more = others > 0 ? ` and ${formatCount(others)} more` : "";
    return `${plural(count, "layer")} exempt, ${reason}: ${layers.join(", ")}${more}`;
  });
}

/** The shown runs first, as they stand side by side; then the worst, the newest of these first. */
export function columnsOf(
  runs: readonly JudgedRun[],
  listed: readonly JudgedRun[],
  shown: readonly string[],
): Column[] {
  const column = (run: JudgedRun): Column => ({
    run,
    key: shown.indexOf(run.run),
    found: Object.values(run.rules).filter((cell) => cell.count > 0).length,
  });
  const chosen = shown.flatMap((name) => runs.find(({ run }) => run === name) ?? []);
  const others = listed
    .filter(({ run }) => !shown.includes(run))
    .reverse()
    .map(column)
    .sort((a, b) => worst(a.run) - worst(b.run) || b.found - a.found);
  return [...chosen.map(column), ...others].slice(0, MOST_COLUMNS);
}

/** 0 for a run with a critical finding; the higher, the better. */
function worst(run: JudgedRun): number {
  const found = new Set(Object.values(run.rules).map((cell) => cell.severity));
  const rank = SEVERITIES.findIndex((severity) => found.has(severity));
  return rank < 0 ? SEVERITIES.length : rank;
}

/**
 * "2 of 3 runs need action": those with a finding that calls for it.
 *
 * @param listed the runs that the filter finds, of `all` there are.
 */
export function inNeed(listed: readonly JudgedRun[], all: number): string {
  const count = listed.filter((run) => worst(run) < SEVERITIES.indexOf("watch")).length;
  const ofFilter = listed.length < all ? "that the filter finds " : "";
  if (listed.length === 0) return all === 0 ? "No run was recorded" : "The filter finds no run";
  if (listed.length === 1) return `The run ${ofFilter}${count ? "needs" : "does not need"} action`;
  const runs = `${formatCount(listed.length)} runs ${ofFilter}`;
  return `${count ? formatCount(count) : "None"} of ${runs}${count === 1 ? "needs" : "need"} action`;
}

/** The positions of shown runs that the filter does not find: they are drawn all the same. */
export const shownBesides = (columns: readonly Column[], listed: readonly JudgedRun[]): number[] =>
  columns.flatMap(({ run, key }) => (listed.includes(run) ? [] : [key]));

/** All rules, the worst first in one list, or in groups as the catalogue has them. */
export function blocksOf(
  rules: readonly RuleFacts[],
  columns: readonly Column[],
  grouped: boolean,
): Block[] {
  const rows = rules.map((rule): Row => {
    const cells = columns.map(({ run }) => cellOf(run, rule.id));
    return { rule, found: cells.filter((cell) => cell.count > 0).length };
  });
  if (!grouped) return [{ title: null, rows: worstFirst(rows, columns) }];
  const titles = new Set(rules.map((rule) => rule.group));
  return [...titles].map((title) => ({
    title,
    rows: rows.filter(({ rule }) => rule.group === title),
  }));
}

/** Of a run that was not judged yet nothing is known. */
export const isJudged = ({ run }: Column) => run.step !== null && run.error === null;

/** The rows that say more than that all is well, and those of rules that passed in every judged run. */
export function foldPassed(
  blocks: readonly Block[],
  columns: readonly Column[],
): { blocks: Block[]; passed: Row[] } {
  const judged = columns.filter(isJudged);
  const passed = ({ rule }: Row) =>
    judged.length > 0 && judged.every(({ run }) => signOf(cellOf(run, rule.id)) === "ok");
  return {
    blocks: blocks
      .map(({ title, rows }) => ({ title, rows: rows.filter((row) => !passed(row)) }))
      .filter(({ rows }) => rows.length > 0),
    passed: blocks.flatMap(({ rows }) => rows.filter(passed)),
  };
}

function worstFirst(rows: readonly Row[], columns: readonly Column[]): Row[] {
  const ranks = new Map(
    rows.map((row) => {
      const found = new Set(columns.map(({ run }) => cellOf(run, row.rule.id).severity));
      const rank = SEVERITIES.findIndex((severity) => found.has(severity));
      return [row, rank < 0 ? SEVERITIES.length : rank];
    }),
  );
  return [...rows].sort((a, b) => ranks.get(a)! - ranks.get(b)! || b.found - a.found);
}

/** The runs side by side with one more: beside the others, or in the last one's place. */
export function withRun(shown: readonly string[], run: string): string[] {
  return shown.includes(run) ? [...shown] : [...shown.slice(0, MOST_SHOWN - 1), run];
}

/** A long name without its middle: names of runs often differ at their end only. */
export function shorten(name: string, most: number): string {
  const letters = [...name];
  if (letters.length <= most) return name;
  const end = Math.ceil((most - 1) / 2);
  return `${letters.slice(0, most - 1 - end).join("")}…${letters.slice(-end).join("")}`;
}

export type Place = readonly [row: number, column: number];

/**
 * Where a key leads in a grid of so many rows and columns, whose corner holds nothing; null if the
 * key moves nothing.
 */
export function moved(from: Place, key: string, size: Place, far: boolean): Place | null {
  const [row, column] = from;
  const [rows, columns] = size;
  const within = (r: number, c: number): Place => [
    Math.min(rows - 1, Math.max(0, r)),
    Math.min(columns - 1, Math.max(0, c)),
  ];
  const moves: Record<string, () => Place> = {
    ArrowUp: () => within(row - 1, column),
    ArrowDown: () => within(row + 1, column),
    ArrowLeft: () => within(row, column - 1),
    ArrowRight: () => within(row, column + 1),
    PageUp: () => within(row - 10, column),
    PageDown: () => within(row + 10, column),
    Home: () => (far || row === 0 ? [0, 1] : [row, 0]),
    End: () => within(far ? rows - 1 : row, columns - 1),
  };
  if (!Object.hasOwn(moves, key)) return null;
  const to = moves[key]!();
  return to[0] === 0 && to[1] === 0 ? from : to;
}
