/** The architecture, once, at the left of all heat maps: input at the top. */

import type { Layer } from "../api";
import { describeLayer, skips } from "../model/layers";
import { formatCount } from "../model/number";
import { layerAt, type Plot } from "../model/plot";
import type { Store } from "../state";
import { h, svg } from "./element";

const SPINE = 12; // from the right edge of the gutter to the line through the layers

export function gutter(plot: Plot, store: Store): HTMLElement {
  const { layers, layout } = plot;
  return h(
    "div.side.gutter",
    { style: `height:${layout.total}px`, role: "group", "aria-label": "Layers, input first" },
    spine(plot),
    layers.map((name, row) => {
      const layer = layerOf(plot, name);
      const about = layer ? [describeLayer(layer), weights(layer)] : [];
      const title = [name, ...about, "Enter opens it"].join("\n");
      return h(
        layout.heights[row]! < 14 || !plot.columns.some((c) => c.filled[row])
          ? "button.layer.low"
          : "button.layer",
        {
          "data-layer": name,
          "data-key": `layer ${name}`,
          tabindex: -1, // j and k walk through them; two hundred tab stops would help nobody
          title,
          style: `top:${layout.tops[row]}px;height:${layout.heights[row]}px;line-height:${layout.heights[row]}px`,
          onclick: () => store.set({ layer: store.get().layer === name ? null : name }),
          onkeydown: (event: KeyboardEvent) => {
            if (event.key !== "Enter") return;
            event.preventDefault(); // or it would be a click too
            store.set({ view: "layer", layer: name, hover: null });
          },
        },
        name,
      );
    }),
  );
}

export function layerOf(plot: Plot, name: string | null): Layer | undefined {
  const row = plot.layers.indexOf(name ?? "");
  return plot.columns.map((column) => layerAt(column, row)).find((layer) => layer !== undefined);
}

export function weights(layer: Layer): string {
  if (layer.parameters === 0) return "no weights";
  return `${formatCount(layer.parameters)} weights${layer.trainable ? "" : ", frozen"}`;
}

function spine(plot: Plot): SVGElement {
  const { layers, layout } = plot;
  const middle = (row: number) => layout.tops[row]! + layout.heights[row]! / 2;
  const all = plot.columns.find((c) => c.run)?.run?.model.layers ?? [];
  const line = { fill: "none", stroke: "var(--line2)", "stroke-width": 1.2 };
  const x = 4;
  return svg(
    "svg",
    {
      class: "spine",
      width: 24,
      height: layout.total,
      style: `right:${SPINE - 20}px`,
      "aria-hidden": "true",
    },
    layers.length > 1 &&
      svg("path", { d: `M${x} ${middle(0)}V${middle(layers.length - 1)}`, ...line }),
    skips(layers, all).map(([from, to]) => {
      const [a, b] = [middle(from), middle(to)];
      const bend = Math.min(13, 6 + (to - from) * 1.5);
      return svg("path", {
        d: `M${x} ${a}C${x + bend} ${a + 6},${x + bend} ${b - 6},${x} ${b}`,
        ...line,
      });
    }),
    layers.map((name, row) => {
      const heavy = (layerOf(plot, name)?.parameters ?? 0) > 0;
      return svg("circle", {
        cx: x,
        cy: middle(row),
        r: heavy ? 3 : 2,
        fill: heavy ? "var(--ink2)" : "var(--bg)",
        stroke: "var(--ink2)",
        "stroke-width": 1.1,
      });
    }),
  );
}
