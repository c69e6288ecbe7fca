/** The choice of the measure, what the chosen one is, and the colours that stand for it. */

import { metricsOf } from "../model/metrics";
import type { Plot } from "../model/plot";
import type { State, Store } from "../state";
import { type Child, h } from "./element";
import { legend } from "./legend";
import { metricChoice } from "./metricchoice";

/**
 * @param where what shows the measure, for those who hear the buttons.
 * @param colours in place of those of the plot's own scale.
 */
export function measureTools(
  plot: Plot,
  state: State,
  store: Store,
  where?: string,
  colours: Child = plot.scale && legend(plot.scale, state.dark),
): HTMLElement {
  const runs = plot.columns.flatMap((column) => column.run ?? []);
  return h(
    "div.full.tools",
    null,
    metricChoice(metricsOf(runs), runs, state, store, where),
    h("div.about", null, h("p.quiet", null, plot.metric?.about ?? ""), colours),
  );
}
