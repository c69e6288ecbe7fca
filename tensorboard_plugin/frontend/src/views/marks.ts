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
    return here.map((mark) => {
      const left = mark.main ? placed[numbered.indexOf(mark)]! : x(mark);
      const style = `left:${left}px;top:${top}px`;
      if (!mark.main) return h("i.mark-dot", { style });
      const about = found[mark.number - 1]!.findings.some((f) => f.metric === plot.metric?.name);
      return h(about ? "b.number.mark" : "b.number.mark.elsewhere", { style }, String(mark.number));
    });
  });
}
