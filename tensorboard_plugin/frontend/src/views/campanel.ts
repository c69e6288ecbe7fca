/** Grad-CAM of one probe image over the steps: what each run looks at. */

import type { Cams } from "../api";
import {
  chooseSnapshots,
  content,
  type Guess,
  guessOf,
  mapOf,
  sampleScale,
  snapshotAt,
} from "../model/cams";
import { formatCount, formatShare } from "../model/number";
import { camTable } from "../model/tables";
import { CAMS, slotOf, valueOf } from "../resources";
import type { Point, Slot, State, Store } from "../state";
import { camImage, scaleKey, still } from "./camimage";
import { type Child, h, refill } from "./element";
import { exports } from "./export";
import { problem } from "./notices";
import type { Panel } from "./panel";
import { segments } from "./segments";

const MOST_SAMPLES = 24;

export function camPanel(state: State, store: Store, retry: () => void): Panel {
  const all = state.shown.map((name) => slotOf(state, name, CAMS));
  const first = all.find((slot) => slot.value)?.value;
  const columns = all.flatMap((slot, i) => {
    if (slot.value) return camColumn(slot.value, state, store);
    if (i > 0 && sameAbsence(all[i - 1]!, slot)) return [];
    const element = instead(slot, waits(state, i), retry);
    // What the server says of several runs side by side is said once.
    const next = all.findIndex((other, k) => k > i && !sameAbsence(slot, other));
    element.style.gridColumn = `span ${(next < 0 ? all.length : next) - i}`;
    return { element, paint() {}, point() {} };
  });
  const element = h(
    "section.section.cams",
    { "aria-label": "Grad-CAM" },
    h(
      "div.side",
      null,
      h("h2", null, "What it looks at"),
      h(
        "p",
        null,
        first
          ? `Grad-CAM of layer ${first.layer}, on held-out images`
          : "Grad-CAM on held-out images",
      ),
      first && exports("Grad-CAM", () => camTable(shownCams(state))),
    ),
    first &&
      h("div.full.tools", null, samples(first, state, store), targets(state, store), scaleKey("its largest value in the run")),
    first &&
      h(
        "div.side",
        null,
        h("p", null, "true → predicted, probability"),
        h("p", null, h("b.wrong", null, "✕"), " wrong"),
      ),
    columns.map((column) => column.element),
  );
  return {
    element,
    paint: () => columns.forEach((column) => column.paint()),
    point: (at) => columns.forEach((column) => column.point(at)),
  };
}

function shownCams(state: State): { name: string; cams: Cams }[] {
  return state.shown.flatMap((name) => {
    const cams = valueOf(state, name, CAMS);
    return cams ? { name, cams } : [];
  });
}

const sameAbsence = (one: Slot<Cams>, other: Slot<Cams>) =>
  one.absent === true && other.absent === true && one.failure === other.failure;

function instead(slot: Slot<Cams>, waiting: boolean, retry: () => void): HTMLElement {
  if (slot.failure && !slot.absent)
    return problem("The maps could not be fetched", slot.failure, retry);
  return h("p.quiet.cam-words", null, slot.failure ?? (waiting ? "Loading …" : ""));
}

const waits = (state: State, column: number) =>
  state.runs?.find((run) => run.run === state.shown[column])?.error === null;

function samples(cams: Cams, state: State, store: Store): HTMLElement {
  return h(
    "div.samples",
    { role: "group", "aria-label": "Probe image" },
    cams.samples.slice(0, MOST_SAMPLES).map((sample, i) =>
      h(
        "button.sample",
        {
          "data-key": `sample ${i}`,
          "aria-pressed": String(i === chosenSample(cams, state)),
          title: `Probe image ${sample.name}, class ${sample.true ?? "unknown"}`,
          "aria-label": `Probe image ${sample.name}, class ${sample.true ?? "unknown"}`,
          onclick: () => store.set({ sample: i }),
        },
        still(cams, i),
      ),
    ),
  );
}

const targets = (state: State, store: Store) =>
  segments(
    "map for",
    "Class that the map explains",
    [
      { value: "true", words: "true class" },
      { value: "predicted", words: "predicted class" },
    ],
    state.target === 0 ? "true" : "predicted",
    (value) => store.set({ target: value === "true" ? 0 : 1 }),
  );

const chosenSample = (cams: Cams, state: State) => Math.min(state.sample, cams.samples.length - 1);

const THUMB = 40;
const GAP = 8;

function camColumn(cams: Cams, state: State, store: Store): Panel {
  const sample = chosenSample(cams, state);
  const top = sampleScale(cams, sample, state.target);
  const big = h("div.cam-now");
  const strip = h("div.cam-strip");
  const draw = (snapshot: number) => {
    const image = camImage(cams, sample);
    image.show(snapshot, state.target, top);
    return image.element;
  };
  let shown = -1;
  let thumbs: HTMLElement[] = [];
  return {
    element: h("div.cam-column", null, big, strip),
    paint() {
      const room = Math.max(2, Math.floor((strip.clientWidth + GAP) / (THUMB + GAP)) * 2);
      thumbs = chooseSnapshots(cams.steps.length, room).map((snapshot) =>
        thumb(cams, snapshot, sample, draw, store),
      );
      refill(strip, ...thumbs);
      mark(thumbs, shown);
    },
    point(at: Point) {
      const snapshot = snapshotAt(cams.steps, at.step);
      if (snapshot === shown) return;
      shown = snapshot;
      const said = guessOf(cams, snapshot, sample);
      refill(
        big,
        draw(snapshot),
        h("p", null, caption(said)),
        h("p.quiet", null, note(cams, snapshot, sample, state)),
      );
      mark(thumbs, shown);
    },
  };
}

/** The thumbnail whose snapshot is the last one before the cursor. */
function mark(thumbs: HTMLElement[], shown: number): void {
  const current = thumbs.findLast((thumb) => Number(thumb.dataset.snapshot) <= shown);
  for (const thumb of thumbs) thumb.classList.toggle("on", thumb === current);
}

function thumb(
  cams: Cams,
  snapshot: number,
  sample: number,
  draw: (s: number) => HTMLElement,
  store: Store,
): HTMLElement {
  const step = cams.steps[snapshot]!;
  const said = guessOf(cams, snapshot, sample);
  return h(
    "button.thumb",
    {
      "data-key": `snapshot ${snapshot}`,
      "data-snapshot": snapshot,
      "aria-label": `Step ${formatCount(step)}: ${words(said)}`,
      title: `Step ${formatCount(step)}: ${words(said)}`,
      onclick: () => store.set({ step, hover: null }),
    },
    draw(snapshot),
    h("span.thumb-caption", null, formatCount(step), said.wrong && cross()),
  );
}

const words = ({ truth, predicted, confidence, wrong }: Guess) =>
  `${truth ?? "?"} → ${predicted ?? "NaN"}${confidence === null ? "" : `, ${formatShare(confidence)}`}${wrong ? ", wrong" : ""}`;

function caption({ truth, predicted, wrong }: Guess): Child[] {
  return [
    `${truth ?? "?"} → `,
    h("b", null, predicted === null ? "NaN" : String(predicted)),
    wrong && cross(),
  ];
}

const cross = () => h("b.wrong", { title: "wrong" }, "✕");

function note(cams: Cams, snapshot: number, sample: number, state: State): Child[] {
  const kind = content(mapOf(cams, snapshot, sample, state.target));
  const { confidence } = guessOf(cams, snapshot, sample);
  const lines = [
    confidence !== null && `${formatShare(confidence)} sure`,
    `step ${formatCount(cams.steps[snapshot]!)}`,
    kind === "empty" && "map is empty",
    kind === "undefined" && "no map: NaN",
  ];
  return lines
    .filter((line) => line !== false)
    .flatMap((line, i) => (i ? [h("br"), line] : [line]));
}
