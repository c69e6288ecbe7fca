/** Numbers and times as a reader wants them: short, with their unit, never a made-up zero. */

export type Scale = "log" | "share" | "linear" | "count";

const MINUS = "−";

export function formatValue(value: number, scale: Scale): string {
  if (Number.isNaN(value)) return "–";
  if (scale === "share") return formatShare(value);
  if (scale === "count") return formatCount(value);
  return formatMagnitude(value);
}

/** 0.97 -> "97 %"; small shares keep a digit, so that 0.4 % is not read as none. */
export function formatShare(share: number): string {
  const percent = share * 100;
  const digits = percent === 0 || Math.abs(percent) >= 9.95 || Number.isInteger(percent) ? 0 : 1;
  if (percent !== 0 && Math.abs(percent) < 0.1) return `${formatMagnitude(percent)} %`;
  return `${percent.toFixed(digits)} %`;
}

/** 12345 -> "12,345" */
export function formatCount(count: number): string {
  return whole.format(Math.round(count));
}

const whole = new Intl.NumberFormat("en-US"); // made once: a redraw writes hundreds of counts

/** Two digits that count: "0.042", "2.3", "640", "7.1e-8". */
export function formatMagnitude(value: number): string {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return value > 0 ? "Inf" : `${MINUS}Inf`;
  const size = Math.abs(value);
  if (size < 0.001 || size >= 100_000) {
    return value.toExponential(1).replace(".0e", "e").replace("e+", "e").replace(/^-/, MINUS);
  }
  const text =
    size >= 1000 ? formatCount(size) : String(Number(size.toPrecision(size < 100 ? 2 : 3)));
  return value < 0 ? MINUS + text : text;
}

const WRITTEN = /(?<![\w./-])-?(\d+(?:\.\d+)?)e([+-]\d+)(?!\w)/g;

/** Numbers in Python's messages as all others here: "1e-03" is 0.001, "3.6e+18" is 3.6e18. */
export function readableNumbers(text: string): string {
  return text.replace(WRITTEN, (written, digits: string, exponent: string) => {
    const value = Number(written);
    const size = Math.abs(value);
    const short = `${digits}e${Number(exponent)}`;
    const plain = size < 0.001 || size >= 100_000 ? short : groups.format(size);
    return value < 0 ? MINUS + plain : plain;
  });
}

const groups = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 12 });

/** A limit or tick: as few characters as identify it, "1e-7" and "0.1". */
export function formatTick(value: number, scale: Scale): string {
  if (scale === "share") return formatShare(value);
  const exponent = Math.log10(Math.abs(value));
  if (value !== 0 && Number.isInteger(exponent) && Math.abs(exponent) > 3) return `1e${exponent}`;
  return formatMagnitude(value);
}

/** 90 -> "2 min": how long ago, in one unit. */
export function formatAge(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 2 * 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** As it was set: 0.001, 47,530; single precision leaves no trail of digits. */
export function formatSetting(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  if (Number.isInteger(value)) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  return String(Number(value.toPrecision(6)));
}

export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}
