/** When two runs part, measure by measure, beside what they were set to differently. */

import type { Comparison, Parting, Setting } from "../api";
import { byGroup, headline, noise, settingValue, told } from "../model/compare";
import { formatCount, formatValue, plural } from "../model/number";
import type { State, Store } from "../state";
import { h, prose } from "./element";

export function apart(
  comparison: Comparison | undefined,
  state: State,
  store: Store,
): HTMLElement {
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
        "From the first step at which a difference stays beyond the noise: what the baseline's own records scatter, or what another seed does.",
      ),
    ),
    comparison
      ? [partings(comparison, store), settings(comparison, state, store)]
      : h("p.quiet", { role: "status" }, "Comparing …"),
  );
}

function partings({ partings: found }: Comparison, store: Store): HTMLElement {
  const { title, about } = headline(found);
  return h(
    "div.facts",
    null,
    h("h3.title", null, prose(title)),
    about && h("p.summary", null, prose(about)),
    h(
      "table",
      null,
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", { scope: "col" }, "Measure"),
          h("th.number-cell", { scope: "col" }, "Step"),
          h("th", { scope: "col" }, "Layer"),
          h("th", { scope: "col" }, "The run is"),
          h("th.values", { scope: "col" }, "Run : baseline"),
          h("th.noise", { scope: "col" }, "Noise"),
        ),
      ),
      h("tbody", null, found.map((parting) => partingRow(parting, store))),
    ),
  );
}

function partingRow(parting: Parting, store: Store): HTMLElement {
  if (parting.outcome !== "parted") {
    const words =
      parting.outcome === "together"
        ? `within the noise up to step ${formatCount(parting.step ?? 0)}`
        : `not comparable: ${parting.reason ?? "no reason given"}`;
    return h(
      "tr.quiet",
      null,
      h("th", { scope: "row" }, parting.title),
      h("td", { colspan: 5 }, prose(words)),
    );
  }
  const { run, baseline, scale } = parting;
  const [a, b] = [run, baseline].map((v) => (v === null ? "NaN" : formatValue(v, scale)));
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, goTo(parting, store)),
    h("td.number-cell", null, formatCount(parting.step!)),
    h("td.where", null, parting.layer && h("code", { title: parting.layer }, parting.layer)),
    h("td", { title: `Run ${a}, baseline ${b}` }, told(run, baseline, scale)),
    h("td.values", null, `${a} : ${b}`),
    h("td.noise", null, noise(parting)),
  );
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

const ALL = "compare same settings";

function settings({ settings: found }: Comparison, state: State, store: Store): HTMLElement {
  const different = byGroup(found, false);
  const alike = byGroup(found, true);
  const count = alike.reduce((sum, [, group]) => sum + group.length, 0);
  const open = state.open.has(ALL);
  return h(
    "div.facts",
    null,
    h("h3.title", null, different.length ? "What differs" : "No recorded setting differs"),
    different.length === 0 &&
      h(
        "p.summary",
        null,
        "What is not recorded may differ: the seed, the order of the data, the code around the model.",
      ),
    different.length > 0 && settingTable(different),
    h(
      "button.link.more",
      { "data-key": ALL, "aria-expanded": String(open), onclick: () => store.toggle(ALL) },
      `${formatCount(count)} the same`,
    ),
    open && sameSettings(alike),
  );
}

function settingTable(groups: [string, Setting[]][]): HTMLElement {
  return h(
    "table",
    null,
    h(
      "thead",
      null,
      h("tr", null, ["Setting", "Baseline", "Run"].map((word) => h("th", { scope: "col" }, word))),
    ),
    groups.map(([group, of]) =>
      h(
        "tbody",
        null,
        h("tr.group", null, h("th", { scope: "rowgroup", colspan: 3 }, group)),
        of.map((setting) =>
          h(
            "tr",
            null,
            h("th", { scope: "row" }, setting.name),
            (["baseline", "run"] as const).map((side) =>
              h(
                setting.only !== null && setting.only !== side ? "td.quiet" : "td",
                null,
                settingValue(setting, side),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

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
