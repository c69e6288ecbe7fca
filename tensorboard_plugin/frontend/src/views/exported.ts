/** What was changed, to be taken along: as a file and as code. */

import type { Judged } from "../api";
import { copyButton } from "./copy";
import { type Child, h } from "./element";

const FILE = "tfdiag.toml";

/** @param answer of any run: what was changed is the same for all; undefined if nothing was. */
export function exported(
  answer: Judged | undefined,
  edits: number,
  suppressions: number,
): HTMLElement {
  return h(
    "section.section",
    { "aria-label": "Take along" },
    h(
      "div.side",
      null,
      h("h2", null, "Take along"),
      h("p", null, "For the next training, and for ", h("code", null, "tfdiag check"), "."),
    ),
    h(
      "div.full.blocks",
      null,
      answer === undefined
        ? h("p.quiet", null, `Nothing is changed. Changes stand here as ${FILE} and as code.`)
        : [
            block(
              FILE,
              "In the folder where you train, or above it.",
              answer.toml,
              download(answer.toml),
            ),
            edits > 0 &&
              block(
                "The same in code",
                suppressions > 0
                  ? `It takes precedence over the file; suppressions stand in ${FILE} alone.`
                  : "It takes precedence over the file.",
                answer.callback,
              ),
          ],
    ),
  );
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
