import { expect, test } from "vitest";
import type { Run } from "../api";
import { chosenLayer, layerGroups } from "./layerchoice";
import { buildPlot } from "./plot";

const LAYERS = [
  { name: "input", parameters: 0 },
  { name: "conv", parameters: 8 },
  { name: "dense", parameters: 8 },
];

function plot(findings: object[]) {
  const run = {
    steps: [1],
    last_step: 1,
    metrics: [],
    findings,
    model: { layers: LAYERS.map((layer) => ({ ...layer, type: "Dense", shape: [8] })) },
  } as unknown as Run;
  return buildPlot([{ name: "a", run, measured: undefined, counts: undefined }], null);
}

const warning = { rule: "r", layer: "conv", severity: "warn", metric: "m" };
const critical = { rule: "s", layer: "dense", severity: "critical", metric: null };

test("the wanted layer is shown, else that of the worst finding, else one with weights", () => {
  expect(chosenLayer(plot([]), "input")).toBe("input");
  expect(chosenLayer(plot([warning, critical]), null)).toBe("dense");
  expect(chosenLayer(plot([warning]), "gone")).toBe("conv");
  expect(chosenLayer(plot([]), null)).toBe("conv");
  expect(chosenLayer(buildPlot([], null), null)).toBeNull();
});

test("layers with findings come first", () => {
  const groups = layerGroups(plot([warning, { ...critical, layer: "conv" }]));
  expect(groups).toEqual([
    { title: "With findings", layers: ["conv"] },
    { title: "With weights", layers: ["dense"] },
    { title: "Without weights", layers: ["input"] },
  ]);
});
