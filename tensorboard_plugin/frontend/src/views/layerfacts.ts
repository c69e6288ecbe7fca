/** What the layer is, and what was found about it in each run. */

import type { Finding, Run } from "../api";
import { findingsOf, isGap, type Problem, problems, sourceOf } from "../model/findings";
import { isJudged } from "../model/health";
import { brokenSince, type LayerSource } from "../model/layercurves";
import { facts } from "../model/layers";
import { formatCount, plural } from "../model/number";
import { called } from "../requests";
import { layerOf, RUN, slotOf } from "../resources";
import type { State, Store } from "../state";
import { type Child, h, prose } from "./element";
import { explanation } from "./findings";
import { glyph } from "./glyph";
import { problem } from "./notices";

/** What the layer is in the first run that has it. */
export function layerFacts(sources: readonly LayerSource[]): Child {
  return h(
    "dl",
    null,
    commonFacts(sources).map(([title, words]) => [h("dt", null, title), h("dd", { title: words }, words)]),
  );
}

function commonFacts(sources: readonly LayerSource[]): [string, string][] {
  const model = sources.find((source) => source.layer)?.layer;
  return model ? facts(model) : [];
}

/** What was found in the layer, run by run. */
export function layerFindings(
  sources: readonly LayerSource[],
  state: State,
  store: Store,
  retry: () => void,
): HTMLElement[] {
  return sources.map((source) =>
    h(
      "article",
      { "aria-label": `Findings in ${called(source.name)}` },
      failures(source, state, retry),
      content(source, sources, state, store),
    ),
  );
}

/** What could not be fetched of this run and layer. */
function failures({ name, layer }: LayerSource, state: State, retry: () => void): Child {
  const { failure } = slotOf(state, name, RUN);
  if (failure) return problem("Not fetched", failure, retry);
  const slot = layer && slotOf(state, name, layerOf(layer.name));
  return slot?.failure && problem("The curves could not be fetched", slot.failure, retry);
}

function content(
  source: LayerSource,
  sources: readonly LayerSource[],
  state: State,
  store: Store,
): Child {
  const { run, layer } = source;
  if (!run) return h("p.quiet", null, "Loading …");
  if (!layer) return h("p.quiet", null, "This model has no such layer.");
  const found = problems(run.findings);
  const here = findingsOf(found, layer.name);
  return [
    differences(layer.name, facts(layer), commonFacts(sources)),
    here.length === 0 && nothingFound(run, brokenSince(source)),
    h(
      "ul.layer-findings",
      null,
      here.map((one) => item(run, one.problem, one.finding, found, state, store)),
    ),
  ];
}

/** Where this run's layer is another one than the gutter tells. */
function differences(name: string, own: [string, string][], common: [string, string][]): Child {
  const other = own.filter(([title, words], i) => title !== "Input" && words !== common[i]?.[1]);
  if (other.length === 0) return null;
  const words = other.map(([title, text]) => `${title.toLowerCase()} ${text}`).join(", ");
  return h("p.differs", null, "Here ", h("code", null, name), ` has ${words}.`);
}

/** Silence is not health: what could not be judged is told too, and NaN that came from elsewhere. */
function nothingFound(run: Run, broken: number | null): HTMLElement {
  if (broken !== null) {
    const words = `NaN or Inf since step ${formatCount(broken)}; no finding is about this layer`;
    return h("p.none-found", null, glyph("critical"), words);
  }
  const silent = run.rules.filter(isGap).length;
  const judged = isJudged(run);
  const reason = run.rules[0]?.reason ?? "no rule has looked at this run";
  return h(
    "p.none-found",
    null,
    glyph(run.verdict.severity === "not-evaluated" ? "not-evaluated" : "ok"),
    judged ? "No finding in this layer" : h("span", null, "Not evaluated: ", prose(reason)),
    judged && silent > 0 && h("span.quiet", null, `${plural(silent, "rule")} not evaluated`),
  );
}

function item(
  run: Run,
  about: Problem,
  finding: Finding,
  all: Problem[],
  state: State,
  store: Store,
): HTMLElement {
  const source = sourceOf(about, all, finding);
  const key = `${run.run} ${finding.rule} ${finding.step}`;
  const why = `why ${key}`;
  const open = state.open.has(why);
  return h(
    "li",
    null,
    h(
      "p.layer-finding",
      null,
      h("b.number", null, String(about.number)),
      glyph(finding.severity),
      h("b", null, finding.title),
      h("span.evidence", null, prose(finding.evidence)),
    ),
    h("p.told", null, prose(finding.message)),
    h(
      "p.told.where",
      null,
      h(
        "button.link",
        { "data-key": `step ${key}`, onclick: () => store.set({ step: finding.step, hover: null }) },
        `since step ${formatCount(finding.step)}`,
      ),
      h(
        "button.link",
        { "data-key": why, "aria-expanded": String(open), onclick: () => store.toggle(why) },
        "Why, and what to do",
      ),
      source &&
        h("span.quiet", null, "follows from ", h("b.number.hollow", null, String(source.number)), ` ${source.title}`),
    ),
    open && h("div.detail", null, explanation(finding)),
  );
}
