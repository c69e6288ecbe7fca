/** A table in the columns of the page: what it is about, the baseline, the run, and both beside each other. */

import { type Child, h } from "./element";

export interface PairRow {
  name: Child;
  baseline?: Child;
  run?: Child;
  between?: Child;
  /** A row that tells nothing new. */
  kind?: "quiet";
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
  const cells = [baseline, run, between];
  return h(
    kind ? `tr.${kind}` : "tr",
    { role: "row" },
    h("th", { role: "rowheader", scope: "row" }, name),
    cells.map((cell) => h("td", { role: "cell" }, cell)),
  );
}
