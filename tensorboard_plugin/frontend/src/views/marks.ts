/** Findings in the measure that is shown: their numbers at layer and step, signs beside the rows. */

import { layerMarks, problems, spread, worstOf } from "../model/findings";
import { layerAt, type Plot, type PlotColumn } from "../model/plot";
import { h } from "./element";
import { glyph } from "./glyph";

/** The worst finding of each layer in this measure, at the right of its row. */
export function signs(column: PlotColumn, plot: Plot): HTMLElement {
  const findings = column.run?.findings ?? [];
  return h(
    "div.signs",
    null,
    plot.layers.map((_, row) => {
      const severity = worstOf(findings, layerAt(column, row)?.name ?? "", plot.metric?.name ?? null);
      const middle = plot.layout.tops[row]! + plot.layout.heights[row]! / 2;
      return severity && h("span", { style: `top:${middle}px` }, glyph(severity, 11));
    }),
  );
}

const MARK = 15;

export function markElements(column: PlotColumn, plot: Plot, width: number): HTMLElement[] {
  const found = column.cells ? problems(column.run?.findings ?? []) : [];
  const all = layerMarks(found, plot.metric?.name ?? null);
  return plot.layers.flatMap((_, row) => {
    const here = all.filter((mark) => mark.layer === layerAt(column, row)?.name);
    const placed = spread(
      here.map((mark) => (mark.step / plot.end) * width),
      MARK,
      width,
    );
    const top = plot.layout.tops[row]! + (plot.layout.heights[row]! - 1) / 2;
    return here.map((mark, i) =>
      h("b.number.mark", { style: `left:${placed[i]}px;top:${top}px` }, String(mark.number)),
    );
  });
}
