import { expect, test } from "vitest";
import type { Layer, Metric, Run } from "../api";
import { absence, alignLayers, describeLayer, facts, layerNames, rowAt, rowLayout, rowNames, skips } from "./layers";

const layer = (name: string, more: Partial<Layer> = {}): Layer => ({
  name,
  type: "Dense",
  shape: [8],
  parameters: 72,
  trainable: true,
  activation: "relu",
  role: "hidden",
  inputs: [],
  ...more,
});

test("the same layers stay as they are", () => {
  expect(
    alignLayers([
      ["a", "b"],
      ["a", "b"],
    ]),
  ).toEqual(["a", "b"]);
  expect(alignLayers([])).toEqual([]);
});

test("layers of one run alone keep their neighbours", () => {
  expect(
    alignLayers([
      ["a", "b", "c"],
      ["a", "x", "b", "c", "z"],
    ]),
  ).toEqual(["a", "x", "b", "c", "z"]);
  expect(alignLayers([["b"], ["a", "b"]])).toEqual(["a", "b"]);
  expect(
    alignLayers([
      ["a", "b"],
      ["p", "q"],
    ]),
  ).toEqual(["p", "q", "a", "b"]);
});

test("contradicting orders lose no layer and double none", () => {
  expect(
    alignLayers([
      ["a", "b"],
      ["b", "a", "c"],
    ]),
  ).toEqual(["a", "b", "c"]);
});

test("layers that Keras named stand beside their counterparts in an equal model", () => {
  const pool = { type: "MaxPooling2D", shape: [4] };
  const first = [layer("dense"), layer("max_pooling2d", pool), layer("dense_1"), layer("head")];
  const again = [layer("dense_7"), layer("max_pooling2d_3", pool), layer("dense_8"), layer("top")];
  expect(rowNames([first, again])).toEqual([
    ["dense", "max_pooling2d", "dense_1", "head"],
    ["dense", "max_pooling2d", "dense_1", "top"],
  ]);
  const wider = [layer("dense_7", { shape: [9] }), ...again.slice(1)];
  expect(rowNames([first, wider])[1]).toEqual(["dense_7", "max_pooling2d_3", "dense_8", "top"]);
  const shifted = [layer("dense_1"), layer("dense_2")];
  expect(rowNames([[layer("a"), layer("dense_2")], shifted])[1]).toEqual(["dense_1", "dense_2"]);
  expect(rowNames([[layer("dense_2"), layer("a")], shifted])[1]).toEqual(["dense_1", "dense_2"]);
});

test("an empty row says why", () => {
  const metric = {
    source: "training step",
    limits: [{ rule: "dead", severity: "warn", value: 1, above: true }],
  } as Metric;
  const run = { rules: [{ id: "dead", exempt: { d: "no ReLU" } }] } as unknown as Run;
  expect(absence(run, metric, undefined)).toBe("not in this model");
  expect(absence(run, metric, layer("d"))).toBe("no ReLU");
  expect(absence(run, metric, layer("pool", { parameters: 0 }))).toBe("no weights");
  expect(absence(run, metric, layer("e", { trainable: false }))).toBe("frozen");
  expect(absence(run, metric, layer("e"))).toBeNull();
  expect(
    absence(run, { ...metric, source: "probe set" }, layer("pool", { parameters: 0 })),
  ).toBeNull();
});

test("a layer is described by type, shape and activation", () => {
  expect(describeLayer(layer("c", { type: "Conv2D", shape: [8, null, 16] }))).toBe(
    "Conv2D 8×?×16 relu",
  );
  expect(describeLayer(layer("f", { shape: [], activation: null }))).toBe("Dense");
});

test("only connections over a line are skips, each of them once", () => {
  const layers = [
    layer("a"),
    layer("b", { inputs: ["a"] }),
    layer("add", { inputs: ["b", "a", "gone"] }),
  ];
  const lines = (...of: number[]) => new Map(["a", "b", "add"].map((name, i) => [name, of[i]!]));
  expect(skips(lines(0, 1, 2), layers, [0, 1, 2])).toEqual([[0, 2]]);
  expect(skips(lines(0, 0, 2), layers, [0, 1, 2])).toEqual([[0, 2]]); // a and b are folded
  expect(skips(lines(0, 1, 1), layers, [0, 1])).toEqual([]);
  expect(skips(lines(0, 2, 3), layers, [0, 2, 3])).toEqual([[0, 3]]); // 1 is a block's head
});

test("rows lie one under the other and are found again", () => {
  const layout = rowLayout([true, false, true]);
  expect(layout.tops).toEqual([0, 19, 34]);
  expect(layout.total).toBe(53);
  expect([rowAt(layout, -4), rowAt(layout, 18), rowAt(layout, 19), rowAt(layout, 999)]).toEqual([
    0, 0, 1, 2,
  ]);
  expect(rowLayout(Array(200).fill(true)).total).toBe(2400);
});

test("facts are words, also where there is nothing", () => {
  const bare = layer("in", { shape: [null, 8], parameters: 0, activation: null });
  expect(Object.fromEntries(facts(bare))).toMatchObject({
    Output: "? × 8",
    Weights: "none",
    Activation: "none",
    Input: "the model's input",
  });
  const frozen = facts(layer("a", { parameters: 4640, trainable: false, inputs: ["b", "c"] }));
  expect(frozen).toContainEqual(["Weights", "4,640, frozen"]);
  expect(frozen).toContainEqual(["Input", "b, c"]);
});

test("names of layers are told from words of the language", () => {
  const named = (...names: string[]) => names.map((name) => ({ name }) as Layer);
  const isName = layerNames({
    model: { layers: named("conv_1", "dense", "output", "block_25_dense") },
    findings: [{ layer: "dense" }],
  } as unknown as Run);
  const words = ["conv_1", "dense", "output", "conv_2", "…25_dense", "…other", "25_dense"];
  expect(words.filter(isName)).toEqual(["conv_1", "dense", "…25_dense"]);
});
