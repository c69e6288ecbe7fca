/** One card per run: the verdict, what to try first, what was found. */

import type { Diagnosis, Run, Verdict } from "../api";
import { often } from "../model/cost";
import { formatShare, plural } from "../model/number";
import { RUN, slotOf } from "../resources";
import type { State, Store } from "../state";
import { copyButton } from "./copy";
import { h, prose } from "./element";
import { findingsTable } from "./findings";
import { glyph, WORDS } from "./glyph";
import { problem } from "./notices";

export function verdicts(state: State, store: Store, retry: () => void): HTMLElement {
  return h(
    "section.section.cards",
    { "aria-label": "Diagnosis" },
    h(
      "div.side",
      null,
      h("h2", null, "Verdict"),
      h("p", null, "One likely cause per run. Numbers mark where a finding sits below."),
    ),
    state.shown.map((name) => card(state, store, name, retry)),
  );
}

function card(state: State, store: Store, name: string, retry: () => void): HTMLElement {
  const summary = state.runs?.find((run) => run.run === name);
  const slot = slotOf(state, name, RUN);
  const verdict = slot.value?.verdict ?? summary?.verdict;
  // With nothing to fix the tally follows the summary; otherwise the tables stand in one line.
  const wellDone = !verdict?.try_first && slot.value?.findings.length === 0;
  return h(
    wellDone ? "article.card.well" : "article.card",
    { "aria-label": name },
    summary?.error
      ? problem("This recording cannot be read", summary.error)
      : verdict
        ? title(verdict)
        : waiting(),
    verdict
      ? h(
          "div",
          null,
          h("p.summary", null, prose(verdict.summary)),
          slot.value?.diagnosis && reasons(slot.value.diagnosis),
        )
      : h("div"),
    verdict?.try_first ? tryFirst(verdict.try_first, name) : wellDone ? null : h("div"),
    slot.failure && !slot.value
      ? problem("This run could not be fetched", slot.failure, retry)
      : slot.value
        ? findingsTable(slot.value, state, store)
        : h("div"),
    slot.value ? recorded(slot.value) : h("div"),
  );
}

/** From the cause to its last consequence, and how sure that is. */
function reasons({ chain, sureness, reason }: Diagnosis): HTMLElement {
  const links = chain.map((link) => link.text).join(" → ");
  return h(
    "div.reasons",
    null,
    chain.length > 1 && h("p", null, prose(capital(links))),
    h("p", null, prose(`${capital(sureness)}: ${reason}.`)),
  );
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const waiting = () => h("p.quiet", { role: "status" }, "Loading the diagnosis …");

function title(verdict: Verdict): HTMLElement {
  return h(
    "h3.verdict",
    null,
    glyph(verdict.severity, 20),
    h("span", null, prose(verdict.title)),
    h("span.sr", null, `, ${WORDS[verdict.severity]}`),
  );
}

function tryFirst(advice: { text: string; code: string | null }, run: string): HTMLElement {
  return h(
    "div.try",
    null,
    h("p", null, h("span.quiet", null, "Try first: "), h("b", null, prose(advice.text))),
    advice.code !== null && [copyButton(advice.code, run), h("code", null, advice.code)],
  );
}

/** How the run was made and watched: what one looks up, not what one reads. */
function recorded(run: Run): HTMLElement {
  const settings = Object.entries(run.model.settings)
    .filter(([, value]) => value !== null && value !== false && value !== 0)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  const made = [run.model.optimizer, ...settings, run.model.loss].filter(Boolean).join(" · ");
  const { every, probe_every: probeEvery } = { ...run.monitor, ...run.cost };
  const budget = run.monitor.budget;
  const watched = [
    `recorded ${often(every)}`,
    run.probe_samples > 0 && `${plural(run.probe_samples, "probe sample")} ${often(probeEvery)}`,
    run.cost &&
      `monitor ${formatShare(run.cost.share)} of the time` +
        (budget ? ` (budget ${formatShare(budget)})` : ""),
  ];
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  return h(
    "div.recorded",
    { title: versions.join("\n") },
    h("p", null, made),
    h("p", null, prose(watched.filter(Boolean).join(" · "))),
  );
}
