/** Names of runs in little room: without what all runs of a group have in common. */

/** Shorter names are told as they are. */
const SHORT = 16;
/** Letters at the end of a name that are never cut. */
const LAST = 11;

/** A name in two parts, of which the first may be cut. */
export function ends(name: string): [start: string, end: string] {
  const letters = [...name];
  const last = Math.min(LAST, Math.floor(letters.length / 2));
  return [letters.slice(0, letters.length - last).join(""), letters.slice(letters.length - last).join("")];
}

/** What is told of each run: "lr0.1…seed7" in a sweep, all of the name where nothing is alike. */
export function shortNames(runs: readonly string[]): Map<string, string> {
  const groups = new Map<string, string[]>();
  for (const run of runs) {
    const group = run.split("/")[0]!;
    groups.set(group, [...(groups.get(group) ?? []), run]);
  }
  const short = new Map([...groups.values()].flatMap(distinct));
  const times = new Map<string, number>();
  for (const name of short.values()) times.set(name, (times.get(name) ?? 0) + 1);
  return new Map(runs.map((run) => [run, times.get(short.get(run)!) === 1 ? short.get(run)! : run]));
}

/**
 * The names of a group without the words that all of them have in the same place, and without those
 * that say the same as later ones, as a date beside a seed.
 */
function distinct(runs: readonly string[]): [run: string, short: string][] {
  if (runs.length < 2 || runs.every((run) => run.length <= SHORT)) return runs.map((run) => [run, run]);
  const parts = runs.map((run) => run.split(/([/_\s,;:=-]+)/)); // each second one is a separator
  const words = parts.map((of) => of.filter((_, i) => i % 2 === 0));
  const few = Math.min(...words.map((of) => of.length));
  const isAlike = (at: (of: readonly string[]) => string | undefined) => new Set(words.map(at)).size === 1;
  const alike = (i: number) => isAlike((of) => of.at(i));
  const pattern = (i: number) => words.map((of) => words.findIndex((other) => other[i] === of[i])).join();
  const repeated = (i: number) => Array.from({ length: few - i - 1 }, (_, k) => i + 1 + k).some((k) => pattern(k) === pattern(i));
  const first = count(few, (i) => alike(i));
  const last = count(few - first, (i) => alike(-1 - i));
  const isSameLength = words.every((of) => of.length === few);
  const isSilent = Array.from({ length: few }, (_, i) => alike(i) || repeated(i));
  return runs.map((run, r) => {
    const kept = words[r]!.map((word, i, of) => {
      const isLeftOut = i < first || i >= of.length - last || (isSameLength && isSilent[i]);
      return isLeftOut ? null : word;
    });
    const short = joined(kept, parts[r]!.filter((_, i) => i % 2 === 1));
    return [run, short || run];
  });
}

/** How many of the first so many numbers pass, without a gap. */
function count(most: number, passes: (i: number) => boolean): number {
  let n = 0;
  while (n < most && passes(n)) n++;
  return n;
}

/** One sign stands for words that are left out between others. */
function joined(words: readonly (string | null)[], separators: readonly string[]): string {
  const text = words.reduce<string>((before, word, i) => {
    if (word === null) return before.endsWith("…") ? before : `${before}…`;
    return before + (before === "" || before.endsWith("…") ? "" : separators[i - 1]) + word;
  }, "");
  return text.replace(/^…|…$/g, "");
}
