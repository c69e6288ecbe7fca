/** To take a chart along: as a picture of the section in which it stands, or as its numbers. */

import { csv, fileName, type Table } from "../model/csv";
import { h, svg } from "./element";

const MARGIN = 12; // pixels above and below
const SHARPNESS = 2; // pixels of the picture per pixel on the page, as far as a canvas reaches
const MOST_PIXELS = 16_000;

/** @param name of the file, and of the chart for those who hear the buttons. */
export function exports(name: string, table: () => Table): HTMLElement {
  const file = (ending: string) => `${fileName("tfdiag", name)}.${ending}`;
  const button = (words: string, title: string, what: () => Blob | Promise<Blob>) => {
    const element = h(
      "button",
      {
        "data-key": `export ${name} ${words}`,
        "aria-label": `Save ${name} as ${words}`,
        title,
        onclick: async () => {
          try {
            save(await what(), file(words.toLowerCase()));
          } catch {
            element.textContent = `No ${words} in this browser`;
          }
        },
      },
      words,
    );
    return element;
  };
  const all: HTMLElement = h(
    "p.exports",
    null,
    arrow(),
    button("PNG", "Save this chart as a picture", () => picture(all.closest("section") ?? all)),
    button("CSV", "Save the numbers as CSV", () => new Blob([csv(table())], { type: "text/csv" })),
  );
  return all;
}

/** That something is taken down from the page. */
const arrow = () =>
  svg(
    "svg",
    { class: "glyph", viewBox: "0 0 14 14", width: 11, height: 11, "aria-hidden": "true" },
    svg("path", { d: "M7 1v7.4M3.8 5.4L7 8.6l3.2-3.2M1.8 12.4h10.4", fill: "none", stroke: "currentColor", "stroke-width": 1.4 }),
  );

function save(content: Blob, name: string): void {
  const href = URL.createObjectURL(content);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/**
 * What a section looks like now, below the names of the runs: the browser itself draws a copy of
 * both, styles and all.
 */
async function picture(section: Element): Promise<Blob> {
  const page = section.closest(".page") ?? section;
  const parts = [page.querySelector(".heads"), section].filter((part) => part !== null);
  const width = page.clientWidth;
  const height = parts.reduce((sum, part) => sum + part.clientHeight, 2 * MARGIN);
  const scale = Math.min(SHARPNESS, MOST_PIXELS / width, MOST_PIXELS / height);
  const image = new Image();
  // Not a blob: a canvas that has drawn one gives nothing away.
  image.src = `data:image/svg+xml,${encodeURIComponent(asSvg(page, parts, width, height))}`;
  await image.decode();
  const canvas = h("canvas", { width: width * scale, height: height * scale });
  canvas.getContext("2d")!.drawImage(image, 0, 0, width * scale, height * scale);
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("nothing was drawn"))), "image/png"),
  );
}

function asSvg(page: Element, parts: Element[], width: number, height: number): string {
  const copy = page.cloneNode(false) as HTMLElement;
  // It depends on the window's width, which a picture does not have.
  const [gutter] = getComputedStyle(parts.at(-1)!).gridTemplateColumns.split(" ");
  copy.style.setProperty("--gutter", gutter ?? "");
  copy.append(h("div", null, parts.map(copyOf)));
  const root = svg(
    "svg",
    { width, height, "data-theme": document.documentElement.dataset.theme },
    svg("style", null, document.querySelector("style")?.textContent ?? ""),
    svg("foreignObject", { width: "100%", height: "100%" }, h("div.exported", null, copy)),
  );
  return new XMLSerializer().serializeToString(root);
}

/** A copied canvas is empty, so its picture becomes the background. */
function copyOf(element: Element): Element {
  const copy = element.cloneNode(true) as Element;
  const copies = copy.querySelectorAll("canvas");
  element.querySelectorAll("canvas").forEach((canvas, i) => {
    const drawn = canvas.width && canvas.height ? canvas.toDataURL() : "";
    copies[i]!.style.background = `url("${drawn}") 0 0 / 100% 100%`;
    copies[i]!.style.imageRendering = getComputedStyle(canvas).imageRendering;
  });
  return copy;
}
