/** A few choices beside each other, of which one holds. */

import { type Child, h } from "./element";

export interface Option<T extends string> {
  value: T;
  words: Child;
  title?: string;
}

/**
 * @param title stands before it; may be empty.
 * @param label what is chosen; unlike that of any other choice on the page.
 */
export function segments<T extends string>(
  title: string,
  label: string,
  options: readonly Option<T>[],
  chosen: T,
  choose: (value: T) => void,
): HTMLElement {
  return h(
    "div.choice-group",
    { role: "group", "aria-label": label },
    title && h("span.choice-title", null, title),
    h(
      "div.segments",
      null,
      options.map(({ value, words, title }) =>
        h(
          "button",
          {
            "data-key": `${label} ${value}`,
            "aria-pressed": String(value === chosen),
            title,
            onclick: () => choose(value),
          },
          words,
        ),
      ),
    ),
  );
}
