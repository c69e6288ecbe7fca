/** The lines under the table of rules and runs: all that is known of what is pointed at. */

import type { JudgedRun, RuleCell, RuleFacts } from "../api";
import { type CellSign, cellOf, exemptWords, signOf, withRun, wordsOf } from "../model/matrix";
import { formatCount, formatMagnitude, plural } from "../model/number";
import { KEYS } from "../model/runs";
import { called } from "../requests";
import type { State } from "../state";
import { h, prose } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";

/** A cell, the name of a rule, the name of a run, or nothing. */
export interface Pointed {
  rule?: RuleFacts;
  run?: JudgedRun;
}

/** That a rule passed is hardly seen: a dot. */
export const mark = (sign: CellSign) => (sign === "ok" ? h("i.calm-dot") : glyph(sign, 13));

export const named = (sign: CellSign) => (sign === "ok" ? "Passed" : WORDS[sign]);

export function ruleReadout({ rule, run }: Pointed, state: State): HTMLElement[] {
  if (rule && run) return ofCell(rule, run, state);
  if (rule) return ofRule(rule);
  if (run) return ofRun(run, state);
  return [
    h(
      "p.quiet",
      null,
      "Point at a cell to read what was found there, at a rule to read what it looks for. " +
        "Arrow keys move from cell to cell; a click or Enter shows the run in Diagnosis.",
    ),
  ];
}

function ofCell(rule: RuleFacts, run: JudgedRun, state: State): HTMLElement[] {
  const cell = cellOf(run, rule.id);
  const sign = signOf(cell);
  const severity = cell.severity && `${WORDS[cell.severity]}, `;
  return [
    h(
      "div",
      null,
      h("p.what", null, mark(sign), h("b", null, rule.title), name(run, state)),
      h("p", null, prose(`${severity ?? ""}${wordsOf(cell)}`)),
      h("p.quiet", null, act(run, state)),
    ),
    h(
      "div",
      null,
      found(cell),
      exemptWords(cell).map((words) => h("p.quiet", null, words)),
      cell.count === 0 && h("p.quiet", null, rule.finds),
    ),
  ];
}

function found(cell: RuleCell): HTMLElement | null {
  if (cell.count === 0) return null;
  const others = cell.count - cell.findings.length;
  return h(
    "ul",
    null,
    cell.findings.map(({ severity, layer, evidence, step }) =>
      h(
        "li",
        null,
        glyph(severity, 11),
        layer === null ? "whole model" : h("code", null, layer),
        evidence && h("b", null, prose(evidence)),
        h("span.quiet", null, `since step ${formatCount(step)}`),
      ),
    ),
    others > 0 && h("li.quiet", null, `and ${plural(others, "other")}`),
  );
}

function ofRule(rule: RuleFacts): HTMLElement[] {
  const limits = Object.entries(rule.thresholds)
    .map(([argument, value]) => `${argument.replaceAll("_", " ")} ${formatMagnitude(value)}`)
    .join(" · ");
  return [
    h(
      "div",
      null,
      h("p.what", null, h("b", null, rule.title), h("span.quiet", null, rule.group)),
      h("p", null, prose(rule.finds)),
    ),
    h(
      "div",
      null,
      h("p", null, limits ? `By default: ${limits}` : "It has no thresholds."),
      rule.source && h("p.quiet", null, `Source: ${rule.source}`),
    ),
  ];
}

function ofRun(run: JudgedRun, state: State): HTMLElement[] {
  const cells = Object.values(run.rules);
  const tally = [
    plural(cells.filter((cell) => cell.count > 0).length, "rule") + " found something",
    `${cells.filter((cell) => cell.outcome === "healthy").length} passed`,
    `${cells.filter((cell) => signOf(cell) === "not-evaluated").length} not evaluated`,
    `${cells.filter((cell) => cell.all_exempt).length} exempt`,
  ].join(" · ");
  const judged = run.step === null ? "not judged yet" : `judged at step ${formatCount(run.step)}`;
  return [
    h("div", null, h("p.what", null, name(run, state)), h("p.quiet", null, act(run, state))),
    h("div", null, h("p", null, run.error ?? tally), !run.error && h("p.quiet", null, judged)),
  ];
}

function name(run: JudgedRun, state: State): HTMLElement {
  const position = state.shown.indexOf(run.run);
  return h("span.name", null, position >= 0 && key(position), " ", called(run.run));
}

/** What a click does, before it does it: with four runs shown, one has to go. */
function act(run: JudgedRun, state: State): string {
  const last = state.shown.length - 1;
  const replaced = !withRun(state.shown, run.run).includes(state.shown[last] ?? run.run);
  return `Click to see it in Diagnosis${replaced ? `, in place of ${KEYS[last]}` : ""}.`;
}
