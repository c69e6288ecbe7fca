/** What is known of one layer at the cursor: facts, findings so far, and who leaves it out. */

import type { Finding, Layer, Run } from "../api";
import { exemptFrom, foundBy, isJudged } from "../model/health";
import { formatCount, plural } from "../model/number";
import { layerAt, type Plot } from "../model/plot";
import type { Point, Store } from "../state";
import { h, prose } from "./element";
import { glyph } from "./glyph";
import { weights } from "./gutter";
import { key } from "./heads";
import { reading } from "./reading";

/** @param columns the runs that are told of, from left to right. */
export function layerFacts(
  plot: Plot,
  columns: readonly number[],
  at: Point,
  store: Store,
): (HTMLElement | null)[] {
  const row = plot.layers.indexOf(at.layer ?? "");
  const layers = columns.map((column) => layerAt(plot.columns[column]!, row));
  const first = layers.find((layer) => layer !== undefined);
  if (!first || at.layer === null) return [h("p.quiet", null, "No layer is chosen.")];
  const owner = columns[layers.indexOf(first)]!;
  return [
    h("h3.facts-name", { title: first.name }, h("code", null, first.name)),
    h(
      "button.small",
      {
        "data-key": "open layer",
        onclick: () => store.set({ view: "layer", layer: at.layer, hover: null }),
      },
      "Open layer",
    ),
    facts(first, plot.columns[owner]!.run!),
    ...columns.map((column, i) => {
      const { run } = plot.columns[column]!;
      return run ? health(plot, column, run, layers[i], at, store) : null;
    }),
  ];
}

function facts(layer: Layer, run: Run): HTMLElement {
  const feeds = run.model.layers.filter(({ inputs }) => inputs.includes(layer.name));
  const shape = layer.shape.map((n) => n ?? "?").join(" × ");
  const rows: [string, string][] = [
    ["Type", layer.type],
    ["Output", shape || "shape not known"],
    ["Activation", layer.activation ?? "linear"],
    ["Role", layer.role],
    ["Parameters", weights(layer)],
    ["Training", layer.parameters === 0 ? "nothing to train" : layer.trainable ? "trainable" : "frozen"],
    ["Fed by", listed(layer.inputs) || "not recorded, or the input"],
    ["Feeds", listed(feeds.map(({ name }) => name)) || endsIn(layer)],
  ];
  return h(
    "dl.facts",
    null,
    rows.map(([term, words]) => [h("dt", null, term), h("dd", null, words)]),
  );
}

const FEW = 8;

function listed(names: readonly string[]): string {
  const rest = names.length - FEW;
  return names.slice(0, FEW).join(", ") + (rest > 0 ? ` and ${formatCount(rest)} more` : "");
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
    { "aria-label": run.run },
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
      exemptFrom(run, name).map(({ rule, reason }) =>
        h("p.exempt", null, glyph("exempt", 11), `exempt from ${rule}: ${reason}`),
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
