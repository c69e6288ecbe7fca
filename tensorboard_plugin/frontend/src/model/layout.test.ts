import { expect, test } from "vitest";
import type { Layer } from "../api";
import { graphOf, LOSS } from "./graph";
import { layoutOf, smooth } from "./layout";

const layer = (name: string, inputs: string[], role = "hidden") =>
  ({ name, type: "Dense", shape: [8], inputs, role, parameters: 1, activation: null }) as unknown as Layer;
const laid = (layers: Layer[], toggled: string[] = []) => layoutOf(graphOf(layers, new Set(toggled)));
const tops = (layers: Layer[]) => [...laid(layers).places.values()].map(({ y }) => y);

test("input is at the top, loss at the bottom", () => {
  const [a, b, out, loss] = tops([
    layer("a", []),
    layer("b", ["a"]),
    layer("out", ["b", "a"], "output"),
  ]);
  expect(a! < b! && b! < out! && out! < loss!).toBe(true);
});

test("branches stand beside each other", () => {
  const { places } = laid([
    layer("in", []),
    layer("left", ["in"]),
    layer("right", ["in"]),
    layer("add", ["left", "right"], "output"),
  ]);
  const [left, right] = ["layer 1", "layer 2"].map((id) => places.get(id)!);
  expect(left!.y).toBe(right!.y);
  expect(Math.abs(left!.x - right!.x)).toBeGreaterThanOrEqual(left!.width);
});

test("a circle is laid out", () => {
  const { places, paths } = laid([
    layer("a", ["c"]),
    layer("b", ["a"]),
    layer("c", ["b"], "output"),
  ]);
  expect(places.get("layer 0")!.y).toBeLessThan(places.get("layer 2")!.y);
  expect(paths).toHaveLength(4);
});

test("too many connections are not laid out at all", () => {
  const names = Array.from({ length: 300 }, (_, i) => `l${i}`);
  const start = performance.now();
  const layout = laid(names.map((name, i) => layer(name, names.slice(0, i))));
  expect(layout.crowded).toBe(true);
  expect(layout.paths).toEqual([]);
  expect([...layout.places.keys()].at(-1)).toBe(LOSS);
  expect(performance.now() - start).toBeLessThan(5000);
});

const deep = Array.from({ length: 200 }, (_, i) => {
  const name = (at: number) => `stage_${Math.floor(at / 10)}/layer_${at}`;
  return layer(name(i), i > 2 ? [name(i - 1), name(i - 3)] : i ? [name(i - 1)] : []);
});

test("the places of an unfolded block are in its frame, the others are not", () => {
  const graph = graphOf(deep, new Set(["stage_4"]));
  const { places, frames } = layoutOf(graph);
  const frame = frames.get(graph.frames[0]!.id)!;
  const isInside = ({ x, y, width, height }: typeof frame) =>
    x >= frame.x && y >= frame.y && x + width <= frame.x + frame.width && y + height <= frame.y + frame.height;
  const inside = graph.places.filter(({ id }) => isInside(places.get(id)!));
  expect(inside).toEqual(graph.places.filter((place) => place.frame !== null));
  expect(inside).toHaveLength(10);
});

test("equal graphs share their layout", () => {
  expect(laid(deep)).toBe(laid(deep.map((one) => ({ ...one, parameters: 5 }))));
  expect(laid(deep)).not.toBe(laid(deep, ["stage_1"]));
});

test("a line goes through its first and last point", () => {
  const points = [0, 10, 20, 30].map((y) => ({ x: y === 10 ? 5 : 0, y }));
  expect(smooth(points)).toBe("M0 0Q5 10 2.5 15Q0 20 0 30L0 30");
  expect(smooth(points.slice(0, 2))).toBe("M0 0L5 10");
  expect(smooth([])).toBe("");
});
