/** Each run's recorded verdict above the one that the changed thresholds lead to; and why. */

import type { Verdict } from "../api";
import { type Change, changes, summary } from "../model/thresholds";
import { called } from "../requests";
import type { State, Store } from "../state";
import { type Child, h, prose } from "./element";
import { glyph, WORDS } from "./glyph";
import { heads } from "./heads";
import { problem } from "./notices";
import type { Suppressing } from "./suppressions";
import type { Tried } from "./thresholds";

const FEW = 4;

/** What stays on top while the page scrolls. */
export function lead(state: State, tried: readonly Tried[], isChanged: boolean, keeping: Child): HTMLElement[] {
  const cells = isChanged
    ? tried.map(withChanges)
    : [h("p.full.quiet", null, "Change a number or suppress a finding: the verdict that comes of it stands here.")];
  return [
    heads(state),
    h(
      "section.section.verdicts",
      { "aria-label": "Verdicts" },
      h("div.side", null, h("h2", null, "Recorded")),
      tried.map(recorded),
      h("div.side", null, h("h2", null, "With changes")),
      cells,
      keeping,
    ),
  ];
}

function recorded({ summary: run, before }: Tried): HTMLElement {
  const verdict = run?.verdict;
  const anew = before?.verdict;
  const differs = run?.finished && verdict && anew && anew.title !== verdict.title;
  return h(
    "div.cell",
    null,
    verdict
      ? headline(verdict)
      : h("p.quiet", null, run?.error ? "cannot be read" : "not judged yet"),
    differs && h("p.note", null, "Judged anew, with the same thresholds: ", prose(anew.title)),
  );
}

function withChanges({ before, after, pending, failure }: Tried): HTMLElement {
  if (failure !== undefined) return h("div.cell", null, h("p.quiet", null, "not tried: see below"));
  if (!before || !after) return h("div.cell", null, h("p.quiet", null, "Judging …"));
  return h(
    "div.cell.now",
    { "aria-busy": pending && "true" },
    headline(after.verdict),
    h("p.note", null, summary(changes(before, after))),
  );
}

const headline = (verdict: Verdict) =>
  h(
    "h3.headline",
    null,
    glyph(verdict.severity, 14),
    h("span", null, prose(verdict.title), h("span.sr", null, `, ${WORDS[verdict.severity]}`)),
  );

/** What a screen reader says once all runs are judged. */
export function spoken(tried: readonly Tried[]): string {
  if (tried.some(({ pending }) => pending)) return "";
  return tried
    .flatMap(({ name, before, after }) =>
      before && after
        ? [`${called(name)}: ${after.verdict.title}, ${summary(changes(before, after))}.`]
        : [],
    )
    .join(" ");
}

/** Every finding of each run, those that come, go or change first. */
export function findings(
  state: State,
  store: Store,
  tried: readonly Tried[],
  form: Suppressing,
  retry: () => void,
): HTMLElement {
  return h(
    "section.section",
    { "aria-label": "Findings", tabindex: -1, "data-key": "findings" },
    h(
      "div.side",
      null,
      h("h2", null, "Findings"),
      h("p", null, "A trial: the recorded verdicts stay as they are."),
    ),
    tried.map((one) => column(one, state, store, form, retry)),
  );
}

function column(
  { name, summary: run, before, after, pending, failure }: Tried,
  state: State,
  store: Store,
  form: Suppressing,
  retry: () => void,
): HTMLElement {
  if (run?.error) return problem("This recording cannot be read", run.error);
  if (failure !== undefined && !before)
    return problem("This run could not be judged", failure, retry);
  if (failure !== undefined) return problem("These changes could not be tried", failure, retry);
  if (!before || !after) return h("p.quiet", { role: "status" }, "Judging …");
  const all = changes(before, after);
  const key = `${name}\ntrial`;
  const few = Math.max(FEW, all.filter(({ kind }) => kind !== "same").length);
  const shown = state.open.has(key) ? all : all.slice(0, few);
  const hidden = all.length - few;
  const earlier = before.suppressed.length;
  return h(
    "div.changes",
    { "aria-busy": pending && "true" },
    all.length === 0 && h("p.quiet", null, "No findings."),
    h(
      "ul",
      null,
      shown.map((one) => line(one, name, form)),
    ),
    hidden > 0 &&
      h(
        "button.link.more-findings",
        {
          "data-key": key,
          "aria-expanded": String(state.open.has(key)),
          onclick: () => store.toggle(key),
        },
        state.open.has(key) ? "Show less" : `${hidden} more, unchanged`,
      ),
    earlier > 0 &&
      h("p.quiet", null, `${earlier} suppressed by the configuration that the run was made with.`),
  );
}

function line(change: Change, run: string, form: Suppressing): HTMLElement {
  const stays = ["new", "severity", "same"].includes(change.kind);
  const key = [run, change.rule, ...change.layers].join("\n");
  return h(
    `li.change.${change.kind}`,
    null,
    sign(change),
    h(
      "div.told",
      null,
      h("p", null, change.title, " ", place(change.layers)),
      h("p.note", null, note(change)),
    ),
    stays &&
      h(
        "button.link.suppress",
        {
          "data-key": `suppress ${key}`,
          "aria-label": `Suppress ${change.title} ${change.layers.join(", ")}`,
          "aria-expanded": String(form.isOpen(key)),
          onclick: () => form.toggle(key, change),
        },
        "Suppress",
      ),
    form.isOpen(key) && form.element(),
  );
}

function sign({ kind, severity }: Change): SVGElement {
  if (kind === "silent" || severity === null)
    return glyph(kind === "heard" ? "ok" : "not-evaluated", 12);
  return glyph(severity, 12);
}

function place(layers: readonly string[]): HTMLElement | null {
  const [first, ...others] = layers;
  if (first === undefined) return null;
  return others.length
    ? h("span.quiet", { title: layers.join("\n") }, `${layers.length} layers`)
    : h("code", null, first);
}

function note({ kind, was, evidence, reason, severity }: Change): Child[] {
  switch (kind) {
    case "new":
      return [h("b", null, "new"), ` ${evidence}`];
    case "gone":
      return [h("b", null, "gone"), ` was ${evidence}`];
    case "severity":
      return [
        h("b", null, `was ${WORDS[was!].toLowerCase()}`),
        " ",
        glyph(was!, 10),
        ` ${evidence}`,
      ];
    case "suppressed":
      return [h("b", null, "suppressed"), ` ${reason}`];
    case "silent":
      return [
        h("b", null, "not evaluated"),
        severity && [", was ", WORDS[severity].toLowerCase(), " ", glyph(severity, 10)],
        ": ",
        prose(reason ?? "no reason given"),
      ];
    case "heard":
      return [h("b", null, "evaluated now"), " and passed"];
    case "same":
      return [evidence];
  }
}
