/** A table in the columns of the page: what it is about, the baseline, the run, and both beside each other. */

import { type Child, h } from "./element";

export interface PairRow {
  name: Child;
  baseline?: Child;
  run?: Child;
  between?: Child;
  /** A row that tells nothing new, or the heading of those below it. */
  kind?: "quiet" | "group";
}

/**
 * Roles are told because a grid takes them away in some browsers.
 *
 * @param heads the words above the four columns.
 */
export function pairTable(label: string, heads: readonly Child[], rows: readonly PairRow[]): HTMLElement {
  return h(
    "table.pairs",
    { role: "table", "aria-label": label },
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row" },
        heads.map((words) =>
          words === "" ? h("td", { role: "cell" }) : h("th", { role: "columnheader", scope: "col" }, words),
        ),
      ),
    ),
    h("tbody", { role: "rowgroup" }, rows.map(line)),
  );
}

function line({ name, baseline, run, between, kind }: PairRow): HTMLElement {
  const cells = kind === "group" ? [] : [baseline, run, between];
  return h(
    kind ? `tr.${kind}` : "tr",
    { role: "row" },
    h("th", { role: "rowheader", scope: "row" }, name),
    cells.map((cell) => h("td", { role: "cell" }, cell)),
  );
}

const NUMBER = /^((?:over )?(?:[−\d.,e-]+|NaN|Inf))( .*)?$/;

/** A number and what follows it, so that the numbers of a column end below each other. */
export function amount(words: string): HTMLElement {
  const [, number, rest = ""] = NUMBER.exec(words) ?? [];
  return h("span.amount", null, h("span", null, number ?? ""), number === undefined ? words : rest);
}
