/** Findings in the measure that is shown: their numbers at layer and step, signs beside the rows. */

import type { Run } from "../api";
import { isAbout, layerMarks, MARK, type Mark, pills, problems, worstOf } from "../model/findings";
import { layerAt, type Plot, type PlotColumn } from "../model/plot";
import type { Store } from "../state";
import { penOf } from "./canvas";
import { h } from "./element";
import { numberMark, pillMark } from "./findings";
import { paintGlyph } from "./glyph";

const SIGN = 12; // pixels

/**
 * The worst finding of each line's layers in this measure, at its right: one picture, however many
 * there are. What it shows is told in words by the findings.
 */
export function signs(column: PlotColumn, plot: Plot): { element: HTMLElement; paint(): void } {
  const canvas = h("canvas.signs", { "aria-hidden": "true" });
  const about = column.run?.findings.filter((one) => isAbout(one, plot.metric?.name ?? null)) ?? [];
  const { tops, heights, total } = plot.layout;
  return {
    element: canvas,
    paint() {
      const { context, inks } = penOf(canvas, SIGN, total);
      plot.lines.forEach(({ rows }, line) => {
        const severity = worstOf(about, namesOf(column, rows));
        const middle = tops[line]! + heights[line]! / 2;
        if (severity) paintGlyph(context, severity, [SIGN / 2, middle], SIGN - 1, inks[severity], inks["on-sign"]);
      });
    },
  };
}

/** What a run calls the layers of a line. */
const namesOf = (column: PlotColumn, rows: readonly number[]) =>
  new Set(rows.flatMap((row) => layerAt(column, row)?.name ?? []));

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
    const top = plot.layout.tops[line]! + (plot.layout.heights[line]! - 1) / 2;
    return rowMarks(run, here, plot.end, width, top, store);
  });
}

/** The numbers of one row, each at its step. */
export const rowMarks = (
  run: Run,
  marks: readonly Mark[],
  end: number,
  width: number,
  top: number,
  store: Store,
): HTMLElement[] =>
  pills(marks, (step) => (step / end) * width, width).map((pill) =>
    pill.marks.length === 1
      ? numberMark(run, pill.marks[0]!, [pill.left + MARK / 2, top], store)
      : pillMark(run, pill, [pill.left, top], pill.left > width / 2, store),
  );
