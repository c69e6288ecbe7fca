/** Findings in the heat maps: their numbers at layer and step, their severity beside the row. */

import { type Mark, marks, problems, spread, worstOf } from "../model/findings";
import type { Plot, PlotColumn } from "../model/plot";
import { h } from "./element";
import { glyph } from "./glyph";

/** The worst finding of each layer, at the right of its row. */
export function signs(column: PlotColumn, plot: Plot): HTMLElement {
  const findings = column.run?.findings ?? [];
  return h(
    "div.signs",
    null,
    plot.layers.map((layer, row) => {
      const severity = worstOf(findings, layer);
      const middle = plot.layout.tops[row]! + plot.layout.heights[row]! / 2;
      return severity && h("span", { style: `top:${middle}px` }, glyph(severity, 11));
    }),
  );
}

const MARK = 15;

export function markElements(column: PlotColumn, plot: Plot, width: number): HTMLElement[] {
  const found = column.cells ? problems(column.run?.findings ?? []) : [];
  const all = marks(found);
  return plot.layers.flatMap((layer, row) => {
    const here = all.filter((mark) => mark.layer === layer);
    const x = (mark: Mark) => (mark.step / plot.end) * width;
    const numbered = here.filter((mark) => mark.main);
    const placed = spread(numbered.map(x), MARK, width);
    const top = plot.layout.tops[row]! + (plot.layout.heights[row]! - 1) / 2;
    const at = (left: number) => ({ style: `left:${left}px;top:${top}px` });
    const free = (left: number) => placed.every((other) => Math.abs(other - left) > MARK / 2);
    const dots = here.filter((mark) => !mark.main && free(x(mark)));
    return [
      ...dots.map((mark) => h("i.mark-dot", at(x(mark)))),
      ...numbered.map((mark, i) => {
        const { findings } = found[mark.number - 1]!;
        const here = findings.some((finding) => finding.metric === plot.metric?.name);
        const name = here ? "b.number.mark" : "b.number.mark.elsewhere";
        return h(name, at(placed[i]!), String(mark.number));
      }),
    ];
  });
}
