/** Code to take along. */

import { h } from "./element";

export function copyButton(code: string, key: string): HTMLElement {
  const button = h(
    "button.small",
    { "data-key": `copy ${key}`, onclick: () => void copy() },
    "Copy",
  );
  const copy = async () => {
    button.textContent = (await toClipboard(code)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 1600);
  };
  return button;
}

/** TensorBoard is often served over plain http, where browsers have no clipboard interface. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { style: "position:fixed;opacity:0", "aria-hidden": "true" }, text);
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
