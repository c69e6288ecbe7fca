/** The findings of two runs, and their key numbers, beside each other. */

import type { Comparison, Finding } from "../api";
import { letters, type Pair, told } from "../model/compare";
import { place, type Problem, problems } from "../model/findings";
import { formatCount, formatValue, plural, readableNumbers } from "../model/number";
import type { State } from "../state";
import { h, prose } from "./element";
import { glyph } from "./glyph";
import { against, columnHeads } from "./pairheads";
import { pairTable } from "./pairtable";

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
      : [
          only(`Only in ${called.baseline}`, findings.baseline, called),
          only(`Only in ${called.run}`, findings.run, called),
          shared(findings.both, called),
        ],
  );
}

function only(title: string, findings: Finding[], called: Pair): HTMLElement {
  return h(
    "div.facts",
    null,
    h("h3.title", null, title),
    findings.length === 0
      ? h("p.quiet", null, "None.")
      : h("ul", null, problems(findings).map((one) => line(one, one.findings[0].evidence, called))),
  );
}

function shared(both: { run: Finding; baseline: Finding }[], called: Pair): HTMLElement {
  const theirs = new Map(both.map(({ run, baseline }) => [run, baseline]));
  return h(
    "div.facts",
    null,
    h("h3.title", null, "In both"),
    both.length === 0
      ? h("p.quiet", null, "None.")
      : h(
          "ul",
          null,
          problems(both.map(({ run }) => run)).map((one) => {
            const [worst] = one.findings;
            const other = theirs.get(worst)!;
            const words =
              worst.evidence === other.evidence
                ? worst.evidence
                : `${called.run}: ${worst.evidence}; ${called.baseline}: ${other.evidence}`;
            return line(one, words, called, other);
          }),
        ),
  );
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
  return h(
    "section.section.numbers",
    { "aria-label": "Key numbers" },
    h(
      "div.side",
      null,
      h("h2", null, "Key numbers"),
      h("p", null, "Of finite values alone: after NaN the last one before it."),
    ),
    numbers.length === 0
      ? h("p.quiet.full", null, "No number was measured in both.")
      : pairTable(
          plural(numbers.length, "key number"),
          columnHeads("Number", pair, state, against(pair, state)),
          numbers.map(({ title, scale, run, baseline }) => ({
            name: title,
            baseline: formatValue(baseline, scale),
            run: formatValue(run, scale),
            between: told(run, baseline, scale, letters(pair, state.shown)),
          })),
        ),
  );
}
