/** Elements in one expression. Text is always text: nothing here parses markup. */

import { readableNumbers } from "../model/number";

export type Child = Node | string | null | undefined | false | Child[];

type Value = string | number | boolean | null | undefined | ((event: never) => void);

/** @param tag name and classes, "div.card.wide"; `on...` properties are listeners. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K | `${K}.${string}`,
  properties?: Record<string, Value> | null,
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name!) as HTMLElementTagNameMap[K];
  if (classes.length) element.className = classes.join(" ");
  return finish(element, properties, children);
}

export function svg(
  tag: string,
  properties?: Record<string, Value> | null,
  ...children: Child[]
): SVGElement {
  return finish(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function finish<E extends Element>(
  element: E,
  properties: Record<string, Value> | null | undefined,
  children: Child[],
): E {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value as EventListener);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(parent: Element, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child || child === "") parent.append(child);
  }
}

/**
 * Puts new content into a place that stays; what had the focus has it again, if it has a key.
 *
 * @param content a function where it takes over elements of the old content, which lose the focus
 *   as soon as they are moved.
 */
export function refill(place: Element, ...content: (Child | (() => Child))[]): void {
  keepFocus(place, () => {
    const children = content.map((part) => (typeof part === "function" ? part() : part));
    place.replaceChildren();
    append(place, children);
  });
}

/** Puts text and signs into a place, unless the same stand there: what stays costs no layout. */
export function renew(place: Element, ...content: Child[]): void {
  const next = h("div", null, ...content);
  const old = [...place.childNodes];
  const isSame = old.length === next.childNodes.length && old.every((node, i) => node.isEqualNode(next.childNodes[i]!));
  if (!isSame) refill(place, ...next.childNodes);
}

/** Changes what is in a place, so that what had the focus has it again, if it has a key. */
export function keepFocus(place: Element, change: () => void): void {
  const active = document.activeElement;
  const key = active && place.contains(active) ? active.getAttribute("data-key") : null;
  change();
  if (key === null || document.activeElement === active) return;
  const again = place.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  again?.focus({ preventScroll: true });
}

/**
 * Puts these elements into a place in this order; what is in its place already is not touched. One
 * takes the place of another at once: a page that is shorter for a moment would scroll.
 */
export function arrange(place: Element, elements: readonly Element[]): void {
  const wanted = new Set(elements);
  const unwanted = (child: Element | undefined) => child !== undefined && !wanted.has(child);
  elements.forEach((element, i) => {
    const isNew = element.parentElement !== place;
    if (isNew && unwanted(place.children[i])) return place.children[i]!.replaceWith(element);
    while (unwanted(place.children[i])) place.children[i]!.remove();
    if (place.children[i] !== element) place.insertBefore(element, place.children[i] ?? null);
  });
  for (const child of [...place.children].slice(elements.length)) child.remove();
}

/**
 * Text in which `code` stands between backticks, as in Python's messages.
 *
 * @param isName which words are names of layers: they are set as code too.
 */
export function prose(text: string, isName: (word: string) => boolean = () => false): Child[] {
  return text.split("`").map((part, i) => (i % 2 ? h("code", null, codeText(part)) : named(part, isName)));
}

const WORD = /…?\w(?:[\w./>-]*\w)?/g;

function named(text: string, isName: (word: string) => boolean): Child[] {
  const names = [...text.matchAll(WORD)].filter(([word]) => isName(word));
  const ends = [0, ...names.map(({ 0: word, index }) => index + word.length)];
  return ends.map((from, i) => {
    const name = names[i];
    return [numbers(text.slice(from, name?.index)), name && h("code", null, name[0])];
  });
}

/** Code that may be broken behind a sign, rather than inside of a word. */
export function codeText(text: string): Child[] {
  return text.split(/(?<=[,=(])(?=\S)/).map((part, i) => [i > 0 && h("wbr"), part]);
}

/** A number is never broken, and stays with its sign and unit. */
function numbers(text: string): Child[] {
  const kept = readableNumbers(text)
    .replace(/(\d) ([%×])/g, "$1\u00a0$2")
    .replace(/([≥≤<>]) /g, "$1\u00a0");
  return kept
    .split(/(\b\d[\d.]*e-\d+)/)
    .map((part, i) => (i % 2 ? h("span.unbroken", null, part) : part));
}
