/** How each run does on the listed samples at the pinned step, and what it takes for what. */

import type { Run } from "../api";
import { indexAt } from "../model/curve";
import { formatCount, formatMagnitude, formatShare, plural } from "../model/number";
import {
  type Cell,
  cellText,
  CHOICES,
  type Choice,
  classesOf,
  confusion,
  type Errors,
  errorsOf,
  lookIndex,
  type Pair,
  type Probe,
  type Tally,
  tallyOf,
} from "../model/probe";
import type { Store } from "../state";
import { accuracyName } from "./curves";
import { type Child, h, svg } from "./element";
import { problem } from "./notices";
import { type Column, isAnswered } from "./probecolumns";

/** More classes than that are not a table any more, but a list of what is mixed up most. */
const MOST_CLASSES = 20;
const MOST_PAIRS = 8;

export function summary(
  columns: readonly Column[],
  step: number,
  mixed: boolean,
  choice: Pick<Choice, "cell" | "run">,
  store: Store,
  retry: () => void,
): HTMLElement {
  const classes = classesOf(columns.map(({ probe }) => probe));
  // The same table in each column, as far as the runs tell about the same classes apart.
  const of = (probe: Probe) => (classes.length <= MOST_CLASSES ? classes : classesOf([probe]));
  const isValue = columns.some(({ probe }) => probe?.kind === "values");
  return h(
    "section.section.probe-summary",
    { "aria-label": "Summary" },
    h(
      "div.side",
      null,
      h("h2", null, "On the probe set"),
      classes.length > 0 && h("p", null, "How often each class was taken for which. A number lists its samples."),
      isValue && h("p", null, "Plot: predicted over true value; on the line they are equal"),
      mixed &&
        h(
          "p",
          null,
          h("b", null, "Different probe sets: "),
          "samples of one row are not the same.",
        ),
    ),
    columns.map((column) =>
      h(
        "div.probe-figures",
        null,
        instead(column, retry) ?? figures(column, column.probe!, step, of(column.probe!), picks(column.name, choice, store)),
      ),
    ),
    columns.some(({ predictions, probe }) => probe && predictions.failure) && h("div.side"),
    columns.some(({ predictions, probe }) => probe && predictions.failure) &&
      columns.map((column) =>
        h("p.quiet.probe-note", null, column.probe && column.predictions.failure),
      ),
  );
}

/** What stands in place of a run of which nothing is there; null if there is something. */
function instead(
  { predictions, cams, probe, error }: Column,
  retry: () => void,
): HTMLElement | null {
  if (probe) return null;
  if (error !== null) return problem("This recording cannot be read", error);
  if (!isAnswered(predictions) || !isAnswered(cams))
    return h("p.quiet", { role: "status" }, "Loading …");
  const failed = [predictions, cams].find(({ failure, absent }) => failure && !absent);
  if (failed) return problem("The samples could not be fetched", failed.failure!, retry);
  return h("p.quiet", null, predictions.failure);
}

function figures(
  { run }: Column,
  probe: Probe,
  step: number,
  classes: number[],
  picked: Picks,
): Child[] {
  const names = [...probe.samples.keys()];
  const look = lookIndex(probe, step);
  if (probe.kind === "values")
    return [h("div", null, errorWords(errorsOf(probe, names, look), at(probe, look))), scatter(probe, names, look)];
  const pairs = confusion(probe, names, look);
  return [
    h("div", null, tallyWords(tallyOf(probe, names, look), at(probe, look), whole(run, probe, look))),
    classes.length <= MOST_CLASSES ? table(pairs, classes, picked) : worstPairs(pairs, picked),
  ];
}

const at = (probe: Probe, look: number) => `at step ${formatCount(probe.steps[look] ?? 0)}`;

/** The accuracy on all probe samples, where more were looked at than are followed. */
function whole(run: Run | undefined, probe: Probe, look: number): { count: number; share: number } | null {
  const name = run && accuracyName(Object.keys(run.series));
  if (!name || run.probe_samples <= probe.samples.size) return null;
  const share = run.series[name]![indexAt(run.steps, run.series[name]!, probe.steps[look] ?? 0)];
  return share === undefined || share === null ? null : { count: run.probe_samples, share };
}

function tallyWords(
  tally: Tally,
  when: string,
  all: ReturnType<typeof whole>,
): Child[] {
  const { count, right, broken, becameRight, becameWrong, since } = tally;
  const lead = (share: string, words: string) => h("p", null, h("b.probe-share", null, share), ` ${words} ${when}`);
  const overall = all && lead(formatShare(all.share), `of ${formatCount(all.count)} right`);
  if (count === 0) return [overall, h("p.quiet", null, `None of them was looked at ${when}.`)];
  const changed = becameRight + becameWrong;
  const details = [
    becameRight && `${becameRight} to right`,
    becameWrong && `${becameWrong} to wrong`,
  ];
  const changes = `${changed} changed since step ${formatCount(since ?? 0)}`;
  const more = changed ? `: ${details.filter(Boolean).join(", ")}` : "";
  const gaps = broken > 0 ? `, no prediction for ${broken}` : "";
  return [
    broken === count
      ? lead("NaN", `no prediction for any of ${count}`)
      : overall
        ? [overall, h("p", null, `Of the ${count} followed: ${right} right${gaps}`)]
        : [lead(formatShare(right / count), `${right} of ${count} right${gaps}`)],
    h("p.quiet", null, since === null ? "the first look" : changes + more),
  ];
}

function errorWords(errors: Errors, when: string): Child[] {
  const { count, broken, mean, before, since } = errors;
  if (mean === null && broken)
    return [h("p", null, h("b.probe-share", null, "NaN"), ` no prediction for any of ${broken} ${when}`)];
  if (mean === null) return [h("p.quiet", null, `None of them was looked at ${when}.`)];
  return [
    h(
      "p",
      null,
      h("b.probe-share", null, formatMagnitude(mean)),
      ` mean size of ${plural(count, "error")} ${when}`,
    ),
    h(
      "p.quiet",
      null,
      since === null || before === null
        ? "the first look"
        : `${formatMagnitude(before)} at step ${formatCount(since)}`,
      broken > 0 && `; ${broken} not finite`,
    ),
  ];
}

/** The cells of one run's table as a filter of the samples. */
interface Picks {
  of: string;
  isPicked(cell: Cell): boolean;
  toggle(cell: Cell): void;
}

function picks(run: string, choice: Pick<Choice, "cell" | "run">, store: Store): Picks {
  const isPicked = (cell: Cell) =>
    choice.run === run && choice.cell !== null && cellText(choice.cell) === cellText(cell);
  return {
    of: run,
    isPicked,
    toggle(cell) {
      const off = isPicked(cell);
      store.choose(CHOICES.truth, "");
      store.choose(CHOICES.cell, off ? "" : cellText(cell));
      store.choose(CHOICES.run, off ? "" : run);
    },
  };
}

/** A count that lists its samples. */
const pick = (cell: Cell, count: number, words: string, picked: Picks) =>
  h(
    "button",
    {
      "data-key": `cell ${picked.of} ${cellText(cell)}`,
      "aria-pressed": String(picked.isPicked(cell)),
      "aria-label": words,
      title: words,
      onclick: () => picked.toggle(cell),
    },
    String(count),
  );

function table(pairs: Pair[], classes: number[], picked: Picks): HTMLElement {
  const broken = pairs.some(({ predicted }) => predicted === null);
  const heads = [...classes.map((c) => c as number | null), ...(broken ? [null] : [])];
  const most = Math.max(1, ...pairs.map(({ count }) => count));
  const of = (truth: number, predicted: number | null) =>
    pairs.find((pair) => pair.truth === truth && pair.predicted === predicted)?.count ?? 0;
  const title = (predicted: number | null) => (predicted === null ? "NaN" : String(predicted));
  return h(
    "div.probe-table",
    null,
    h("p.probe-across", { "aria-hidden": "true" }, "predicted"),
    h("p.probe-down", { "aria-hidden": "true" }, "true"),
    h(
      "table",
      null,
      h("caption.sr", null, "Number of samples by true class and predicted class"),
      h(
        "tr",
        null,
        h("td.probe-corner"),
        heads.map((predicted) => h("th", { scope: "col" }, title(predicted))),
      ),
      classes.map((truth) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, String(truth)),
          heads.map((predicted) => entry({ truth, predicted }, of(truth, predicted), most, picked)),
        ),
      ),
    ),
  );
}

/** Right ones are framed; wrong ones the darker the more there are; NaN is hatched, as everywhere. */
function entry(cell: Cell, count: number, most: number, picked: Picks): HTMLElement {
  const { truth, predicted } = cell;
  const wrong = predicted === null ? "td.broken" : "td.false";
  const kind = truth === predicted ? "td.true" : count ? wrong : "td";
  const share = Math.round((count / most) * 35) + 15;
  return h(
    kind,
    { style: count && truth !== predicted ? `--share:${share}%` : null },
    count > 0 && pick(cell, count, takenFor(cell, count), picked),
  );
}

const takenFor = ({ truth, predicted }: Cell, count: number) =>
  `${count} of class ${truth} taken for ${predicted ?? "NaN"}`;

function worstPairs(pairs: Pair[], picked: Picks): HTMLElement {
  const mixed = pairs.filter(({ truth, predicted }) => truth !== predicted);
  const shown = mixed.slice(0, MOST_PAIRS);
  if (mixed.length === 0) return h("p.quiet", null, "No class is taken for another one.");
  return h(
    "ul.probe-pairs",
    { "aria-label": "Classes that are mixed up most" },
    shown.map(({ count, ...cell }) =>
      h(
        "li",
        null,
        h("b", null, `${cell.truth} → ${cell.predicted ?? "NaN"}`),
        " ",
        pick(cell, count, takenFor(cell, count), picked),
      ),
    ),
    mixed.length > shown.length &&
      h("li.quiet", null, `and ${mixed.length - shown.length} other pairs`),
  );
}

const SIDE = 100;

function scatter(probe: Probe, names: readonly string[], look: number): HTMLElement | null {
  const points = names.flatMap((name) => {
    const sample = probe.samples.get(name);
    const predicted = sample?.looks[look]?.predicted ?? null;
    return sample && sample.truth !== null && predicted !== null
      ? [[sample.truth, predicted] as const]
      : [];
  });
  const known = [...probe.samples.values()].flatMap(({ truth }) => truth ?? []);
  if (points.length === 0) return null;
  const [lo, hi] = [Math.min(...known), Math.max(...known)];
  const pad = (hi - lo || 1) * 0.25; // what is predicted further off lies on the edge
  const place = (v: number) =>
    Math.min(1, Math.max(0, (v - lo + pad) / (hi - lo + 2 * pad || 1))) * SIDE;
  return h(
    "div.probe-scatter",
    null,
    h("p", { "aria-hidden": "true" }, "predicted ↑"),
    svg(
      "svg",
      {
        viewBox: `0 0 ${SIDE} ${SIDE}`,
        role: "img",
        "aria-label": `Predicted over true value of ${points.length} samples`,
      },
      svg("path", { class: "grid", d: `M0 ${SIDE}L${SIDE} 0` }),
      points.map(([x, y]) => svg("circle", { cx: place(x), cy: SIDE - place(y), r: 1.6 })),
    ),
    h("span.quiet", null, `true →, ${formatMagnitude(lo)} to ${formatMagnitude(hi)}`),
  );
}
