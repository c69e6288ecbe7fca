import { expect, test } from "vitest";
import type { Limit, Metric, Run } from "../api";
import { bySource, defaultMetric, isUsual, limitsOf, metricsOf, severityOf } from "./metrics";

const metric = (name: string, more: Partial<Metric> = {}): Metric => ({
  name,
  title: name,
  scale: "log",
  source: "training step",
  nonfinite: "n",
  about: "",
  not_measured: null,
  limits: [],
  ...more,
});

const run = (metrics: Metric[], findings: object[] = []): Run =>
  ({ metrics, findings }) as unknown as Run;

test("a measure that one run has is offered without an excuse", () => {
  const runs = [run([metric("a", { not_measured: "no probe" })]), run([metric("a"), metric("b")])];
  expect(metricsOf(runs).map((m) => [m.name, m.not_measured])).toEqual([
    ["a", null],
    ["b", null],
  ]);
});

test("the page begins with the measure of the worst finding", () => {
  const metrics = [metric("a"), metric("b"), metric("c", { not_measured: "no tanh" })];
  const warn = { severity: "warn", metric: "a" };
  const critical = { severity: "critical", metric: "b" };
  expect(defaultMetric([run(metrics, [warn]), run(metrics, [critical])])).toBe("b");
  expect(defaultMetric([run(metrics, [{ severity: "critical", metric: "loss" }])])).toBe("a");
  expect(defaultMetric([run(metrics.slice(2))])).toBeNull();
  expect(severityOf([run(metrics, [warn])], "a")).toBe("warn");
  expect(severityOf([run(metrics, [warn])], "b")).toBeNull();
});

test("limits of several runs stand once each, in order", () => {
  const limit = (value: number) => ({ severity: "warn", rule: "r", value, above: true }) as Limit;
  const runs = [
    run([metric("a", { limits: [limit(10), limit(1)] })]),
    run([metric("a", { limits: [limit(10)] })]),
  ];
  expect(limitsOf(runs, "a").map((l) => l.value)).toEqual([1, 10]);
});

test("measures stand by their source", () => {
  const groups = bySource([metric("a"), metric("p", { source: "probe set" }), metric("b")]);
  expect(groups.map(([source, all]) => [source, all.length])).toEqual([
    ["training step", 2],
    ["probe set", 1],
  ]);
});

test("what has a limit or a finding is asked for often", () => {
  const limit = { severity: "warn", rule: "r", value: 1, above: true } as Limit;
  const limited = metric("a", { limits: [limit] });
  const runs = [run([limited, metric("b"), metric("c")], [{ severity: "watch", metric: "b" }])];
  const usual = metricsOf(runs).filter((one) => isUsual(one, runs));
  expect(usual.map(({ name }) => name)).toEqual(["a", "b"]);
});
