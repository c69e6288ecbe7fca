import { expect, test } from "vitest";
import type { Limit, Measurements, Metric } from "../api";
import {
  BLANK,
  BROKEN,
  cellAt,
  type Cells,
  cellsOf,
  columns,
  layerContents,
  linePixels,
  neighbour,
  rowPixels,
  runEnd,
  stepTicks,
  typicalGap,
} from "./cells";
import { type ColourScale, colourScale } from "./scale";

function measured(steps: number[], rows: number[][]): Measurements {
  return {
    steps: Float64Array.from(steps),
    layers: rows[0]?.length ?? 0,
    values: Float32Array.from(rows.flat()),
  };
}

const share: ColourScale = {
  kind: "share",
  ramp: "sequential",
  id: "share",
  lo: 0,
  hi: 1,
  ticks: [],
  limits: [],
  rises: true,
  position: (v) => v,
  along: (v) => v,
};

test("counts that were fetched at another time are taken at their own steps", () => {
  const values = measured([10, 20, 30], [[NaN], [1], [NaN]]);
  const cells = cellsOf(values, measured([5, 10, 30, 40], [[1], [1], [0], [1]]));
  expect(cells.steps).toEqual([10, 20]);
  expect([cells.broken(0, 0), cells.broken(1, 0)]).toEqual([true, false]);
  expect(cellsOf(values, measured([10, 20, 30], [[1, 1], [1, 1], [1, 1]])).steps).toEqual([20]);
});

test("a probe measure lasts until the next step at which it was taken", () => {
  const cells = cellsOf(measured([10, 20, 30, 40, 50], [[0.5], [NaN], [NaN], [0.75], [NaN]]), null);
  expect(cells.steps).toEqual([10, 40]);
  expect(cells.end).toBe(60); // no further than the run itself
  expect(cellAt(cells, 39)).toBe(0);
  expect(cellAt(cells, 40)).toBe(1);
  expect(cellAt(cells, 9)).toBe(-1);
  expect(cellAt(cells, 61)).toBe(-1);
  const spans = columns(cells, 60, 6);
  expect([...rowPixels(cells, 0, spans, share)]).toEqual([BLANK, 0.5, 0.5, 0.5, 0.75, 0.75]);
});

test("a record in which all is NaN was taken if the counts say so", () => {
  const cells = cellsOf(measured([1, 2], [[0.5], [NaN]]), measured([1, 2], [[0], [7]]));
  expect(cells.steps).toEqual([1, 2]);
  expect(cells.broken(1, 0)).toBe(true);
  expect([...rowPixels(cells, 0, columns(cells, 3, 3), share)]).toEqual([BLANK, 0.5, BROKEN]);
});

test("in a crowded pixel NaN wins, then what is furthest from neutral", () => {
  const values = measured(
    [0, 1, 2, 3],
    [
      [0.25, 0.25],
      [1, NaN],
      [0.5, 0.5],
      [0.25, 0.125],
    ],
  );
  const counts = measured(
    [0, 1, 2, 3],
    [
      [0, 0],
      [0, 3],
      [0, 0],
      [0, 0],
    ],
  );
  const cells = cellsOf(values, counts);
  expect([...rowPixels(cells, 0, columns(cells, 4, 1), share)]).toEqual([1]);
  expect([...rowPixels(cells, 1, columns(cells, 4, 1), share)]).toEqual([BROKEN]);
  const diverging = { ...share, ramp: "diverging" as const };
  expect(
    [...rowPixels(cellsOf(measured([0, 1], [[0.4], [0.9]]), null), 0, [[0, 1]], diverging)][0],
  ).toBeCloseTo(0.9);
});

/** What a pixel shows, looked up cell by cell. */
function lookedUp(cells: Cells, layer: number, [first, last]: [number, number], scale: ColourScale) {
  const neutral = scale.ramp === "diverging" ? 0.5 : 0;
  let shown = BLANK;
  for (let c = first; c >= 0 && c <= last; c++) {
    const value = cells.value(c, layer);
    if (cells.broken(c, layer)) return BROKEN;
    if (Number.isNaN(value)) continue;
    const colour = Math.fround(scale.position(value));
    if (shown === BLANK || Math.abs(colour - neutral) > Math.abs(shown - neutral)) shown = colour;
  }
  return shown;
}

test("a pixel shows what looking up each of its cells comes to", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const limit = (value: number, above: boolean) => ({ severity: "warn", rule: "r", value, above });
  const of = (kind: Metric["scale"], ...limits: ReturnType<typeof limit>[]) =>
    colourScale({ scale: kind } as Metric, limits as Limit[], [1e-9, 1, 300], [0.01, 0.1]);
  const scales = [
    of("log"),
    of("log", limit(1e-7, false), limit(10, true)),
    of("log", limit(10, false), limit(1e-7, true)), // they cross: larger values do not lie higher
    of("linear"),
    of("share"),
    of("count"),
  ];
  expect(scales.map(({ rises }) => rises)).toEqual([true, true, false, true, true, true]);
  const kinds = [() => NaN, () => 0, () => -3 * random(), () => 20 * random(), () => 1e-9, () => 1e9];
  const number = () => kinds[Math.floor(random() * 12)]?.() ?? 10 ** (6 * random() - 5);
  for (const scale of scales) {
    for (const [steps, width] of [[400, 90], [7, 90]] as const) {
      const at = Array.from({ length: steps }, (_, i) => 3 * i);
      const counts = measured(at, at.map(() => [random() < 0.01 ? 1 : 0, 0]));
      const cells = cellsOf(measured(at, at.map(() => [number(), number()])), counts);
      const spans = columns(cells, cells.end, width);
      for (const layer of [0, 1]) {
        const slowly = spans.map((span) => lookedUp(cells, layer, span, scale));
        expect([...rowPixels(cells, layer, spans, scale)]).toEqual(slowly);
      }
    }
  }
});

test("a line of several layers shows the most telling of them in each pixel", () => {
  const rows = [
    [0.25, 0.5, NaN],
    [0.75, NaN, NaN],
    [NaN, NaN, NaN],
    [0.25, 0.125, NaN],
  ];
  const counts = rows.map((_, step) => [0, 0, step === 3 ? 5 : 0]);
  const cells = cellsOf(measured([0, 1, 2, 3], rows), measured([0, 1, 2, 3], counts));
  const spans: [number, number][] = [[0, 0], [1, 1], [2, 2], [-1, -1]]; // one step was not measured
  expect([...linePixels(cells, [0, 1, 2], spans, share)]).toEqual([0.5, 0.75, BROKEN, BLANK]);
  expect([...linePixels(cells, [2, 1, 0], spans, share)]).toEqual([0.5, 0.75, BROKEN, BLANK]);
  expect([...linePixels(cells, [0], spans, share)]).toEqual([...rowPixels(cells, 0, spans, share)]);
  const diverging = { ...share, ramp: "diverging" as const };
  expect([...linePixels(cells, [0, 1], [[2, 2]], diverging)]).toEqual([0.125]);
});

test("null is a gap: a layer that was skipped at a measured step stays blank there", () => {
  const cells = cellsOf(
    measured(
      [0, 1, 2],
      [
        [0.5, 0.5],
        [NaN, 0.5],
        [0.5, 0.5],
      ],
    ),
    null,
  );
  expect([...rowPixels(cells, 0, columns(cells, 3, 3), share)]).toEqual([0.5, BLANK, 0.5]);
  expect(layerContents(cellsOf(measured([0], [[NaN, 1]]), null))).toEqual(["nothing", "values"]);
  const counts = measured([0], [[5, 0]]);
  expect(layerContents(cellsOf(measured([0], [[NaN, 1]]), counts))).toEqual(["broken", "values"]);
});

test("columns agree with looking up each pixel's middle", () => {
  const steps = [3, 4, 9, 20, 21, 50];
  const cells = cellsOf(
    measured(
      steps,
      steps.map((s) => [s]),
    ),
    null,
  );
  columns(cells, 90, 450).forEach(([first, last], p) => {
    const cell = cellAt(cells, ((p + 0.5) / 450) * 90);
    expect(cell < 0 ? first < 0 || first === 0 || last === 5 : first <= cell && cell <= last).toBe(
      true,
    );
  });
});

test("a short or empty recording has an axis too", () => {
  expect(typicalGap([1, 21, 41, 100])).toBe(20);
  expect(runEnd([])).toBe(1);
  expect(runEnd([40])).toBe(44);
  expect(columns(cellsOf(measured([], []), null), 10, 2)).toEqual([
    [-1, -1],
    [-1, -1],
  ]);
});

test("arrow keys and ticks", () => {
  expect(neighbour([1, 20, 40], 20, 1)).toBe(40);
  expect(neighbour([1, 20, 40], 20, -1)).toBe(1);
  expect(neighbour([1, 20, 40], 40, 1)).toBe(40);
  expect(neighbour([], 7, -1)).toBe(7);
  expect(stepTicks(560, 4)).toEqual([0, 200, 400]);
  expect(stepTicks(3, 6)).toEqual([0, 1, 2, 3]);
});
