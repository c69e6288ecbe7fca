import { expect, test } from "vitest";
import { fromAddress, initialState, Store, toAddress } from "./state";

test("a link carries what is shown, and back", () => {
  const state = {
    ...initialState({}),
    shown: ["a/b, c", "ü"],
    picked: true,
    sort: "name" as const,
    metric: "dead",
    step: 40,
    layer: "x",
    sample: 2,
    view: "diagnosis" as const,
    choices: { baseline: "a/b, c" },
  };
  expect(fromAddress(toAddress(state))).toEqual({
    shown: ["a/b, c", "ü"],
    picked: true,
    sort: "name",
    metric: "dead",
    step: 40,
    layer: "x",
    sample: 2,
    view: "diagnosis",
    choices: { baseline: "a/b, c" },
  });
});

test("a mangled link is an empty one", () => {
  const mangled = { runs: "[", sort: "z", step: "-3", sample: "x", view: "y", choices: "[1" };
  expect(fromAddress(mangled)).toEqual({
    sort: "worst",
    view: "diagnosis",
    choices: {},
    shown: [],
    picked: false,
    metric: null,
    step: null,
    layer: null,
    sample: 0,
  });
});

test("listeners hear only of what changed", () => {
  const store = new Store(initialState({}));
  const heard: string[][] = [];
  store.listen((_, changed) => heard.push([...changed]));
  store.set({ metric: "a", step: null });
  store.set({ metric: "a" });
  store.toggle("x");
  expect(heard).toEqual([["metric"], ["open"]]);
  expect(store.get().open.has("x")).toBe(true);
  store.toggle("x");
  expect(store.get().open.has("x")).toBe(false);
});

test("an empty choice is taken back", () => {
  const store = new Store(initialState({}));
  store.choose("baseline", "a");
  store.choose("rule", "b");
  store.choose("baseline", "");
  expect(store.get().choices).toEqual({ rule: "b" });
});
