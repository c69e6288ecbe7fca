/** When two runs part, measure by measure, and what they were set to differently. */

import type { Comparison, Parting, Run, RunSummary, Setting } from "../api";
import {
  byGroup,
  headline,
  noise,
  type Pair,
  type PartingRow,
  partingRows,
  settingValue,
  told,
} from "../model/compare";
import { formatCount, formatValue, plural } from "../model/number";
import { RUN, valueOf } from "../resources";
import type { State, Store } from "../state";
import { type Child, h, prose } from "./element";
import { columnHeads, over } from "./pairheads";
import { pairTable, type PairRow } from "./pairtable";

/** The name of the choice that holds whether measures with NaN are listed one by one. */
const UNFOLDED = "partings";

export function apart(
  comparison: Comparison | undefined,
  pair: Pair,
  state: State,
  store: Store,
): HTMLElement[] {
  const summaries = [pair.baseline, pair.run].map((name) =>
    state.runs?.find((run) => run.run === name),
  );
  return [
    h(
      "section.section.apart",
      { "aria-label": "When they part" },
      h(
        "div.side",
        null,
        h("h2", null, "When they part"),
        h(
          "p",
          null,
          "By the first step that both recorded at which a difference stays beyond the noise: what the baseline's own records scatter, or what another seed does.",
        ),
      ),
      summaries.map(verdict),
      comparison
        ? [parted(comparison), partings(comparison, pair, state, store)]
        : h("p.quiet", { role: "status" }, "Comparing …"),
    ),
    ...(comparison ? [settings(comparison, pair, state, store)] : []),
  ];
}

const verdict = (run: RunSummary | undefined) =>
  h("p.summary", null, prose(run?.verdict?.summary ?? ""));

function parted({ partings: found }: Comparison): HTMLElement {
  const { title, about } = headline(found);
  return h(
    "div.facts",
    null,
    h("h3.title", null, prose(title)),
    about && h("p.summary", null, prose(about)),
  );
}

function partings(comparison: Comparison, pair: Pair, state: State, store: Store): HTMLElement {
  const open = state.choices[UNFOLDED] === "all";
  const columns = [h("span", null, over(pair, state)), h("span", null, "by step"), h("span", null, "first in")];
  return pairTable(
    "Measures, what parts first on top",
    columnHeads("Measure", pair, state, h("div.between", null, columns)),
    partingRows(comparison.partings).flatMap((row) =>
      row.partings.length === 1
        ? [partingRow(row.partings[0]!, store)]
        : [folded(row, open, store), ...(open ? row.partings.map((one) => partingRow(one, store)) : [])],
    ),
  );
}

function folded({ words, partings: all }: PartingRow, open: boolean, store: Store): PairRow {
  const step = all[0]!.step!;
  const layer = all.find((one) => one.step === step && one.layer !== null)?.layer ?? null;
  return {
    name: h(
      "button.link",
      {
        "data-key": `partings ${words}`,
        "aria-expanded": String(open),
        onclick: () => store.choose(UNFOLDED, open ? "" : "all"),
      },
      plural(all.length, "measure"),
    ),
    baseline: finite(all[0]!.baseline),
    run: finite(all[0]!.run),
    between: between(words, step, layer),
  };
}

const finite = (value: number | null) => (value === null ? "NaN" : "finite");

function partingRow(parting: Parting, store: Store): PairRow {
  const { outcome, reason, run, baseline, scale, step, layer, title } = parting;
  if (outcome !== "parted") {
    const words =
      outcome === "together"
        ? `within the noise up to step ${formatCount(step ?? 0)}`
        : `not comparable: ${reason ?? "no reason given"}`;
    return { kind: "quiet", name: title, between: prose(words) };
  }
  const value = (one: number | null) => (one === null ? "NaN" : formatValue(one, scale));
  const least = parting.limit === null ? "" : `, noise ${noise(parting)}`;
  return {
    name: goTo(parting, store),
    baseline: value(baseline),
    run: value(run),
    between: between([told(run, baseline, scale), h("span.quiet", null, least)], step!, layer),
  };
}

const between = (words: Child, step: number, layer: string | null) =>
  h(
    "div.between",
    null,
    h("span", null, words),
    h("span", null, formatCount(step)),
    h("span", null, layer !== null && h("code", { title: layer }, layer)),
  );

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

const ALL = "compare same settings";

function settings({ settings: found }: Comparison, pair: Pair, state: State, store: Store): HTMLElement {
  const different = byGroup(found, false);
  const alike = byGroup(found, true);
  const count = alike.reduce((sum, [, group]) => sum + group.length, 0);
  const open = state.open.has(ALL);
  const recorded = { baseline: valueOf(state, pair.baseline, RUN), run: valueOf(state, pair.run, RUN) };
  return h(
    "section.section.settings",
    { "aria-label": "What differs" },
    h("div.side", null, h("h2", null, "What differs")),
    h(
      "div.full.facts",
      null,
      h(
        "p",
        null,
        different.length === 0 &&
          "No recorded setting differs. What is not recorded may: the seed, the order of the data, the code around the model. ",
        h(
          "button.link",
          { "data-key": ALL, "aria-expanded": String(open), onclick: () => store.toggle(ALL) },
          `${formatCount(count)} the same`,
        ),
      ),
      open && sameSettings(alike),
    ),
    different.length > 0 &&
      pairTable("Settings that differ", columnHeads("Setting", pair, state, ""), different.flatMap((one) => groupRows(one, recorded))),
  );
}

type Recorded = Record<"baseline" | "run", Run | undefined>;

const groupRows = ([group, of]: [string, Setting[]], recorded: Recorded): PairRow[] => [
  { kind: "group", name: group },
  ...of.map((setting) => ({
    name: setting.name,
    baseline: settingValue(setting, "baseline", recorded.baseline),
    run: settingValue(setting, "run", recorded.run),
  })),
];

function sameSettings(groups: [string, Setting[]][]): HTMLElement {
  return h(
    "dl.same",
    null,
    groups.map(([group, of]) => [
      h("dt", null, `${group}, ${plural(of.length, "setting")}`),
      h("dd", null, of.map((one) => `${one.name} ${settingValue(one, "run")}`).join(" · ")),
    ]),
  );
}
