import { expect, test } from "vitest";
import { anchored, fit, home, READABLE, reveal, within, zoom } from "./camera";

const view = { width: 400, height: 400 };
const small = { width: 200, height: 300 };
const tall = { width: 300, height: 4000 };
const box = { x: 20, y: 3000, width: 200, height: 40 };

test("a small graph stands in the middle, larger where there is room, but not too large", () => {
  expect(fit(small, { width: 240, height: 300 })).toEqual({ x: 20, y: 0, scale: 1 });
  expect(fit(small, view).scale).toBeCloseTo(4 / 3);
  expect(fit(small, { width: 2000, height: 2000 })).toEqual({ x: 840, y: 760, scale: 1.6 });
  expect(home(small, view, undefined)).toEqual(fit(small, view));
});

test("all of a large graph fits", () => {
  expect(fit(tall, view).scale).toBe(0.1);
});

test("at first a large graph is readable where the cursor is", () => {
  const { scale, y } = home(tall, view, box);
  expect(scale).toBeGreaterThanOrEqual(READABLE);
  expect(box.y * scale + y).toBeGreaterThan(0);
  expect(box.y * scale + y).toBeLessThan(view.height);
  expect(home(tall, view, { ...box, y: 0 }).y).toBe(0); // no void above the input
});

test("the point under the pointer stays when zooming", () => {
  const at = { x: 120, y: 80 };
  const before = { x: 10, y: -40, scale: 1 };
  const after = zoom(before, 1.5, at);
  const world = (c: typeof before) => [(at.x - c.x) / c.scale, (at.y - c.y) / c.scale];
  expect(world(after)).toEqual(world(before));
  expect(zoom(before, 1e-9, at).scale).toBeGreaterThan(0);
});

test("a block that unfolds stays where it is", () => {
  const camera = anchored({ block: "b", x: 50, y: 70, scale: 0.5 }, box);
  expect([box.x * camera.scale + camera.x, box.y * camera.scale + camera.y]).toEqual([50, 70]);
});

test("a graph cannot be dragged out of sight", () => {
  expect(within({ x: -9999, y: 9999, scale: 1 }, tall, view)).toEqual({ x: 0, y: 0, scale: 1 });
  expect(within({ x: 0, y: -9999, scale: 1 }, tall, view).y).toBe(-3600);
});

test("a place out of sight is moved into it, one in sight stays", () => {
  const start = { x: 0, y: 0, scale: 1 };
  expect(reveal(start, { ...box, y: 100 }, view)).toEqual(start);
  const moved = reveal(start, box, view);
  expect(moved.x).toBe(0);
  expect(box.y + moved.y + box.height).toBe(400 - 12);
  expect(reveal({ ...start, y: -5000 }, box, view).y).toBe(12 - 3000);
});
