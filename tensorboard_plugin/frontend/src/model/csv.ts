/** Tables for spreadsheets: numbers as they are, texts never as formulas. */

export type Cell = string | number | null;

export interface Table {
  columns: string[];
  rows: Cell[][];
}

/** RFC 4180, with a mark at the front that makes Excel read UTF-8. */
export function csv({ columns, rows }: Table): string {
  return `\ufeff${[columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** What a spreadsheet takes for the beginning of a formula, also in its East Asian full width. */
const FORMULA = /^[\s]*[=+\-@＝＋－＠]|^[\t\r\n]/;

function cell(value: Cell): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A name for a file, from texts that may hold anything. */
export function fileName(...parts: string[]): string {
  const safe = parts.join("-").replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 100);
  return safe.replace(/^[._]+/, "") || "tfdiag";
}
