import { expect, test } from "vitest";
import contract from "../../../../tests/data/contract.json";
import type { JudgedRun, RuleCell, Severity } from "../api";
import { readRules } from "../readers";
import {
  blocksOf,
  cellOf,
  columnsOf,
  exemptWords,
  foldPassed,
  inNeed,
  moved,
  MOST_COLUMNS,
  shorten,
  shortWords,
  shownBesides,
  signOf,
  tallyOf,
  withRun,
  wordsOf,
} from "./matrix";

const { rules, runs } = readRules(contract["api/rules"].answer);
const [healthy, dying, newer] = runs as [JudgedRun, JudgedRun, JudgedRun];

const cell = (severity: Severity | null): RuleCell => ({
  outcome: severity ? "found" : "healthy",
  severity,
  count: severity ? 1 : 0,
  findings: [],
  reason: null,
  exempt: 0,
  all_exempt: false,
  exemptions: [],
});
const run = (name: string, ...found: (Severity | null)[]): JudgedRun => ({
  run: name,
  step: 1,
  error: null,
  rules: Object.fromEntries(found.map((severity, i) => [rules[i]!.id, cell(severity)])),
});
const names = (columns: { run: JudgedRun }[]) => columns.map((column) => column.run.run);

test("a cell says what was found, that all is well, or why nothing is known", () => {
  expect(signOf(cellOf(dying, "dead-relu"))).toBe("critical");
  expect(wordsOf(cellOf(dying, "dead-relu"))).toBe("4 findings");
  expect(signOf(cellOf(healthy, "input-range"))).toBe("ok");
  expect(wordsOf(cellOf(healthy, "input-range"))).toBe("passed");
  expect(signOf(cellOf(dying, "nonfinite-loss"))).toBe("not-evaluated");
  expect(wordsOf(cellOf(dying, "nonfinite-loss"))).toBe(
    "not evaluated: loss_nonfinite was not measured",
  );
  expect(signOf(cellOf(healthy, "saturated-activation"))).toBe("exempt");
  expect(wordsOf(cellOf(healthy, "saturated-activation"))).toBe(
    "every layer is exempt: no tanh or sigmoid",
  );
});

test("a run's rules are counted by what they say, and none is left out", () => {
  const tally = tallyOf(run("mixed", "warn", null, "warn"), rules);
  expect(tally).toEqual([
    { sign: "warn", count: 2 },
    { sign: "ok", count: 1 },
    { sign: "not-evaluated", count: rules.length - 3 },
  ]);
  for (const one of runs) {
    const told = tallyOf(one, rules).map(({ count }) => count);
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(rules.length);
  }
});

test("what a run has no word of is not evaluated, never healthy", () => {
  expect(signOf(cellOf(newer, "dead-relu"))).toBe("not-evaluated");
  expect(wordsOf(cellOf(newer, "dead-relu"))).toContain("schema version 3");
  expect(wordsOf(cellOf(healthy, "constructor"))).toContain("does not have this rule");
});

test("exempt layers are told by their reason", () => {
  expect(exemptWords(cellOf(healthy, "dead-relu"))).toEqual([
    "2 layers exempt, no ReLU: pool, logits",
  ]);
  expect(exemptWords(cellOf(healthy, "saturated-activation"))).toEqual([
    "6 layers exempt, no tanh or sigmoid: conv_1, bn_1, conv_2 and 3 more",
  ]);
});

test("shown runs come first as they stand side by side, then the worst, then the newest", () => {
  const all = [run("old", null), run("watched", "watch"), run("bad", "critical"), run("new", null)];
  const columns = columnsOf(all, all, ["watched", "gone", "old"]);
  expect(names(columns)).toEqual(["watched", "old", "bad", "new"]);
  expect(columns.map(({ key }) => key)).toEqual([0, 2, -1, -1]);
  expect(columns.map(({ found }) => found)).toEqual([1, 0, 1, 0]);
});

test("how many need action is told of the runs that the filter finds, and who is drawn besides", () => {
  const all = [run("fine", "watch"), run("bad", "critical"), run("worse", "warn"), run("new", null)];
  expect(inNeed(all, 4)).toBe("2 of 4 runs need action");
  expect(inNeed(all.slice(0, 2), 4)).toBe("1 of 2 runs that the filter finds needs action");
  expect(inNeed(all.slice(1, 2), 4)).toBe("The run that the filter finds needs action");
  expect(inNeed(all.slice(3), 1)).toBe("The run does not need action");
  expect(inNeed([all[0]!, all[3]!], 2)).toBe("None of 2 runs need action");
  expect(inNeed([], 4)).toBe("The filter finds no run");
  const listed = all.slice(0, 2);
  expect(shownBesides(columnsOf(all, listed, ["new", "bad", "worse"]), listed)).toEqual([0, 2]);
});

test("a filter leaves the shown runs, and no more columns than can be read are drawn", () => {
  const all = Array.from({ length: 300 }, (_, i) => run(`r${i}`, i === 7 ? "warn" : null));
  expect(names(columnsOf(all, [all[3]!], ["r5"]))).toEqual(["r5", "r3"]);
  const drawn = columnsOf(all, all, []);
  expect(drawn).toHaveLength(MOST_COLUMNS);
  expect(names(drawn).slice(0, 2)).toEqual(["r7", "r299"]);
});

test("rules stand worst first, or in the groups of the catalogue", () => {
  const columns = columnsOf(runs, runs, []);
  const [all] = blocksOf(rules, columns, false);
  expect(all!.rows.map((row) => row.rule.id)).toEqual([
    "dead-relu",
    "input-range",
    "nonfinite-loss",
    "saturated-activation",
  ]);
  expect(all!.rows[0]!.found).toBe(2);
  const groups = blocksOf(rules, columns, true);
  expect(groups.map(({ title, rows }) => [title, rows.length])).toEqual([
    ["Data and predictions", 1],
    ["NaN and Inf", 1],
    ["Activations", 2],
  ]);
});

test("another run is shown beside the others, or in the last one's place", () => {
  expect(withRun(["a"], "b")).toEqual(["a", "b"]);
  expect(withRun(["a", "b"], "a")).toEqual(["a", "b"]);
  expect(withRun(["a", "b", "c", "d"], "e")).toEqual(["a", "b", "c", "e"]);
});

test("a long name loses its middle", () => {
  expect(shorten("short", 9)).toBe("short");
  expect(shorten("sweep/lr-0.1/seed-7", 9)).toBe("swee…ed-7");
  expect(shorten("🩺🩺🩺🩺", 3)).toBe("🩺…🩺");
});

test("keys move inside the grid", () => {
  const size = [3, 5] as const;
  expect(moved([0, 1], "ArrowUp", size, false)).toEqual([0, 1]);
  expect(moved([0, 1], "ArrowDown", size, false)).toEqual([1, 1]);
  expect(moved([1, 4], "ArrowRight", size, false)).toEqual([1, 4]);
  expect(moved([1, 4], "Home", size, false)).toEqual([1, 0]);
  expect(moved([1, 1], "End", size, true)).toEqual([2, 4]);
  expect(moved([0, 3], "PageDown", size, false)).toEqual([2, 3]);
  expect(moved([2, 3], "Home", size, true)).toEqual([0, 1]);
  expect(moved([1, 0], "ArrowUp", size, false)).toEqual([1, 0]);
  expect(moved([0, 1], "ArrowLeft", size, false)).toEqual([0, 1]);
  expect(moved([0, 0], "j", size, false)).toBeNull();
  expect(moved([0, 0], "constructor", size, false)).toBeNull();
});

test("rules that passed in every judged run are set apart", () => {
  const columns = columnsOf([run("a", null, "warn", null), run("b", null, null, null)], [], ["a", "b"]);
  const of = (columns: Parameters<typeof foldPassed>[1]) =>
    foldPassed(blocksOf(rules.slice(0, 3), columns, true), columns);
  const { blocks, passed } = of(columns);
  expect(passed.map(({ rule }) => rule.id)).toEqual([rules[0]!.id, rules[2]!.id]);
  expect(blocks.flatMap(({ rows }) => rows.map(({ rule }) => rule.id))).toEqual([rules[1]!.id]);
  const unjudged = { ...run("young"), step: null };
  const more = columnsOf([...columns.map((one) => one.run), unjudged], [], ["a", "b", "young"]);
  expect(of(more).passed).toHaveLength(2); // nothing is known of it
  expect(of(columnsOf([unjudged], [], ["young"])).passed).toEqual([]);
});

test("a wide cell has the worst finding's place and numbers, or why nothing is known", () => {
  const found = cellOf(dying, "dead-relu");
  const [worst] = found.findings;
  expect(shortWords(found)).toEqual({ place: worst!.layer, more: 3, words: worst!.evidence });
  expect(shortWords(cellOf(healthy, "input-range"))).toEqual({ place: "", more: 0, words: "" });
  expect(shortWords(cellOf(dying, "nonfinite-loss")).words).toContain("was not measured");
});
