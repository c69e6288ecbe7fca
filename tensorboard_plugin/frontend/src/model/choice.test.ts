import { expect, test } from "vitest";
import { chosenColumns, pressed } from "./choice";

const standings = ["ok", "critical", "warn"] as const;

test("at first the worst runs are drawn, as many as there is room for", () => {
  expect(chosenColumns("", standings, 1)).toEqual([1]);
  expect(chosenColumns("", standings, 2)).toEqual([1, 2]);
  expect(chosenColumns("", [undefined, "ok"], 1)).toEqual([1]);
  expect(chosenColumns("", [], 2)).toEqual([]);
});

test("chosen ones stand in the order of the columns; the newest stay where room is short", () => {
  expect(chosenColumns("CA", standings, 2)).toEqual([0, 2]);
  expect(chosenColumns("CA", standings, 1)).toEqual([0]);
});

test("letters of runs that are not shown, and other text, are passed over", () => {
  expect(chosenColumns("D!a", standings, 2)).toEqual([1, 2]);
  expect(chosenColumns("DAA", standings, 2)).toEqual([0]);
});

test("a press brings a run, and one makes room", () => {
  expect(pressed([1], 0, 1)).toBe("A");
  expect(pressed([1], 0, 2)).toBe("BA");
  expect(pressed([1, 2], 0, 2)).toBe("CA");
  expect(pressed([0, 1], 0, 2)).toBe("B");
  expect(pressed([1], 1, 2)).toBe("B");
});
