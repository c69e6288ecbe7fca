/** Cost: what the monitor itself took of each run's time, how often it recorded, how to change that. */

import type { Run } from "../api";
import { runEnd } from "../model/cells";
import {
  budgetOf,
  budgetVerdict,
  type BudgetVerdict,
  type Cadence,
  cadences,
  type Change,
  distanceAxis,
  distances,
  duration,
  inSeconds,
  lasted,
  meaning,
  perRecord,
  shareAxis,
  shared,
  stairs,
} from "../model/cost";
import type { CurveAxis } from "../model/curve";
import { formatCount, formatShare, formatTick, plural } from "../model/number";
import { called } from "../requests";
import { RUN, slotOf, valueOf } from "../resources";
import type { State, Store } from "../state";
import { copyButton } from "./copy";
import { stepAxis } from "./curves";
import { type Child, h, prose, refill, svg } from "./element";
import { glyph } from "./glyph";
import { heads } from "./heads";
import { problem } from "./notices";
import type { Keys, View, ViewKind } from "./panel";

/** What it is drawn from. */
const KEYS: Keys = ["runs", "shown", "loaded", "names", "dark"];
const HEIGHT = 64; // pixels of the distances between records

export const COST: ViewKind = { create: cost, wants: () => [RUN] };

function cost(_: Store, retry: () => void): View {
  const body = h("div");
  return {
    element: body,
    update(state, changed) {
      if (!changed(KEYS)) return;
      refill(body, heads(state), h("div.cost", null, sections(state, retry)));
    },
  };
}

function sections(state: State, retry: () => void): HTMLElement[] {
  const runs = state.shown.flatMap((name) => valueOf(state, name, RUN) ?? []);
  const end = shareAxis(runs);
  const lastStep = Math.max(1, ...runs.map((run) => runEnd(run.steps)));
  const axis = distanceAxis(runs.map((run) => distances(run.steps)));
  const each: Each = (draw, role = "group") =>
    state.shown.map((name) => {
      const run = valueOf(state, name, RUN);
      return cell(name, role, run && draw(run));
    });
  return [
    section("Time", "What the monitor took of the training’s time.", [
      state.shown.map((name) => time(state, name, end, retry)),
    ]),
    section("How often", null, [
      factTable("How often", CADENCE, runs, each),
      timeline(axis, lastStep, each),
    ]),
    means(runs, each),
    section("Set-up", null, [factTable("Set-up", SETUP, runs, each)]),
  ];
}

/** One cell for each shown run, empty until it is there. */
type Each = (draw: (run: Run) => Child[], role?: string) => HTMLElement[];

function means(runs: readonly Run[], each: Each): HTMLElement {
  const all = runs.map(meaning);
  const facts = shared(all.map((one) => one.facts));
  const changes = shared(all.map((one) => one.changes));
  return section("What that means", null, [
    facts && h("div.full", null, sentences(facts)),
    (facts === null || changes === null) &&
      each((run) => {
        const told = meaning(run);
        return [
          facts === null && sentences(told.facts),
          changes === null && changeList(told.changes, run.run),
        ];
      }),
    changes &&
      changes.length > 0 &&
      h("div.full.cost-changes", null, changeList(changes, "all runs")),
  ]);
}

const sentences = (facts: readonly string[]) => facts.map((one) => h("p.cost-words", null, prose(one)));

type Fact = [name: string, told: (run: Run) => string];

/** Told once where all runs agree. */
function factTable(title: string, facts: readonly Fact[], runs: readonly Run[], each: Each): HTMLElement {
  const rows = facts.map(([name, told]) => {
    const same = shared(runs.map(told));
    return h(
      "div.fact",
      { role: "row" },
      h("div.side", { role: "rowheader" }, h("p", null, name)),
      same ? h("div.full", { role: "cell" }, same) : each((run) => [told(run)], "cell"),
    );
  });
  return h("div.facts", { role: "table", "aria-label": title }, rows);
}

const CADENCE: readonly Fact[] = [
  ["Records", (run) => [recorded(run), perRecord(run)].filter(Boolean).join(", ")],
  ["Gradients, updates", (run) => rhythm(cadences(run).gradients)],
  ["Probe set", probeSet],
  ["Steps between records", spacing],
];

const SETUP: readonly Fact[] = [
  ["Layers", ({ model }) => formatCount(model.layers.length)],
  [
    "Versions",
    ({ versions }) =>
      Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(" · ") || "not known",
  ],
];

const recorded = ({ steps, last_step }: Run) =>
  `${formatCount(steps.length)} from step ${formatCount(steps[0] ?? 0)} to ${formatCount(last_step)}`;

function probeSet(run: Run): string {
  const samples = run.probe_samples > 0 ? plural(run.probe_samples, "sample") : "none";
  return [samples, run.probe_samples > 0 && rhythm(cadences(run).probe)].filter(Boolean).join(", ");
}

const section = (title: string, about: string | null, parts: Child[]) =>
  h(
    "section.section",
    { "aria-label": title },
    h("div.side", null, h("h2", null, title), about && h("p", null, about)),
    parts,
  );

const cell = (run: string, role: string, ...children: Child[]) =>
  h("div.cost-cell", { role, "aria-label": called(run) }, children);

function time(
  state: State,
  name: string,
  end: number,
  retry: () => void,
): HTMLElement {
  const { value: run, failure } = slotOf(state, name, RUN);
  const error = state.runs?.find((one) => one.run === name)?.error;
  if (error) return cell(name, "group", problem("This recording cannot be read", error));
  if (!run && failure) return cell(name, "group", problem("This run could not be fetched", failure, retry));
  if (!run) return cell(name, "group", h("p.quiet", { role: "status" }, "Loading …"));
  if (!run.cost) return cell(name, "group", h("p.cost-share", null, "Not known"), h("p.quiet", null, unknown(run)));
  const { share, seconds } = run.cost;
  const { sign, words } = budgetVerdict(run);
  return cell(
    name,
    "group",
    h(
      "p.cost-share",
      null,
      formatShare(share),
      h(
        "span",
        null,
        " of the time, ",
        h("span.unbroken", null, `${inSeconds(seconds)} of ${duration(lasted(run.cost))}`),
      ),
    ),
    h("p.cost-verdict", null, glyph(sign), h("span", null, prose(words))),
    bar(share, budgetOf(run), end, sign),
  );
}

/** Why nothing is known of the cost. */
const unknown = ({ finished }: Run) =>
  finished
    ? "Recorded by a tfdiag that did not measure its own time."
    : "No report says so yet; the next one of this training will.";

/** The share on one axis for all runs, with the budget as a tick. */
function bar(
  share: number,
  budget: ReturnType<typeof budgetOf>,
  end: number,
  sign: BudgetVerdict["sign"],
): HTMLElement {
  const words = [`${formatShare(share)} of the time`, budget?.words].filter(Boolean).join(", ");
  const place = budget && percent(budget.share / end);
  return h(
    "div.cost-bar",
    { role: "img", "aria-label": words },
    h("i.taken", { style: `width:${percent(share / end)}` }),
    budget &&
      share > budget.share &&
      h(`i.taken.${sign}`, { style: `left:${place};width:${percent((share - budget.share) / end)}` }),
    budget && [
      h("i.budget", { style: `left:${place}` }),
      h("span.budget-words", { style: `left:${place};transform:translateX(-${place})` }, budget.words),
    ],
    h("span.first", null, "0"),
    h("span.last", null, formatShare(end)),
  );
}

const percent = (part: number) => `${(Math.min(1, part) * 100).toFixed(2)}%`;

const changeList = (changes: readonly Change[], whose: string) =>
  changes.map(({ what, code }) =>
    h(
      "p.change",
      null,
      h("span", null, prose(what)),
      h("code", null, code),
      copyButton(code, `${whose} ${what}`),
    ),
  );

/** "every 200 steps, asked for every 20 steps" */
function rhythm({ asked, inForce, stretched }: Cadence): string {
  if (stretched) return `${inForce}, asked for ${asked}`;
  return asked === inForce ? asked : `${asked}, in force: ${inForce}`;
}

/** How far each record is from the one before: where the line rises, the cadence was stretched. */
function timeline(
  axis: CurveAxis,
  end: number,
  each: Each,
): HTMLElement[] {
  const y = (distance: number) => (1 - axis.at(distance)) * 100;
  const ticks = axis.ticks.map((tick) =>
    h("span.y-tick", { style: `bottom:${axis.at(tick) * HEIGHT + 20}px` }, formatTick(tick, "linear")),
  );
  const cells = each((run) => [
    h(
      "div.curve",
      { style: `height:${HEIGHT}px`, role: "img", "aria-label": `Steps between records: ${spacing(run)}` },
      svg(
        "svg",
        { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
        axis.ticks.map((tick) => svg("path", { class: "grid", d: `M0 ${y(tick)}H1000` })),
        svg("path", { class: "line", d: stairs(run.steps, (step) => (step / end) * 1000, y) }),
      ),
    ),
    stepAxis(end),
  ]);
  return [h("div.side.cost-ticks", { "aria-hidden": "true" }, ticks), ...cells];
}

/** "1 to 200" */
function spacing({ steps }: Run): string {
  const found = distances(steps).filter((distance) => distance !== null);
  if (found.length === 0) return "only one record";
  const least = found.reduce((a, b) => Math.min(a, b));
  const most = found.reduce((a, b) => Math.max(a, b));
  return least === most ? formatCount(least) : `${formatCount(least)} to ${formatCount(most)}`;
}
