/** The architecture, once, at the left of all heat maps: input at the top. */

import type { Layer } from "../api";
import { shownLayer } from "../model/health";
import { describeLayer, skips } from "../model/layers";
import { type Line, toggle } from "../model/lines";
import { formatCount, plural } from "../model/number";
import { layerAt, lineAt, type Plot } from "../model/plot";
import { fold, foldingOf } from "../plotted";
import type { Point, Store } from "../state";
import { type Child, h, refill, svg } from "./element";

const SPINE = 12; // from the right edge of the gutter to the line through the layers
const INDENT = 8; // of a block in a block
const LOW = 14; // pixels; lower lines have smaller letters

/** Of more lines than this only those near the window are in the page. */
const MANY = 200;
const TOGETHER = 50;
const NEAR = "400px";

export interface Gutter {
  element: HTMLElement;
  point(at: Point): void;
}

export function gutter(plot: Plot, store: Store): Gutter {
  const { lines, layout } = plot;
  let on = -1;
  const mark = () => {
    element.querySelector(".on")?.classList.remove("on");
    element.querySelector(`[data-line="${on}"]`)?.classList.add("on");
  };
  const all = lines.map((_, i) => i);
  const draw = (i: number) => (lines[i]!.kind === "layer" ? layerLine(plot, i, store) : blockLine(plot, i, store));
  const element = h(
    "div.side.gutter",
    { style: `height:${layout.total}px`, role: "group", "aria-label": "Layers, input first" },
    spine(plot),
    lines.length > MANY ? chunks(all, plot, draw, mark) : all.map(draw),
  );
  return {
    element,
    point(at) {
      on = lineAt(plot, at.layer);
      mark();
    },
  };
}

/**
 * Blocks are always there, so that the Tab key finds them; layers only near the window, and the one
 * that has the focus, which would be lost with it.
 */
function chunks(
  all: readonly number[],
  { lines, layout: { tops, heights } }: Plot,
  draw: (line: number) => HTMLElement,
  drawn: () => void,
): HTMLElement[] {
  const of = new Map<Element, number[]>();
  const fill = (chunk: Element, near: boolean) => {
    const focused = document.activeElement?.getAttribute("data-key");
    const isKept = ({ kind, name }: Line) => kind !== "layer" || layerKey(name) === focused;
    const shown = of.get(chunk)!.filter((i) => near || isKept(lines[i]!));
    refill(chunk, ...shown.map(draw));
  };
  const watch = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) fill(target, isIntersecting);
      drawn();
    },
    { rootMargin: NEAR },
  );
  for (let from = 0; from < all.length; from += TOGETHER) {
    const part = all.slice(from, from + TOGETHER);
    const [top, last] = [tops[from]!, part.at(-1)!];
    const height = tops[last]! + heights[last]! - top;
    const chunk = h("div.gutter-part", { style: `top:${top}px;height:${height}px;--from:${top}px` });
    of.set(chunk, part);
    fill(chunk, false);
    watch.observe(chunk);
  }
  return [...of.keys()] as HTMLElement[];
}

function place({ layout }: Plot, line: number, depth = 0): string {
  const [top, height] = [layout.tops[line], layout.heights[line]];
  return `top:calc(${top}px - var(--from, 0px));height:${height}px;line-height:${height}px;--indent:${depth * INDENT}px`;
}

const layerKey = (name: string) => `layer ${name}`;

function layerLine(plot: Plot, i: number, store: Store): HTMLElement {
  const { name, label, rows, depth } = plot.lines[i]!;
  const [row] = rows as [number];
  const layer = layerIn(plot, row);
  const about = layer ? [describeLayer(layer), weights(layer)] : [];
  const isLow = plot.layout.heights[i]! < LOW || !plot.columns.some((c) => c.filled[row]);
  return h(
    isLow ? "button.layer.low" : "button.layer",
    {
      "data-line": i,
      "data-key": layerKey(name),
      "aria-label": label === name ? null : name,
      tabindex: -1, // j and k walk through them; two hundred tab stops would help nobody
      title: [name, ...about, "Enter opens it"].join("\n"),
      style: place(plot, i, depth),
      onclick: () => store.set({ layer: store.get().layer === name ? null : name }),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // or it would be a click too
        store.set({ view: "layer", layer: name, hover: null });
      },
    },
    label,
  );
}

function blockLine(plot: Plot, i: number, store: Store): HTMLElement {
  const { name, label, kind, count, depth } = plot.lines[i]!;
  const isFolded = kind === "folded";
  const words = blockWords(plot.lines[i]!);
  const element: HTMLElement = h(
    "button.layer.block-line",
    {
      "data-line": i,
      "data-key": `block ${name}`,
      "aria-expanded": String(!isFolded),
      title: [name, words, isFolded ? "A click unfolds it" : "A click folds it"].join("\n"),
      style: place(plot, i, depth),
      onclick: () => inPlace(element, () => fold(store, toggle(foldingOf(store.get()), name))),
    },
    h("span.sr", null, `${name}, ${words}`),
    h("i.fold", { "aria-hidden": "true" }),
    h("span.block-name", { "aria-hidden": "true" }, label),
    h("span.block-count", { "aria-hidden": "true" }, formatCount(count), h("span.block-words", null, words.replace(/^\S+/, ""))),
  );
  return element;
}

/** What was clicked stays where it is, though lines above it may become lower; found again by its key. */
function inPlace(clicked: HTMLElement, change: () => void): void {
  const main = clicked.closest("main");
  const before = clicked.getBoundingClientRect().top;
  main?.style.setProperty("overflow-anchor", "none"); // that keeps in place what stands below
  change();
  requestAnimationFrame(() => {
    const key = CSS.escape(clicked.dataset.key ?? "");
    const now = main?.querySelector(`[data-key="${key}"]`)?.getBoundingClientRect().top ?? before;
    main?.scrollBy(0, now - before);
    requestAnimationFrame(() => main?.style.removeProperty("overflow-anchor"));
  });
}

/** "12 layers, worst": whose value the line shows. */
const blockWords = ({ kind, count }: Line) =>
  `${plural(count, "layer")}${kind === "folded" ? ", worst" : ""}`;

/** What is known of the line in which the cursor is. */
export function lineFacts(plot: Plot, at: Point): Child[] {
  const line = plot.lines[lineAt(plot, at.layer)];
  if (!line) return [];
  if (line.kind === "folded") return [h("p", null, h("code", null, line.name)), h("p", null, blockWords(line))];
  const layer = layerIn(plot, line.rows[0]!);
  return layer ? [h("p", null, describeLayer(layer)), h("p", null, weights(layer))] : [];
}

export function openLayer(plot: Plot, at: Point, store: Store): HTMLElement | null {
  const layer = shownLayer(plot, at.layer, at.step);
  if (layer === null) return null;
  const isBlock = plot.lines[lineAt(plot, layer)]!.kind === "folded";
  return h(
    "button.link",
    {
      "data-key": "open layer",
      "aria-label": `Open layer ${layer}`,
      onclick: () => store.set({ view: "layer", layer, hover: null }),
    },
    isBlock ? "Open the worst" : "Open layer",
  );
}

/** Folds or unfolds every block; nothing where there is none. */
export function foldAll({ lines }: Plot, store: Store): HTMLElement | null {
  if (lines.every(({ kind }) => kind === "layer")) return null;
  const button = (words: string, base: "folded" | "unfolded") => {
    const onclick = () => inPlace(element, () => fold(store, { base, toggled: new Set() }));
    const element: HTMLElement = h("button", { "data-key": words, onclick }, words);
    return element;
  };
  return h("p.exports", null, button("Fold all", "folded"), button("Unfold all", "unfolded"));
}

function layerIn(plot: Plot, row: number): Layer | undefined {
  return plot.columns.map((column) => layerAt(column, row)).find((layer) => layer !== undefined);
}

export function weights(layer: Layer): string {
  if (layer.parameters === 0) return "no weights";
  return `${formatCount(layer.parameters)} weights${layer.trainable ? "" : ", frozen"}`;
}

/** Few elements, however many layers there are. */
function spine(plot: Plot): SVGElement {
  const { layers, lines, lineOf, layout } = plot;
  const middle = (line: number) => layout.tops[line]! + layout.heights[line]! / 2;
  const all = plot.columns.find((c) => c.run)?.run?.model.layers ?? [];
  const thin = { fill: "none", stroke: "var(--line2)", "stroke-width": 1.2 };
  const x = 4;
  const shown = lines.flatMap(({ rows }, i) => (rows.length ? [i] : []));
  const isHeavy = (i: number) => lines[i]!.rows.some((row) => (layerIn(plot, row)?.parameters ?? 0) > 0);
  const dots = (of: number[], r: number, fill: string) =>
    svg("path", {
      d: of.map((i) => `M${x - r} ${middle(i)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`).join(""),
      fill,
      stroke: "var(--ink2)",
      "stroke-width": 1.1,
    });
  const lineNamed = new Map(layers.map((name, row) => [name, lineOf[row]!]));
  const arcs = skips(lineNamed, all, shown).map(([from, to]) => {
    const [a, b] = [middle(from), middle(to)];
    const bend = Math.min(13, 6 + (to - from) * 1.5);
    return `M${x} ${a}C${x + bend} ${a + 6},${x + bend} ${b - 6},${x} ${b}`;
  });
  return svg(
    "svg",
    {
      class: "spine",
      width: 24,
      height: layout.total,
      style: `right:${SPINE - 20}px`,
      "aria-hidden": "true",
    },
    shown.length > 1 &&
      svg("path", { d: `M${x} ${middle(shown[0]!)}V${middle(shown.at(-1)!)}`, ...thin }),
    svg("path", { d: arcs.join(""), ...thin }),
    dots(shown.filter((i) => !isHeavy(i)), 2, "var(--bg)"),
    dots(shown.filter(isHeavy), 3, "var(--ink2)"),
  );
}
