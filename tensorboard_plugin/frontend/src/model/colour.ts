/** Colour ramps, interpolated in OKLab so that equal distances look equal. */

type Triple = [number, number, number];

/** 256 colours, three bytes each, from the low end to the high end. */
export type Ramp = Uint8ClampedArray;

function channels(hex: string): Triple {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as Triple;
}

const toLinear = (byte: number) => {
  const c = byte / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
};

const fromLinear = (c: number) =>
  255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * Math.max(0, c) ** (1 / 2.4) - 0.055);

/** Matrices: Ottosson (2020), https://bottosson.github.io/posts/oklab/. */
export function toOklab(hex: string): Triple {
  const [r, g, b] = channels(hex).map(toLinear) as Triple;
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

export function fromOklab([L, a, b]: Triple): Triple {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((c) => Math.round(Math.min(255, Math.max(0, fromLinear(c))))) as Triple;
}

/** @param stops position in [0, 1] and colour, ascending, from 0 to 1. */
export function ramp(stops: [number, string][]): Ramp {
  const points = stops.map(([p, hex]) => [p, toOklab(hex)] as const);
  const bytes = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const p = i / 255;
    const j = Math.max(
      1,
      points.findIndex(([q]) => q >= p),
    );
    const [p0, c0] = points[j - 1]!;
    const [p1, c1] = points[j]!;
    const f = (p - p0) / (p1 - p0);
    bytes.set(fromOklab(c0.map((c, k) => c + (c1[k]! - c) * f) as Triple), i * 3);
  }
  return bytes;
}

const even = (colours: string[]): [number, string][] =>
  colours.map((colour, i) => [i / (colours.length - 1), colour]);

const uneven = (colours: string[]): [number, string][] =>
  colours.map((colour, i) => [[0, 0.17, 0.36, 0.5, 0.62, 0.78, 0.9, 1][i]!, colour]);

/** Healthy values sit where a ramp is neutral: low for shares, in the middle for the others. */
export const RAMPS = {
  light: {
    sequential: ramp(even(["#eef1f2", "#a9d3d6", "#5ea6bd", "#2c6f96", "#22406f", "#191f45"])),
    diverging: ramp(
      uneven([
        "#0b2f66",
        "#2f6fb4",
        "#b9d3ea",
        "#eef1f2",
        "#e9e2d8",
        "#d69a5c",
        "#9a4f12",
        "#572505",
      ]),
    ),
  },
  dark: {
    sequential: ramp(even(["#23282d", "#234a5c", "#2b7391", "#4ba3b8", "#94d0cf", "#e6f7ef"])),
    diverging: ramp(
      uneven([
        "#b5d8ff",
        "#62a3ea",
        "#24507f",
        "#2a2f35",
        "#3d352c",
        "#a5662a",
        "#eba45c",
        "#ffe0b5",
      ]),
    ),
  },
} as const;

/** The CSS colour at a position in [0, 1]. */
export function cssColour(of: Ramp, position: number): string {
  const i = rampIndex(position);
  return `rgb(${of[i]} ${of[i + 1]} ${of[i + 2]})`;
}

/** Whether white is easier to read on a colour than black. */
export function isDark(of: Ramp, position: number): boolean {
  const i = rampIndex(position);
  const [r, g, b] = [of[i]!, of[i + 1]!, of[i + 2]!].map(toLinear) as Triple;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.179; // equal contrast: WCAG 2.2, "contrast ratio"
}

export function rampIndex(position: number): number {
  return Math.round(Math.min(1, Math.max(0, position)) * 255) * 3;
}
