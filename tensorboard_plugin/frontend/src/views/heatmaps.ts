/** Layers × steps: one heat map per run, the same rows, axis and colours for all. */

import { cellAt } from "../model/cells";
import { furthestRow } from "../model/health";
import { rowAt } from "../model/layers";
import { type Plot, type PlotColumn, rowsOf } from "../model/plot";
import type { Keep } from "../model/remember";
import { heatTable } from "../model/tables";
import { called } from "../requests";
import { metricOf, slotOf } from "../resources";
import type { Point, State, Store } from "../state";
import { sharpness } from "./canvas";
import type { Compact } from "./compact";
import { arrange, h, keepFocus, refill } from "./element";
import { exports } from "./export";
import { foldAll, gutter, lineFacts, openLayer } from "./gutter";
import { key } from "./heads";
import { type Canvases, heatCanvas, paintHeat, placeRow } from "./heat";
import { markElements, signs } from "./marks";
import { measureInShort, measureTools } from "./measuretools";
import { problem } from "./notices";
import { type Panel, place } from "./panel";
import { emptyRows, ending, reading } from "./reading";

const canvases: Canvases = new WeakMap();

/**
 * @param besides what stands beside each run's map; none where there is no room.
 * @param keep gives each part that is as it was: a run that goes on leaves the maps of the others alone.
 */
export function heatmaps(
  state: State,
  store: Store,
  plot: Plot,
  retry: () => void,
  besides: readonly Compact[],
  keep: Keep,
): Panel {
  const facts = h("div.layer-facts");
  const models = plot.columns.map(({ run }) => run?.recording);
  const names = keep("names", [rowsOf(plot), ...models], () => gutter(plot, store));
  const parts = plot.columns.map((column, i) => {
    const beside = besides[i];
    return keep(`map ${i}`, [...mapOf(column, plot), slotFailure(state, column), state.shown, state.dark, beside], () => {
      const map = heatmap(column, i, plot, state, store, retry, canvases, beside);
      return { ...map, head: h("div.map-head", null, map.readout, beside?.head) };
    });
  });
  const { element, top, strip, body } = keep("layers", [], layersSection);
  const title = h(
    "div.side",
    null,
    h("h2", null, "Layers × steps"),
    plot.metric && exports(plot.metric.title, () => heatTable(plot)),
    foldAll(plot, store),
  );
  const side = h("div.side", null, facts, measureInShort(plot, state, store));
  keepFocus(strip, () => {
    arrange(top, [title, measureTools(plot, state, store)]);
    arrange(strip, [side, ...parts.map(({ head }) => head)]);
  });
  arrange(body, [names.element, ...parts.map((part) => part.plot)]);
  return {
    element,
    paint: () => parts.forEach((part) => part.paint()),
    point(at) {
      const open = openLayer(plot, at, store);
      refill(facts, ...lineFacts(plot, at), open && h("p", null, open));
      names.point(at);
      parts.forEach((part) => part.point(at));
    },
  };
}

/** The choice of the measure, the heads of the maps, and the maps, over which the heads stay in sight. */
function layersSection() {
  const [top, strip, body] = [h("div.columns"), h("div.columns.strip"), h("div.columns")];
  const element = h("section.section.layers", { id: "layers", "aria-label": "Layers by steps" }, top, strip, body);
  const toggle = ([seen]: IntersectionObserverEntry[]) => strip.classList.toggle("alone", !seen!.isIntersecting);
  const watch = () => {
    const root = element.closest("main");
    new IntersectionObserver(toggle, { root, rootMargin: BELOW_HEADS }).observe(top);
  };
  requestAnimationFrame(watch); // when it is in the page
  return { element, top, strip, body };
}

const BELOW_HEADS = "-36px 0px 1000000px"; // and what is further down counts as seen

/** What a run's part of the plot is drawn from. */
export const mapOf = (column: PlotColumn, plot: Plot): unknown[] => [
  ...[column.name, column.run, column.cells],
  ...[rowsOf(plot), plot.metric?.name, plot.end, plot.scale?.id],
];

/** One run's map; `index` is its place in the plot, `beside` stands at its right. */
export function heatmap(
  column: PlotColumn,
  index: number,
  plot: Plot,
  state: State,
  store: Store,
  retry: () => void,
  canvases: Canvases,
  beside?: Compact,
) {
  let painted = "";
  const canvas = heatCanvas(column, canvases);
  canvas.style.height = `${plot.layout.total}px`;
  const numbers = h("div.marks");
  const sign = signs(column, plot);
  const stepLine = h("div.cursor-step");
  const rowBand = h("div.cursor-row");
  const readout = h("div.readout", { id: `readout-${index}` });
  const area = h(
    "div.area",
    {
      role: "img",
      tabindex: 0,
      "data-key": `heat ${column.name}`,
      "aria-label": `${plot.metric?.title ?? "Measure"} of ${called(column.name)}, ${plot.layers.length} layers. Arrow keys move the step, j and k the layer.`,
      "aria-describedby": readout.id,
    },
    canvas,
    emptyRows(column, plot),
    ending(column, plot),
    rowBand,
    stepLine,
  );
  listen(area, column, plot, store);
  const failure = slotFailure(state, column);
  const element = h(
    "div.plot",
    { style: `height:${plot.layout.total}px` },
    area,
    numbers,
    sign.element,
    beside?.element,
    failure && h("div.over", null, problem("Not fetched", failure, retry)),
  );
  return {
    readout,
    plot: element,
    paint() {
      paintHeat(canvas, column, plot, state.dark);
      const width = area.clientWidth;
      const size = [width, sharpness()].join();
      if (size === painted) return;
      painted = size;
      refill(numbers, ...markElements(column, plot, width, store));
      sign.paint();
      beside?.paint();
    },
    point(at: Point) {
      place(stepLine, at, plot.end);
      placeRow(rowBand, at, plot);
      // Only the map that has the focus speaks; a moving pointer would never let it finish.
      readout.setAttribute("aria-live", document.activeElement === area ? "polite" : "off");
      beside?.point(at);
      refill(
        readout,
        key(state.shown.indexOf(column.name)),
        ...reading(column, plot, at),
        beside?.words(at),
      );
    },
  };
}

function slotFailure(state: State, column: PlotColumn): string | undefined {
  const slot = slotOf(state, column.name, metricOf(state.metric ?? ""));
  return slot.value ? undefined : slot.failure;
}

function listen(area: HTMLElement, column: PlotColumn, plot: Plot, store: Store): void {
  const at = (event: MouseEvent): Point => {
    const box = area.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * plot.end;
    const at = snap(column, step);
    return { step: at, layer: layerUnder(event.clientY - box.top, column, plot, at) };
  };
  area.addEventListener("pointermove", (event) => store.set({ hover: at(event) }));
  area.addEventListener("pointerleave", () => store.set({ hover: null }));
  area.addEventListener("click", (event) => {
    const { step, layer } = at(event);
    store.set({ step, layer });
  });
}

/** The layer whose value is seen at a height; of a folded block that is the worst at this step. */
export function layerUnder(y: number, column: PlotColumn, plot: Plot, step: number): string | null {
  const { rows } = plot.lines[rowAt(plot.layout, y)] ?? { rows: [] };
  return plot.layers[furthestRow(column, plot, rows, step)] ?? null;
}

/** The step at which the cell under the pointer was measured. */
function snap(column: PlotColumn, step: number): number {
  const cell = column.cells ? cellAt(column.cells, step) : -1;
  return column.cells?.steps[cell] ?? Math.max(0, Math.round(step));
}
