import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RunSummary } from "./api";
import { Feed } from "./feed";
import { FOLDER, type Resource, RULE_TABLE, valueOf } from "./resources";
import { initialState, Store } from "./state";

const served = vi.hoisted(() => ({ runs: [] as RunSummary[], asked: 0, tables: 0 }));

vi.mock("./api", async (original) => ({
  ...(await original<typeof import("./api")>()),
  serverNow: () => 5000,
  fetchRuns: () => {
    served.asked++;
    return Promise.resolve(served.runs);
  },
  fetchRun: () => new Promise(() => {}),
  fetchCams: () => new Promise(() => {}),
  fetchRules: () => {
    served.tables++;
    return Promise.resolve({ rules: [], runs: [] });
  },
}));

function finished(run: string, start: number): RunSummary {
  return {
    run,
    recorded: true,
    start_time: start,
    last_time: start + 60,
    last_step: 640,
    finished: true,
    verdict: null,
    counts: null,
    error: null,
  };
}

/** A resource that answers when it is told to. */
function slow(name: string) {
  const answers: ((value: string) => void)[] = [];
  return { name, answers, fetch: () => new Promise<string>((done) => answers.push(done)) };
}

const shownOf = (store: Store, name: string) => store.get().loaded.get("a")?.get(name)?.value;

test("what is first shown comes at once, what is renewed comes together", async () => {
  const [one, two] = [slow("one"), slow("two")];
  const store = new Store(initialState({}));
  const feed = new Feed(store, () => true, (_, run) => (run === FOLDER ? [] : [one, two]));
  await feed.refresh();
  one.answers[0]!("one 1");
  await vi.advanceTimersByTimeAsync(1);
  expect(shownOf(store, "one")).toBe("one 1");
  two.answers[0]!("two 1");
  await vi.advanceTimersByTimeAsync(1);
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  one.answers[1]!("one 2");
  await vi.advanceTimersByTimeAsync(1);
  expect(shownOf(store, "one")).toBe("one 1");
  two.answers[1]!("two 2");
  await vi.advanceTimersByTimeAsync(1);
  expect([shownOf(store, "one"), shownOf(store, "two")]).toEqual(["one 2", "two 2"]);
});

test("one slow answer does not hold back the others for ever", async () => {
  const [one, two] = [slow("one"), slow("two")];
  const store = new Store(initialState({}));
  const feed = new Feed(store, () => true, (_, run) => (run === FOLDER ? [] : [one, two]));
  await feed.refresh();
  one.answers[0]!("one 1");
  two.answers[0]!("two 1");
  await vi.advanceTimersByTimeAsync(1);
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  one.answers[1]!("one 2");
  await vi.advanceTimersByTimeAsync(1);
  await feed.refresh();
  expect(shownOf(store, "one")).toBe("one 2");
});

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(served, { runs: [finished("a", 1000)], asked: 0, tables: 0 });
});
afterEach(() => vi.useRealTimers());

const names = (store: Store) => store.get().runs?.map((run) => run.run);

test("a run that begins after all others have finished appears", async () => {
  const store = new Store(initialState({}));
  await new Feed(store, () => true, () => []).refresh();
  expect(names(store)).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(60_000);
  served.runs = [finished("a", 1000), finished("b", 2000)];
  await vi.advanceTimersByTimeAsync(10_000);
  expect(names(store)).toEqual(["a", "b"]);
  expect(store.get().shown).toEqual(["a", "b"]);
});

test("a run that was trained anew is seen", async () => {
  const store = new Store(initialState({}));
  await new Feed(store, () => true, () => []).refresh();
  served.runs = [finished("a", 3000)];
  await vi.advanceTimersByTimeAsync(15_000);
  expect(store.get().runs![0]!.start_time).toBe(3000);
});

test("nothing is asked while hidden, and at once when the tab comes to the front", async () => {
  let visible = false;
  const feed = new Feed(new Store(initialState({})), () => visible, () => []);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(served.asked).toBe(0);
  visible = true;
  feed.wake();
  expect(served.asked).toBe(1);
});

test("of what is large only the newest is kept, and asked for again when it is wanted again", async () => {
  const fetched: string[] = [];
  const large = (name: string): Resource<string> => ({
    name: `large ${name}`,
    fetch: () => {
      fetched.push(name);
      return Promise.resolve(name);
    },
    insteadOf: "large ",
  });
  const small = { name: "small", fetch: () => Promise.resolve("small") };
  const store = new Store(initialState({}));
  const feed = new Feed(store, () => true, (state, run) =>
    run === FOLDER ? [] : [small, large(state.layer ?? "a")],
  );
  await feed.refresh();
  for (const layer of ["b", "a"]) {
    await vi.advanceTimersByTimeAsync(0);
    store.set({ layer });
  }
  await vi.advanceTimersByTimeAsync(0);
  expect(fetched).toEqual(["a", "b", "a"]);
  expect([...store.get().loaded.get("a")!.keys()].sort()).toEqual(["large a", "small"]);
});

test("what is of the whole folder is asked once for all runs, again when any of them changed", async () => {
  served.runs = [finished("a", 1000), finished("b", 2000)];
  const store = new Store(initialState({}));
  const feed = new Feed(store, () => true, (_, run) => (run === FOLDER ? [RULE_TABLE] : []));
  await feed.refresh();
  await feed.refresh();
  expect(served.tables).toBe(1);
  expect(valueOf(store.get(), FOLDER, RULE_TABLE)).toEqual({ rules: [], runs: [] });
  served.runs = [finished("a", 1000), finished("b", 3000)];
  await feed.refresh();
  expect(served.tables).toBe(2);
});
