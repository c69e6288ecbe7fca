import { expect, test } from "vitest";
import {
  budgetOf,
  budgetVerdict,
  cadence,
  distanceAxis,
  distances,
  duration,
  high,
  inSeconds,
  lasted,
  meaning,
  often,
  perRecord,
  type Recorded,
  shareAxis,
  shared,
  stairs,
} from "./cost";

const run = (monitor: Partial<Recorded["monitor"]>, cost: Recorded["cost"]): Recorded => ({
  monitor: { every: 20, probe_every: 100, budget: 0.02, ...monitor },
  cost,
  probe_samples: 256,
});
const kept = { seconds: 1, share: 0.01, every: 20, probe_every: 100 };

test("a cadence is told as it was asked for and as it is in force", () => {
  expect(often(1)).toBe("every 1 step");
  expect(cadence(20, 20)).toEqual({
    asked: "every 20 steps",
    inForce: "every 20 steps",
    stretched: false,
  });
  expect(cadence(20, 200).stretched).toBe(true);
  expect(cadence(20, 0)).toMatchObject({
    inForce: "at the beginning and the end",
    stretched: true,
  });
  expect(cadence(0, 0)).toEqual({ asked: "never", inForce: "never", stretched: false });
  expect(cadence(undefined, undefined)).toEqual({
    asked: "not known",
    inForce: "not known",
    stretched: false,
  });
});

test("one axis holds all shares and budgets", () => {
  expect(shareAxis([run({}, kept), run({ budget: null }, { ...kept, share: 0.48 })])).toBe(1);
  expect(shareAxis([run({}, kept)])).toBe(0.05);
  expect(shareAxis([run({}, null)])).toBe(0.05);
  expect(shareAxis([])).toBeGreaterThan(0);
});

test("where steps are fixed the default budget is marked", () => {
  expect(budgetOf(run({ budget: 0.1 }, kept))).toEqual({ share: 0.1, words: "budget 10 %" });
  expect(budgetOf(run({ budget: null }, kept))!.words).toBe("default budget 2 %");
  expect(budgetOf(run({ budget: undefined }, kept))).toBeNull();
});

test("the budget has a verdict, of which the sign tells above from within", () => {
  const long = { seconds: 60, every: 20, probe_every: 100 };
  expect(budgetVerdict(run({}, kept))).toEqual({ sign: "ok", words: "Within the budget of 2 %" });
  expect(budgetVerdict(run({}, { ...long, share: 0.03 }))).toEqual({ sign: "warn", words: "Above the budget of 2 %" });
  expect(budgetVerdict(run({}, { ...kept, share: 0.1 })).words).toBe(
    "Above the budget of 2 %: high because the run is short (10 s)",
  );
  const read = run({}, { ...long, share: 0.0204 }); // as "2.0 %", which is not above 2 %
  expect(budgetVerdict(read).sign).toBe("ok");
  expect(meaning(read).facts.join()).not.toContain("more than its budget");
  const fixed = (share: number) => budgetVerdict(run({ budget: null }, { ...long, share }));
  expect(fixed(0.03).sign).toBe("watch");
  expect(fixed(0.03).words).toBe("Above the default budget of 2 %. No budget was set: it records at fixed steps");
  expect(fixed(0.01).sign).toBe("ok");
  expect(budgetVerdict(run({ budget: undefined }, kept)).sign).toBe("not-evaluated");
  expect(budgetVerdict(run({}, null)).sign).toBe("not-evaluated");
});

test("what a record took on average", () => {
  expect(perRecord({ cost: { ...kept, seconds: 4.1 }, steps: new Array(128).fill(0) })).toBe("32 ms each");
  expect(perRecord({ cost: { ...kept, seconds: 4 }, steps: [0, 1] })).toBe("2.0 s each");
  expect(perRecord({ cost: null, steps: [0] })).toBeNull();
});

test("times have a digit more than whole seconds", () => {
  expect([0.04, 5, 10.09].map(inSeconds)).toEqual(["0.04 s", "5.0 s", "10.1 s"]);
  expect(duration(10.09)).toBe("10.1 s");
  expect(duration(600)).toBe("10 min");
});

test("a large share is called high, and a short run is told as its reason", () => {
  const said = (budget: number | null, cost: { seconds: number; share: number }) =>
    high(run({ budget }, { ...kept, ...cost }));
  expect(said(null, { seconds: 4.6, share: 0.46 })).toBe("high because the run is short (10 s)");
  expect(said(null, { seconds: 3600, share: 0.46 })).toBe("high");
  expect(said(null, { seconds: 1, share: 0.05 })).toBe("");
  expect(said(0.02, { seconds: 1, share: 0.03 })).toBe("");
  expect(said(0.02, { seconds: 1, share: 0.041 })).toBe("high because the run is short (24 s)");
});

test("the meaning follows from share, budget and cadence", () => {
  expect(meaning(run({}, kept))).toMatchObject({ changes: [] });
  expect(meaning(run({}, kept)).facts[0]).toContain("within its budget");
  const stretched = meaning(run({}, { ...kept, every: 200, probe_every: 0 }));
  expect(stretched.facts[0]).toContain("gradients and the probe set more rarely");
  expect(stretched.changes.map(({ code }) => code)).toEqual([
    "budget=0.04",
    "every=20, probe_every=100",
  ]);
  const over = meaning(run({}, { ...kept, share: 0.03 }));
  expect(over.facts).toEqual([
    "It took more than its budget.",
    "Starting and finishing have a fixed cost; on a longer run the share falls.",
  ]);
  expect(over.changes[0]!.code).toBe("probe_samples=64");
});

test("fixed steps have no budget to keep", () => {
  const { facts, changes } = meaning(run({ every: 5, probe_every: 0, budget: null }, kept));
  expect(facts).toHaveLength(1);
  expect(facts[0]).toContain("at fixed steps");
  expect(changes.map(({ code }) => code)).toEqual([
    "budget=0.02",
    "every=10",
  ]);
});

test("a large share is explained by its fixed cost where training is short", () => {
  const why = (cost: { seconds: number; share: number }) =>
    meaning(run({ budget: undefined }, { ...kept, ...cost })).facts;
  expect(lasted({ seconds: 3, share: 0.4 })).toBeCloseTo(7.5);
  expect(why({ seconds: 3, share: 0.4 })).toEqual([expect.stringContaining("fixed cost")]);
  expect(why({ seconds: 3600, share: 0.4 })).toEqual([expect.stringContaining("Each record")]);
  expect(why({ seconds: 3600, share: 0.01 })).toEqual([]);
});

test("what all runs share is said once", () => {
  expect(shared([["a"], ["a"]])).toEqual(["a"]);
  expect(shared([["a"], ["b"]])).toBeNull();
  expect(shared([["a"]])).toBeNull();
  expect(shared([])).toBeNull();
});

test("what is not known is not made up", () => {
  expect(meaning(run({}, null)).facts).toEqual([]);
  expect(meaning(run({ budget: undefined }, kept)).facts).toEqual([]);
});

test("no tick stands between two whole numbers of steps", () => {
  expect(distanceAxis([[1, 5]]).ticks).toEqual([0, 5]);
  expect(distanceAxis([[1, 8]]).ticks).toEqual([0, 5, 10]);
  expect(distanceAxis([[1, 200]]).ticks).toEqual([1, 10, 100]);
  expect(distanceAxis([]).ticks).toEqual([0, 1]);
});

test("distances between records are a line of stairs", () => {
  expect(distances([0, 10, 30])).toEqual([null, 10, 20]);
  expect(stairs([0, 10, 30], (x) => x, (y) => y)).toBe("M0.0 10.0H10.0V20.0H30.0");
  expect(stairs([5], (x) => x, (y) => y)).toBe("");
});
