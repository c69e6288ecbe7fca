/** When two runs part, and measure by measure how far apart they are. */

import type { Comparison, Parting, RunSummary } from "../api";
import { byOutcome, headline, letters, noise, type Pair, told } from "../model/compare";
import { formatCount, formatValue, plural } from "../model/number";
import type { State, Store } from "../state";
import { h, prose } from "./element";
import { glyph } from "./glyph";
import { against, columnHeads } from "./pairheads";
import { amount, pairTable, type PairRow } from "./pairtable";

/** So many measures are told at once. */
const FEW = 3;
/** The name of the choice that holds whether all of them are listed. */
const UNFOLDED = "partings";

export function apart(
  comparison: Comparison | undefined,
  pair: Pair,
  state: State,
  store: Store,
): HTMLElement {
  const of = (name: string) => state.runs?.find((run) => run.run === name);
  const both = [of(pair.baseline), of(pair.run)];
  const words = comparison && headline(comparison.partings, letters(pair, state.shown));
  return h(
    "section.section.apart",
    { "aria-label": "When they part" },
    h(
      "div.side",
      null,
      h("h2", null, "When they part"),
      h(
        "p",
        null,
        "By the first recorded step from which a difference stays beyond the noise: what the baseline scatters, or what another seed does.",
      ),
    ),
    both.map(verdict),
    words ? h("h3.title.parted", null, prose(words.title)) : h("p.quiet", { role: "status" }, "Comparing …"),
    both.map((run) => h("p.summary", null, prose(run?.verdict?.summary ?? ""))),
    comparison && [
      h("p.summary.gist", null, prose(words?.about ?? "")),
      measures(comparison, pair, state, store),
    ],
  );
}

const verdict = (run: RunSummary | undefined) =>
  h(
    "p.title.judged",
    null,
    run?.verdict && [glyph(run.verdict.severity), h("span", null, prose(run.verdict.title))],
  );

function measures(comparison: Comparison, pair: Pair, state: State, store: Store): HTMLElement {
  const { parted, others } = byOutcome(comparison.partings);
  const rows = parted.map((one) => partingRow(one, pair, state, store));
  const rest = others.map(({ words, titles }): PairRow => ({
    kind: "quiet",
    name: titles.length === 1 ? titles[0] : plural(titles.length, "measure"),
    between: [prose(words), titles.length > 1 && `: ${titles.join(", ")}`],
  }));
  return pairTable(
    "Measures, what parts first on top",
    columnHeads(
      h("div.what-parts", null, h("span", null, "Measure"), h("span", null, "parts by step")),
      pair,
      state,
      h("div.between", null, h("span", null, against(pair, state)), h("span", null, "noise up to")),
    ),
    rows.length <= FEW
      ? [...rows, ...rest]
      : [...rows.slice(0, FEW), ...unfolding([...rows.slice(FEW), ...rest], comparison, state, store)],
  );
}

/** The line that unfolds the rows below it. */
function unfolding(rows: PairRow[], { partings }: Comparison, state: State, store: Store): PairRow[] {
  const open = state.choices[UNFOLDED] === "all";
  const count = formatCount(partings.length - FEW);
  const button = h(
    "button.link",
    {
      "data-key": "partings",
      "aria-expanded": String(open),
      onclick: () => store.choose(UNFOLDED, open ? "" : "all"),
    },
    open ? `Hide the other ${count}` : `${count} more measures`,
  );
  return [{ name: button }, ...(open ? rows : [])];
}

function partingRow(parting: Parting, pair: Pair, state: State, store: Store): PairRow {
  const { run, baseline, scale, step, layer } = parting;
  const value = (one: number | null) => (one === null ? "NaN" : formatValue(one, scale));
  return {
    name: h(
      "div.what-parts",
      null,
      h("span", null, goTo(parting, store), layer !== null && [" ", h("code", { title: layer }, layer)]),
      h("span", null, formatCount(step!)),
    ),
    baseline: amount(value(baseline)),
    run: amount(value(run)),
    between: h(
      "div.between",
      null,
      h("b", null, amount(told(run, baseline, scale, letters(pair, state.shown)))),
      h("span", null, noise(parting)),
    ),
  };
}

/** Puts the cursor where a measure parts, in the heat map below. */
function goTo(parting: Parting, store: Store): HTMLElement {
  const { name, layer, step, title } = parting;
  const show = () => {
    const change = layer === null ? {} : { metric: name, layer };
    store.set({ step, hover: null, ...change });
    document.getElementById("difference")?.scrollIntoView({ behavior: "smooth" });
  };
  return h(
    "button.link",
    {
      "data-key": `parting ${name}`,
      title: layer === null ? "Show in the loss chart" : "Show in the heat map",
      onclick: show,
    },
    title,
  );
}
