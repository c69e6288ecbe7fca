/** What two runs were set to: what differs at once, the rest unfolds. */

import type { Comparison, Setting } from "../api";
import { byGroup, type Pair, settingValue, settingWords } from "../model/compare";
import { formatCount, plural } from "../model/number";
import { RUN, valueOf } from "../resources";
import type { State, Store } from "../state";
import { type Child, h } from "./element";
import { columnHeads } from "./pairheads";
import { type PairRow, pairTable } from "./pairtable";

/** So many different settings are told at once. */
const FEW = 6;
/** A group of more settings that are the same is folded once more. */
const MANY = 20;
const [DIFFERENT, SAME] = ["compare different settings", "compare same settings"];

export function differentSettings(
  { settings }: Comparison,
  pair: Pair,
  state: State,
  store: Store,
): HTMLElement {
  const different = settings.filter((one) => !one.same);
  const same = settings.length - different.length;
  const [all, sameOpen] = [state.open.has(DIFFERENT), state.open.has(SAME)];
  const hidden = different.length - FEW;
  return h(
    "section.section.settings",
    { "aria-label": "What differs" },
    different.length === 0
      ? [
          h("div.side", null, h("h2", null, "What differs")),
          h(
            "p.full",
            null,
            "No recorded setting differs. What is not recorded may: the seed, the order of the data, the code around the model.",
          ),
        ]
      : pairTable(
          plural(different.length, "different setting"),
          columnHeads(h("h2", null, "What differs"), pair, state, ""),
          (all ? different : different.slice(0, FEW)).map((one) => row(one, pair, state)),
        ),
    h(
      "p.unfolding",
      null,
      hidden > 0 && fold(DIFFERENT, all, all ? "Fewer settings" : `${formatCount(hidden)} more differ`, store),
      same > 0 &&
        fold(SAME, sameOpen, sameOpen ? `Hide the ${formatCount(same)} that are the same` : `${formatCount(same)} are the same`, store),
    ),
    sameOpen && sameSettings(settings, state, store),
  );
}

const fold = (name: string, open: boolean, words: string, store: Store) =>
  h(
    "button.link",
    { "data-key": name, "aria-expanded": String(open), onclick: () => store.toggle(name) },
    words,
  );

function row(setting: Setting, pair: Pair, state: State): PairRow {
  const value = (side: keyof Pair) => {
    const { pieces, schedule } = settingWords(setting, side, valueOf(state, pair[side], RUN));
    return schedule === null ? short(pieces.join(", ")) : scheduled(pieces, schedule);
  };
  return { name: short(setting.name), baseline: value("baseline"), run: value("run") };
}

/** A line is broken between two rates only. */
const scheduled = (rates: readonly string[], schedule: string): Child[] => [
  ...rates.map((rate, i) => h("span.unbroken", null, i < rates.length - 1 ? `${rate}, ` : rate)),
  h("span.schedule", { title: schedule }, schedule),
];

/** Two lines of it at most. */
const short = (text: string) => h("span.two-lines", { title: text }, breakable(text));

/** Names without blanks may break where a word of theirs begins. */
const breakable = (text: string): Child[] =>
  text.split(/(?<=[a-z])(?=[A-Z])|(?<=_)/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

/** All others, below what differs. */
function sameSettings(settings: readonly Setting[], state: State, store: Store): HTMLElement {
  return h(
    "dl.same",
    { "aria-label": "Settings that are the same" },
    byGroup(settings, true).map(([group, of]) => {
      const name = `${SAME} ${group}`;
      const isLong = of.length > MANY;
      const words = `${group.charAt(0).toUpperCase()}${group.slice(1)}, ${plural(of.length, "setting")}`;
      const open = !isLong || state.open.has(name);
      return [
        h("dt", null, isLong ? fold(name, open, words, store) : words),
        open && h("dd", null, of.map((one) => `${one.name} ${settingValue(one, "run")}`).join(" · ")),
      ];
    }),
  );
}
