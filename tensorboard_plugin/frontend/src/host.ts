/**
 * TensorBoard around us: its messages, theme, address, filter and colours.
 *
 * The tab lives in an iframe of the same origin. TensorBoard offers two messages; the rest is
 * read from its page, where a change of TensorBoard must cost no more than the feature. Opened
 * in a window of its own there is no host, and each function answers without one.
 */

const alone = window.parent === window;

/** The host's window, or our own when there is none. */
function hostWindow(): Window {
  try {
    void window.parent.location.href; // throws when the parent is of another origin
    return window.parent;
  } catch {
    return window;
  }
}

/** What a window of its own is called; in TensorBoard's the name is for screen readers. */
export function nameWindow(): void {
  document.title = "Health";
  document.documentElement.lang = "en";
}

// --- messages ---------------------------------------------------------------------------------

const REPLY_MS = 1000; // opened alone, nobody ever answers

interface Message {
  type: string;
  id: number;
  payload: unknown;
  error: string | null;
  isReply: boolean;
}

export interface Channel {
  /** Names of all runs, in the order in which TensorBoard colours them; null without a host. */
  runNames(): Promise<string[] | null>;
  /** Calls back when TensorBoard has read its log folder again. */
  onReload(listener: () => void): void;
}

export function openChannel(): Channel {
  const { port1: port, port2 } = new MessageChannel();
  const waiting = new Map<number, (payload: unknown) => void>();
  const listeners: (() => void)[] = [];
  let lastId = 0;

  port.onmessage = (event: MessageEvent<string>) => {
    const message = JSON.parse(event.data) as Message;
    if (message.isReply) {
      waiting.get(message.id)?.(message.error ? null : message.payload);
      return;
    }
    port.postMessage(JSON.stringify({ ...message, payload: null, error: null, isReply: true }));
    if (message.type === "experimental.DataReloaded") listeners.forEach((tell) => tell());
  };
  if (!alone) window.parent.postMessage("experimental.bootstrap", "*", [port2]);

  const ask = (type: string) =>
    new Promise<unknown>((resolve) => {
      const id = lastId++;
      const done = (payload: unknown) => {
        waiting.delete(id);
        resolve(payload);
      };
      waiting.set(id, done);
      setTimeout(() => done(null), alone ? 0 : REPLY_MS);
      port.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: false }));
    });

  return {
    async runNames() {
      const names = await ask("experimental.GetRuns");
      return Array.isArray(names) ? names.filter((name) => typeof name === "string") : null;
    },
    onReload: (listener) => void listeners.push(listener),
  };
}

// --- theme ------------------------------------------------------------------------------------

/** Tells now, and at each change, whether TensorBoard is dark. */
export function watchTheme(tell: (dark: boolean) => void): void {
  const body = hostWindow().document.body;
  if (alone || hostWindow() === window) {
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", () => tell(media.matches));
    tell(media.matches);
    return;
  }
  const isDark = () => body.classList.contains("dark-mode");
  new MutationObserver(() => tell(isDark())).observe(body, { attributeFilter: ["class"] });
  tell(isDark());
}

// --- visibility -------------------------------------------------------------------------------

/** False while another tab of TensorBoard, or of the browser, is in front. */
export function isVisible(): boolean {
  return window.innerHeight > 0 && document.visibilityState === "visible";
}

export function onVisible(listener: () => void): void {
  const tell = () => isVisible() && listener();
  new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && tell()).observe(
    document.body,
  );
  document.addEventListener("visibilitychange", tell);
}

/** Does something when the browser has nothing else to do; not every browser says when that is. */
export function whenIdle(task: () => void): void {
  if ("requestIdleCallback" in window) window.requestIdleCallback(task);
  else setTimeout(task, 100);
}

// --- address ----------------------------------------------------------------------------------

const PREFIX = "p.tfdiag.";

/** What a link to this tab says: the keys after `p.tfdiag.` in TensorBoard's address. */
export function readAddress(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of hostWindow().location.hash.slice(1).split("&")) {
    const [key = "", value = ""] = part.split("=", 2);
    if (!key.startsWith(PREFIX)) continue;
    try {
      found[key.slice(PREFIX.length)] = decodeURIComponent(value);
    } catch {
      // A mangled link loses this key only.
    }
  }
  return found;
}

interface Storage {
  setString(key: string, value: string, options: object): void;
}

/** Writes one key without a new entry in the browser's history; an empty value removes it. */
export function writeAddress(key: string, value: string): void {
  if ((readAddress()[key] ?? "") === value) return;
  const host = hostWindow() as Window & { tensorboard?: { tf_storage?: Storage } };
  const options = { defaultValue: "", useLocationReplace: true };
  try {
    if (!alone && host.tensorboard?.tf_storage) {
      host.tensorboard.tf_storage.setString(PREFIX + key, value, options);
      return;
    }
  } catch {
    // TensorBoard's own store is not a promise to us; the address itself is.
  }
  const kept = host.location.hash
    .slice(1)
    .split("&")
    .filter((part) => part && !part.startsWith(`${PREFIX}${key}=`));
  if (value) kept.push(`${PREFIX}${key}=${encodeURIComponent(value)}`);
  const { pathname, search } = host.location;
  host.history.replaceState(host.history.state, "", `${pathname}${search}#${kept.join("&")}`);
}

export function onAddress(listener: () => void): void {
  hostWindow().addEventListener("hashchange", listener);
}

/** The filter of the Time Series tab, to begin with the same one. */
export function runFilter(): string {
  return new URLSearchParams(hostWindow().location.search).get("runFilter") ?? "";
}

// --- colours ----------------------------------------------------------------------------------

const LIGHT = ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"];
const DARK = ["#8e98a3", ...LIGHT.slice(1)];

/** The colour that TensorBoard gives a run by default: its palette, in the order of the runs. */
export function runColour(names: readonly string[], run: string, dark: boolean): string {
  const palette = dark ? DARK : LIGHT;
  const index = names.indexOf(run);
  return index < 0 ? "transparent" : palette[index % palette.length]!;
}

// --- settings ---------------------------------------------------------------------------------

export function readSetting(key: string): string | null {
  try {
    return localStorage.getItem(`tfdiag.${key}`);
  } catch {
    return null; // a browser may forbid storage; then nothing is remembered
  }
}

export function writeSetting(key: string, value: string): void {
  try {
    localStorage.setItem(`tfdiag.${key}`, value);
  } catch {
    // As above.
  }
}
