/** The findings of two runs, and their key numbers, beside each other. */

import type { Comparison, Finding } from "../api";
import { letters, numbersByGroup, type Pair, told } from "../model/compare";
import { place, type Problem, problems } from "../model/findings";
import { formatCount, formatValue, plural, readableNumbers } from "../model/number";
import type { State } from "../state";
import { h, prose } from "./element";
import { glyph } from "./glyph";
import { against, columnHeads } from "./pairheads";
import { amount, pairTable, type PairRow } from "./pairtable";

export function comparedFindings({ findings }: Comparison, pair: Pair, state: State): HTMLElement {
  const called = letters(pair, state.shown);
  return h(
    "section.section.found",
    { "aria-label": "Findings of both" },
    h(
      "div.side",
      null,
      h("h2", null, "Findings"),
      h("p", null, "Paired by rule and layer."),
    ),
    findings === null
      ? h("p.quiet.full", null, "Not compared yet: the rules have not judged both runs.")
      : h("div.full", null, lists([
          { title: `Only in ${called.baseline}`, lines: only(findings.baseline, called) },
          { title: `Only in ${called.run}`, lines: only(findings.run, called) },
          { title: "In both", lines: shared(findings.both, called) },
        ])),
  );
}

interface List {
  title: string;
  lines: HTMLElement[];
}

/** Each list has all of the width; the empty ones share one line. */
function lists(all: readonly List[]): HTMLElement[] {
  const [filled, empty] = [true, false].map((is) => all.filter(({ lines }) => lines.length > 0 === is));
  return [
    ...filled!.map(({ title, lines }) => h("div.facts", null, h("h3.title", null, title), h("ul", null, lines))),
    ...(empty!.length ? [h("p.quiet", null, empty!.map(({ title }) => `${title}: none.`).join(" "))] : []),
  ];
}

const only = (findings: Finding[], called: Pair): HTMLElement[] =>
  problems(findings).map((one) => line(one, one.findings[0].evidence, called));

function shared(both: { run: Finding; baseline: Finding }[], called: Pair): HTMLElement[] {
  const theirs = new Map(both.map(({ run, baseline }) => [run, baseline]));
  return problems(both.map(({ run }) => run)).map((one) => {
    const [worst] = one.findings;
    const other = theirs.get(worst)!;
    const words =
      worst.evidence === other.evidence
        ? worst.evidence
        : `${called.baseline}: ${other.evidence}; ${called.run}: ${worst.evidence}`;
    return line(one, words, called, other);
  });
}

/** @param other the baseline's finding, if it has one of another severity. */
function line(one: Problem, evidence: string, called: Pair, other?: Finding): HTMLElement {
  const milder = other && other.severity !== one.severity ? other : null;
  const where = place(one);
  return h(
    "li",
    null,
    glyph(one.severity, 14),
    h(
      "span.what",
      null,
      one.title,
      " ",
      where && h(one.findings.length > 1 ? "span.place" : "code", null, where),
      milder && [h("span.quiet", null, ` ${called.baseline} `), glyph(milder.severity, 12)],
    ),
    h("span.evidence", { title: readableNumbers(evidence) }, prose(evidence)),
    h("span.since", null, `step ${formatCount(one.step)}`),
  );
}

export function keyNumbers({ numbers }: Comparison, pair: Pair, state: State): HTMLElement {
  const title = h("h2", null, "Key numbers");
  return h(
    "section.section.numbers",
    { "aria-label": "Key numbers" },
    numbers.length === 0
      ? [h("div.side", null, title), h("p.quiet.full", null, "No number was measured in both.")]
      : pairTable(
          plural(numbers.length, "key number"),
          columnHeads([title, h("p", null, "Of finite values alone: after NaN the last one before it.")], pair, state, against(pair, state)),
          numbersByGroup(numbers).flatMap(([title, of]): PairRow[] => [
            { kind: "group", name: title },
            ...of.map(({ title, scale, run, baseline }) => ({
              name: title,
              baseline: amount(formatValue(baseline, scale)),
              run: amount(formatValue(run, scale)),
              between: amount(told(run, baseline, scale, letters(pair, state.shown))),
            })),
          ]),
        ),
  );
}
