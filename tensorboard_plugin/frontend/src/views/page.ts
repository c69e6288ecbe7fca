/** The whole tab: which parts there are, and which of them a change concerns. */

import { buildPlot, type Plot, restingPoint } from "../model/plot";
import type { Point, State, Store } from "../state";
import { bar, pill } from "./bar";
import { camPanel } from "./campanel";
import { curves } from "./curves";
import { h, refill } from "./element";
import { age, heads } from "./heads";
import { heatmaps } from "./heatmaps";
import { listenToKeys } from "./keys";
import { banner, empty, loading, noneShown, unreachable } from "./notices";
import type { Panel } from "./panel";
import { rail, railAge } from "./rail";
import { verdicts } from "./verdicts";

/** Answers that come within this time are drawn together: each redraws what all runs share. */
const TOGETHER_MS = 60;

type Keys = readonly (keyof State)[];

/** What each part is drawn from. The cursor is not among it: it only moves lines. */
const RAIL: Keys = ["runs", "names", "filter", "shown", "dark", "railOpen"];
const BAR: Keys = ["runs", "failure", "railOpen"];
const FRAME: Keys = ["runs", "failure", "shown"];
const CARDS: Keys = ["runs", "shown", "loaded", "open", "names", "dark"];
const PLOTS: Keys = ["shown", "loaded", "metric", "dark"];
const CAMS: Keys = ["shown", "loaded", "sample", "target", "runs"];
const CURSOR: Keys = ["step", "layer", "hover"];

export function page(store: Store, retry: () => void): HTMLElement {
  const side = rail(store);
  const top = h("div.top");
  const [cards, plots, cams, message] = [h("div"), h("div"), h("div"), h("div.message")];
  const body = h("div.page", null, cards, plots, cams);
  const main = h("main", null, message, body);
  const element = h("div.app", null, top, side.element, main);
  let plot: Plot = buildPlot([], null);
  let panels: Panel[] = [];
  let camera: Panel | null = null;

  const point = (): Point => {
    const { hover, step, layer } = store.get();
    const rest = restingPoint(plot);
    const known = layer !== null && plot.layers.includes(layer) ? layer : rest.layer;
    const resting = hover === null && step === null;
    return { step: hover?.step ?? step ?? rest.step, layer: hover?.layer ?? known, resting };
  };
  const moveCursor = () =>
    [...panels, ...(camera ? [camera] : [])].forEach((panel) => panel.point(point()));
  const hoverStep = (at: Point | null, pin: boolean) =>
    store.set(pin && at ? { step: at.step } : { hover: at });

  const draw = (state: State, changed: (keys: Keys) => boolean) => {
    if (changed(RAIL)) side.update(state);
    if (changed(BAR)) refill(top, bar(state, store));
    if (changed(FRAME)) frame(state, message, body, retry);
    if (changed(RAIL)) dress(state, element, body);
    if (changed(CARDS)) refill(cards, heads(state), verdicts(state, store, retry));
    if (changed(PLOTS)) {
      plot = buildPlot(sources(state), state.metric);
      panels = [heatmaps(state, store, plot, retry), curves(plot, hoverStep)];
      refill(plots, ...panels.map((panel) => panel.element));
      panels.forEach((panel) => panel.paint());
    }
    if (changed(CAMS)) {
      camera = camPanel(state, store, retry);
      refill(cams, camera.element);
      camera.paint();
    }
    if (changed([...PLOTS, ...CAMS, ...CURSOR])) moveCursor();
  };

  const waiting = new Set<keyof State>();
  let timer = 0;
  const flush = () => {
    const changed = new Set(waiting);
    waiting.clear();
    clearTimeout(timer);
    timer = 0;
    draw(store.get(), (keys) => keys.some((key) => changed.has(key)));
  };
  store.listen((_, changed) => {
    changed.forEach((key) => waiting.add(key));
    const onlyData = [...changed].every((key) => key === "loaded");
    if (!onlyData) flush();
    else if (!timer) timer = window.setTimeout(flush, TOGETHER_MS);
  });
  listenToKeys(store, () => plot, point, side.focusFilter);
  new ResizeObserver(() =>
    [...panels, ...(camera ? [camera] : [])].forEach((panel) => panel.paint()),
  ).observe(body);
  main.addEventListener("scroll", () => main.classList.toggle("stuck", main.scrollTop > 40));
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
  const ready = runs?.some((run) => run.recorded || run.error !== null) ?? false;
  body.hidden = !ready || state.shown.length === 0;
  if (failure !== null)
    refill(message, ready ? banner(failure, retry) : unreachable(failure, retry));
  else if (runs === null) refill(message, loading());
  else if (!ready) refill(message, empty(state));
  else refill(message, state.shown.length === 0 ? noneShown() : null);
}

function sources(state: State) {
  return state.shown.map((name) => {
    const entry = state.loaded.get(name);
    const run = entry?.run.value;
    const metric = run?.metrics.find((m) => m.name === state.metric);
    return {
      name,
      run,
      measured: entry?.metrics[metric?.name ?? ""]?.value,
      counts: entry?.metrics[metric?.nonfinite ?? ""]?.value,
    };
  });
}

/** Ages grow by themselves; nothing else is touched. */
function tick(state: State, element: HTMLElement): void {
  const place = element.querySelector(".pill-place");
  if (place) refill(place, pill(state));
  for (const span of element.querySelectorAll<HTMLElement>(".age[data-run]")) {
    const run = state.runs?.find((r) => r.run === span.dataset.run);
    if (run) refill(span, ...(span.closest(".head") ? age(run) : railAge(run)));
  }
}
