import { expect, test } from "vitest";
import type { Finding, Rule } from "../api";
import { exemptions, marks, place, problems, sourceOf, spread, tally, worstOf } from "./findings";

const finding = (
  rule: string,
  layer: string | null,
  step: number,
  severity: Finding["severity"] = "warn",
): Finding => ({
  rule,
  layer,
  step,
  severity,
  title: rule,
  evidence: "",
  message: "",
  value: null,
  limit: null,
  metric: null,
  why: "",
  advice: [],
  source: "",
  follows: null,
});

const found = [
  finding("dead", "b", 40, "critical"),
  finding("starved", "a", 60),
  finding("dead", "c", 20, "watch"),
];

test("one rule is one problem with one number, worst first", () => {
  const [dead, starved] = problems(found);
  expect(dead).toMatchObject({ number: 1, severity: "critical", step: 20 });
  expect(dead!.findings).toHaveLength(2);
  expect(starved).toMatchObject({ number: 2, step: 60 });
  expect(place(dead!)).toBe("2 layers");
  expect(place(starved!)).toBe("a");
  expect(place(problems([finding("loss", null, 1)])[0]!)).toBe("");
});

test("only the worst finding of a problem carries its number", () => {
  expect(marks(problems(found)).map((m) => [m.number, m.layer, m.step, m.main])).toEqual([
    [1, "b", 40, true],
    [1, "c", 20, false],
    [2, "a", 60, true],
  ]);
});

test("what follows from another problem names it", () => {
  const starved = { ...finding("starved", "a", 60), follows: { rule: "dead", layer: "b" } };
  const all = problems([found[0]!, starved]);
  expect(sourceOf(all[1]!, all)?.number).toBe(1);
  expect(sourceOf(all[0]!, all)).toBeUndefined();
  expect(sourceOf(problems([starved])[0]!, problems([starved]))).toBeUndefined();
});

test("marks move apart and stay inside", () => {
  expect(spread([50, 51, 200], 16, 300)).toEqual([50, 66, 200]);
  expect(spread([299, 299], 16, 300)).toEqual([276, 292]);
  expect(spread([0], 16, 300)).toEqual([8]);
});

test("the worst severity of a layer", () => {
  expect(worstOf(found, "b")).toBe("critical");
  expect(worstOf(found, "zzz")).toBeNull();
});

test("the tally names all that is not a finding", () => {
  const rule = (outcome: Rule["outcome"], exempt = {}): Rule => ({
    id: "r",
    title: "r",
    outcome,
    reason: null,
    step: null,
    exempt,
  });
  const rules = [
    rule("healthy"),
    rule("healthy", { a: "no ReLU" }),
    rule("not-evaluated"),
    rule("found"),
  ];
  expect(tally(2, rules)).toBe("2 more · 2 passed, 1 with exempt layers, 1 not evaluated");
  expect(tally(0, [rule("healthy")])).toBe("1 passed");
  expect(exemptions(rule("healthy", { a: "no ReLU", b: "output", c: "no ReLU" }))).toEqual([
    { reason: "no ReLU", layers: ["a", "c"] },
    { reason: "output", layers: ["b"] },
  ]);
});
