import { expect, test } from "vitest";
import { turns } from "./turns";

test("work takes turns, and goes on after work that fails", () => {
  const asked: (() => void)[] = [];
  const done: string[] = [];
  const inTurn = turns((next) => asked.push(next));
  const [a, b, c] = ["a", "b", "c"].map((name) => () => void done.push(name));
  const fails = () => {
    throw new Error("broken");
  };
  for (const work of [a!, fails, b!, a!]) inTurn(work);
  expect(asked.length).toBe(1);
  asked.shift()!();
  expect(done).toEqual(["a"]);
  expect(asked.shift()!).toThrow("broken");
  asked.shift()!();
  expect(done).toEqual(["a", "b"]);
  expect(asked).toEqual([]);
  inTurn(c!);
  asked.shift()!();
  expect(done).toEqual(["a", "b", "c"]);
});
