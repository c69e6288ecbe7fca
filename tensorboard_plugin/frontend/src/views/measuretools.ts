/** The choice of the measure, what the chosen one is, and the colours that stand for it. */

import { metricsOf } from "../model/metrics";
import { formatTick } from "../model/number";
import type { Plot } from "../model/plot";
import type { State, Store } from "../state";
import { type Child, h } from "./element";
import { legend, limitSigns, ramp } from "./legend";
import { metricChoice, metricSelect } from "./metricchoice";

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

/** The same in two lines, for where that is out of sight. */
export function measureInShort(plot: Plot, state: State, store: Store): HTMLElement {
  const { scale } = plot;
  const runs = plot.columns.flatMap((column) => column.run ?? []);
  const end = (value: number) => h("span", null, formatTick(value, scale!.kind));
  return h(
    "div.measure-in-short",
    null,
    metricSelect(metricsOf(runs), state, store),
    scale &&
      scale.kind !== "count" &&
      h(
        "div.legend-in-short",
        { "aria-hidden": "true" }, // the legend tells it
        end(scale.lo),
        h("div.scale", null, limitSigns(scale), ramp(scale, state.dark)),
        end(scale.hi),
      ),
  );
}
