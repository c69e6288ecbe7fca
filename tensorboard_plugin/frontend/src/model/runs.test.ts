import { expect, test } from "vitest";
import type { RunSummary, Standing } from "../api";
import {
  defaultShown,
  filterRuns,
  growShown,
  keepShown,
  life,
  longAge,
  pollAfter,
  pulse,
  shortAge,
  sorted,
  titleOf,
  verdictCounts,
  version,
  worstFirst,
} from "./runs";

function run(name: string, severity: Standing | null, more: Partial<RunSummary> = {}): RunSummary {
  return {
    run: name,
    recorded: severity !== null,
    start_time: severity && 1000,
    last_time: severity && 2000,
    last_step: severity && 640,
    finished: severity && true,
    verdict: severity && { severity, title: "", summary: "", try_first: null },
    counts: null,
    error: null,
    ...more,
  } as RunSummary;
}

const names = (runs: RunSummary[]) => runs.map((r) => r.run);

test("the worst comes first, a run without data last", () => {
  const runs = [
    run("plain", null),
    run("fine", "ok"),
    run("silent", "not-evaluated"),
    run("bad", "critical"),
    run("odd", "watch"),
  ];
  expect(names(worstFirst(runs))).toEqual(["bad", "odd", "silent", "fine", "plain"]);
});

test("of equally bad runs the newest comes first", () => {
  const runs = [run("old", "warn", { last_time: 1 }), run("new", "warn", { last_time: 9 })];
  expect(names(worstFirst(runs))).toEqual(["new", "old"]);
});

test("by name a number in it counts as one, whatever the verdict", () => {
  const runs = ["run_10", "run_2", "Run_1"].map((name) => run(name, "ok"));
  const all = [...runs, run("bad", "critical"), run("plain", null)];
  expect(names(sorted(all, "name"))).toEqual(["bad", "plain", "Run_1", "run_2", "run_10"]);
});

test("newest first, of the same age by name, a run without data last", () => {
  const ages = { b: 5, old: 1, a: 5, new: 9 };
  const runs = Object.entries(ages).map(([name, last_time]) => run(name, "ok", { last_time }));
  expect(names(sorted([run("plain", null), ...runs], "newest"))).toEqual(["new", "a", "b", "old", "plain"]);
});

test("at first the worst three are shown, in the order of their start", () => {
  const runs = [
    run("a", "ok", { start_time: 1 }),
    run("b", "critical", { start_time: 3 }),
    run("c", "warn", { start_time: 2 }),
    run("d", "watch", { start_time: 4 }),
    run("e", null),
  ];
  expect(defaultShown(runs)).toEqual(["c", "b", "d"]);
});

test("what was picked stays, unless it is gone", () => {
  const runs = [run("a", "ok"), run("b", "critical"), run("plain", null)];
  expect(keepShown(["a", "gone", "plain"], runs)).toEqual(["a"]);
  expect(keepShown([], runs)).toEqual([]);
});

test("while nobody picks, a new run takes a free column and moves none", () => {
  expect(growShown([], [run("x", null, { error: "damaged" })])).toEqual(["x"]);
  expect(growShown(["a"], [run("a", "ok"), run("b", "critical")])).toEqual(["a", "b"]);
  const four = ["a", "b", "c", "d"].map((name) => run(name, "critical"));
  expect(growShown(["a", "b", "c"], four)).toEqual(["a", "b", "c"]);
});

test("the filter is a regular expression", () => {
  const runs = [run("lr-0.1", "ok"), run("LR-0.2", "ok"), run("depth", "ok")];
  expect(names(filterRuns(runs, "^lr")!)).toEqual(["lr-0.1", "LR-0.2"]);
  expect(filterRuns(runs, "(")).toBeNull();
});

test("live, stale and finished", () => {
  const training = run("a", "ok", { finished: false });
  expect(life(training, 2060)).toBe("live");
  expect(life(training, 2000 + 3600)).toBe("stale");
  expect(shortAge(training, 2000 + 3600)).toBe("1 h ago");
  expect(shortAge(run("b", "ok"), 2720)).toBe("12 min ago");
  expect(shortAge(run("c", null), 0)).toBe("no data");
  expect(shortAge(run("c", null, { error: "damaged" }), 0)).toBe("unreadable");
  expect(longAge(training, 2004)).toBe("live · step 640");
  expect(pulse([training, run("b", "ok")], 2004).words).toBe("Live · updated 4 s ago");
  expect(pulse([], 0).words).toBe("Waiting for data");
});

test("the list is asked for again, more often while something is about to come", () => {
  const training = run("a", "ok", { finished: false });
  expect(pollAfter([], 2060)).toBe(5);
  expect(pollAfter([run("plain", null)], 2060)).toBe(5);
  expect(pollAfter([run("b", "ok"), training], 2060)).toBe(5);
  expect(pollAfter([run("b", "ok")], 2060)).toBe(10);
  expect(pollAfter([training], 2000 + 3600)).toBe(10);
});

test("a version changes with each thing that is shown", () => {
  const before = run("a", "ok");
  expect(version(before)).toBe(version({ ...before }));
  expect(version(before)).not.toBe(version({ ...before, last_step: 660 }));
  expect(version(before)).not.toBe(version(run("a", "warn")));
});

test("a run in the log folder itself is called as the folder", () => {
  expect(titleOf(".", "digits")).toBe("digits");
  expect(titleOf(".", null)).toBe("(log folder)");
  expect(titleOf("a/b", "digits")).toBe("a/b");
});

test("runs are counted by their verdict, those without one not at all", () => {
  const runs = [run("a", "ok"), run("b", "critical"), run("c", "ok"), run("d", null), run("e", "not-evaluated")];
  const counts = verdictCounts(runs).map(({ verdict, count }) => `${verdict} ${count}`);
  expect(counts).toEqual(["critical 1", "warn 0", "watch 0", "not-evaluated 1", "ok 2"]);
});
