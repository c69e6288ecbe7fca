import { expect, test } from "vitest";
import type { Finding, Run } from "../api";
import { chainOf } from "./chain";

type Event = NonNullable<Run["diagnosis"]>["chain"][number];

const event = (rule: string, step: number, text: string, layers: string[] = []): Event => ({
  rule,
  layers,
  step,
  text,
});

const found = (rule: string, severity: Finding["severity"], layer: string | null) =>
  ({ rule, severity, layer }) as Finding;

const run = (chain: Event[], findings: Finding[] = []) =>
  ({ diagnosis: { chain, sureness: "likely", reason: "" }, findings }) as unknown as Run;

test("each link has its step, its words without it, and the severity of its finding", () => {
  const chain = [
    event("rate", 155, "the learning rate rose from 0.1 to 30 by step 155"),
    event("exploding", 155, "dense exploded, step 155 (3e+18 > 100)", ["dense"]),
    event("nan", 157, "NaN loss since step 157"),
  ];
  const findings = [
    found("exploding", "critical", "other"),
    found("exploding", "warn", "dense"),
    found("nan", "critical", null),
  ];
  expect(chainOf(run(chain, findings))).toEqual([
    { step: 155, severity: null, text: "the learning rate rose from 0.1 to 30" },
    { step: 155, severity: "warn", text: "dense exploded (3e+18 > 100)" },
    { step: 157, severity: "critical", text: "NaN loss" },
  ]);
});

test("an event that is recorded before its cause has no step, and another step is no part of it", () => {
  const chain = [
    event("a", 40, "a from step 400, step 40"),
    event("b", 30, "b"),
    event("c", 50, "c since step 50"),
  ];
  expect(chainOf(run(chain)).map(({ step, text }) => [step, text])).toEqual([
    [40, "a from step 400"],
    [null, "b"],
    [50, "c"],
  ]);
});

test("a cause alone is no chain, and neither is no diagnosis", () => {
  expect(chainOf(run([event("a", 1, "a")]))).toEqual([]);
  expect(chainOf({ ...run([]), diagnosis: null })).toEqual([]);
});
