/** One card per run: the verdict, what to try first, what was found. */

import type { Run, Verdict } from "../api";
import { chainOf, type Link } from "../model/chain";
import { often } from "../model/cost";
import { layerNames } from "../model/layers";
import type { Keep } from "../model/remember";
import { formatCount, formatSetting, formatShare, plural } from "../model/number";
import { called } from "../requests";
import { RUN, slotOf } from "../resources";
import type { State, Store } from "../state";
import { copyButton } from "./copy";
import { arrange, type Child, h, prose } from "./element";
import { findingsTable } from "./findings";
import { glyph, WORDS } from "./glyph";
import { problem } from "./notices";

/** @param keep gives the cards of which nothing is new. */
export function verdicts(state: State, store: Store, retry: () => void, keep: Keep): HTMLElement {
  const summaryOf = (name: string) => {
    const { error, verdict } = state.runs?.find(({ run }) => run === name) ?? {};
    return JSON.stringify([error, verdict]);
  };
  const section = keep("cards", [], () => h("section.section.cards", { "aria-label": "Diagnosis" }));
  const side = keep("cards' side", [], () =>
    h(
      "div.side",
      null,
      h("h2", null, "Verdict"),
      h("p", null, "One likely cause per run, and what it led to by step."),
      h("p", null, "Numbers mark where a finding sits below."),
    ),
  );
  arrange(section, [
    side,
    ...state.shown.map((name, i) =>
      keep(
        `card ${i}`,
        [name, called(name), summaryOf(name), slotOf(state, name, RUN), state.open, state.choices],
        () => card(state, store, name, retry),
      ),
    ),
  ]);
  return section;
}

function card(state: State, store: Store, name: string, retry: () => void): HTMLElement {
  const summary = state.runs?.find((run) => run.run === name);
  const slot = slotOf(state, name, RUN);
  const verdict = slot.value?.verdict ?? summary?.verdict;
  // With nothing to fix the tally follows the summary; otherwise the tables stand in one line.
  const wellDone = !verdict?.try_first && slot.value?.findings.length === 0;
  return h(
    wellDone ? "article.card.well" : "article.card",
    { "aria-label": called(name) },
    summary?.error
      ? problem("This recording cannot be read", summary.error)
      : verdict
        ? title(verdict, slot.value)
        : waiting(),
    verdict
      ? h("div", null, reasons(verdict, slot.value, state, store))
      : h("div"),
    verdict?.try_first ? tryFirst(verdict.try_first, name, slot.value) : wellDone ? null : h("div"),
    slot.failure && !slot.value
      ? problem("This run could not be fetched", slot.failure, retry)
      : slot.value
        ? findingsTable(slot.value, state, store, recorded(slot.value, state, store))
        : h(verdict && !verdict.try_first ? "div" : "div.pending"),
  );
}

/** The cause, how sure that is, and its way to the last consequence. */
function reasons(verdict: Verdict, run: Run | undefined, state: State, store: Store): Child[] {
  const diagnosis = run?.diagnosis;
  const links = run ? chainOf(run) : [];
  const words = diagnosis && links.length > 0 ? diagnosis.cause.text : verdict.summary;
  const name = `${run?.run}\nsureness`;
  const open = state.open.has(name);
  const why = () =>
    h(
      "button.link.how-sure",
      {
        "data-key": name,
        "aria-expanded": String(open),
        title: `${capital(diagnosis!.sureness)}: ${diagnosis!.reason}`,
        onclick: () => store.toggle(name),
      },
      "How sure?",
    );
  return [
    h("p.summary", null, prose(words, namesIn(run)), diagnosis && [" ", why()]),
    diagnosis &&
      open &&
      h("p.sureness", null, prose(`${capital(diagnosis.sureness)}: ${diagnosis.reason}.`, namesIn(run))),
    links.length > 0 && h("ol.chain", { "aria-label": "What led to what" }, links.map((one) => link(one, run))),
  ];
}

/** None while only the verdict is known. */
const namesIn = (run: Run | undefined) => (run ? layerNames(run) : undefined);

function link({ step, severity, text }: Link, run: Run | undefined): HTMLElement {
  return h(
    "li",
    null,
    h("span.at", null, step !== null && [h("span.sr", null, "Step "), formatCount(step)]),
    h("span.bead", null, severity ? glyph(severity, 11) : h("i.clue", { title: "A clue, no finding" })),
    h("span", null, prose(text, namesIn(run))),
  );
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const waiting = () => h("p.quiet", { role: "status" }, "Loading the diagnosis …");

function title(verdict: Verdict, run: Run | undefined): HTMLElement {
  return h(
    "h3.verdict",
    null,
    glyph(verdict.severity, 20),
    h("span", null, prose(verdict.title, namesIn(run))),
    h("span.sr", null, `, ${WORDS[verdict.severity]}`),
  );
}

function tryFirst(advice: { text: string; code: string | null }, name: string, run: Run | undefined): HTMLElement {
  return h(
    "div.try",
    null,
    h("p", null, h("span.quiet", null, "Try first: "), h("b", null, prose(advice.text, namesIn(run)))),
    advice.code !== null && [copyButton(advice.code, name), h("code", null, advice.code)],
  );
}

/** How the run was made and watched, to be looked up; all runs unfold it together. */
function recorded(run: Run, state: State, store: Store): HTMLElement {
  const { optimizer, settings } = run.model;
  const rate = settings.learning_rate;
  const short = [optimizer, typeof rate === "number" && `learning rate ${formatSetting(rate)}`];
  const unfold = (event: Event) => {
    event.preventDefault(); // the address holds what is open
    store.choose("settings", state.choices.settings ? "" : "open");
  };
  return h(
    "details.recorded",
    { open: Boolean(state.choices.settings) },
    h(
      "summary",
      { "data-key": `settings ${run.run}`, title: short.filter(Boolean).join(", "), onclick: unfold },
      "Settings",
    ),
    h(
      "dl",
      null,
      settingsOf(run).map(([name, words]) => [h("dt", null, name), h("dd", null, prose(words))]),
    ),
  );
}

function settingsOf(run: Run): [name: string, words: string][] {
  const { optimizer, loss, settings } = run.model;
  const { every, probe_every: probeEvery } = { ...run.monitor, ...run.cost };
  const { budget } = run.monitor;
  const rows: [string, string | null | false][] = [
    ["optimizer", optimizer],
    ...Object.entries(settings).map(([name, value]): [string, string | false] => [
      name.replaceAll("_", " "),
      value !== null && value !== false && value !== 0 && formatSetting(value),
    ]),
    ["loss", loss],
    ["recorded", often(every)],
    ["probe", run.probe_samples > 0 && `${plural(run.probe_samples, "sample")} ${often(probeEvery)}`],
    [
      "monitor",
      run.cost &&
        `${formatShare(run.cost.share)} of the time` +
          (budget ? ` (budget ${formatShare(budget)})` : ""),
    ],
    ...Object.entries(run.versions),
  ];
  return rows.flatMap(([name, words]) => (words ? [[name, words]] : []));
}
