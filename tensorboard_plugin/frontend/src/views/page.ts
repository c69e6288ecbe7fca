/** The whole tab: the bar, the list of runs and one of the views. */

import { watch } from "../model/remember";
import { FOLDER, LOSSES, RUN, valueOf } from "../resources";
import type { State, Store } from "../state";
import { bar, pill } from "./bar";
import { onSharpness } from "./canvas";
import { dock } from "./dock";
import { h, refill, renew } from "./element";
import { letGoOfFindings } from "./findings";
import { age } from "./heads";
import { listenToKeys } from "./keys";
import type { ViewName } from "./names";
import { banner, empty, loading, noneShown, unreachable } from "./notices";
import type { Keys, View } from "./panel";
import { rail, railAge } from "./rail";
import { KINDS } from "./views";

const RAIL: Keys = ["runs", "names", "filter", "sort", "shown", "dark", "railOpen", "choices"];
const BAR: Keys = ["runs", "failure", "railOpen", "view"];
const FRAME: Keys = ["runs", "failure", "shown", "view"];
const DOCK: Keys = ["shown", "choices"];
/** What moves the cursor only. */
const CURSOR: Keys = ["step", "layer", "hover"];

export function page(store: Store, retry: () => void): HTMLElement {
  const side = rail(store);
  const top = h("div.top");
  const [message, body] = [h("div.message"), h("div.page")];
  const main = h("main", null, message, body);
  const bottom = dock(store);
  const element = h("div.app", null, top, side.element, main);
  const views = new Map<ViewName, View>();
  const runsOther = watch();
  const lossesOther = watch();

  const shownView = () => views.get(store.get().view);
  const draw = (state: State, changed: (keys: Keys) => boolean) => {
    const otherLosses = lossesOther(valueOf(state, FOLDER, LOSSES));
    if (changed(RAIL) || otherLosses) side.update(state);
    if (changed(BAR)) refill(top, bar(state, store));
    if (changed(FRAME)) frame(state, message, body, retry);
    if (changed(RAIL)) dress(state, element, body);
    let view = views.get(state.view);
    const isNew = view === undefined;
    if (view === undefined) {
      view = KINDS[state.view].create(store, retry);
      views.set(state.view, view);
    }
    const comes = isNew || changed(["view"]);
    if (comes) refill(body, view.element, view.docked && bottom.element);
    view.update(state, comes ? () => true : changed);
    view.point?.();
    const steps = docked()?.steps;
    const otherRuns = runsOther(steps, ...state.shown.map((name) => valueOf(state, name, RUN)));
    if (comes || changed(DOCK) || otherRuns) showDock();
    else pointDock();
    if (comes) main.scrollTop = 0;
  };

  const docked = () => (shownView()?.docked ? (shownView()?.cursor?.() ?? null) : null);
  const showDock = () => {
    const cursor = docked();
    bottom.element.hidden = !cursor?.steps.length; // nothing was measured, or no pair is chosen
    if (cursor) bottom.show(store.get(), cursor.steps, cursor.at, shownView()?.about?.());
  };
  const pointDock = () => {
    const cursor = docked();
    if (cursor) bottom.point(cursor.at);
  };

  store.listen((state, changed) => {
    if ([...changed].every((key) => CURSOR.includes(key))) {
      shownView()?.point?.();
      pointDock();
    } else draw(state, (keys) => keys.some((key) => changed.has(key)));
  });
  letGoOfFindings(store);
  listenToKeys(store, () => shownView()?.cursor?.() ?? null, side.focusFilter);
  const resized = () => {
    shownView()?.paint?.();
    showDock();
  };
  new ResizeObserver(resized).observe(body);
  onSharpness(resized);
  main.addEventListener("scroll", () => {
    // Heads that stick are lower: a page that is hardly higher than the window must not swing.
    const from = main.classList.contains("stuck") ? 0 : 40;
    main.classList.toggle("stuck", main.scrollTop > from);
  });
  setInterval(() => tick(store.get(), element), 1000);
  draw(store.get(), () => true);
  return element;
}

/** What the style sheet needs to know. */
function dress(state: State, element: HTMLElement, body: HTMLElement): void {
  body.style.setProperty("--n", String(Math.max(1, state.shown.length)));
  body.classList.toggle("crowded", state.shown.length > 3);
  body.classList.toggle("single", state.shown.length === 1);
  element.classList.toggle("folded", !state.railOpen);
  document.documentElement.dataset.theme = state.dark ? "dark" : "light";
}

/** Shows the page, or what stands in its place; a failure hides nothing that is there. */
function frame(state: State, message: HTMLElement, body: HTMLElement, retry: () => void): void {
  const { runs, failure } = state;
  const isChosen = state.shown.length > 0 || KINDS[state.view].ofFolder !== undefined;
  const ready = runs?.some((run) => run.recorded || run.error !== null) ?? false;
  body.hidden = !ready || !isChosen;
  if (failure !== null)
    refill(message, ready ? banner(failure, retry) : unreachable(failure, retry));
  else if (runs === null) refill(message, loading());
  else if (!ready) refill(message, empty(state));
  else refill(message, isChosen ? null : noneShown());
}

/** Ages grow by themselves; nothing else is touched. */
function tick(state: State, element: HTMLElement): void {
  const place = element.querySelector(".pill-place");
  if (place) renew(place, pill(state));
  for (const span of element.querySelectorAll<HTMLElement>(".age[data-run]")) {
    const run = state.runs?.find((r) => r.run === span.dataset.run);
    if (run) renew(span, ...(span.closest(".head") ? age(run) : railAge(run)));
  }
}
