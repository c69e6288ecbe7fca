/** Which measure the heat maps show. */

import type { Metric, Run } from "../api";
import { bySource, isUsual, severityOf } from "../model/metrics";
import type { State, Store } from "../state";
import { h } from "./element";
import { glyph } from "./glyph";

/** The name of the choice that unfolds the measures that are seldom asked for. */
const MORE = "measures";

export function metricChoice(
  metrics: Metric[],
  runs: Run[],
  state: State,
  store: Store,
  where = "heat maps",
): HTMLElement {
  const usual = metrics.filter((one) => one.name === state.metric || isUsual(one, runs));
  const open = Boolean(state.choices[MORE]);
  const offered = open ? metrics : usual;
  return h(
    "div.choice",
    { role: "group", "aria-label": `Measure shown in the ${where}` },
    bySource(offered).map(([source, group]) =>
      h(
        "div.choice-group",
        {
          role: "group",
          "aria-label": `Measured on the ${source}`,
          title: `Measured on the ${source}`,
        },
        h("span.choice-title", null, source),
        h(
          "div.segments",
          null,
          group.map((metric) => button(metric, runs, state.metric, store)),
        ),
      ),
    ),
    usual.length < metrics.length &&
      h(
        "button.link.choice-more",
        {
          "data-key": "more measures",
          "aria-expanded": String(open),
          onclick: () => store.choose(MORE, open ? "" : "all"),
        },
        open ? "Fewer measures" : `${metrics.length - usual.length} more`,
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

/** The same choice in the room of a word. */
export function metricSelect(metrics: Metric[], state: State, store: Store): HTMLElement {
  const select = h(
    "select",
    {
      "data-key": "measure in short",
      "aria-label": "Measure",
      onchange: () => store.set({ metric: select.value }),
    },
    metrics.map(({ name, title }) => h("option", { value: name, selected: name === state.metric }, title)),
  );
  return select;
}
