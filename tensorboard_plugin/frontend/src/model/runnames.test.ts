import { expect, test } from "vitest";
import { ends, shortNames } from "./runnames";

const told = (...runs: string[]) => [...shortNames(runs).values()];

test("what all runs of a group have in common is left out", () => {
  expect(
    told(
      "sweep/2024-11-01-cnn-lr0.1-batch64-seed1/train",
      "sweep/2024-11-02-cnn-lr1.0-batch64-seed2/train",
      "baseline",
    ),
  ).toEqual(["seed1", "seed2", "baseline"]); // the other words say no more
  const name = (lr: number, seed: number) => `sweep/2024-11-0${seed}-cnn-lr${lr}-batch64-seed${seed}/train`;
  expect(told(name(0.1, 1), name(0.1, 2), name(1, 1), name(1, 2))).toEqual([
    "lr0.1…seed1",
    "lr0.1…seed2",
    "lr1…seed1",
    "lr1…seed2",
  ]);
});

test("names of unlike length lose what they begin and end with", () => {
  expect(told("sweep/with-a-long-prefix-adam", "sweep/with-a-long-prefix-sgd-momentum")).toEqual([
    "adam",
    "sgd-momentum",
  ]);
  expect(told("sweep/with-a-long-prefix/train", "sweep/with-a-long-prefix-more/train")).toEqual([
    "sweep/with-a-long-prefix/train", // nothing would be left of it
    "more",
  ]);
});

test("short names stay, and no two runs are told alike", () => {
  expect(told("run/a", "run/b")).toEqual(["run/a", "run/b"]);
  const dated = ["2024-11-01-120000/train", "2024-11-01-120000/validation", "2024-11-02-120000/train", "2024-11-02-120000/validation"];
  expect(told(...dated)).toEqual(dated);
});

test("the end of a name is kept where it has to be cut", () => {
  expect(ends("sweep/lr-0.1/seed-7")).toEqual(["sweep/lr-0", ".1/seed-7"]);
  expect(ends("abcd")).toEqual(["ab", "cd"]);
  expect(ends("🩺🩺")).toEqual(["🩺", "🩺"]);
  expect(ends("")).toEqual(["", ""]);
});
