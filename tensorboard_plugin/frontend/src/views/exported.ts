/** What was changed, to be taken along: as a file and as code. */

import { copyButton } from "./copy";
import { type Child, h } from "./element";
import type { Tried } from "./thresholds";

const FILE = "tfdiag.toml";

/** @param tried any of them can tell: what was changed is the same for all. */
export function exported(
  tried: readonly Tried[],
  edits: number,
  suppressions: number,
): HTMLElement {
  return h(
    "section.section",
    { id: "take-along", tabindex: -1, "aria-label": "Take along" },
    h(
      "div.side",
      null,
      h("h2", null, "Take along"),
      h("p", null, "For the next training, and for ", h("code", null, "tfdiag check"), "."),
    ),
    h(
      "div.full.blocks",
      null,
      content(tried, edits, suppressions),
    ),
  );
}

function content(tried: readonly Tried[], edits: number, suppressions: number): Child {
  const quiet = (words: string) => h("p.quiet", null, words);
  if (edits + suppressions === 0)
    return quiet(`Nothing is changed. Changes stand here as ${FILE} and as code.`);
  const answer = tried.find(({ after, failure }) => after?.toml && failure === undefined)?.after;
  if (answer === undefined)
    return quiet(tried.some(({ pending }) => pending) ? "Judging …" : "Not tried: see above.");
  const precedence = "It takes precedence over the file";
  return [
    block(FILE, "In the folder where you train, or above it.", answer.toml, download(answer.toml)),
    edits > 0 &&
      block(
        "The same in code",
        suppressions > 0
          ? `${precedence}; suppressions stand in ${FILE} alone.`
          : `${precedence}.`,
        answer.callback,
      ),
  ];
}

function block(title: string, words: string, code: string, ...more: Child[]): HTMLElement {
  return h(
    "div.block",
    null,
    h("div.block-head", null, h("h3", null, title), copyButton(code, title), more),
    h("pre", { tabindex: 0, "aria-label": title }, h("code", null, code)),
    h("p.note", null, words),
  );
}

function download(text: string): HTMLElement {
  const save = () => {
    const address = URL.createObjectURL(new Blob([text], { type: "application/toml" }));
    h("a", { href: address, download: FILE }).click();
    URL.revokeObjectURL(address);
  };
  return h("button.small", { "data-key": "download", onclick: save }, "Download");
}
