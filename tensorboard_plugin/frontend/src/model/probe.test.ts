import { expect, test } from "vitest";
import type { Cams, Predictions } from "../api";
import {
  classesOf,
  confusion,
  errorOf,
  errorsOf,
  flips,
  grouped,
  isMixed,
  listed,
  lookIndex,
  outcomeOf,
  picturesOf,
  probeOf,
  readChoice,
  stretchesOf,
  sureFrom,
  tallyOf,
  truthsOf,
} from "./probe";

// Three samples at three looks: always right; right, wrong, right; wrong, then NaN.
const predictions: Predictions = {
  kind: "classes",
  steps: [0, 10, 20],
  samples: [
    { name: "0", true: 1, features: [0.5] },
    { name: "4", true: 2, features: null },
    { name: "12", true: 0, features: null },
  ],
  predicted: [
    [1, 2, 1],
    [1, 1, 1],
    [1, 2, null],
  ],
  confidence: [
    [0.9, 0.5, 0.4],
    [0.9, 0.6, 0.4],
    [0.99, 0.7, null],
  ],
  true_confidence: [
    [0.9, 0.5, 0.3],
    [0.9, 0.2, 0.3],
    [0.99, 0.7, null],
  ],
};
const cams: Cams = {
  steps: [10, 30],
  layer: "conv",
  method: "gradcam",
  samples: [
    { name: "4", true: 2 },
    { name: "7", true: 0 },
  ],
  predicted: [
    [2, 0],
    [2, 0],
  ],
  confidence: [
    [0.8, 0.8],
    [0.8, 0.8],
  ],
  true_confidence: [
    [0.8, 0.8],
    [0.8, 0.8],
  ],
  map_size: [1, 1],
  image_size: [1, 1, 1],
  maps: new Float32Array(8),
  images: new Uint8Array(2),
};
const values: Predictions = {
  kind: "values",
  steps: [0, 10],
  samples: [
    { name: "0", true: 1, features: null },
    { name: "1", true: -1, features: null },
  ],
  predicted: [
    [2, -1.5],
    [1, null],
  ],
  confidence: null,
  true_confidence: null,
};
const probe = probeOf(predictions, undefined)!;
const sample = (name: string) => probe.samples.get(name)!;
const all = ["0", "4", "12"];

test("samples with an image join the followed ones, by name; a missing look is no look", () => {
  const both = probeOf(predictions, cams)!;
  expect(both.steps).toEqual([0, 10, 20, 30]);
  expect([...both.samples.keys()]).toEqual(["0", "4", "12", "7"]);
  const four = both.samples.get("4")!;
  expect(four.image).toBe(0);
  expect(four.looks.map((look) => look?.predicted)).toEqual([2, 1, 2, 2]); // what is followed wins
  expect(both.samples.get("7")!.looks.map((look) => look?.predicted)).toEqual([
    undefined,
    0,
    undefined,
    0,
  ]);
  expect(both.samples.get("0")).toMatchObject({ image: -1, features: [0.5] });
});

test("an old recording has the samples with an image only, another one none", () => {
  expect([...probeOf(undefined, cams)!.samples.keys()]).toEqual(["4", "7"]);
  expect(probeOf(undefined, undefined)).toBeNull();
});

test("an outcome is right, wrong or NaN; a flip is from right to wrong, NaN is wrong", () => {
  expect([0, 1, 2].map((i) => outcomeOf(sample("4"), i))).toEqual(["right", "wrong", "right"]);
  expect([0, 1, 2].map((i) => outcomeOf(sample("12"), i))).toEqual(["wrong", "wrong", "nan"]);
  expect(all.map((name) => flips(sample(name)))).toEqual([0, 1, 0]);
  expect(outcomeOf({ ...sample("0"), truth: null }, 0)).toBeNull();
  expect(stretchesOf(sample("12"))).toEqual([
    { outcome: "wrong", first: 0, next: 2 },
    { outcome: "nan", first: 2, next: 3 },
  ]);
});

test("the look in effect at a step", () => {
  expect([0, 9, 10, 500].map((step) => lookIndex(probe, step))).toEqual([0, 0, 1, 2]);
});

test("filters and order", () => {
  const of = (choice: object, step = 20) =>
    listed([probe], { filter: "all", order: "number", truth: null, cell: null, ...choice }, step);
  expect(of({})).toEqual(all);
  expect(of({ filter: "wrong" })).toEqual(["12"]);
  expect(of({ filter: "wrong" }, 10)).toEqual(["4", "12"]);
  expect(of({ filter: "flipped" })).toEqual(["4"]);
  expect(of({ filter: "unsure" }, 0)).toEqual(["4", "12"]);
  expect(of({ truth: 2 })).toEqual(["4"]);
  expect(of({ cell: { truth: 2, predicted: 1 } }, 10)).toEqual(["4"]);
  expect(of({ cell: { truth: 0, predicted: null } })).toEqual(["12"]);
  expect(of({ cell: { truth: 0, predicted: 0 } })).toEqual([]);
  expect(of({ order: "confidence" })).toEqual(["12", "4", "0"]);
  expect(
    listed([probeOf(predictions, cams)], { filter: "all", order: "number", truth: null, cell: null }, 0),
  ).toEqual(["0", "4", "7", "12"]);
  expect(picturesOf([probeOf(predictions, cams), null])).toBe(2);
});

test("a sample is listed if one of the runs passes it", () => {
  const other = probeOf(
    {
      ...predictions,
      predicted: [
        [1, 2, 0],
        [1, 2, 0],
        [2, 2, 0],
      ],
    },
    undefined,
  );
  const wrong = { filter: "wrong", order: "number", truth: null, cell: null } as const;
  expect(listed([probe, null, other], wrong, 20)).toEqual(["0", "12"]);
  expect(listed([probe, null, other], wrong, 20, [other])).toEqual(["0"]); // in that run alone
});

test("those worth a look come first: wrong in most runs, flipped, unsure; with an image before others", () => {
  const names = ["0", "4", "7", "12"];
  const both = probeOf(predictions, cams);
  const kinds = (probes: Parameters<typeof grouped>[0], step: number) =>
    grouped(probes, names, step).map(({ kind, wrong, names }) => [kind, wrong, names]);
  expect(kinds([both], 20)).toEqual([
    ["wrong", 1, ["12"]],
    ["flipped", 0, ["4"]],
    ["unsure", 0, ["7"]], // not looked at
    ["others", 0, ["0"]],
  ]);
  expect(kinds([probe, null, both], 10)).toEqual([
    ["wrong", 2, ["4", "12"]],
    ["others", 0, ["7", "0"]],
  ]);
  const early = probeOf({ ...predictions, steps: [0, 10, 20] }, undefined);
  expect(kinds([early, probe], 0)[0]).toEqual(["wrong", 2, ["12"]]);
});

test("sureness is half way from a guess", () => {
  expect(sureFrom(2)).toBe(0.75);
  expect(sureFrom(10)).toBeCloseTo(0.55);
});

test("classes of tables and of the choice", () => {
  expect(classesOf([probe, null])).toEqual([0, 1, 2]);
  expect(truthsOf([probe])).toEqual([0, 1, 2]);
  expect(truthsOf([probeOf(values, undefined)])).toEqual([]);
});

test("runs with other truths have another probe set", () => {
  const samples = predictions.samples.map((known) => ({ ...known, true: 0 }));
  expect(isMixed([probe, null, probe])).toBe(false);
  expect(isMixed([probe, probeOf({ ...predictions, samples }, undefined)])).toBe(true);
});

test("the tally of a look, and what changed since the one before", () => {
  expect(tallyOf(probe, all, 0)).toEqual({
    count: 3,
    right: 2,
    broken: 0,
    becameRight: 0,
    becameWrong: 0,
    since: null,
  });
  expect(tallyOf(probe, all, 1)).toMatchObject({ right: 1, becameWrong: 1, since: 0 });
  expect(tallyOf(probe, ["0", "4", "none"], 2)).toMatchObject({ count: 2, becameRight: 1 });
  expect(tallyOf(probe, all, 2)).toMatchObject({ count: 3, broken: 1 });
});

test("the confusion counts true by predicted, NaN is a class of its own", () => {
  expect(confusion(probe, all, 1)).toEqual([
    { truth: 0, predicted: 1, count: 1 },
    { truth: 1, predicted: 1, count: 1 },
    { truth: 2, predicted: 1, count: 1 },
  ]);
  expect(confusion(probe, ["12"], 2)).toEqual([{ truth: 0, predicted: null, count: 1 }]);
});

test("errors of values", () => {
  const regression = probeOf(values, undefined)!;
  expect(errorOf(regression.samples.get("1")!, 0)).toBe(-0.5);
  expect(errorOf(regression.samples.get("1")!, 1)).toBeNull();
  const errors = errorsOf(regression, ["0", "1"], 1);
  expect(errors).toEqual({ count: 1, broken: 1, mean: 0, before: 0.75, since: 0 });
  const grown = { filter: "worse", order: "number", truth: null, cell: null } as const;
  expect(listed([regression], grown, 0)).toEqual([]);
  expect(listed([regression], grown, 10)).toEqual(["1"]); // NaN
  const byError = { filter: "all", order: "confidence", truth: null, cell: null } as const;
  expect(listed([regression], byError, 0)).toEqual(["0", "1"]);
  expect(listed([regression], { ...byError, order: "interest" }, 10)).toEqual(["1", "0"]);
  expect(listed([regression], byError, 10)).toEqual(["1", "0"]); // NaN is the worst
});

test("choices are read from the link; what is mangled is as at the beginning", () => {
  const first = readChoice({});
  expect(first).toEqual({
    filter: "all",
    order: "interest",
    run: null,
    truth: null,
    cell: null,
    target: 0,
    scale: "image",
    opacity: 0.45,
    open: null,
  });
  expect(
    readChoice({
      "probe.filter": "wrong",
      "probe.order": "confidence",
      "probe.run": "sweep/1",
      "probe.class": "7",
      "probe.cell": "4 nan",
      "probe.map": "predicted",
      "probe.scale": "map",
      "probe.opacity": "0.4",
      "probe.open": "12",
    }),
  ).toEqual({
    filter: "wrong",
    order: "confidence",
    run: "sweep/1",
    truth: 7,
    cell: { truth: 4, predicted: null },
    target: 1,
    scale: "map",
    opacity: 0.4,
    open: "12",
  });
  const mangled = { "probe.filter": "x", "probe.cell": "4", "probe.class": "-1", "probe.opacity": "2" };
  expect(readChoice(mangled)).toEqual(first);
});
