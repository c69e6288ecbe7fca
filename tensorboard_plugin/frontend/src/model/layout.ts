/** Where the places of a graph stand: input at the top, loss at the bottom. */

/*!
 * The bundle holds @dagrejs/dagre and @dagrejs/graphlib under this licence:
 *
 * Copyright (c) 2012-2014 Chris Pettitt
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal
 * in the Software without restriction, including without limitation the rights
 * to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in
 * all copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 * IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 * FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 * AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
 * THE SOFTWARE.
 */

import { Graph as Dagre, layout as dagreLayout } from "@dagrejs/dagre";
import { type Graph, LOSS } from "./graph";

export interface Box {
  /** Left, top, width and height in pixels. */
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Path {
  points: { x: number; y: number }[];
  from: string;
  to: string;
  inferred: boolean;
}

export interface Layout {
  width: number;
  height: number;
  places: Map<string, Box>;
  frames: Map<string, Box>;
  paths: Path[];
  /** There are more connections than can be drawn: the places stand in a column. */
  crowded: boolean;
}

export const PLACE = { width: 256, height: 42 }; // type, shape and activation fit
const FRAME_TITLE = 12; // pixels that a frame is higher than dagre makes it
const SEPARATION = { nodesep: 20, ranksep: 22, edgesep: 14, marginx: 8, marginy: 12 };
/** Ranks that all edges cross together; beyond, the layout would take seconds and tell nothing. */
const MOST_CROSSINGS = 6000;

const made = new Map<string, Layout>();
const MOST_KEPT = 24;

/** The layout of a graph, made once for all graphs of the same key. */
export function layoutOf(graph: Graph): Layout {
  const known = made.get(graph.key);
  if (known) return known;
  if (made.size >= MOST_KEPT) made.delete(made.keys().next().value!);
  const layout = crossings(graph) > MOST_CROSSINGS ? column(graph) : layered(graph);
  made.set(graph.key, layout);
  return layout;
}

function layered({ places, frames, edges }: Graph): Layout {
  const dagre = new Dagre({ compound: true });
  const ranksep = SEPARATION.ranksep + (frames.length ? FRAME_TITLE : 0);
  dagre.setGraph({ rankdir: "TB", ...SEPARATION, ranksep });
  dagre.setDefaultEdgeLabel(() => ({}));
  for (const { id } of frames) dagre.setNode(id, {});
  for (const id of [...places.map(({ id }) => id), LOSS])
    dagre.setNode(id, { ...PLACE });
  for (const { id, frame } of [...frames, ...places]) if (frame) dagre.setParent(id, frame);
  for (const { from, to } of edges) dagre.setEdge(from, to);
  dagreLayout(dagre);
  const box = (id: string): Box => {
    const { x, y, width, height } = dagre.node(id);
    return { x: x - width / 2, y: y - height / 2, width, height };
  };
  const { width, height } = dagre.graph();
  return {
    width: width ?? 0,
    height: height ?? 0,
    places: new Map([...places.map(({ id }) => id), LOSS].map((id) => [id, box(id)])),
    frames: new Map(frames.map(({ id }) => [id, titled(box(id))])),
    paths: edges.map((edge) => ({ ...edge, points: dagre.edge(edge.from, edge.to).points })),
    crowded: false,
  };
}

const titled = (box: Box): Box => ({
  ...box,
  y: box.y - FRAME_TITLE,
  height: box.height + FRAME_TITLE,
});

function column({ places }: Graph): Layout {
  const { marginx, marginy, ranksep } = SEPARATION;
  const ids = [...places.map(({ id }) => id), LOSS];
  const top = (i: number) => marginy + i * (PLACE.height + ranksep);
  const box = (i: number): Box => ({
    x: marginx,
    y: top(i),
    width: PLACE.width,
    height: PLACE.height,
  });
  return {
    width: PLACE.width + 2 * marginx,
    height: top(ids.length - 1) + PLACE.height + marginy,
    places: new Map(ids.map((id, i) => [id, box(i)])),
    frames: new Map(),
    paths: [],
    crowded: true,
  };
}

/** How many ranks all edges cross together. */
function crossings({ places, edges }: Graph): number {
  if (edges.length > MOST_CROSSINGS) return edges.length;
  const order = new Map([...places.map(({ id }) => id), LOSS].map((id, i) => [id, i]));
  const forward = edges
    .map(({ from, to }) => [order.get(from)!, order.get(to)!] as const)
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
    .sort(([a], [b]) => a - b);
  const rank = Array.from(order, () => 0);
  for (const [from, to] of forward) rank[to] = Math.max(rank[to]!, rank[from]! + 1);
  return forward.reduce((sum, [from, to]) => sum + rank[to]! - rank[from]!, 0);
}

/** A line through its points that bends softly, as the `d` of an SVG path. */
export function smooth(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  const at = ({ x, y }: { x: number; y: number }) => `${round(x)} ${round(y)}`;
  const turns = rest.slice(0, -1).map((point, i) => {
    const after = rest[i + 1]!;
    const middle = { x: (point.x + after.x) / 2, y: (point.y + after.y) / 2 };
    return `Q${at(point)} ${at(i === rest.length - 2 ? after : middle)}`;
  });
  const last = rest.at(-1);
  return `M${at(first)}${turns.join("")}${last ? `L${at(last)}` : ""}`;
}

const round = (x: number) => Math.round(x * 10) / 10;
