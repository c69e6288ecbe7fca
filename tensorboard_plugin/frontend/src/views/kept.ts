/** What was changed, to be kept for the next training: as a file and as code. */

import type { Judged } from "../api";
import { plural } from "../model/number";
import { copyButton } from "./copy";
import { type Child, h } from "./element";
import type { Tried } from "./thresholds";

const FILE = "tfdiag.toml";
const PLACE = "kept-changes";

export interface Changed {
  tried: readonly Tried[];
  edits: number;
  suppressions: number;
}

/** What stays on top with the verdicts: how much is changed, and how to keep it or let it go. */
export function keeping(changed: Changed, reset: () => void): Child {
  const { edits, suppressions } = changed;
  const parts = [
    edits > 0 && `${plural(edits, "number")} changed`,
    suppressions > 0 && `${plural(suppressions, "finding")} suppressed`,
  ].filter(Boolean);
  const answer = answered(changed);
  return [
    h("div.side", null, h("h2", null, "Keep")),
    parts.length === 0
      ? h("p.full.quiet", null, "Nothing is changed. What you change here can be saved for the next training.")
      : h(
          "div.full.keeping",
          null,
          h("b", null, parts.join(" · ")),
          h("button.small", { "data-key": "reset all", onclick: reset }, "Reset all"),
          answer
            ? h("span.save", null, h("span", null, "as ", h("code", null, FILE)), save(answer.toml, "at the top"), show())
            : h("span.quiet", null, waiting(changed)),
        ),
  ];
}

/** At the end of the page, once something is changed: the file itself, and the same as code. */
export function kept(changed: Changed): HTMLElement {
  return h(
    "section.section",
    { id: PLACE, tabindex: -1, "aria-label": "Keep" },
    h(
      "div.side",
      null,
      h("h2", null, "Keep"),
      h("p", null, "For the next training, and for ", h("code", null, "tfdiag check"), "."),
    ),
    h("div.full.blocks", null, content(changed)),
  );
}

function content(changed: Changed): Child {
  const { edits, suppressions } = changed;
  const answer = answered(changed);
  if (answer === undefined) return h("p.quiet", null, waiting(changed));
  const precedence = "It takes precedence over the file";
  const rest = suppressions > 0 ? `; suppressions stand in ${FILE} alone.` : ".";
  return [
    block(FILE, "In the folder where you train, or above it.", answer.toml, save(answer.toml, FILE)),
    edits > 0 &&
      block(
        "The same in code",
        `${precedence}${rest}`,
        answer.callback,
        copyButton(answer.callback, "code"),
      ),
  ];
}

/** Any of the runs can tell: what was changed is the same for all. */
const answered = ({ tried }: Changed): Judged | undefined =>
  tried.find(({ after, failure }) => after?.toml && failure === undefined)?.after;

const waiting = ({ tried }: Changed) =>
  tried.some(({ pending }) => pending) ? "Judging …" : "Not tried: see the findings.";

function block(title: string, words: string, code: string, buttons: Child): HTMLElement {
  return h(
    "div.block",
    null,
    h("div.block-head", null, h("h3", null, title), buttons),
    h("pre", { tabindex: 0, "aria-label": title }, h("code", null, code)),
    h("p.note", null, words),
  );
}

const save = (text: string, where: string): Child => [copyButton(text, where), download(text, where)];

function download(text: string, where: string): HTMLElement {
  const onclick = () => {
    const address = URL.createObjectURL(new Blob([text], { type: "application/toml" }));
    h("a", { href: address, download: FILE }).click();
    URL.revokeObjectURL(address);
  };
  return h("button.small", { "data-key": `download ${where}`, onclick }, "Download");
}

/** Scrolls the page alone: `scrollIntoView` would move what is around it too. */
function show(): HTMLElement {
  const onclick = () => {
    const place = document.getElementById(PLACE);
    const covered = document.querySelector<HTMLElement>(".trial .lead")?.offsetHeight ?? 0;
    place?.closest("main")?.scrollTo({ top: place.offsetTop - covered });
    place?.focus({ preventScroll: true });
  };
  return h("button.link", { "data-key": "show kept", onclick }, "Show file and code");
}
