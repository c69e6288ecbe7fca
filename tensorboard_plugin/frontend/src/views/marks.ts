/** Findings in the measure that is shown: their numbers at layer and step, signs beside the rows. */

import { layerMarks, problems, spread, worstOf } from "../model/findings";
import { layerAt, type Plot, type PlotColumn } from "../model/plot";
import type { Store } from "../state";
import { h } from "./element";
import { numberMark } from "./findings";
import { glyph } from "./glyph";

/** The worst finding of each line's layers in this measure, at its right. */
export function signs(column: PlotColumn, plot: Plot): HTMLElement {
  const findings = column.run?.findings ?? [];
  return h(
    "div.signs",
    null,
    plot.lines.map(({ rows }, line) => {
      const severity = worstOf(findings, namesOf(column, rows), plot.metric?.name ?? null);
      const middle = plot.layout.tops[line]! + plot.layout.heights[line]! / 2;
      return severity && h("span", { style: `top:${middle}px` }, glyph(severity, 11));
    }),
  );
}

/** What a run calls the layers of a line. */
const namesOf = (column: PlotColumn, rows: readonly number[]) =>
  new Set(rows.flatMap((row) => layerAt(column, row)?.name ?? []));

const MARK = 15;

export function markElements(
  column: PlotColumn,
  plot: Plot,
  width: number,
  store: Store,
): HTMLElement[] {
  const { run } = column;
  if (!run || !column.cells) return [];
  const all = layerMarks(problems(run.findings), plot.metric?.name ?? null);
  return plot.lines.flatMap(({ rows }, line) => {
    const names = namesOf(column, rows);
    const here = all.filter(({ layer }) => layer !== null && names.has(layer));
    const placed = spread(
      here.map((mark) => (mark.step / plot.end) * width),
      MARK,
      width,
    );
    const top = plot.layout.tops[line]! + (plot.layout.heights[line]! - 1) / 2;
    return here.map((mark, i) => numberMark(run, mark, [placed[i]!, top], store));
  });
}
