import { expect, test } from "vitest";
import { linesOf, readFolding, toggle, USUAL, writeFolding } from "./lines";

type Named = { name: string; type: string };

const layer = (name: string, type = "Dense"): Named => ({ name, type });

/** "+conv1:4" is folded, "-conv1:4" is not; its layers are indented by a dot for each block. */
const told = (layers: Named[], folding = USUAL) =>
  linesOf(layers, folding).map(({ kind, label, count, depth }) => {
    const sign = { layer: "", folded: "+", unfolded: "-" }[kind];
    return `${".".repeat(depth)}${sign}${label}${sign && `:${count}`}`;
  });

const ALL = { base: "folded", toggled: new Set<string>() } as const;
const NONE = { base: "unfolded", toggled: new Set<string>() } as const;

// As keras.applications names them.

function resnet50(): Named[] {
  const block = (stage: number, i: number) => {
    const at = (part: string, type: string) => layer(`conv${stage}_block${i}_${part}`, type);
    const conv = (n: number) => [at(`${n}_conv`, "Conv2D"), at(`${n}_bn`, "BatchNormalization")];
    const [zero, three] = [conv(0), conv(3)];
    return [
      ...[1, 2].flatMap((n) => [...conv(n), at(`${n}_relu`, "Activation")]),
      ...(i === 1 ? [zero[0]!, three[0]!, zero[1]!, three[1]!] : three),
      at("add", "Add"),
      at("out", "Activation"),
    ];
  };
  const stages = [3, 4, 6, 3].flatMap((blocks, stage) =>
    Array.from({ length: blocks }, (_, i) => block(stage + 2, i + 1)).flat(),
  );
  return [
    layer("input_layer", "InputLayer"),
    layer("conv1_pad", "ZeroPadding2D"),
    layer("conv1_conv", "Conv2D"),
    layer("conv1_bn", "BatchNormalization"),
    layer("conv1_relu", "Activation"),
    layer("pool1_pad", "ZeroPadding2D"),
    layer("pool1_pool", "MaxPooling2D"),
    ...stages,
    layer("avg_pool", "GlobalAveragePooling2D"),
    layer("predictions"),
  ];
}

function mobileNet(): Named[] {
  const unit = (name: string, type: string) => [
    layer(name, type),
    layer(`${name}_bn`, "BatchNormalization"),
    layer(`${name}_relu`, "ReLU"),
  ];
  return [
    layer("input_layer", "InputLayer"),
    ...unit("conv1", "Conv2D"),
    ...Array.from({ length: 13 }, (_, i) => [
      ...([2, 4, 6, 12].includes(i + 1) ? [layer(`conv_pad_${i + 1}`, "ZeroPadding2D")] : []),
      ...unit(`conv_dw_${i + 1}`, "DepthwiseConv2D"),
      ...unit(`conv_pw_${i + 1}`, "Conv2D"),
    ]).flat(),
    layer("global_average_pooling2d", "GlobalAveragePooling2D"),
    layer("dropout", "Dropout"),
    layer("conv_preds", "Conv2D"),
    layer("reshape", "Reshape"),
    layer("predictions", "Activation"),
  ];
}

/** Six functional blocks, none of whose layers was named. */
function transformer(): Named[] {
  const counts = new Map<string, number>();
  const auto = (name: string, type: string) => {
    const n = counts.get(name) ?? 0;
    counts.set(name, n + 1);
    return layer(n ? `${name}_${n}` : name, type);
  };
  const block = () => [
    auto("multi_head_attention", "MultiHeadAttention"),
    auto("dropout", "Dropout"),
    auto("add", "Add"),
    auto("layer_normalization", "LayerNormalization"),
    auto("dense", "Dense"),
    auto("dense", "Dense"),
    auto("add", "Add"),
    auto("layer_normalization", "LayerNormalization"),
  ];
  return [auto("embedding", "Embedding"), ...Array.from({ length: 6 }, block).flat(), auto("dense", "Dense")];
}

test("ResNet50 begins with its blocks folded and its stages unfolded", () => {
  const all = resnet50();
  expect(all).toHaveLength(177);
  const lines = told(all);
  expect(lines.slice(0, 8)).toEqual([
    "input_layer",
    "+conv1:4",
    "pool1_pad",
    "pool1_pool",
    "-conv2:32",
    ".+block1:12",
    ".+block2:10",
    ".+block3:10",
  ]);
  expect(lines).toHaveLength(26);
  expect(lines.slice(-2)).toEqual(["avg_pool", "predictions"]);
});

test("an unfolded block says its layers' names without its own", () => {
  const lines = told(resnet50(), toggle(USUAL, "conv2_block2"));
  expect(lines.slice(6, 9)).toEqual([".-block2:10", "..1_conv", "..1_bn"]);
});

test("all blocks fold to the outermost, and unfold to every layer", () => {
  const all = resnet50();
  expect(told(all, ALL)).toEqual([
    ...["input_layer", "+conv1:4", "pool1_pad", "pool1_pool"],
    ...["+conv2:32", "+conv3:42", "+conv4:62", "+conv5:32", "avg_pool", "predictions"],
  ]);
  const lines = linesOf(all, NONE);
  expect(lines.filter(({ kind }) => kind === "layer").map(({ name }) => name)).toEqual(
    all.map(({ name }) => name),
  );
  expect(told(all, toggle(ALL, "conv2"))).toContain(".+block1:12");
});

test("MobileNet folds to a line for each convolution", () => {
  const lines = told(mobileNet());
  expect(lines.slice(0, 5)).toEqual(["input_layer", "+conv1:3", "+conv_dw_1:3", "+conv_pw_1:3", "conv_pad_2"]);
  expect(lines).toHaveLength(37);
  expect(told(mobileNet(), toggle(USUAL, "conv1")).slice(1, 5)).toEqual(["-conv1:3", ".conv1", ".bn", ".relu"]);
});

test("a number that Keras put behind a name makes no block", () => {
  const all = transformer();
  expect(all.length).toBeGreaterThan(40);
  expect(told(all)).toEqual(all.map(({ name }) => name));
});

test("nested models are blocks in each other, in the place of their first layer", () => {
  const names = ["stem", "net/a/x", "net/a/y", "net/b", "top", "net/late"];
  const all = names.map((name) => layer(name));
  expect(told(all)).toEqual(["stem", "-net:4", ".-a:2", "..x", "..y", ".b", ".late", "top"]);
  expect(told(all, toggle(USUAL, "net/a"))).toEqual(["stem", "-net:4", ".+a:2", ".b", ".late", "top"]);
  expect(linesOf(all, ALL)[1]).toMatchObject({ rows: [1, 2, 3, 5], count: 4 });
});

test("few layers begin unfolded", () => {
  const parts = ["1_conv", "1_bn", "2_conv", "2_bn"];
  const all = ["in", ...parts.map((part) => `block1_${part}`)].map((name, i) => layer(name, `T${i}`));
  expect(told(all)).toEqual(["in", "-block1:4", ".1_conv", ".1_bn", ".2_conv", ".2_bn"]);
});

test("whatever the names, each layer stands in one line", () => {
  const parts = ["", "_", "/", "a1", "a1_", "a1/", "conv2d", "conv2d_1", "__proto__", "🩺", "<img>", "a1_b"];
  const all = parts.flatMap((a) => parts.map((b, i) => layer(`${a}${b}`, ["Conv2D", "Dense"][i % 2])));
  for (const folding of [USUAL, ALL, NONE, toggle(ALL, "a1"), toggle(USUAL, "constructor")]) {
    const rows = linesOf(all, folding).flatMap((line) => line.rows);
    expect(rows.sort((a, b) => a - b)).toEqual(all.map((_, row) => row));
  }
  const long = [layer("/".repeat(50_000)), layer("_".repeat(50_000)), layer("")];
  expect(linesOf(long, ALL)).toHaveLength(3);
});

test("what is folded stands in the address unless it is usual", () => {
  expect(writeFolding(USUAL)).toBe("");
  expect(writeFolding(toggle(toggle(USUAL, "a"), "a"))).toBe("");
  const folding = toggle(toggle(ALL, 'a"b'), "c");
  expect(readFolding(writeFolding(folding))).toEqual(folding);
  for (const mangled of [undefined, "", "{", "[]", '["no"]', "7", "null", "{}"]) {
    expect(readFolding(mangled)).toEqual(USUAL);
  }
});
