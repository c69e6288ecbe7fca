/** A model as a graph: its places, what feeds what, and where the loss is. */

import type { Layer } from "../api";
import { type Block, blocksOf, foldedBlocks } from "./blocks";

/** From one layer to another, as their places in the model. */
export interface Link {
  from: number;
  to: number;
  /** Only the order of the layers says so. */
  inferred: boolean;
}

/** A layer, or a folded block of them. */
export interface Place {
  id: string;
  layers: number[];
  /** The folded block, null for a layer. */
  block: Block | null;
  /** The frame that it stands in. */
  frame: string | null;
}

/** An unfolded block: a frame around its places. */
export interface Frame {
  id: string;
  block: Block;
  frame: string | null;
}

export interface Edge {
  from: string;
  to: string;
  inferred: boolean;
}

export interface Graph {
  /** What feeds stands before what is fed; in a circle the layer that was recorded first. */
  places: Place[];
  frames: Frame[];
  edges: Edge[];
  /** False if nothing is recorded of what feeds what, as in a subclassed model. */
  known: boolean;
  /** Equal for graphs that are laid out alike. */
  key: string;
}

export const LOSS = "loss";

/** @param toggled names of blocks that the user folded or unfolded. */
export function graphOf(layers: readonly Layer[], toggled: ReadonlySet<string>): Graph {
  const blocks = blocksOf(layers);
  const folded = foldedBlocks(blocks, layers.length, toggled);
  const { places, frames } = placesOf(layers.length, blocks, folded);
  const placeOf = new Map(places.flatMap(({ id, layers }) => layers.map((layer) => [layer, id])));
  const links = linksOf(layers);
  const known = links.some(({ inferred }) => !inferred);
  const ends = outputs(layers, links).map((from) => ({
    from: placeOf.get(from)!,
    to: LOSS,
    inferred: !known,
  }));
  const between = links.map(({ from, to, inferred }) => ({
    from: placeOf.get(from)!,
    to: placeOf.get(to)!,
    inferred,
  }));
  const edges = once([...between, ...ends]);
  const names = layers.map(({ name, inputs, role }) => [name, inputs, role]);
  const unfolded = frames.map(({ block }) => block.name);
  return {
    places: ordered(places, edges),
    frames,
    edges,
    known,
    key: JSON.stringify([names, unfolded]),
  };
}

function placesOf(total: number, blocks: readonly Block[], folded: readonly boolean[]) {
  const isHidden = ({ parent }: Block): boolean =>
    parent >= 0 && (folded[parent]! || isHidden(blocks[parent]!));
  const idOf = (block: number) => (block < 0 ? null : `block ${block}`);
  const innermost = Array.from({ length: total }, () => -1);
  const places: Place[] = [];
  const frames: Frame[] = [];
  const taken = new Set<number>();
  blocks.forEach((block, i) => {
    if (isHidden(block)) return;
    block.layers.forEach((layer) => (innermost[layer] = i));
    const made = { id: idOf(i)!, block, frame: idOf(block.parent) };
    if (!folded[i]) return void frames.push(made);
    places.push({ ...made, layers: block.layers });
    block.layers.forEach((layer) => taken.add(layer));
  });
  for (let layer = 0; layer < total; layer++) {
    if (taken.has(layer)) continue;
    const frame = idOf(innermost[layer]!);
    places.push({ id: `layer ${layer}`, layers: [layer], block: null, frame });
  }
  return { places: places.sort((a, b) => a.layers[0]! - b.layers[0]!), frames };
}

/**
 * What feeds what: as recorded, and where the record has a gap as the order of the layers has it.
 * Gaps are the way into a nested model, functions, and all of a subclassed model.
 */
export function linksOf(layers: readonly Layer[]): Link[] {
  const links = recorded(layers);
  const subclassed = links.length === 0;
  const fed = new Set(links.map(({ to }) => to));
  const feeding = new Set(links.map(({ from }) => from));
  const link = (from: number, to: number) => {
    links.push({ from, to, inferred: true });
    feeding.add(from);
    fed.add(to);
  };
  const isAlone = layers.map((_, i) => !fed.has(i) && !feeding.has(i));
  const mayHaveGap = (i: number) => subclassed || isInside(layers[i]!) || isFunction(layers[i]!);
  for (let i = 0; i < layers.length; i++) {
    if (fed.has(i) || i === 0 || !mayHaveGap(i)) continue;
    if (isAlone[i]) link(i - 1, i);
    else {
      const loose = layers.findLastIndex(
        ({ role }, j) => j < i && !feeding.has(j) && role !== "output",
      );
      if (loose >= 0) link(loose, i);
    }
    const next = i + 1;
    if (isAlone[i] && next < layers.length && !isAlone[next]) link(i, next);
  }
  return links;
}

const isInside = ({ name }: Layer) => name.includes("/");
const isFunction = ({ type, activation, parameters }: Layer) =>
  parameters === 0 && type === activation;

/** Names of layers that do not exist, and of the layer itself, are passed over. */
function recorded(layers: readonly Layer[]): Link[] {
  const at = new Map(layers.map(({ name }, i) => [name, i]));
  return layers.flatMap(({ inputs }, to) => {
    const sources = new Set(inputs.map((name) => at.get(name)));
    return [...sources].flatMap((from) =>
      from === undefined || from === to ? [] : [{ from, to, inferred: false }],
    );
  });
}

/** Where the model ends: a softmax, not the logits that it reads. */
function outputs(layers: readonly Layer[], links: readonly Link[]): number[] {
  const feeding = new Set(links.map(({ from }) => from));
  const all = layers.flatMap(({ role }, i) => (role === "output" ? [i] : []));
  const last = all.filter((i) => !feeding.has(i));
  return last.length ? last : all;
}

/** Folding puts edges on each other; one that is recorded counts for all. */
function once(edges: readonly Edge[]): Edge[] {
  const byEnds = new Map<string, Edge>();
  for (const edge of edges) {
    const key = `${edge.from} ${edge.to}`;
    const inferred = edge.inferred && (byEnds.get(key)?.inferred ?? true);
    if (edge.from !== edge.to) byEnds.set(key, { ...edge, inferred });
  }
  return [...byEnds.values()];
}

function ordered(places: readonly Place[], edges: readonly Edge[]): Place[] {
  const open = new Map(places.map(({ id }) => [id, 0]));
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) {
    if (!open.has(to)) continue; // the loss is no place
    open.set(to, open.get(to)! + 1);
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const left = [...places];
  const done: Place[] = [];
  while (left.length) {
    const ready = left.findIndex(({ id }) => open.get(id)! <= 0);
    const [place] = left.splice(Math.max(0, ready), 1); // none is ready: a circle
    done.push(place!);
    for (const to of next.get(place!.id) ?? []) open.set(to, open.get(to)! - 1);
  }
  return done;
}
