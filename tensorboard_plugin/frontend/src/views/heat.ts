/** Paints one heat map: one pass over the pixels, nothing kept between two paintings. */

import { BLANK, BROKEN, columns, rowPixels } from "../model/cells";
import { RAMPS, rampIndex } from "../model/colour";
import type { Plot, PlotColumn } from "../model/plot";

const HATCH = {
  light: { ink: [139, 145, 154], ground: [236, 236, 235] },
  dark: { ink: [123, 130, 140], ground: [41, 44, 48] },
} as const;

export function paintHeat(
  canvas: HTMLCanvasElement,
  column: PlotColumn,
  plot: Plot,
  dark: boolean,
): void {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(plot.layout.total * ratio);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context || !column.cells || !plot.scale || width === 0 || height === 0) return;
  const image = context.createImageData(width, height);
  const spans = columns(column.cells, plot.end, width);
  const theme = dark ? "dark" : "light";
  const colours = RAMPS[theme][plot.scale.ramp];
  column.rows.forEach((layer, row) => {
    if (layer < 0 || !column.filled[row]) return;
    const pixels = rowPixels(column.cells!, layer, spans, plot.scale!);
    const top = Math.round(plot.layout.tops[row]! * ratio);
    const gap = Math.max(1, Math.round(ratio)); // a hairline of ground between two rows
    const bottom = Math.round((plot.layout.tops[row]! + plot.layout.heights[row]!) * ratio) - gap;
    for (let y = top; y < bottom; y++) {
      for (let x = 0; x < width; x++) {
        const shown = pixels[x]!;
        if (shown === BLANK) continue;
        const at = (y * width + x) * 4;
        if (shown === BROKEN) {
          const { ink, ground } = HATCH[theme];
          put(image.data, at, (x + y) % (6 * ratio) < 1.4 * ratio ? ink : ground, 0);
        } else {
          put(image.data, at, colours, rampIndex(shown));
        }
      }
    }
  });
  context.putImageData(image, 0, 0);
}

function put(to: Uint8ClampedArray, at: number, from: ArrayLike<number>, index: number): void {
  to[at] = from[index]!;
  to[at + 1] = from[index + 1]!;
  to[at + 2] = from[index + 2]!;
  to[at + 3] = 255;
}
