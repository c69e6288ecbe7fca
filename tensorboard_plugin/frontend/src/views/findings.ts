/** The table of findings of one run: worst first, each unfolds in place. */

import type { Finding, Rule, Run, Suppressed } from "../api";
import { called, reportAddress } from "../requests";
import { fileName } from "../model/csv";
import {
  earlier,
  exemptions,
  heads,
  isGap,
  isInLoss,
  type Mark,
  measureOf,
  type Pill,
  place,
  type Problem,
  problems,
  sourceOf,
  tally,
  titled,
} from "../model/findings";
import { layerNames, rowNames } from "../model/layers";
import { formatCount, plural, readableNumbers } from "../model/number";
import { RUN, valueOf } from "../resources";
import type { State, Store } from "../state";
import { type Child, h, prose } from "./element";
import { glyph } from "./glyph";

const MANY_LAYERS = 3;

const rowName = (run: Pick<Run, "run">, rule: string) => `${run.run}\n${rule}`;
const moreName = (run: Run) => `${run.run}\nmore`;
const restName = (run: Run) => `${run.run}\nrest`;

/** What has to be unfolded so that all of a problem is to be seen. */
function unfolding(run: Run, problem: Pick<Problem, "rule">): string[] {
  const own = rowName(run, problem.rule);
  const atOnce = heads(problems(run.findings)).some(({ rule }) => rule === problem.rule);
  return atOnce ? [own] : [own, moreName(run)];
}

/** The name of the choice that holds the finding to which another view, or a link, has led. */
const CHOSEN = "finding";

/** Leads to what a rule found in a run, or to nothing: it is shown unfolded, tinted and in view. */
export function choosing(run: string, rule: string | null, { choices }: State): Pick<State, "choices"> {
  const { [CHOSEN]: _, ...others } = choices;
  return { choices: rule === null ? others : { ...others, [CHOSEN]: rowName({ run }, rule) } };
}

/** What changes when the chosen finding is let go: its tint. It stays unfolded, so that nothing jumps. */
export function lettingGo(state: State): Partial<State> {
  const name = state.choices[CHOSEN];
  if (name === undefined) return {};
  const [, run = "", rule = ""] = /^(.*)\n(.*)$/s.exec(name) ?? []; // the name of a run may have several lines
  const known = valueOf(state, run, RUN);
  return {
    open: new Set([...state.open, ...(known ? unfolding(known, { rule }) : [])]),
    ...choosing(run, null, state),
  };
}

/** Who chooses another step or layer has left the finding. */
export function letGoOfFindings(store: Store): void {
  store.listen((state, changed) => {
    const isElsewhere = changed.has("step") || changed.has("layer");
    if (isElsewhere && !changed.has("choices")) store.set(lettingGo(state));
  });
}

/** Lets go of the chosen finding and folds it; the table shows as many others as before. */
function close(run: Run, rule: string, state: State): Partial<State> {
  const rest = lettingGo(state);
  const open = new Set(rest.open);
  open.delete(rowName(run, rule));
  return { ...rest, open };
}

/** The number of a problem in a plot: a button that leads to the problem in its run's table, and back. */
export function numberMark(
  run: Run,
  mark: Mark,
  [left, top]: readonly [left: number, top: number],
  store: Store,
): HTMLElement {
  return h(
    "button.number.mark",
    {
      style: `left:${left}px;top:${top}px`,
      "data-key": `mark ${run.run} ${mark.number}`,
      "aria-label": `Finding ${mark.number}: ${mark.title}`,
      title: `${mark.number}: ${mark.title}`,
      onclick: leading(run, mark, store),
    },
    String(mark.number),
  );
}

/** Several problems at one place of a plot: pointed at or focused it lists them, each a button. */
export function pillMark(
  run: Run,
  { marks, words }: Pill,
  [left, top]: readonly [left: number, top: number],
  isFarRight: boolean,
  store: Store,
): HTMLElement {
  const byNumber = [...marks].sort((a, b) => a.number - b.number);
  return h(
    isFarRight ? "div.pill-mark.to-left" : "div.pill-mark",
    {
      style: `left:${left}px;top:${top}px`,
      onclick: (event: MouseEvent) => event.stopPropagation(), // it pins no step
      onpointermove: (event: PointerEvent) => event.stopPropagation(), // nor points at one
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === "Escape") (document.activeElement as HTMLElement).blur();
      },
    },
    h(
      "button.number",
      {
        "data-key": `marks ${run.run} ${words}`,
        "aria-label": `Findings ${words}: ${byNumber.map(({ title }) => title).join(", ")}`,
      },
      words,
    ),
    h(
      "ul",
      null,
      byNumber.map((mark) =>
        h(
          "li",
          null,
          h(
            "button",
            {
              "data-key": `mark ${run.run} ${mark.number}`,
              "aria-label": `Finding ${mark.number}: ${mark.title} since step ${formatCount(mark.step)}`,
              onclick: leading(run, mark, store),
            },
            h("b.number", null, String(mark.number)),
            mark.title,
            h("span.quiet", null, ` since step ${formatCount(mark.step)}`),
          ),
        ),
      ),
    ),
  );
}

const leading = (run: Run, mark: Mark, store: Store) => (event: MouseEvent) => {
  event.stopPropagation(); // it pins no step
  const state = store.get();
  if (state.view === "diagnosis" && isChosen(run, mark, state)) return store.set(close(run, mark.rule, state));
  store.set({ view: "diagnosis", hover: null, ...choosing(run.run, mark.rule, state) });
  const row = `[data-key="${CSS.escape(rowName(run, mark.rule))}"]`;
  document.querySelector<HTMLElement>(row)?.focus({ preventScroll: true });
};

/** @param settings stand on one line with the report. */
export function findingsTable(
  run: Run,
  state: State,
  store: Store,
  settings: HTMLElement,
): HTMLElement {
  const found = problems(run.findings);
  const first = heads(found);
  const atOnce = found.filter((problem) => first.includes(problem) || isChosen(run, problem, state));
  const hidden = found.length - atOnce.length;
  const [more, rest] = [moreName(run), restName(run)];
  const [allFindings, allRules] = [state.open.has(more), state.open.has(rest)];
  const fold = (name: string, open: boolean, words: string, label: string | null = null) =>
    h(
      "button.link",
      {
        "data-key": name,
        "aria-expanded": String(open),
        "aria-label": label,
        onclick: () => store.toggle(name),
      },
      words,
    );
  return h(
    found.length || allRules ? "div.findings" : "div.findings.none",
    null,
    found.length > 0 && tableHead(),
    (allFindings ? found : atOnce).map((problem) => row(run, problem, found, state, store)),
    allRules &&
      h(
        "div.rest",
        null,
        run.suppressed.map(suppressedLine),
        unsuppressed(run)
          .filter((r) => r.outcome !== "found")
          .sort(gapsFirst)
          .map((rule) => ruleLine(rule, run)),
      ),
    h(
      "div.under",
      null,
      hidden > 0 &&
        (allFindings
          ? fold(more, true, "Fewer findings")
          : fold(more, false, `${hidden} more`, plural(hidden, "more finding"))),
      fold(rest, allRules, allRules ? "Hide rules" : tally(unsuppressed(run), run.suppressed.length)),
      h(
        "a",
        {
          "data-key": `report ${run.run}`,
          href: reportAddress(run.run),
          download: `${fileName(called(run.run))}.md`,
          "aria-label": "Report as Markdown",
          title: "Save the report of this run as Markdown, for an issue or a colleague",
        },
        "Report",
      ),
      settings,
    ),
  );
}

const tableHead = () =>
  h(
    "div.finding-head",
    { "aria-hidden": "true" },
    h("span.what", null, "Finding"),
    h("span.evidence-title", null, "Evidence"),
    h("span", null, "Since"),
  );

function row(run: Run, problem: Problem, all: Problem[], state: State, store: Store): HTMLElement {
  const source = sourceOf(problem, all);
  const name = rowName(run, problem.rule);
  const chosen = isChosen(run, problem, state);
  const open = chosen || state.open.has(name);
  const before = earlier(problem);
  const worst = problem.findings[0];
  const element = h(
    open ? "div.finding.open" : "div.finding",
    null,
    h(
      "button.finding-row",
      {
        "data-key": name,
        "aria-expanded": String(open),
        "aria-current": chosen && "true",
        onclick: () => (chosen ? store.set(close(run, problem.rule, state)) : store.toggle(name)),
      },
      h("b.number", { title: `${problem.number} marks its place below` }, String(problem.number)),
      glyph(problem.severity),
      h(
        "span.what",
        null,
        problem.title,
        " ",
        h("span.place", null, placeWords(problem), before && [", ", prose(before, layerNames(run))]),
        source &&
          h(
            "span.follows",
            { title: `Follows from ${source.number}: ${source.title}` },
            h("span.sr", null, "follows "),
            "from\u00a0",
            h("b.number", null, String(source.number)),
          ),
      ),
      h("span.evidence", null, prose(worst.evidence)),
      h(
        "span.since",
        { title: `Since step ${formatCount(problem.step)}` },
        formatCount(problem.step),
      ),
    ),
    open && detail(run, problem, source, store),
  );
  if (chosen) bringIntoView(element);
  return element;
}

const isChosen = (run: Run, { rule }: Pick<Problem, "rule">, { choices }: State) =>
  choices[CHOSEN] === rowName(run, rule);

/** Once: not again when it is only redrawn, so that the page does not jump. */
function bringIntoView(element: HTMLElement): void {
  const row = (finding: Element | null) => finding?.querySelector<HTMLElement>("[data-key]")?.dataset.key;
  const isThere = row(document.querySelector(".finding.chosen")) === row(element);
  element.classList.add("chosen");
  if (!isThere) requestAnimationFrame(() => element.scrollIntoView({ block: "nearest" }));
}

function detail(
  run: Run,
  problem: Problem,
  source: Problem | undefined,
  store: Store,
): HTMLElement {
  const [worst] = problem.findings;
  const others = problem.findings.slice(MANY_LAYERS);
  return h(
    "div.detail",
    null,
    h(
      "ul.evidences",
      null,
      problem.findings.slice(0, MANY_LAYERS).map((f) => evidence(run, f, store)),
    ),
    others.length > 0 &&
      h(
        "p.others",
        null,
        "Also in ",
        others.map((f) => layerButton(run, f, store)),
      ),
    source &&
      part(
        "Follows from",
        h(
          "p",
          null,
          h("b.number", null, String(source.number)),
          ` ${source.title} `,
          placeWords(source),
        ),
      ),
    explanation(worst),
  );
}

/** "dense and 8 more", the name as code. */
function placeWords(problem: Problem): Child[] {
  const [words, layer] = [place(problem), problem.findings[0].layer];
  return layer === null ? [words] : [h("code", null, layer), words.slice(layer.length)];
}

/** Why a finding matters, and what to do. */
export const explanation = ({ why, advice, source }: Finding): Child[] => [
  why && part("Why it matters", h("p", null, prose(why))),
  advice.length > 0 &&
    part("What to do", h("ol", null, advice.map((one) => h("li", null, prose(one))))),
  source && part("Source", h("p.quiet", null, linked(source))),
];

const part = (title: string, content: HTMLElement) =>
  h("section", null, h("h4", null, title), content);

function evidence(run: Run, finding: Finding, store: Store): HTMLElement {
  return h(
    "li",
    null,
    h("p", null, prose(finding.message, layerNames(run))),
    h(
      "p.where",
      null,
      h(
        "button.link",
        {
          "data-key": `go ${finding.rule} ${finding.layer} ${finding.step}`,
          onclick: () => show(run, finding, store),
        },
        whereTo(run, finding),
      ),
      h(
        "span.quiet",
        null,
        finding.layer === null ? "whole model" : h("code", null, finding.layer),
        ` · since step ${formatCount(finding.step)}`,
      ),
    ),
  );
}

function layerButton(run: Run, finding: Finding, store: Store): HTMLElement {
  const words = `${readableNumbers(finding.evidence)}, since step ${formatCount(finding.step)}. ${whereTo(run, finding)}`;
  return h(
    "button.link",
    {
      "data-key": `go ${finding.rule} ${finding.layer} ${finding.step}`,
      title: words,
      onclick: () => show(run, finding, store),
    },
    h("code", null, finding.layer ?? "the whole model"),
  );
}

const whereTo = (run: Run, finding: Finding) =>
  isInLoss(finding, run.metrics) ? "Show in the loss chart" : "Show in heat map";

function show(run: Run, finding: Finding, store: Store): void {
  const inLoss = isInLoss(finding, run.metrics);
  store.set({
    metric: inLoss ? store.get().metric : (measureOf(finding) ?? store.get().metric),
    layer: rowOf(run, finding, store.get()) ?? store.get().layer,
    step: finding.step,
    hover: null,
  });
  document
    .getElementById(inLoss ? "loss" : "layers")
    ?.scrollIntoView({ block: inLoss ? "center" : "start", behavior: "smooth" });
}

/** The name of the row in which the layer of a finding stands. */
function rowOf(run: Run, finding: Finding, state: State): string | undefined {
  const runs = state.shown.flatMap((name) => valueOf(state, name, RUN) ?? []);
  const names = rowNames(runs.map(({ model }) => model.layers));
  const layer = run.model.layers.findIndex(({ name }) => name === finding.layer);
  return names[runs.indexOf(run)]?.[layer];
}

/** The rules without those that are silent because all that they found is suppressed. */
function unsuppressed({ rules, suppressed }: Run): Rule[] {
  const apart = new Set(suppressed.map(({ rule }) => rule));
  return rules.filter(({ id, outcome }) => outcome !== "not-evaluated" || !apart.has(id));
}

function suppressedLine({ title, layer, evidence, reason }: Suppressed): HTMLElement {
  return h(
    "div.rule",
    null,
    glyph("exempt", 12, "Suppressed"),
    h(
      "div",
      null,
      h("p", null, title, " ", layer !== null && h("code", null, layer), " ", prose(evidence)),
      h("p.quiet", null, "suppressed: ", reason),
    ),
  );
}

/** What a rule that found nothing comes to, those first that leave a gap. */
const STANDINGS = ["not-evaluated", "ok", "exempt"] as const;
type Standing = (typeof STANDINGS)[number];

function standing(rule: Rule): Standing {
  if (isGap(rule)) return "not-evaluated";
  return rule.applies ? "ok" : "exempt";
}

const gapsFirst = (a: Rule, b: Rule) =>
  STANDINGS.indexOf(standing(a)) - STANDINGS.indexOf(standing(b));

const TOLD: Record<Standing, string> = {
  "not-evaluated": "not evaluated: ",
  ok: "passed",
  exempt: "exempt: ",
};

function ruleLine(rule: Rule, { rules }: Run): HTMLElement {
  const [sign, left] = [standing(rule), exemptions(rule)];
  return h(
    "div.rule",
    null,
    glyph(sign, 12),
    h(
      "div",
      null,
      h(
        "p",
        null,
        rule.title,
        " ",
        h("span.quiet", null, TOLD[sign], sign !== "ok" && prose(titled(rule.reason ?? "no reason given", rules))),
      ),
      (rule.applies || left.length > 1) &&
        left.map(({ reason, layers }) =>
          h("p.quiet", null, `exempt, ${titled(reason, rules)}: `, h("code", null, layers.join(", "))),
        ),
    ),
  );
}

/** The text with its https addresses as links; they leave TensorBoard's frame. */
function linked(text: string): Child[] {
  return text
    .split(/(https:\/\/[^\s,;)]+[^\s,;.)])/)
    .map((piece, i) =>
      i % 2 ? h("a", { href: piece, target: "_blank", rel: "noopener noreferrer" }, piece) : piece,
    );
}
