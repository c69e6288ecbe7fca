/** What is known of one layer at the cursor: facts, findings so far, and which rules do not concern it. */

import type { Finding, Layer, Run } from "../api";
import { foundBy, isJudged } from "../model/health";
import { formatCount, plural } from "../model/number";
import { layerAt, type Plot } from "../model/plot";
import { called } from "../requests";
import type { Point, State, Store } from "../state";
import { type Child, h, prose } from "./element";
import { exemptions } from "./exemptions";
import { glyph } from "./glyph";
import { weights } from "./gutter";
import { key } from "./heads";
import { reading } from "./reading";

/** What the layer is, in the first run that has it. */
export function layerFacts(plot: Plot, at: Point, store: Store): Child[] {
  const row = plot.layers.indexOf(at.layer ?? "");
  const owner = plot.columns.find((column) => layerAt(column, row));
  if (!owner || at.layer === null) return [h("p.quiet", null, "No layer is chosen.")];
  const layer = layerAt(owner, row)!;
  return [
    h("h3.facts-name", { title: layer.name }, h("code", null, layer.name)),
    h(
      "button.small",
      {
        "data-key": "open layer",
        onclick: () => store.set({ view: "layer", layer: at.layer, hover: null }),
      },
      "Open layer",
    ),
    facts(layer, owner.run!),
  ];
}

/** Run by run its value and what was found about it until now. */
export function layerHealth(plot: Plot, at: Point, store: Store): HTMLElement[] {
  const row = plot.layers.indexOf(at.layer ?? "");
  return plot.columns.map((column, i) =>
    column.run ? health(plot, i, column.run, layerAt(column, row), at, store) : h("div"),
  );
}

/** From which rules the layer is exempt. */
export function layerExemptions(plot: Plot, at: Point, state: State, store: Store): Child {
  const row = plot.layers.indexOf(at.layer ?? "");
  const of = plot.columns.map((column) => ({ run: column.run, layer: layerAt(column, row) }));
  return exemptions(of, state, store);
}

function facts(layer: Layer, run: Run): HTMLElement {
  const feeds = run.model.layers.filter(({ inputs }) => inputs.includes(layer.name));
  const shape = layer.shape.map((n) => n ?? "?").join(" × ");
  const rows: [string, Child][] = [
    ["Type", layer.type],
    ["Output", shape || "shape not known"],
    ["Activation", layer.activation ?? "linear"],
    ["Role", layer.role],
    ["Parameters", weights(layer)],
    ["Training", layer.parameters === 0 ? "nothing to train" : layer.trainable ? "trainable" : "frozen"],
    ["Fed by", layer.inputs.length ? listed(layer.inputs) : "not recorded, or the input"],
    ["Feeds", feeds.length ? listed(feeds.map(({ name }) => name)) : endsIn(layer)],
  ];
  return h(
    "dl.facts",
    null,
    rows.map(([term, words]) => [h("dt", null, term), h("dd", null, words)]),
  );
}

const FEW = 8;

function listed(names: readonly string[]): Child[] {
  const rest = names.length - FEW;
  return [h("code", null, names.slice(0, FEW).join(", ")), rest > 0 && ` and ${formatCount(rest)} more`];
}

const endsIn = ({ role }: Layer) => (role === "output" ? "the loss" : "not recorded");

function health(
  plot: Plot,
  column: number,
  run: Run,
  layer: Layer | undefined,
  at: Point,
  store: Store,
): HTMLElement {
  const name = layer?.name ?? "";
  const found = foundBy(run, name, at.step);
  const later = run.findings.filter((f) => f.layer === name && f.step > at.step);
  const next = Math.min(...later.map(({ step }) => step));
  return h(
    "section.facts-run",
    { "aria-label": called(run.run) },
    h("p.facts-value", null, key(column), ...reading(plot.columns[column]!, plot, at)),
    layer && [
      found.length > 0
        ? h("ul", null, found.map(finding))
        : h("p.quiet", null, silence(run, at.step)),
      later.length > 0 &&
        h(
          "button.link",
          {
            "data-key": `later ${column}`,
            onclick: () => store.set({ step: next, hover: null }),
          },
          `${plural(later.length, "finding")} later, from step ${formatCount(next)}`,
        ),
    ],
  );
}

const silence = (run: Run, step: number) =>
  isJudged(run) ? `No finding up to step ${formatCount(step)}.` : "No rule was evaluated yet.";

function finding({ severity, title, evidence, step, message }: Finding): HTMLElement {
  return h(
    "li",
    { title: message },
    glyph(severity, 13),
    h(
      "span",
      null,
      h("b", null, title),
      " ",
      prose(evidence),
      h("span.quiet", null, ` since step ${formatCount(step)}`),
    ),
  );
}
