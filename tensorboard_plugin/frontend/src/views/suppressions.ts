/** Findings that are as they should be: a form that asks for the reason, and the list of them. */

import type { Change, Suppression } from "../model/thresholds";
import { plural } from "../model/number";
import { h } from "./element";
import type { Tried } from "./thresholds";

export interface Suppressing {
  isOpen(key: string): boolean;
  toggle(key: string, change: Change): void;
  element(): HTMLElement | null;
}

/** The form is made anew for each finding, and kept while it is open: a redraw takes no text away. */
export function suppressing(
  save: (one: Suppression) => void,
  redraw: () => void,
): Suppressing {
  let open: { key: string; element: HTMLElement } | null = null;
  const close = () => {
    const key = open?.key ?? "";
    open = null;
    redraw();
    const again = document.querySelector<HTMLElement>(`[data-key="${CSS.escape(`suppress ${key}`)}"]`);
    again?.focus({ preventScroll: true });
  };
  return {
    isOpen: (key) => open?.key === key,
    element: () => open?.element ?? null,
    toggle(key, change) {
      if (open?.key === key) return close();
      open = { key, element: form(change, save, close) };
      redraw();
      open.element.querySelector<HTMLElement>("[data-key='reason']")?.focus();
    },
  };
}

function form(change: Change, save: (one: Suppression) => void, close: () => void): HTMLElement {
  const layer = h("input", {
    "data-key": "layer",
    value: change.layers.length === 1 ? change.layers[0]! : "",
    placeholder: "all layers",
    spellcheck: "false",
    maxlength: 500,
  });
  const reason = h("input", {
    "data-key": "reason",
    placeholder: "why this is as it should be",
    required: true,
    maxlength: 200,
    oninput: () => reason.setCustomValidity(""),
  });
  const submit = (event: Event) => {
    event.preventDefault();
    const why = reason.value.trim();
    if (why === "") {
      reason.setCustomValidity("Say why: the reason stands beside the finding and in tfdiag.toml.");
      reason.reportValidity();
      return;
    }
    const where = layer.value.trim();
    close();
    save({ rule: change.rule, ...(where && { layer: where }), reason: why });
  };
  return h(
    "form.why",
    {
      onsubmit: submit,
      onkeydown: (event: KeyboardEvent) => event.key === "Escape" && close(),
    },
    change.layers.length > 0 &&
      h("label", { title: "* and ? stand for anything" }, h("span", null, "Layer"), layer),
    h("label", null, h("span", null, "Reason"), reason),
    h(
      "p",
      null,
      h("button.small", { type: "submit", "data-key": "suppress" }, "Suppress"),
      h("button.link", { type: "button", "data-key": "cancel", onclick: close }, "Cancel"),
    ),
  );
}

export function suppressed(
  all: readonly Suppression[],
  tried: readonly Tried[],
  save: (all: readonly Suppression[]) => void,
): HTMLElement {
  return h(
    "section.section",
    { "aria-label": "Suppressed" },
    h(
      "div.side",
      null,
      h("h2", null, "Suppressed"),
      h("p", null, "Found, but as it should be: it counts for nothing."),
    ),
    h(
      "div.full",
      null,
      h(
        "ul.suppressions",
        null,
        all.map((one, i) => line(one, tried, () => save(all.filter((_, j) => j !== i)))),
      ),
    ),
  );
}

function line(one: Suppression, tried: readonly Tried[], remove: () => void): HTMLElement {
  const rules = tried.flatMap(({ before }) => before?.rules ?? []);
  const title = rules.find(({ id }) => id === one.rule)?.title ?? one.rule;
  const covered = tried
    .flatMap(({ after }) => after?.suppressed ?? [])
    .filter(({ rule, reason }) => rule === one.rule && reason === one.reason);
  return h(
    "li",
    null,
    h(
      "p",
      null,
      title,
      " ",
      one.layer === undefined ? h("span.quiet", null, "in all layers") : h("code", null, one.layer),
    ),
    h("p", null, one.reason),
    h("p.quiet", null, covered.length ? plural(covered.length, "finding") : "covers no finding"),
    h(
      "button.small",
      {
        "data-key": `remove ${one.rule} ${one.layer ?? ""}`,
        "aria-label": `Remove: ${title} ${one.layer ?? "in all layers"}`,
        onclick: remove,
      },
      "Remove",
    ),
  );
}
