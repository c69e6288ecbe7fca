import { expect, test } from "vitest";
import type { Layer, Metric, Run } from "../api";
import { FLOW, flowsOf } from "./flow";
import { graphOf } from "./graph";
import { buildPlot } from "./plot";

const metric = {
  name: FLOW,
  scale: "log",
  source: "training step",
  limits: [],
  not_measured: null,
} as unknown as Metric;

const layer = (name: string, inputs: string[], parameters = 72, role = "hidden") =>
  ({ name, inputs, parameters, role, type: "Dense", shape: [8], trainable: true }) as unknown as Layer;

/** The edges' flows at step 1, by "from to", where the layers have these gradients. */
function flows(layers: Layer[], gradients: number[], nonfinite: number[] = []) {
  const run = {
    run: "a",
    steps: [1, 2],
    last_step: 2,
    metrics: [metric],
    findings: [],
    rules: [],
    verdict: { severity: "ok" },
    model: { layers },
  } as unknown as Run;
  const steps = Float64Array.of(1, 2);
  const twice = (values: number[]) => Float32Array.from([...values, ...values]);
  const measured = { steps, layers: layers.length, values: twice(gradients) };
  const counts = { ...measured, values: twice(layers.map((_, i) => nonfinite[i] ?? 0)) };
  const plot = buildPlot([{ name: "a", run, measured, counts }], FLOW);
  const graph = graphOf(layers, new Set());
  const found = flowsOf(graph, plot.columns[0]!, plot, 1);
  const name = (id: string) => layers[Number(id.split(" ")[1])]?.name ?? id;
  return Object.fromEntries(
    graph.edges.map(({ from, to }, i) => [`${name(from)} ${name(to)}`, found[i]!]),
  );
}

test("an edge has the gradient of the layer that it leaves, the larger the further along", () => {
  const layers = [layer("a", []), layer("b", ["a"]), layer("c", ["b"], 72, "output")];
  const found = flows(layers, [0, 1e-6, 0.1]);
  expect(found["a b"]).toEqual({ kind: "zero", along: 0, words: "0 in a" });
  expect(found["b c"]).toMatchObject({ kind: "value", words: "1e-6 in b" });
  expect(found["c loss"]).toMatchObject({ kind: "value", words: "0.1 in c" });
  expect(found["c loss"]!.along).toBeGreaterThan(found["b c"]!.along);
});

test("a layer without weights hands on the strongest of what feeds it", () => {
  const layers = [
    layer("a", []),
    layer("b", []),
    layer("add", ["a", "b"], 0),
    layer("flat", ["add"], 0),
    layer("out", ["flat"], 72, "output"),
  ];
  const found = flows(layers, [1e-3, 0.1, NaN, NaN, 1]);
  expect(found["add flat"]!.words).toBe("0.1 in b");
  expect(found["flat out"]).toEqual(found["add flat"]);
});

test("NaN is no value, and what was not measured no zero", () => {
  const layers = [layer("in", [], 0), layer("a", ["in"]), layer("out", ["a"], 72, "output")];
  const found = flows(layers, [NaN, NaN, 1], [0, 3, 0]);
  expect(found["in a"]).toEqual({ kind: "none", along: 0, words: "not measured" });
  expect(found["a out"]).toMatchObject({ kind: "broken", words: "NaN or Inf in a" });
});

test("a circle of layers without weights ends", () => {
  const layers = [layer("a", ["b"], 0), layer("b", ["a"], 0), layer("out", ["b"], 72, "output")];
  expect(flows(layers, [NaN, NaN, 1])["b out"]!.kind).toBe("none");
});
