/** The Health tab. TensorBoard imports this module and calls `render()`, once. */

import { type Ahead, Feed, type Wants } from "./feed";
import {
  isVisible,
  nameWindow,
  onAddress,
  onVisible,
  openChannel,
  readAddress,
  readSetting,
  runFilter,
  watchTheme,
  whenIdle,
  writeAddress,
  writeSetting,
} from "./host";
import { FOLDER } from "./resources";
import { fromAddress, initialState, Store, toAddress } from "./state";
import { page } from "./views/page";
import { railWants } from "./views/rail";
import { KINDS } from "./views/views";
import style from "./views/style.css?inline";

const LINKED = ["view", "shown", "picked", "sort", "metric", "step", "layer", "sample", "choices"] as const;
const NARROW = 1100; // pixels; below, the rail begins folded

export function render(): void {
  nameWindow();
  document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
  const railOpen =
    (readSetting("rail") ?? (window.innerWidth < NARROW ? "folded" : "open")) === "open";
  const store = new Store({ ...initialState(readAddress()), filter: runFilter(), railOpen });
  const wants: Wants = (state, run) => {
    const kind = KINDS[state.view];
    if (run !== FOLDER) return kind.wants(state, run);
    return [...(kind.ofFolder ?? []), ...railWants(state)];
  };
  const ahead: Ahead = (state) => KINDS[state.view].ahead?.(state) ?? [];
  const feed = new Feed(store, isVisible, wants, ahead, whenIdle);
  const channel = openChannel();

  const reload = async () => {
    const [names] = await Promise.all([channel.runNames(), feed.refresh()]);
    store.set({ names: names ?? store.get().runs?.map((run) => run.run) ?? [] });
  };
  watchTheme((dark) => store.set({ dark }));
  document.body.append(page(store, () => feed.retry()));
  store.listen((state, changed) => {
    if (changed.has("railOpen")) writeSetting("rail", state.railOpen ? "open" : "folded");
    if (!LINKED.some((key) => changed.has(key))) return;
    for (const [key, value] of Object.entries(toAddress(state))) writeAddress(key, value);
  });
  onAddress(() => {
    const address = readAddress();
    const known = Object.entries(toAddress(store.get())).every(
      ([k, v]) => (address[k] ?? "") === v,
    );
    // The address of another tab, or our own writing, says nothing new.
    if (isVisible() && Object.keys(address).length && !known) store.set(fromAddress(address));
  });
  channel.onReload(() => void reload());
  onVisible(() => feed.wake());
  void reload();
}
