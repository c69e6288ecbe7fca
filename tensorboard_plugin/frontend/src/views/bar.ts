/** The bar on top: what this page is, and how fresh. */

import { serverNow } from "../requests";
import { pulse } from "../model/runs";
import type { State, Store } from "../state";
import { h, svg } from "./element";
import { type ViewName, VIEWS } from "./names";

export function bar(state: State, store: Store): HTMLElement {
  return h(
    "header.bar",
    null,
    h("div.brand", null, foldButton(state, store), state.railOpen && h("span", null, "Runs")),
    h("h1.sr", null, `Health: ${titleOf(state.view)}`),
    h("nav.views", { "aria-label": "Views" }, VIEWS.map((view) => viewButton(view, state, store))),
    h("div.pill-place", null, pill(state)),
  );
}

const titleOf = (name: ViewName) => VIEWS.find((view) => view.name === name)?.title ?? name;

function viewButton(
  { name, title }: (typeof VIEWS)[number],
  state: State,
  store: Store,
): HTMLElement {
  return h(
    "button",
    {
      "data-key": `view ${name}`,
      "aria-current": state.view === name && "page",
      onclick: () => store.set({ view: name, hover: null }),
    },
    title,
  );
}

function foldButton(state: State, store: Store): HTMLElement {
  const words = state.railOpen ? "Fold the list of runs away" : "Show the list of runs";
  return h(
    "button.icon",
    {
      "data-key": "fold",
      "aria-expanded": String(state.railOpen),
      "aria-label": words,
      title: words,
      onclick: () => store.set({ railOpen: !store.get().railOpen }),
    },
    svg(
      "svg",
      { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
      svg("rect", {
        x: 1.5,
        y: 2.5,
        width: 13,
        height: 11,
        rx: 2,
        fill: "none",
        stroke: "currentColor",
      }),
      svg("path", {
        d: state.railOpen ? "M2 3h4v10H2z" : "M6 3v10",
        fill: "currentColor",
        stroke: "currentColor",
      }),
    ),
  );
}

/** The page's state in a few words; it is renewed each second, alone. */
export function pill(state: State): HTMLElement {
  if (state.failure !== null) {
    return h("span.pill", null, h("i.dot.stale"), "No answer from TensorBoard");
  }
  const { life, words } = pulse(state.runs ?? [], serverNow());
  return h("span.pill", null, h(`i.dot.${life}`), state.runs ? words : "Loading");
}
