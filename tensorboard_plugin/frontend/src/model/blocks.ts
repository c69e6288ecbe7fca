/** Blocks of a large model: layers whose names begin alike, which fold into one place. */

import { isNamedByKeras, type Named } from "./layers";

/** A model with more layers than this is folded. */
export const MOST_PLACES = 40;
const LEAST_OF_A_NAME = 4; // layers that only share a prefix; a nested model is one with two
const LEAST_WITH_ITS_NAME = 3; // where one bears the prefix as its name: "conv", "conv_bn", "conv_relu"
const DEEPEST = 12; // separators that are looked at: a name may hold any number

export interface Block {
  /** "backbone" or "conv2_block1" */
  name: string;
  /** Places of its layers in the model, ascending. */
  layers: number[];
  /** The block around it, as its place in the list, -1 for none. */
  parent: number;
  depth: number;
}

/**
 * The blocks of a model, outer ones first: its nested models ("backbone/conv") and, for models
 * that are written flat, numbered prefixes ("block_3_expand") of neighbouring layers.
 */
export function blocksOf(layers: readonly Named[]): Block[] {
  const members = new Map<string, number[]>();
  layers.forEach(({ name }, i) => {
    for (const prefix of prefixes(`${name}_`)) {
      const of = members.get(prefix);
      if (of) of.push(i);
      else members.set(prefix, [i]);
    }
  });
  const kept = [...members]
    .filter(([prefix, of]) => isBlock(prefix, of, layers))
    .map(([prefix, of]) => [prefix, prefix.endsWith("/") ? of : range(of[0]!, of.at(-1)!)] as const);
  kept.sort(
    ([a, of], [b, other]) =>
      of[0]! - other[0]! || other.length - of.length || a.length - b.length,
  );
  const blocks: Block[] = [];
  const prefixOf: string[] = [];
  const taken = new Set<string>();
  for (const [prefix, of] of kept) {
    const parent = prefixOf.findLastIndex((outer) => prefix.startsWith(outer));
    if (parent >= 0 && blocks[parent]!.layers.length === of.length) continue; // the same layers
    const depth = parent < 0 ? 0 : blocks[parent]!.depth + 1;
    prefixOf.push(prefix);
    const short = prefix.slice(0, -1);
    const name = taken.has(short) ? prefix : short; // "a1/b" and "a1_b": each unfolds by its name
    taken.add(name);
    blocks.push({ name, layers: of, parent, depth });
  }
  return blocks;
}

/** "a/b_1_c" begins with "a/", "a/b_" and "a/b_1_". */
function prefixes(name: string): string[] {
  const ends = [...name.matchAll(/[/_]/g)].slice(0, DEEPEST).map(({ index }) => index + 1);
  return ends.filter((end) => end > 1).map((end) => name.slice(0, end));
}

function isBlock(prefix: string, of: number[], layers: readonly Named[]): boolean {
  if (of.length === layers.length) return false; // says nothing
  if (prefix.endsWith("/")) return of.length > 1;
  if (!/\d\w?_$/.test(prefix)) return false;
  const isHead = (i: number) => `${layers[i]!.name}_` === prefix;
  const model = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  const isUnnamed = (i: number) => isUnnamedIn(model, layers[i]!);
  const least = of.some(isHead) ? LEAST_WITH_ITS_NAME : LEAST_OF_A_NAME;
  if (of.length < least || of.some((i) => isUnnamed(i) && !isHead(i))) return false;
  const own = new Set(of);
  return range(of[0]!, of.at(-1)!).every((i) => own.has(i) || isUnnamed(i)); // as a shortcut's
}

/** Whether Keras numbered a layer of a nested model: "net/conv2d_3" is the third of its type in "net/". */
const isUnnamedIn = (model: string, { name, type }: Named): boolean =>
  name.startsWith(model) && isNamedByKeras({ name: name.slice(model.length), type });

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/**
 * Which blocks are folded: as few levels as leave little enough to see, and all blocks that hold no
 * others; but for the toggled ones.
 */
export function foldedBlocks(
  blocks: readonly Block[],
  total: number,
  toggled: ReadonlySet<string>,
): boolean[] {
  const deepest = Math.max(-1, ...blocks.map(({ depth }) => depth));
  let level = deepest + 1;
  while (level > 0 && placesAt(blocks, total, level) > MOST_PLACES) level--;
  const outer = new Set(blocks.map(({ parent }) => parent));
  const isFolded = (depth: number, i: number) => depth >= level || (level <= deepest && !outer.has(i));
  return blocks.map(({ name, depth }, i) => isFolded(depth, i) !== toggled.has(name));
}

/** How many places there are when all blocks of a level are folded. */
function placesAt(blocks: readonly Block[], total: number, level: number): number {
  const at = blocks.filter(({ depth }) => depth === level);
  return at.reduce((sum, { layers }) => sum - layers.length + 1, total);
}
