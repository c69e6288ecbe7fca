/** Paints heat maps; a map whose cells, colours and size are as before is not painted again. */

import { BROKEN, type Cells, columns, linePixels } from "../model/cells";
import { RAMPS } from "../model/colour";
import { lineAt, type Plot, type PlotColumn } from "../model/plot";
import type { Point } from "../state";
import { sharpness } from "./canvas";
import { h } from "./element";

type Theme = "light" | "dark";

/** Colours as one number per pixel, in the byte order of a canvas. */
const pixel = (r: number, g: number, b: number) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

const HATCH = {
  light: { ink: pixel(139, 145, 154), ground: pixel(236, 236, 235) },
  dark: { ink: pixel(123, 130, 140), ground: pixel(41, 44, 48) },
} as const;

/** Each view has canvases of its own: an element is in one place only. */
export type Canvases = WeakMap<Cells, HTMLCanvasElement>;

/** The canvas of these cells, the same as long as they are the same. */
export function heatCanvas(column: PlotColumn, canvases: Canvases): HTMLCanvasElement {
  const known = column.cells ? canvases.get(column.cells) : undefined;
  const canvas = known ?? h("canvas");
  if (column.cells) canvases.set(column.cells, canvas);
  return canvas;
}

export function paintHeat(
  canvas: HTMLCanvasElement,
  column: PlotColumn,
  plot: Plot,
  dark: boolean,
): void {
  const ratio = sharpness();
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(plot.layout.total * ratio);
  const { cells } = column;
  if (!cells || !plot.scale || width === 0 || height === 0) return;
  const key = [width, height, plot.end, dark, plot.scale.id, plot.lineOf, column.rows].join();
  if (canvas.dataset.painted === key) return;
  canvas.dataset.painted = key;
  canvas.width = width;
  canvas.height = height;
  const spans = columns(cells, plot.end, width);
  const colours = palette(plot, dark ? "dark" : "light");
  const { tops, heights } = plot.layout;
  const layers = plot.lines.map(({ rows }) =>
    rows.filter((row) => column.filled[row]).map((row) => column.rows[row]!),
  );
  const paintRow = (row: number) => {
    const from = Math.round(tops[row]! * ratio);
    const gap = Math.max(1, Math.round(ratio)); // a hairline of ground between two rows
    const to = Math.round((tops[row]! + heights[row]!) * ratio) - gap;
    const shown = linePixels(cells, layers[row]!, spans, plot.scale!);
    const image = rowImage(shown, from, to, colours, ratio, dark);
    canvas.getContext("2d")?.putImageData(image, 0, from);
  };
  const { top } = canvas.getBoundingClientRect();
  const isSeen = (row: number) =>
    top + tops[row]! < window.innerHeight && top + tops[row]! + heights[row]! > 0;
  const rows = [...plot.lines.keys()].filter((line) => layers[line]!.length > 0);
  rows.filter(isSeen).forEach(paintRow);
  paintLater(
    rows.filter((row) => !isSeen(row)),
    paintRow,
    () => canvas.dataset.painted === key,
  );
}

const TOGETHER_MS = 8; // then a pointer is followed; the whole page is painted anew each time

/** What is out of sight must not keep the page waiting. */
function paintLater(rows: number[], paintRow: (row: number) => void, wanted: () => boolean): void {
  if (rows.length === 0) return;
  setTimeout(() => {
    if (!wanted()) return;
    const until = performance.now() + TOGETHER_MS;
    let painted = 0;
    do paintRow(rows[painted++]!);
    while (painted < rows.length && performance.now() < until);
    paintLater(rows.slice(painted), paintRow, wanted);
  });
}

function palette(plot: Plot, theme: Theme): Uint32Array {
  const ramp = RAMPS[theme][plot.scale!.ramp];
  return Uint32Array.from({ length: 256 }, (_, i) =>
    pixel(ramp[i * 3]!, ramp[i * 3 + 1]!, ramp[i * 3 + 2]!),
  );
}

/** One line of pixels, repeated; only a hatch differs from line to line. */
function rowImage(
  shown: Float32Array,
  from: number,
  to: number,
  colours: Uint32Array,
  ratio: number,
  dark: boolean,
): ImageData {
  const width = shown.length;
  const image = new ImageData(width, Math.max(1, to - from));
  const pixels = new Uint32Array(image.data.buffer);
  const line = new Uint32Array(width);
  for (let x = 0; x < width; x++) {
    if (shown[x]! >= 0) line[x] = colours[Math.round(shown[x]! * 255)]!; // else BLANK or BROKEN
  }
  const hatch = HATCH[dark ? "dark" : "light"];
  const broken = shown.indexOf(BROKEN);
  for (let y = from; y < to; y++) {
    const start = (y - from) * width;
    pixels.set(line, start);
    for (let x = broken; x >= 0 && x < width; x++) {
      if (shown[x] !== BROKEN) continue;
      const inked = (x + y) % (6 * ratio) < 1.4 * ratio;
      pixels[start + x] = inked ? hatch.ink : hatch.ground;
    }
  }
  return image;
}

/** Puts a band behind the line of the layer that is pointed at. */
export function placeRow(band: HTMLElement, at: Point, plot: Plot): void {
  const { layout } = plot;
  const row = lineAt(plot, at.layer);
  band.hidden = row < 0;
  band.style.transform = `translateY(${layout.tops[row] ?? 0}px)`;
  band.style.height = `${(layout.heights[row] ?? 1) - 1}px`;
}
