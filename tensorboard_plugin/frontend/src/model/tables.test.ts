import { expect, test } from "vitest";
import contract from "../../../../tests/data/contract.json";
import type { Cams, Measurements, Run } from "../api";
import { readRun } from "../readers";
import { buildPlot } from "./plot";
import { camTable, curveTable, heatTable } from "./tables";

function run(name: string, layers: string[], changes: Partial<Run> = {}): Run {
  const whole = readRun(contract["api/run"].answer);
  const model = {
    ...whole.model,
    layers: layers.map((layer, i) => ({
      ...whole.model.layers[0]!,
      name: layer,
      shape: [layers.length, i],
    })),
  };
  return { ...whole, run: name, model, ...changes };
}

function measured(rows: number[][]): Measurements {
  const steps = Float64Array.from(rows, (_, s) => (s + 1) * 10);
  return { steps, layers: rows[0]!.length, values: Float32Array.from(rows.flat()) };
}

test("a heat map is a line per run and step, with NaN told from what was not measured", () => {
  const sources = [
    {
      name: "one",
      run: run("one", ["a", "b"]),
      measured: measured([[1, NaN], [NaN, 4]]),
      counts: measured([[0, 0], [3, 0]]),
    },
    { name: "two", run: run("two", ["a"]), measured: measured([[9]]), counts: undefined },
  ];
  expect(heatTable(buildPlot(sources, "gradient_rms"))).toEqual({
    columns: ["run", "step", "a", "b"],
    rows: [
      ["one", 10, 1, null],
      ["one", 20, "NaN", 4],
      ["two", 10, 9, null],
    ],
  });
});

test("curves have a column each, empty where a run does not have the series", () => {
  const [one, two] = [
    run("one", ["a"], { steps: [1, 2], series: { loss: [3, null], extra: [1, 2] } }),
    run("two", ["a"], { steps: [5], series: { loss: [-4] } }),
  ];
  expect(curveTable([one, two], ["loss", "extra"]).rows).toEqual([
    ["one", 1, 3, 1],
    ["one", 2, null, 2],
    ["two", 5, -4, null],
  ]);
});

test("snapshots have a line per probe image", () => {
  const cams = contract["api/cams"].answer as unknown as Cams;
  expect(camTable([{ name: "one", cams }]).rows).toEqual([
    ["one", 1, "0", 7, 3, 0.21, 0.08],
    ["one", 100, "0", 7, 7, 0.98, 0.98],
  ]);
});
