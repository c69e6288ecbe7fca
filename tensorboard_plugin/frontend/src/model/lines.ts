/** The lines of the heat maps: layers, and blocks of them, of which a folded one is a single line. */

import { type Block, blocksOf, foldedBlocks } from "./blocks";
import type { Named } from "./layers";

export interface Line {
  kind: "layer" | "folded" | "unfolded";
  /** Of the layer or of the block. */
  name: string;
  /** The same without what the block around it says already. */
  label: string;
  /** Rows of the layers that it shows the worst of; none if they have lines of their own. */
  rows: number[];
  /** How many layers it stands for. */
  count: number;
  /** How many blocks are around it. */
  depth: number;
}

/** How the user wants the blocks; `toggled` are names of those that are the other way. */
export interface Folding {
  base: "usual" | "folded" | "unfolded";
  toggled: ReadonlySet<string>;
}

export const USUAL: Folding = { base: "usual", toggled: new Set() };
export const UNFOLDED: Folding = { base: "unfolded", toggled: new Set() };

/** Reads `writeFolding`; a mangled link is as good as none. */
export function readFolding(text: string | undefined): Folding {
  try {
    const [base, ...names]: unknown[] = JSON.parse(text ?? "");
    if (base === "usual" || base === "folded" || base === "unfolded")
      return { base, toggled: new Set(names.map(String)) };
  } catch {
    // see above
  }
  return USUAL;
}

/** Empty for what is usual anyway. */
export function writeFolding({ base, toggled }: Folding): string {
  return base === "usual" && toggled.size === 0 ? "" : JSON.stringify([base, ...toggled]);
}

export function toggle({ base, toggled }: Folding, block: string): Folding {
  const names = new Set(toggled);
  if (!names.delete(block)) names.add(block);
  return { base, toggled: names };
}

/** From the input to the output; every layer stands in one line. */
export function linesOf(layers: readonly Named[], folding: Folding): Line[] {
  const blocks = blocksOf(layers);
  const folded = areFolded(blocks, layers.length, folding);
  const { inside, rowsIn } = tree(layers.length, blocks);
  const lines: Line[] = [];
  const label = (name: string, parent: number) => {
    const outer = blocks[parent]?.name ?? "";
    const isSaid = parent >= 0 && name.startsWith(outer) && /^[/_]./.test(name.slice(outer.length));
    return isSaid ? name.slice(outer.length + 1) : name;
  };
  const add = (parent: number, depth: number) => {
    for (const { block, row } of inside(parent)) {
      const kind = block < 0 ? "layer" : folded[block] ? "folded" : "unfolded";
      const rows = block < 0 ? [row] : rowsIn(block);
      const { name } = block < 0 ? layers[row]! : blocks[block]!;
      const shown = kind === "unfolded" ? [] : rows;
      lines.push({ kind, name, label: label(name, parent), rows: shown, count: rows.length, depth });
      if (kind === "unfolded") add(block, depth + 1);
    }
  };
  add(-1, 0);
  return lines;
}

function areFolded(blocks: readonly Block[], total: number, { base, toggled }: Folding): boolean[] {
  if (base === "usual") return foldedBlocks(blocks, total, toggled);
  return blocks.map(({ name }) => (base === "folded") !== toggled.has(name));
}

/** What is inside of a block, blocks and layers in order; -1 stands for the whole model. */
function tree(total: number, blocks: readonly Block[]) {
  const innermost = Array.from({ length: total }, () => -1);
  blocks.forEach(({ layers }, i) => layers.forEach((row) => (innermost[row] = i)));
  const items = new Map<number, { block: number; row: number }[]>();
  const put = (parent: number, block: number, row: number) => {
    const known = items.get(parent);
    if (known) known.push({ block, row });
    else items.set(parent, [{ block, row }]);
  };
  innermost.forEach((block, row) => put(block, -1, row));
  const inside = (parent: number) => items.get(parent) ?? [];
  const rowsIn = (block: number): number[] =>
    inside(block).flatMap((item) => (item.block < 0 ? [item.row] : rowsIn(item.block)));
  // Inner ones come after outer ones: from the last, each is full when it is put into its parent.
  for (let i = blocks.length - 1; i >= 0; i--) {
    inside(i).sort((a, b) => a.row - b.row);
    const [first] = inside(i);
    if (first) put(blocks[i]!.parent, i, first.row);
  }
  inside(-1).sort((a, b) => a.row - b.row);
  return { inside, rowsIn };
}
