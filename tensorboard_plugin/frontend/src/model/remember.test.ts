import { expect, test, vi } from "vitest";
import { keeper } from "./remember";

test("what was made at a place is kept until something that it was made of is another", () => {
  const keep = keeper();
  const make = vi.fn((value: string) => ({ value }));
  const at = (place: string, value: string) => keep(place, [value, NaN], () => make(value));
  const first = at("left", "a");
  expect(at("left", "a")).toBe(first);
  expect(at("right", "a")).not.toBe(first);
  expect(make).toHaveBeenCalledTimes(2);
  expect(at("left", "b")).toEqual({ value: "b" });
  expect(at("left", "a")).not.toBe(first);
});
