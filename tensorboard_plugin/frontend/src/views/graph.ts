/** The layer graph of one run, to be panned and zoomed; what is fed stands below what feeds it. */

import type { Layer } from "../api";
import { type Anchor, anchored, type Camera, fit, home, reveal, within, zoom } from "../model/camera";
import type { Ramp } from "../model/colour";
import type { Flow } from "../model/flow";
import { type Graph, LOSS, type Place } from "../model/graph";
import { layoutOf, type Path, smooth } from "../model/layout";
import { called } from "../requests";
import { h, refill, svg } from "./element";
import { flowWidth } from "./flowlegend";
import { dressPlace, type Look, placeElements } from "./place";

export interface GraphActions {
  pin(place: Place): void;
  open(place: Place): void;
  toggle(anchor: Anchor): void;
}

export interface Canvas {
  element: HTMLElement;
  graph: Graph;
  /** Recolours; the layout stays. @param flows one for each edge. */
  dress(
    look: (place: Place) => Look,
    ramp: Ramp | null,
    flows: readonly Flow[],
    loss: (Node | string | null)[],
  ): void;
  paint(): void;
  /** "in", "out" or all of it. */
  zoom(how: number | "fit"): void;
}

/** What is too small to be read loses its second line. */
const FAR = 0.8;
const STEP = 1.25;
const PAN = 60;
const CLICK = 4; // pixels that the pointer may move in a click

/**
 * @param cameras what is in view, by the graph's key: kept while graphs come and go.
 * @param anchor the block that was folded or unfolded just now.
 */
export function graphCanvas(
  graph: Graph,
  layers: readonly Layer[],
  run: string,
  cameras: Map<string, Camera>,
  anchor: Anchor | null,
  actions: GraphActions,
  moved: () => void,
): Canvas {
  const layout = layoutOf(graph);
  const boxOf = (name: string) => {
    const place = graph.places.find(({ block }) => block?.name === name);
    const frame = graph.frames.find(({ block }) => block.name === name);
    return layout.places.get(place?.id ?? "") ?? layout.frames.get(frame?.id ?? "");
  };
  const anchorBox = anchor && boxOf(anchor.block);
  if (anchorBox) cameras.set(graph.key, anchored(anchor, anchorBox));
  const frameOf = new Map(graph.frames.map(({ id, block }) => [id, block]));
  const titleOf = (place: Place) => {
    const name = place.block?.name ?? layers[place.layers[0]!]!.name;
    const outer = place.frame === null ? "" : frameOf.get(place.frame)!.name;
    return outer ? name.slice(outer.length + 1) : name;
  };
  const elements = new Map(
    graph.places.map((place) => {
      const key = `place ${run} ${place.id}`;
      const box = layout.places.get(place.id)!;
      return [place.id, placeElements(place, layers, box, key, titleOf(place))];
    }),
  );
  const lines = layout.paths.map(edge);
  const lossBox = layout.places.get(LOSS)!;
  const loss = h("div.place.loss", { style: position(lossBox) });
  const world = h(
    "div.world",
    { style: `width:${layout.width}px;height:${layout.height}px` },
    graph.frames.map(({ id, block }) =>
      h(
        "div.frame",
        { style: position(layout.frames.get(id)!) },
        h(
          "button.frame-name",
          {
            "data-key": `fold ${run} ${block.name}`,
            "data-fold": block.name,
            title: `Fold ${block.name}`,
            "aria-label": `Fold ${block.name}, ${block.layers.length} layers`,
            "aria-expanded": "true",
          },
          `− ${block.name}`,
        ),
      ),
    ),
    svg(
      "svg",
      { class: "edges", width: layout.width, height: layout.height, "aria-hidden": "true" },
      lines.map((line) => line.elements),
    ),
    [...elements.values()].map((made) => made.element),
    loss,
  );
  const element = h(
    "div.viewport",
    {
      role: "group",
      "aria-label": `Layer graph of ${called(run)}, ${layers.length} layers, input first. Arrow keys move the step, j and k the layer, Enter opens it; plus, minus and 0 zoom.`,
    },
    world,
  );

  let selected: string | null = null;
  const view = () => ({ width: element.clientWidth, height: element.clientHeight });
  const camera = () => {
    const known = cameras.get(graph.key);
    if (known) return known;
    return home(layout, view(), layout.places.get(selected ?? ""));
  };
  const draw = () => {
    if (element.clientWidth === 0) return;
    const { x, y, scale } = camera();
    world.style.transform = `translate(${x}px,${y}px) scale(${scale})`;
    element.classList.toggle("far", scale < FAR);
  };
  const move = (next: Camera) => {
    cameras.set(graph.key, within(next, layout, view()));
    moved();
  };
  const show = (place: Place) => move(reveal(camera(), layout.places.get(place.id)!, view()));
  const placeAt = (target: EventTarget | null): Place | undefined => {
    const at = target instanceof Element ? target.closest("[data-place]") : null;
    return graph.places.find(({ id }) => id === at?.getAttribute("data-place"));
  };
  const toggle = (block: string) => {
    const { x, y, scale } = camera();
    const box = boxOf(block)!;
    actions.toggle({ block, x: x + box.x * scale, y: y + box.y * scale, scale });
  };
  const choose = (place: Place, pick: (place: Place) => void) =>
    place.block ? toggle(place.block.name) : pick(place);
  const zoomTo = (how: number | "fit") => {
    const { width, height } = view();
    if (how === "fit") move(fit(layout, { width, height }));
    else move(zoom(camera(), how, { x: width / 2, y: height / 2 }));
  };

  element.addEventListener("focusin", (event) => {
    const place = placeAt(event.target);
    if (place) show(place);
  });
  element.addEventListener("click", (event) => {
    const fold = (event.target as Element).closest("[data-fold]");
    const place = placeAt(event.target);
    if (fold) toggle(fold.getAttribute("data-fold")!);
    else if (place) choose(place, actions.pin);
  });
  listenToPointer(element, camera, move);
  listenToKeys(element, camera, move, zoomTo, (target) => {
    const place = placeAt(target);
    if (place) choose(place, actions.open);
    return place !== undefined;
  });
  return {
    element,
    graph,
    zoom: zoomTo,
    paint: draw,
    dress(look, ramp, flows, lossWords) {
      lines.forEach((line, i) => line.dress(flows[i]!));
      const focused = placeAt(document.activeElement);
      const mine = focused && element.contains(document.activeElement);
      for (const place of graph.places) {
        const here = look(place);
        dressPlace(elements.get(place.id)!, place, here, ramp);
        if (here.selected && selected !== place.id) {
          selected = place.id;
          if (mine) elements.get(place.id)!.element.focus({ preventScroll: true });
          if (cameras.has(graph.key)) show(place);
        }
      }
      refill(loss, ...lossWords);
      draw();
    },
  };
}

const position = (box: { x: number; y: number; width: number; height: number }) =>
  `left:${box.x}px;top:${box.y}px;width:${box.width}px;height:${box.height}px`;

const TIP = 6; // pixels from the end of a line to the place that it points at

/** A connection: as wide as the gradient that comes back through it. */
function edge({ points, inferred }: Path) {
  const [before, end] = points.slice(-2);
  const up = before && end && end.y < before.y ? 1 : -1; // upwards where the graph goes in a circle
  const stem = end ? [...points.slice(0, -1), { x: end.x, y: end.y + up * TIP }] : [];
  const title = svg("title");
  const line = svg("path", { d: smooth(stem) }, title);
  const tip = svg("path", { class: "tip" });
  return {
    elements: [line, tip],
    dress(flow: Flow) {
      const width = flowWidth(flow);
      line.setAttribute("class", `edge flow-${flow.kind}${inferred ? " inferred" : ""}`);
      line.style.strokeWidth = `${width}px`;
      title.textContent = `Gradient: ${flow.words}`;
      const half = Math.max(3.5, width / 2 + 2.5);
      if (end) tip.setAttribute("d", `M${end.x} ${end.y}l${-half} ${up * TIP}h${2 * half}z`);
    },
  };
}

/** Dragging moves the graph, the wheel with Ctrl or Cmd zooms it. */
function listenToPointer(
  element: HTMLElement,
  camera: () => Camera,
  move: (next: Camera) => void,
): void {
  let from: { x: number; y: number; camera: Camera } | null = null;
  let dragged = false;
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = { x: event.clientX, y: event.clientY, camera: camera() };
    dragged = false;
  });
  element.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!dragged && Math.hypot(dx, dy) < CLICK) return;
    if (!dragged) element.setPointerCapture(event.pointerId);
    dragged = true;
    move({ ...from.camera, x: from.camera.x + dx, y: from.camera.y + dy });
  });
  for (const end of ["pointerup", "pointercancel"])
    element.addEventListener(end, () => (from = null));
  // The end of a drag is no choice.
  element.addEventListener("click", (event) => dragged && event.stopPropagation(), true);
  element.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // that scrolls the page
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const at = { x: event.clientX - box.left, y: event.clientY - box.top };
      move(zoom(camera(), Math.exp(-event.deltaY / 300), at));
    },
    { passive: false },
  );
}

/** @param open what Enter does where the focus is; false if there is nothing to open. */
function listenToKeys(
  element: HTMLElement,
  camera: () => Camera,
  move: (next: Camera) => void,
  zoomTo: (how: number | "fit") => void,
  open: (target: EventTarget | null) => boolean,
): void {
  const pan = (x: number, y: number) => () => {
    const now = camera();
    move({ ...now, x: now.x + x, y: now.y + y });
  };
  const keys: Record<string, () => void> = {
    "+": () => zoomTo(STEP),
    "=": () => zoomTo(STEP),
    "-": () => zoomTo(1 / STEP),
    "0": () => zoomTo("fit"),
    ArrowUp: pan(0, PAN),
    ArrowDown: pan(0, -PAN),
    "Shift ArrowLeft": pan(PAN, 0),
    "Shift ArrowRight": pan(-PAN, 0),
  };
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const sideways = event.shiftKey && /Left|Right/.test(event.key);
    const act = keys[sideways ? `Shift ${event.key}` : event.key];
    act?.();
    if (!act && !(event.key === "Enter" && open(event.target))) return;
    event.preventDefault();
    event.stopPropagation(); // arrows alone move the step
  });
}
