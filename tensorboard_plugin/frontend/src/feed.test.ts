import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RequestError, type RunSummary } from "./api";
import { type Ahead, Feed, type Wants } from "./feed";
import { FOLDER, type Resource, RULE_TABLE, valueOf } from "./resources";
import { initialState, Store } from "./state";

const served = vi.hoisted(() => ({ runs: [] as RunSummary[], asked: 0, tables: 0 }));

vi.mock("./requests", async (original) => ({
  ...(await original<typeof import("./requests")>()),
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

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(served, { runs: [finished("a", 1000)], asked: 0, tables: 0 });
});
afterEach(() => vi.useRealTimers());

/** A feed whose store is empty, and what it wants of each run. */
function feeding(wants: Wants = () => [], isVisible = () => true, ahead: Ahead = () => []) {
  const store = new Store(initialState({}));
  const idle: (() => void)[] = [];
  const feed = new Feed(store, isVisible, wants, ahead, (task) => void idle.push(task));
  /** The browser has nothing to do. */
  const rest = async () => {
    idle.splice(0).forEach((task) => task());
    await settle();
  };
  return { store, feed, rest };
}

const ofEachRun =
  (...wanted: Resource<unknown>[]): Wants =>
  (_, run) =>
    run === FOLDER ? [] : wanted;

/** All that has been answered is taken in. */
const settle = (ms = 1) => vi.advanceTimersByTimeAsync(ms);

/** Two resources of a run that were shown, and are asked for again. */
async function renewed() {
  const [one, two] = [slow("one"), slow("two")];
  const { store, feed } = feeding(ofEachRun(one, two));
  await feed.refresh();
  one.answers[0]!("one 1");
  await vi.advanceTimersByTimeAsync(60);
  expect(shownOf(store, "one")).toBe("one 1"); // what is first shown does not wait for long
  two.answers[0]!("two 1");
  await settle();
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  one.answers[1]!("one 2");
  await settle();
  return { store, feed, two };
}

const shownOf = (store: Store, name: string) => store.get().loaded.get("a")?.get(name)?.value;

test("what is first shown comes soon, what is renewed comes together", async () => {
  const { store, two } = await renewed();
  expect(shownOf(store, "one")).toBe("one 1");
  two.answers[1]!("two 2");
  await settle();
  expect([shownOf(store, "one"), shownOf(store, "two")]).toEqual(["one 2", "two 2"]);
});

test("one slow answer does not hold back the others for ever", async () => {
  const { store, feed } = await renewed();
  await feed.refresh();
  expect(shownOf(store, "one")).toBe("one 2");
});

const names = (store: Store) => store.get().runs?.map((run) => run.run);

test("a run that begins after all others have finished appears", async () => {
  const { store, feed } = feeding();
  await feed.refresh();
  expect(names(store)).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(60_000);
  served.runs = [finished("a", 1000), finished("b", 2000)];
  await vi.advanceTimersByTimeAsync(10_000);
  expect(names(store)).toEqual(["a", "b"]);
  expect(store.get().shown).toEqual(["a", "b"]);
});

test("a run that was trained anew is seen", async () => {
  const { store, feed } = feeding();
  await feed.refresh();
  served.runs = [finished("a", 3000)];
  await vi.advanceTimersByTimeAsync(15_000);
  expect(store.get().runs![0]!.start_time).toBe(3000);
});

test("nothing is asked while hidden, and at once when the tab comes to the front", async () => {
  let visible = false;
  const { feed } = feeding(undefined, () => visible);
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
  const { store, feed } = feeding((state, run) =>
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
  const { store, feed } = feeding((_, run) => (run === FOLDER ? [RULE_TABLE] : []));
  await feed.refresh();
  await feed.refresh();
  expect(served.tables).toBe(1);
  expect(valueOf(store.get(), FOLDER, RULE_TABLE)).toEqual({ rules: [], runs: [] });
  served.runs = [finished("a", 1000), finished("b", 3000)];
  await feed.refresh();
  expect(served.tables).toBe(2);
});

test("answers to the same question are shown together", async () => {
  served.runs = [finished("a", 1000), finished("b", 2000)];
  const one = slow("one");
  const { store, feed } = feeding(ofEachRun(one));
  await feed.refresh();
  const drawn: number[] = [];
  store.listen(({ loaded }, changed) => changed.has("loaded") && drawn.push(loaded.size));
  one.answers[0]!("of a");
  await settle();
  expect(drawn).toEqual([]);
  one.answers[1]!("of b");
  await settle();
  expect(drawn).toEqual([2]);
});

test("what a run has none of does not show the other answers before all are there", async () => {
  const one = slow("one");
  const none: Resource<string> = {
    name: "none",
    fetch: () => Promise.reject(new RequestError("No Grad-CAM.", true)),
  };
  const { store, feed } = feeding(ofEachRun(one, none));
  await feed.refresh();
  one.answers[0]!("first");
  await settle(100);
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  const drawn: unknown[] = [];
  store.listen((_, changed) => changed.has("loaded") && drawn.push(shownOf(store, "one")));
  await settle(100);
  expect(drawn).toEqual([]);
  one.answers[1]!("second");
  await settle();
  expect(drawn).toEqual(["second"]);
});

test("an answer that says nothing new changes nothing", async () => {
  const { store, feed } = feeding();
  await feed.refresh();
  const { runs } = store.get();
  served.runs = structuredClone(served.runs);
  await feed.refresh();
  expect(store.get().runs).toBe(runs);
});

/** Two resources that may be needed next of a run, while a third one is needed now. */
async function readAhead(isVisible = () => true) {
  const [now, next, last] = [slow("now"), slow("next"), slow("last")];
  const fed = feeding(ofEachRun(now), isVisible, ({ shown }) =>
    shown.flatMap((run) => [[run, next] as const, [run, last] as const]),
  );
  await fed.feed.refresh();
  return { ...fed, now, next, last };
}

test("what may be needed next is asked for when all that is needed is there, one at a time", async () => {
  const { store, rest, now, next, last } = await readAhead();
  await rest();
  expect(next.answers).toHaveLength(0);
  now.answers[0]!("now");
  await settle();
  await rest();
  await rest();
  expect([next.answers.length, last.answers.length]).toEqual([1, 0]);
  next.answers[0]!("next");
  await settle();
  await rest();
  expect([next.answers.length, last.answers.length]).toEqual([1, 1]);
  expect(shownOf(store, "next")).toBe("next");
});

test("what was fetched ahead is not renewed before it is needed", async () => {
  const { feed, rest, now, next } = await readAhead();
  now.answers[0]!("now");
  await settle();
  await rest();
  next.answers[0]!("next");
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  now.answers[1]!("now");
  await settle();
  await rest();
  expect(next.answers).toHaveLength(1);
});

test("what was fetched ahead does not show what else is under way before all of it is there", async () => {
  const { store, feed, rest, now, next } = await readAhead();
  now.answers[0]!("now");
  await settle();
  await rest();
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  next.answers[0]!("next");
  await settle(100);
  expect(shownOf(store, "next")).toBeUndefined();
  now.answers[1]!("newer");
  await settle();
  expect(["now", "next"].map((name) => shownOf(store, name))).toEqual(["newer", "next"]);
});

test("what was asked ahead and is wanted meanwhile does not wait for other answers", async () => {
  const [now, next] = [slow("now"), slow("next")];
  const wanted: Resource<string>[] = [];
  const { store, feed, rest } = feeding(
    (_, run) => (run === FOLDER ? [] : wanted),
    undefined,
    ({ shown }) => shown.map((run) => [run, next] as const),
  );
  await feed.refresh();
  await rest();
  expect(next.answers).toHaveLength(1);
  wanted.push(now, next);
  store.set({ metric: "next" });
  next.answers[0]!("next");
  await settle(100);
  expect(shownOf(store, "next")).toBe("next");
  expect(now.answers).toHaveLength(1);
});

test("what cannot be fetched ahead does not keep back what else has come", async () => {
  const now = slow("now");
  let fail = (_: Error) => {};
  const broken: Resource<string> = {
    name: "broken",
    fetch: () => new Promise((_, reject) => (fail = reject)),
  };
  const { store, feed, rest } = feeding(ofEachRun(now), undefined, ({ shown }) =>
    shown.map((run) => [run, broken] as const),
  );
  await feed.refresh();
  now.answers[0]!("now");
  await settle();
  await rest();
  served.runs = [{ ...finished("a", 1000), last_step: 700 }];
  await feed.refresh();
  now.answers[1]!("newer");
  await settle();
  expect(shownOf(store, "now")).toBe("now");
  fail(new Error("gone"));
  await settle();
  expect(shownOf(store, "now")).toBe("newer");
});

test("nothing is asked ahead while hidden", async () => {
  let visible = true;
  const { feed, rest, now, next } = await readAhead(() => visible);
  now.answers[0]!("now");
  await settle();
  visible = false;
  await rest();
  expect(next.answers).toHaveLength(0);
  visible = true;
  await feed.refresh();
  await rest();
  expect(next.answers).toHaveLength(1);
});

test("what could not be fetched ahead is asked for again only when it is needed", async () => {
  let asked = 0;
  const broken: Resource<string> = {
    name: "broken",
    fetch: () => (++asked > 1 ? Promise.resolve("here") : Promise.reject(new Error("gone"))),
  };
  const wanted: Resource<string>[] = [];
  const { store, feed, rest } = feeding((_, run) => (run === FOLDER ? [] : wanted), undefined, () => [
    ["a", broken],
  ]);
  await feed.refresh();
  await rest();
  await rest();
  expect([asked, store.get().loaded.get("a")?.get("broken")]).toEqual([1, undefined]);
  wanted.push(broken);
  store.set({ metric: "broken" });
  await settle();
  expect([asked, shownOf(store, "broken")]).toEqual([2, "here"]);
});
