import { expect, test } from "vitest";
import type { Layer } from "../api";
import { blocksOf, foldedBlocks } from "./blocks";

const layers = (...names: string[]) =>
  names.map((name, i) => ({ name, type: ["Conv2D", "ReLU"][i % 2] }) as Layer);
const blocks = (...names: string[]) =>
  blocksOf(layers(...names)).map(({ name, layers: of, depth }) => [name, of.length, depth]);

test("nested models are blocks, in each other too", () => {
  expect(blocks("stem", "net/a/x", "net/a/y", "net/b", "top")).toEqual([
    ["net", 3, 0],
    ["net/a", 2, 1],
  ]);
});

test("a block of all layers, or of the same layers as another, says nothing", () => {
  expect(blocks("net/a", "net/b")).toEqual([]);
  expect(blocks("stem", "net/inner/a", "net/inner/b")).toEqual([["net", 2, 0]]);
});

test("numbered prefixes of neighbours are blocks", () => {
  const names = ["conv", "bn", "relu", "add"].map((part) => `block_1_${part}`);
  expect(blocks("stem", ...names, "top")).toEqual([["block_1", 4, 0]]);
  expect(blocks("stem", ...names.slice(1), "top")).toEqual([]);
});

test("a layer that bears the block's name belongs to it", () => {
  expect(blocks("in", "conv1", "conv1_bn", "conv1_relu", "top")).toEqual([["conv1", 3, 0]]);
  expect(blocks("in", "conv1", "conv1_bn", "top")).toEqual([]);
});

test("what was not named at all does not tear a block apart", () => {
  const block = ["block2_conv", "block2_bn", "block2_act", "block2_pool"];
  const with_ = (name: string, type: string) => {
    const all = layers("in", ...block.slice(0, 3), name, block[3]!, "top");
    return blocksOf(all.map((layer) => (layer.name === name ? { name, type } : layer)));
  };
  expect(with_("conv2d_7", "Conv2D")[0]).toMatchObject({ name: "block2", layers: [1, 2, 3, 4, 5] });
  expect(with_("shortcut", "Conv2D")).toEqual([]);
});

test("names that Keras numbers are no blocks", () => {
  const types = (name: string) => ({ name, type: "Conv2D" }) as Layer;
  expect(blocksOf(["in", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4"].map(types))).toEqual([]);
  const nested = ["conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4"].map((name) => `net/${name}`);
  expect(blocksOf(["in", ...nested].map(types)).map(({ name }) => name)).toEqual(["net"]);
  const mixed = [["conv2d", "Conv2D"], ["conv2d_1", "Conv2D"], ["conv2d_transpose", "Conv2DTranspose"]];
  expect(blocksOf([["in", "Dense"], ...mixed].map(([name, type]) => ({ name: name!, type: type! })))).toEqual([]);
  const far = ["conv2d_1", "bn", "conv2d_2", "bn_1", "conv2d_3", "bn_2", "conv2d_4"];
  expect(blocks("in", ...far)).toEqual([]);
});

test("layers of one type are a block where the user named them", () => {
  const dense = (name: string) => ({ name, type: "Dense" });
  const encoder = ["encoder_1_dense", ...[1, 2, 3].map((i) => `encoder_1_dense_${i}`)];
  expect(blocksOf(["in", ...encoder].map(dense))).toMatchObject([{ name: "encoder_1", layers: [1, 2, 3, 4] }]);
  const flat = Array.from({ length: 200 }, (_, i) => `block_${i >> 2}_dense_${i % 4}`);
  expect(blocksOf(flat.map(dense))).toHaveLength(50);
});

test("a nested model that Keras numbered does not hide the block that it is in", () => {
  const names = ["block_1_conv", "block_1_net/dense", "block_1_net/dense_1", "block_1_add"];
  const dense = (name: string) => ({ name, type: "Dense" });
  expect(blocksOf(["in", ...names, "top"].map(dense)).map(({ name }) => name)).toEqual(["block_1", "block_1_net"]);
});

test("a name made of separators alone is taken as it is", () => {
  expect(blocks("/".repeat(50_000), "_".repeat(50_000), "", "a")).toEqual([]);
});

test("as few levels are folded as leave little enough to see", () => {
  const names = Array.from({ length: 4 }, (_, outer) =>
    Array.from({ length: 5 }, (_, inner) => ["a", "b", "c"].map((part) => `s${outer}/t${inner}/${part}`)),
  ).flat(2);
  const found = blocksOf(layers(...names));
  const folded = (toggled: string[]) =>
    found.filter((_, i) => foldedBlocks(found, names.length, new Set(toggled))[i]).length;
  expect(found).toHaveLength(4 + 20);
  expect(folded([])).toBe(20); // the inner ones
  expect(folded(["s0/t0"])).toBe(19);
  expect(folded(["s0"])).toBe(21);
});

test("a nested model and flat layers beside it are blocks of different names", () => {
  const names = ["net_1/a", "net_1/b", ...["add", "out", "x", "y"].map((part) => `net_1_${part}`)];
  expect(blocks("in", ...names, "top")).toEqual([["net_1", 2, 0], ["net_1_", 4, 0]]);
});
