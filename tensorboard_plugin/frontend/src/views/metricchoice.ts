/** Which measure the heat maps show. */

import type { Metric, Run } from "../api";
import { bySource, severityOf } from "../model/metrics";
import type { Store } from "../state";
import { h } from "./element";
import { glyph } from "./glyph";

export function metricChoice(
  metrics: Metric[],
  runs: Run[],
  chosen: string | null,
  store: Store,
  where = "heat maps",
): HTMLElement {
  return h(
    "div.choice",
    { role: "group", "aria-label": `Measure shown in the ${where}` },
    bySource(metrics).map(([source, group]) =>
      h(
        "div.choice-group",
        { role: "group", "aria-label": `Measured on the ${source}` },
        h("span.choice-title", null, source),
        h(
          "div.segments",
          null,
          group.map((metric) => button(metric, runs, chosen, store)),
        ),
      ),
    ),
  );
}

function button(metric: Metric, runs: Run[], chosen: string | null, store: Store): HTMLElement {
  const severity = severityOf(runs, metric.name);
  return h(
    metric.not_measured ? "button.none" : "button",
    {
      "data-key": `metric ${metric.name}`,
      "aria-pressed": String(metric.name === chosen),
      title: metric.not_measured ?? metric.about,
      onpointerenter: () => store.set({ ahead: metric.name }),
      onfocus: () => store.set({ ahead: metric.name }),
      onclick: () => store.set({ metric: metric.name }),
    },
    severity && glyph(severity, 10, `${severity} finding`),
    metric.title,
  );
}
