import { expect, test } from "vitest";
import type { Layer } from "../api";
import { MOST_PLACES } from "./blocks";
import { graphOf, linksOf, LOSS } from "./graph";

const NONE: ReadonlySet<string> = new Set();

const layer = (name: string, inputs: string[] = [], more: Partial<Layer> = {}): Layer => ({
  name,
  type: "Dense",
  shape: [8],
  parameters: 72,
  trainable: true,
  activation: "relu",
  role: "hidden",
  inputs,
  ...more,
});

const output = { role: "output" };
const pairs = (layers: Layer[]) =>
  linksOf(layers).map(({ from, to, inferred }) => `${from}${inferred ? "~" : ">"}${to}`);
const order = (layers: Layer[]) =>
  graphOf(layers, NONE).places.map(({ layers: of }) => layers[of[0]!]!.name);

test("several inputs, several outputs and skip connections are edges", () => {
  const layers = [
    layer("a"),
    layer("b"),
    layer("add", ["a", "b"]),
    layer("out", ["add", "a"], output),
    layer("aux", ["add"], output),
  ];
  expect(pairs(layers)).toEqual(["0>2", "1>2", "2>3", "0>3", "2>4"]);
  const { edges, known, places } = graphOf(layers, NONE);
  expect(known).toBe(true);
  expect(edges.filter(({ to }) => to === LOSS).map(({ from }) => from)).toEqual([
    "layer 3",
    "layer 4",
  ]);
  expect(places).toHaveLength(5);
});

test("logits that a softmax reads do not lead to the loss themselves", () => {
  const layers = [layer("logits", [], output), layer("softmax", ["logits"], output)];
  const { edges } = graphOf(layers, NONE);
  expect(edges.filter(({ to }) => to === LOSS)).toEqual([
    { from: "layer 1", to: LOSS, inferred: false },
  ]);
});

test("unknown names and layers that feed themselves are passed over", () => {
  expect(pairs([layer("a", ["nowhere", "a"]), layer("b", ["a", "a", "__proto__"])])).toEqual([
    "0>1",
  ]);
});

test("a circle ends, with the layer first that was recorded first", () => {
  expect(order([layer("a", ["c"]), layer("b", ["a"]), layer("c", ["b"])])).toEqual(["a", "b", "c"]);
  const all = ["a", "b", "c", "d"];
  expect(order(all.map((name) => layer(name, all)))).toEqual(all);
});

test("what feeds stands before what is fed, whatever the order of the record", () => {
  expect(order([layer("out", ["mid"]), layer("mid", ["in"]), layer("in")])).toEqual([
    "in",
    "mid",
    "out",
  ]);
});

test("without any input the layers stand in their order, and that is known to be a guess", () => {
  const layers = [layer("a"), layer("b"), layer("head", [], output)];
  const { known, edges } = graphOf(layers, NONE);
  expect(pairs(layers)).toEqual(["0~1", "1~2"]);
  expect(known).toBe(false);
  expect(edges.at(-1)).toEqual({ from: "layer 2", to: LOSS, inferred: true });
});

test("the way into a nested model is guessed from what leads nowhere else", () => {
  const layers = [
    layer("stem"),
    layer("net/a"),
    layer("net/b", ["net/a"]),
    layer("top", ["net/b"], output),
  ];
  expect(pairs(layers)).toEqual(["1>2", "2>3", "0~1"]);
});

test("two nested models beside each other stay beside each other", () => {
  const layers = [
    layer("one/a"),
    layer("one/b", ["one/a"]),
    layer("two/a"),
    layer("two/b", ["two/a"]),
    layer("cat", ["one/b", "two/b"], output),
  ];
  expect(pairs(layers)).toEqual(["0>1", "2>3", "1>4", "3>4"]);
});

test("layers inside a layer of the user's own are put between their neighbours", () => {
  const layers = [
    layer("stem"),
    layer("own/a"),
    layer("own/b"),
    layer("top", ["stem"], output),
  ];
  expect(pairs(layers)).toEqual(["0>3", "0~1", "1~2", "2~3"]);
});

test("a second input of a flat model is no gap", () => {
  const layers = [layer("left"), layer("right"), layer("cat", ["right"], output)];
  expect(pairs(layers)).toEqual(["1>2"]);
});

const deep = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    layer(`stage_${Math.floor(i / 10)}/layer_${i}`, i ? [`stage_${Math.floor((i - 1) / 10)}/layer_${i - 1}`] : []),
  );

test("a small model is not folded", () => {
  expect(graphOf(deep(MOST_PLACES), NONE).places).toHaveLength(MOST_PLACES);
});

test("the nested models of a small one can be folded, too", () => {
  expect(graphOf(deep(20), NONE).frames.map(({ block }) => block.name)).toEqual(["stage_0", "stage_1"]);
  expect(graphOf(deep(20), new Set(["stage_0"])).places).toHaveLength(11);
});

test("a large model is folded to its blocks, and edges with it", () => {
  const { places, edges, frames } = graphOf(deep(120), NONE);
  expect(places.map(({ block }) => block?.name)).toEqual(
    Array.from({ length: 12 }, (_, i) => `stage_${i}`),
  );
  expect(edges).toHaveLength(11);
  expect(frames).toEqual([]);
});

test("an unfolded block is a frame around its layers", () => {
  const folded = graphOf(deep(120), NONE);
  const open = graphOf(deep(120), new Set(["stage_3"]));
  expect(open.places).toHaveLength(11 + 10);
  expect(open.frames.map(({ block }) => block.name)).toEqual(["stage_3"]);
  const inside = open.places.filter(({ frame }) => frame === open.frames[0]!.id);
  expect(inside.flatMap(({ layers }) => layers)).toEqual(
    Array.from({ length: 10 }, (_, i) => 30 + i),
  );
  expect(open.key).not.toBe(folded.key);
  expect(graphOf(deep(120), NONE).key).toBe(folded.key);
});
