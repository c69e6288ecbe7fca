/** The step as a slider, with the steps at which something begins to be found. */

import { findingSteps, isJudged, snapStep, worstSeverity } from "../model/health";
import { formatCount, plural } from "../model/number";
import { spread } from "../model/findings";
import type { Plot } from "../model/plot";
import type { Point, Store } from "../state";
import { h, refill } from "./element";
import { glyph, WORDS } from "./glyph";
import { key } from "./heads";

const MARK = 15;

export interface Slider {
  element: HTMLElement;
  show(plot: Plot, steps: readonly number[]): void;
  point(at: Point): void;
}

export function stepSlider(store: Store): Slider {
  let steps: readonly number[] = [];
  let now = 0;
  const words = h("p.step-now");
  const range = h("input.range", { type: "range", "aria-label": "Step", step: 1, min: 0 });
  const lanes = h("div.lanes");
  const element = h(
    "section.section.steps",
    { "aria-label": "Step" },
    h("div.side", null, h("h2", null, "Step"), words),
    h("div.full", null, range, lanes),
  );
  range.addEventListener("input", () => {
    store.set({ step: snapStep(steps, Number(range.value), now), hover: null });
  });
  return {
    element,
    show(plot, recorded) {
      steps = recorded;
      range.max = String(steps.at(-1) ?? 0);
      range.disabled = steps.length === 0;
      const end = steps.at(-1) || 1;
      const width = Math.max(1, range.clientWidth - 16);
      refill(
        lanes,
        plot.columns.map((_, column) => lane(plot, column, end, width, store)),
      );
    },
    point(at) {
      now = at.step;
      range.value = String(at.step);
      const told = `step ${formatCount(at.step)}`;
      range.setAttribute("aria-valuetext", told);
      words.textContent = at.resting ? `${told}, the newest` : told;
    },
  };
}

/** One run's findings along the axis of the slider. */
function lane(plot: Plot, column: number, end: number, width: number, store: Store): HTMLElement {
  const run = plot.columns[column]?.run;
  const found = run ? findingSteps(run) : [];
  const places = spread(
    found.map(({ step }) => (Math.min(step, end) / end) * width),
    MARK,
    width + MARK,
  );
  return h(
    "div.lane",
    null,
    key(column),
    h(
      "div.lane-marks",
      null,
      found.map(({ step, findings }, i) => {
        const severity = worstSeverity(findings)!;
        const titles = findings.map(({ title, layer }) => (layer ? `${title} ${layer}` : title));
        const label = `Step ${formatCount(step)}: ${plural(findings.length, "finding")}, worst ${WORDS[severity]}`;
        return h(
          "button.step-mark",
          {
            "data-key": `mark ${column} ${step}`,
            style: `left:${places[i]}px`,
            title: `${label}\n${titles.slice(0, 12).join("\n")}`,
            "aria-label": label,
            onclick: () => store.set({ step, hover: null }),
          },
          glyph(severity, 12),
        );
      }),
      run &&
        found.length === 0 &&
        h("span.quiet", null, isJudged(run) ? "nothing found" : "no rule was evaluated"),
    ),
  );
}
