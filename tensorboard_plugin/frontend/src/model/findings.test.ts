import { expect, test } from "vitest";
import type { Finding, Rule } from "../api";
import {
  earlier,
  exemptions,
  findingsOf,
  heads,
  isInLoss,
  layerMarks,
  exemptFrom,
  measureOf,
  modelMarks,
  place,
  pills,
  problems,
  sourceOf,
  spread,
  tally,
  titled,
  isAbout,
  worstOf,
  worstProblem,
} from "./findings";

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
  expect(dead).toMatchObject({ number: 1, severity: "critical", step: 40 }); // not the 20 of a milder one
  expect(dead!.findings).toHaveLength(2);
  expect(starved).toMatchObject({ number: 2, step: 60 });
  expect(place(dead!)).toBe("b and 1 more");
  expect(place(starved!)).toBe("a");
  expect(place(problems([finding("loss", null, 1)])[0]!)).toBe("");
});

test("the first three are told at once, so that no number is missing among them", () => {
  const after = (rule: string, of: string, severity: Finding["severity"]) => ({
    ...finding(rule, null, 60, severity),
    follows: { rule: of, layer: null },
  });
  const all = problems([
    after("loss", "nan", "critical"),
    after("nan", "gradient", "critical"),
    finding("gradient", "b", 9),
    after("scale", "gradient", "warn"),
    finding("rate", null, 9, "watch"),
  ]);
  const told = heads(all).map(({ number, rule }) => [number, rule]);
  expect(told).toEqual([[1, "gradient"], [2, "nan"], [3, "loss"]]);
  for (const one of heads(all)) expect(sourceOf(one, all)?.number ?? 0).toBeLessThan(one.number);
  const circle = [
    { ...finding("a", null, 1), follows: { rule: "b", layer: null } },
    { ...finding("b", null, 1), follows: { rule: "a", layer: null } },
  ];
  expect(heads(problems(circle))).toHaveLength(2);
});

test("a finding that began before the cause of the worst one follows from nothing", () => {
  const worst = { ...finding("scale", "pool", 157), follows: { rule: "gradient", layer: "b" } };
  const before = finding("scale", "conv_2", 100, "watch");
  const all = problems([worst, before, finding("gradient", "b", 155)]);
  const scale = all.find(({ rule }) => rule === "scale")!;
  expect(sourceOf(scale, all)?.rule).toBe("gradient");
  expect(sourceOf(scale, all, before)).toBeUndefined();
  expect(earlier(scale)).toBe("conv_2 from 100");
  expect(earlier(problems([worst])[0]!)).toBe("");
});

test("the worst problem is that of the worst finding, not its milder cause", () => {
  const lost = { ...finding("nan", null, 9, "critical"), follows: { rule: "dead", layer: "b" } };
  const here = [lost, finding("dead", "b", 9)];
  expect(problems(here)[0]!.rule).toBe("dead");
  expect(worstProblem(here)).toMatchObject({ rule: "nan", severity: "critical" });
  expect(worstProblem([])).toBeUndefined();
});

test("only the worst finding of a problem carries its number, where its measure is shown", () => {
  const measured = found.map((f) => ({ ...f, metric: f.rule === "dead" ? "dead" : "norm" }));
  const all = problems([...measured, finding("loss", null, 5)]);
  expect(layerMarks(all, "dead").map((m) => [m.number, m.layer, m.step])).toEqual([[1, "b", 40]]);
  expect(layerMarks(all, "norm").map((m) => [m.number, m.layer, m.step])).toEqual([[2, "a", 60]]);
  expect(layerMarks(all, null)).toEqual([]);
  expect(modelMarks(all).map((m) => [m.number, m.step])).toEqual([[3, 5]]);
});

test("a finding is seen in a measure, or in the chart of the loss", () => {
  const measures = [{ name: "gradient_rms" }];
  const about = (metric: string | null, layer: string | null = null) => ({
    ...finding("r", layer, 1),
    metric,
  });
  expect(measureOf(about("gradient_norm"))).toBe("gradient_rms");
  expect(measureOf(about("loss"))).toBe("loss");
  expect(isInLoss(about("gradient_norm"), measures)).toBe(false);
  expect(isInLoss(about("gradient_rms", "a"), measures)).toBe(false);
  expect(isInLoss(about("probe_loss"), measures)).toBe(true);
  expect(isInLoss(about(null), measures)).toBe(true);
  expect(isInLoss(about(null, "a"), measures)).toBe(false);
});

test("the worst comes first, but for what it follows from", () => {
  const after = (rule: string, of: string) => ({
    ...finding(rule, null, 1),
    follows: { rule: of, layer: null },
  });
  const order = (...all: Finding[]) => problems(all).map((p) => [p.number, p.rule]);
  expect(
    order(after("nan", "rate"), finding("other", null, 1), finding("rate", null, 1)),
  ).toEqual([
    [1, "rate"],
    [2, "nan"],
    [3, "other"],
  ]);
  expect(order(after("a", "b"), after("b", "c"), finding("c", null, 1))).toEqual([
    [1, "c"],
    [2, "b"],
    [3, "a"],
  ]);
  expect(order(after("a", "b"), after("b", "a"))).toHaveLength(2);
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

test("marks that would lie on each other are one, at the step of the first", () => {
  const marks = [30, 10, 12, 11, 299].map((step, i) => ({ number: i + 1, step, rule: "r", title: "", layer: null }));
  const placed = (width: number, of = marks) =>
    pills(of, (step) => step, width).map(({ words, left }) => [words, left]);
  expect(placed(300, [marks[1]!, marks[4]!])).toEqual([["2", 2.5], ["5", 285]]);
  expect(placed(300, marks.slice(1))).toEqual([["2–4", 2.5], ["5", 285]]);
  expect(placed(300)).toEqual([["1–4", 2.5], ["5", 285]]);
  expect(placed(300, [marks[0]!, { ...marks[2]!, step: 31 }])).toEqual([["1, 3", 22.5]]);
  expect(placed(30, [marks[0]!, { ...marks[1]!, step: 8 }])).toEqual([["1–2", 0.5]]);
});

test("the worst severity of a layer", () => {
  const measured = found.map((f) => ({ ...f, metric: "m" }));
  expect(worstOf(measured, new Set(["b"]))).toBe("critical");
  expect(worstOf(measured, new Set(["zzz"]))).toBeNull();
  expect(worstOf(measured, new Set(["zzz", "b"]))).toBe("critical");
});

test("a finding is about a layer in a measure only if it names both", () => {
  const [one] = found.map((f) => ({ ...f, layer: "b", metric: "m" }));
  expect(isAbout(one!, "m")).toBe(true);
  expect(isAbout(one!, "other")).toBe(false);
  expect(isAbout({ ...one!, layer: null }, "m")).toBe(false);
  expect(isAbout({ ...one!, metric: null }, null)).toBe(false);
});

test("the tally names all that is not a finding", () => {
  const rule = (outcome: Rule["outcome"], exempt = {}, applies = true): Rule => ({
    id: "r",
    title: "r",
    outcome,
    applies,
    reason: null,
    step: null,
    exempt,
  });
  const rules = [
    rule("healthy"),
    rule("healthy", { a: "no ReLU" }),
    rule("not-evaluated"),
    rule("not-evaluated", { a: "no tanh" }, false),
    rule("found"),
  ];
  expect(tally(rules, 3)).toBe(
    "2 passed · 1 not evaluated · 1 exempt · 3 suppressed",
  );
  expect(tally([...rules, rules[3]!].slice(2), 0)).toBe(
    "0 passed · 1 not evaluated · 2 exempt",
  );
  expect(tally([rule("healthy")], 0)).toBe("1 passed");
  expect(exemptions(rule("healthy", { a: "no ReLU", b: "output", c: "no ReLU" }))).toEqual([
    { reason: "no ReLU", layers: ["a", "c"] },
    { reason: "output", layers: ["b"] },
  ]);
});

test("the findings of a layer keep the numbers of their problems", () => {
  const here = findingsOf(problems(found), "c");
  expect(here.map(({ problem, finding: f }) => [problem.number, f.severity])).toEqual([[1, "watch"]]);
  expect(findingsOf(problems(found), "a")[0]!.problem.number).toBe(2);
  expect(findingsOf(problems([finding("loss", null, 1)]), "a")).toEqual([]);
});

test("the rules from which a layer is exempt stand together by their reason", () => {
  const rule = (title: string, exempt: Record<string, string>) => ({ title, exempt }) as Rule;
  const rules = [rule("R", { a: "no ReLU" }), rule("S", { b: "x" }), rule("T", { a: "no ReLU" })];
  expect(exemptFrom(rules, "a")).toEqual([{ reason: "no ReLU", rules: ["R", "T"] }]);
  expect(exemptFrom(rules, "constructor")).toEqual([]);
  const whole = { ...rule("U", { a: "no accuracy" }), reason: "no accuracy" };
  expect(exemptFrom([whole], "a")).toEqual([]);
});

test("another rule in a reason is called by its title, other words stay as they are", () => {
  const dead = { id: "dead-relu", title: "Dead ReLU" } as Rule;
  expect(titled("ReLU: see dead-relu", [dead])).toBe("ReLU: see Dead ReLU");
  expect(titled("my_dead-relu, constructor", [dead])).toBe("my_dead-relu, constructor");
});
