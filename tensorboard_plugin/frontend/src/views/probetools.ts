/** What is above the samples: which of them are listed, how maps are drawn. */

import { formatShare } from "../model/number";
import { type Cell, CHOICES, type Choice, classesOf, picturesOf, sureFrom, truthsOf } from "../model/probe";
import { KEYS } from "../model/runs";
import { called } from "../requests";
import type { Store } from "../state";
import { type Child, h, refill } from "./element";
import type { Column, Drawing } from "./probecolumns";
import { segments } from "./segments";

export interface Tools {
  element: HTMLElement;
  update(
    columns: readonly Column[],
    drawing: Drawing,
    choice: Choice,
    listed: number,
  ): void;
}

/** The slider stays the same element, so that new data does not end its dragging. */
export function probeTools(store: Store): Tools {
  const opacity = slider("Opacity of the maps", 0, 100);
  opacity.addEventListener("input", () =>
    store.choose(CHOICES.opacity, String(Number(opacity.value) / 100)),
  );
  const [filters, maps] = [h("div.probe-tools"), h("div.probe-tools")];
  const count = h("span.probe-count", { role: "status" });
  let drawn = "";
  const all = h("div.full", null, filters, maps);
  return {
    element: h(
      "section.section.probe-top",
      { "aria-label": "Which samples" },
      h("div.side", null, h("h2", null, "Samples"), count),
      all,
    ),
    update(columns, { steps, pictured }, choice, listed) {
      all.hidden = steps.length === 0;
      if (document.activeElement !== opacity) opacity.value = String(choice.opacity * 100);
      const probes = columns.map(({ probe }) => probe);
      const classes = probes.some((probe) => probe?.kind === "classes");
      const truths = truthsOf(probes);
      const limit = sureFrom(classesOf(probes).length);
      const followed = new Set(probes.flatMap((probe) => [...(probe?.samples.keys() ?? [])])).size;
      const probed = Math.max(0, ...columns.map(({ run }) => run?.probe_samples ?? 0));
      const images = picturesOf(probes);
      const { opacity: _, open: __, ...kept } = choice;
      const runs = columns.map(({ name }) => name);
      const told = [classes, truths, limit, pictured, followed, probed, images, listed];
      const key = JSON.stringify([kept, runs, told]);
      if (key === drawn) return;
      drawn = key;
      refill(
        filters,
        classes ? filterTools(choice, truths, limit, runs, store) : valueFilters(choice, store),
        order(choice, classes, store),
      );
      refill(maps, pictured && mapTools(choice, opacity, store));
      count.title = description(followed, probed, images);
      const isChosen = choice.filter !== "all" || choice.truth !== null || choice.cell !== null;
      const words = isChosen || listed < followed ? `${listed} of ${followed}` : `all ${followed}`;
      refill(count, followed > 0 && [words, h("span.sr", null, " listed")]);
    },
  };
}

function description(followed: number, probed: number, images: number): string {
  const all = probed > followed ? `${followed} of ${probed} samples are followed` : `${followed} samples`;
  const pictured = images > 0 && images < followed ? `; ${images} have an image` : "";
  return `Held-out samples, the same at every look. ${all}${pictured}.`;
}

function slider(label: string, least: number, most: number): HTMLInputElement {
  return h("input", { type: "range", min: least, max: most, "aria-label": label, title: label });
}

function filterTools(
  choice: Choice,
  truths: number[],
  limit: number,
  runs: readonly string[],
  store: Store,
): Child[] {
  const unsure = `Less than ${formatShare(limit)} sure of the predicted class`;
  return [
    segments(
      "",
      "Which samples are listed",
      [
        { value: "all", words: "all" },
        { value: "wrong", words: "wrong now", title: "Wrong at this step" },
        {
          value: "flipped",
          words: "flipped",
          title: "Wrong at some look after it was right",
        },
        { value: "unsure", words: "unsure", title: unsure },
      ],
      choice.filter === "worse" ? "all" : choice.filter,
      (value) => store.choose(CHOICES.filter, value === "all" ? "" : value),
    ),
    runs.length > 1 && choice.filter !== "all" && !choice.cell &&
      segments(
        "in",
        "In which run",
        [
          { value: "", words: "any" },
          ...runs.map((name, i) => ({ value: name, words: KEYS[i], title: called(name) })),
        ],
        runs.find((name) => name === choice.run) ?? "",
        (value) => store.choose(CHOICES.run, value),
      ),
    choice.cell ? pickedCell(choice.cell, choice.run, runs, store) : named(
      "true class",
      selection(
        "true class",
        [{ value: "", words: "any" }, ...truths.map((truth) => ({ value: String(truth), words: String(truth) }))],
        String(choice.truth ?? ""),
        (value) => store.choose(CHOICES.truth, value),
      ),
    ),
  ];
}

/** What a click on the confusion table has chosen, to be taken back. */
function pickedCell(cell: Cell, run: string | null, runs: readonly string[], store: Store): HTMLElement {
  const letter = KEYS[runs.findIndex((name) => name === run)];
  const words = `${cell.truth} → ${cell.predicted ?? "NaN"}${runs.length > 1 && letter ? ` in ${letter}` : ""}`;
  const clear = () => {
    store.choose(CHOICES.cell, "");
    store.choose(CHOICES.run, "");
  };
  return named(
    "true → predicted",
    h("button.small", { "data-key": "cell", "aria-label": `Show all, not ${words} alone`, onclick: clear }, words, " ✕"),
  );
}

const valueFilters = (choice: Choice, store: Store) =>
  segments(
    "",
    "Which samples are listed",
    [
      { value: "all", words: "all" },
      { value: "worse", words: "got worse", title: "The error is larger than at the first look" },
    ],
    choice.filter === "worse" ? "worse" : "all",
    (value) => store.choose(CHOICES.filter, value === "all" ? "" : value),
  );

const named = (title: string, ...content: HTMLElement[]) =>
  h("div.choice-group", null, h("span.choice-title", { "aria-hidden": "true" }, title), content);

/** One of several, of which only the chosen one takes room. */
function selection<T extends string>(
  label: string,
  options: readonly { value: T; words: string; title?: string }[],
  chosen: T,
  choose: (value: T) => void,
): HTMLElement {
  const select = h(
    "select",
    { "data-key": label, "aria-label": label, title: label, onchange: () => choose(select.value as T) },
    options.map(({ value, words, title }) => h("option", { value, title, selected: value === chosen }, words)),
  );
  return select;
}

const order = (choice: Choice, classes: boolean, store: Store) =>
  named(
    "order",
    selection(
      "Order of the samples",
      [
        classes
          ? { value: "interest", words: "wrong first", title: "Wrong, then flipped, then unsure" }
          : { value: "interest", words: "error", title: "Largest error first" },
        ...(classes
          ? [{ value: "confidence" as const, words: "confidence", title: "Least probable true class first" }]
          : []),
        { value: "number", words: "number" },
      ],
      classes || choice.order === "number" ? choice.order : "interest",
      (value) => store.choose(CHOICES.order, value === "interest" ? "" : value),
    ),
  );

const mapTools = (choice: Choice, opacity: HTMLElement, store: Store): Child =>
  named(
    "Grad-CAM",
    selection(
      "Class that the maps explain",
      [
        { value: "true", words: "true class" },
        { value: "predicted", words: "predicted" },
      ],
      choice.target === 0 ? "true" : "predicted",
      (value) => store.choose(CHOICES.target, value === "true" ? "" : value),
    ),
    selection(
      "Scale of the maps",
      [
        { value: "image", words: "per image", title: "One scale for all maps of an image: they compare over time" },
        { value: "map", words: "per map", title: "Each map up to its own largest value" },
      ],
      choice.scale,
      (value) => store.choose(CHOICES.scale, value === "image" ? "" : value),
    ),
    opacity,
  );
