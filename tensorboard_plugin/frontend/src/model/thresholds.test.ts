import { describe, expect, test } from "vitest";
import contract from "../../../../tests/data/contract.json";
import type { Finding, Judged, Rule, Severity } from "../api";
import { readJudged } from "../readers";
import {
  changes,
  common,
  countEdits,
  disorder,
  edited,
  foremost,
  inField,
  inShort,
  isFor,
  isUnfolded,
  matches,
  nudged,
  numberOf,
  plain,
  readEdits,
  readSuppressions,
  refolded,
  sentences,
  summary,
  tunable,
  type Tunable,
  type TunableRule,
  withUnit,
  written,
} from "./thresholds";

const base = readJudged(contract["api/judge"].answer);

function finding(rule: string, layer: string | null, severity: Finding["severity"]): Finding {
  return { ...base.findings[0]!, rule, title: rule, layer, severity, evidence: "97 % ≥ 95 %" };
}

function rule(id: string, outcome: Rule["outcome"], reason: string | null = null): Rule {
  return { id, title: id, outcome, applies: true, reason, step: 40, exempt: {} };
}

function judged(run: string, findings: Finding[], rules: Rule[] = []): Judged {
  return { ...base, run, findings, rules, suppressed: [] };
}

const share: Tunable = {
  name: "warn",
  about: "share of units",
  source: "",
  default: 0.5,
  sign: "≥",
  whole: false,
  least: 0,
  most: 1,
  severity: "warn",
  measure: "dead_fraction",
  recorded: new Map([["a", 0.5]]),
  worst: new Map(),
};
const records: Tunable = { ...share, sign: null, whole: true, least: 1, most: null, default: 3 };
const norm: Tunable = { ...share, sign: "<", most: null, default: 100 };

describe("changes in a link", () => {
  test("are read back as they were written", () => {
    const edits = edited(edited({}, "dead-relu", "warn", 0.4), "dead-relu", "patience", 5);
    expect(readEdits(written(edits))).toEqual(edits);
    expect(countEdits(edits)).toBe(2);
    const suppressions = [{ rule: "dead-relu", layer: "conv_*", reason: "by design" }];
    expect(readSuppressions(written(suppressions))).toEqual(suppressions);
  });

  test("that are taken back leave nothing", () => {
    const edits = edited(edited({}, "dead-relu", "warn", 0.4), "dead-relu", "warn", null);
    expect(edits).toEqual({});
    expect(written(edits)).toBe("");
    expect(written([])).toBe("");
  });

  test("that are mangled are as good as none", () => {
    for (const text of [undefined, "", "{", "null", "3", '{"a": 1}', '{"a": {"b": "1"}}'])
      expect(readEdits(text)).toEqual({});
    for (const text of [undefined, "{", "{}", '[1, {"rule": "a"}, {"rule": "a", "reason": 1}]'])
      expect(readSuppressions(text)).toEqual([]);
  });
});

describe("the rules of several runs", () => {
  const dead = finding("dead-relu", "dense", "critical");

  test("come with the numbers that each was recorded with", () => {
    const [one] = tunable([judged("a", []), judged("b", [])]);
    const [warn] = one!.thresholds;
    expect([...warn!.recorded]).toEqual([
      ["a", 0.5],
      ["b", 0.5],
    ]);
    expect([...warn!.worst]).toEqual([
      ["a", { value: 0.97, layer: "dense" }],
      ["b", { value: 0.97, layer: "dense" }],
    ]);
    expect(common(warn!)).toBe(0.5);
    expect(common({ ...warn!, recorded: new Map([["a", 0.5], ["b", 0.4]]) })).toBeNull();
  });

  test("that found something come first, the worst before the others", () => {
    const three = ["overfitting", "update-ratio", "dead-relu"].map((id) => ({
      ...base.thresholds[0]!,
      id,
    }));
    const run = { ...judged("a", [dead, finding("update-ratio", null, "watch")]), thresholds: three };
    const rules = tunable([run]);
    expect(rules.map(({ id }) => id)).toEqual(["dead-relu", "update-ratio", "overfitting"]);
    expect(rules[0]!.found.get("a")).toBe("critical");
  });

  test("are found by words of their name and of what they measure", () => {
    const [one] = tunable([judged("a", [])]);
    for (const words of ["", "relu", "RELU share", "dead-relu warn"])
      expect(matches(one!, words), words).toBe(true);
    expect(matches(one!, "relu gradient")).toBe(false);
  });
});

describe("what is shown of a rule", () => {
  const named = (...names: string[]) => names.map((name) => ({ ...norm, name, measure: null, severity: null }));
  const of = (...thresholds: Tunable[]) => ({ id: "x", title: "X", thresholds, found: new Map() });

  test("before it is unfolded are its limits and their timing, or else its first threshold", () => {
    const others = named("growth", "doubling", "patience");
    expect([...foremost(of(...others, share))]).toEqual(["patience", "warn"]);
    expect([...foremost(of(...named("growth", "doubling", "checks", "warm_up")))]).toEqual(["growth", "warm_up"]);
  });

  test("is all of it where only one would be folded", () => {
    expect([...foremost(of(share, ...named("growth")))]).toEqual(["warn", "growth"]);
  });

  test("is what the filter's words ask for, not what they say of the rule", () => {
    const rule = { ...of(share), title: "Dead share" };
    expect(isFor(share, rule, "UNITS")).toBe(true);
    expect(isFor(share, rule, "share")).toBe(false);
    expect(isFor(share, rule, "")).toBe(false);
  });

  test("is told in sentences, the same one for the same", () => {
    const [high, low] = [{ ...norm, name: "high", about: "RMS" }, { ...norm, name: "low", about: "the same" }];
    expect([...sentences([high, low])]).toEqual([
      ["high", "RMS."],
      ["low", "RMS."],
    ]);
  });
});

describe("a rule is folded", () => {
  const quiet = { id: "x", title: "X", thresholds: [share, norm], found: new Map() };
  const loud = { ...quiet, found: new Map([["a", "warn" as const]]) };
  const none: ReadonlySet<string> = new Set();
  const isOpen = (rule: TunableRule, { edits = {}, open = none, filter = "", listed = 40 } = {}) =>
    isUnfolded(rule, edits, open, filter, listed);

  test("where it found nothing, unless a filter finds only a few", () => {
    expect([isOpen(quiet), isOpen(loud)]).toEqual([false, true]);
    expect([3, 4].map((listed) => isOpen(quiet, { filter: "norm", listed }))).toEqual([true, false]);
    expect(isOpen(quiet, { filter: " ", listed: 1 })).toBe(false);
  });

  test("or not, as the user wants it, but never while a number of it is changed", () => {
    const [open, shut] = [true, false].map((to) => refolded(refolded(new Set(["a"]), ["x"], !to), ["x"], to));
    expect([isOpen(quiet, { open }), isOpen(loud, { open: shut })]).toEqual([true, false]);
    expect(open!.size).toBe(2);
    expect(refolded(open!, ["x"], true)).toBe(open); // nothing is drawn again
    expect(isOpen(loud, { open: shut, edits: { x: { warn: 0.1 } } })).toBe(true);
  });

  test("to its foremost numbers, in short", () => {
    const patience = { ...records, name: "patience", recorded: new Map([["a", 3]]) };
    const rest = ["x", "y"].map((name) => ({ ...patience, name, measure: null, severity: null }));
    const thresholds = [share, { ...patience, measure: null, severity: null }, ...rest];
    expect(inShort({ ...quiet, thresholds })).toEqual(["warn ≥ 50 %", "patience 3"]);
    const recorded = new Map([["a", 1], ["b", 2]]);
    expect(inShort({ ...quiet, thresholds: [{ ...norm, recorded }] })).toEqual(["warn differs"]);
  });
});

describe("a number", () => {
  test("has to fit, or says what is wanted", () => {
    expect(numberOf("40", share)).toBe(0.4);
    expect(numberOf("0.7", share)).toBe(0.007);
    expect(numberOf("1e-7", norm)).toBe(1e-7);
    expect(numberOf("5", records)).toBe(5);
    expect(numberOf("101", share)).toBe("percent from 0 to 100");
    expect(numberOf("-1", norm)).toBe("a number of at least 0");
    expect(numberOf("2.5", records)).toBe("a whole number of at least 1");
    for (const text of ["", " ", "x", "1e999", "NaN"])
      expect(typeof numberOf(text, norm)).toBe("string");
  });

  test("moves by one in its second digit, within its bounds", () => {
    expect(nudged(0.5, 1, share)).toBe(0.51);
    expect(nudged(1, 1, share)).toBe(1);
    expect(nudged(1e-7, 1, norm)).toBe(1.1e-7);
    expect(nudged(0, 1, norm)).toBe(10);
    expect(nudged(1, -1, records)).toBe(1);
    expect(nudged(3, 1, records)).toBe(4);
  });

  test("that is a share stands in its field in percent, and is read back as it was", () => {
    for (const value of [0, 0.07, 0.25, 0.29, 0.57, 0.95, 1e-5, 1])
      expect(numberOf(inField(value, share), share)).toBe(value);
    expect([0.07, 0.29, 0.015].map((value) => inField(value, share))).toEqual(["7", "29", "1.5"]);
    expect([withUnit(0.25, share), withUnit(0.25, norm)]).toEqual(["25 %", "0.25"]);
  });

  test("is written as in a file", () => {
    expect([0.95, 100, 0, 1e-5, 1e-7].map(plain)).toEqual(["0.95", "100", "0", "1e-5", "1e-7"]);
  });
});

describe("what changes", () => {
  const dead = finding("dead-relu", "dense", "critical");
  const healthy = rule("dead-relu", "healthy");
  const kinds = (before: Judged, after: Judged) => changes(before, after).map(({ kind }) => kind);

  test("is what comes, goes and gets another severity; then what stays", () => {
    const milder = finding("update-ratio", "a", "watch");
    const before = judged("a", [dead, finding("update-ratio", "a", "warn"), finding("x", null, "warn")]);
    const after = judged("a", [finding("y", null, "warn"), milder, finding("x", null, "warn")], [healthy]);
    expect(kinds(before, after)).toEqual(["new", "severity", "gone", "same"]);
    expect(changes(before, after)[1]).toMatchObject({ was: "warn", severity: "watch" });
    expect(summary(changes(before, after))).toBe("1 gone · 1 new · 1 of another severity");
    expect(summary(changes(before, before))).toBe("nothing changes");
  });

  test("a rule that can no longer be evaluated is not healthy", () => {
    const silent = rule("dead-relu", "not-evaluated", "too few records");
    const after = judged("a", [], [silent]);
    expect(changes(judged("a", [dead], []), after)[0]).toMatchObject({
      kind: "silent",
      severity: "critical",
      reason: "too few records",
    });
    const all = changes(judged("a", [], [healthy]), after);
    expect(all[0]).toMatchObject({ kind: "silent", severity: null, reason: "too few records" });
    expect(summary(all)).toBe("1 rule no longer evaluated");
    expect(kinds(after, judged("a", [], [healthy]))).toEqual(["heard"]);
  });

  test("a suppressed finding is told with its reason", () => {
    const after = {
      ...judged("a", [], [rule("dead-relu", "not-evaluated", "suppressed: by design")]),
      suppressed: [{ ...dead, reason: "by design" }],
    };
    expect(changes(judged("a", [dead]), after)).toMatchObject([
      { kind: "suppressed", reason: "by design", layers: ["dense"] },
    ]);
  });

  test("layers that fare alike stand in one line", () => {
    const many = ["a", "b", "c"].map((layer) => finding("dead-relu", layer, "warn"));
    const all = changes(judged("a", many), judged("a", [many[0]!], [healthy]));
    expect(all.map(({ kind, layers }) => [kind, layers])).toEqual([
      ["gone", ["b", "c"]],
      ["same", ["a"]],
    ]);
    expect(summary(all)).toBe("2 gone");
  });
});

test("a limit that leaves no room for a milder one is told", () => {
  const limit = (name: string, severity: Severity, sign: ">" | "<") =>
    ({ name, severity, sign, measure: "dead_fraction" }) as Tunable;
  const odd = (sign: ">" | "<", warn: number, critical: number) => {
    const all = [limit("warn", "warn", sign), limit("critical", "critical", sign)];
    return all.map((one) => disorder(one, all, ({ name }) => (name === "warn" ? warn : critical)));
  };
  expect(odd(">", 0.5, 0.95)).toEqual(["", ""]);
  expect(odd(">", 0.5, 0.3)).toEqual(["", "Not above warn: it never comes to warn."]);
  expect(odd("<", 0.5, 0.3)).toEqual(["", ""]);
  expect(odd("<", 0.5, 0.5)).toEqual(["", "Not below warn: it never comes to warn."]);
});
