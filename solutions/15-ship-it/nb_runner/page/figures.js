// What the cells of an executed notebook have shown beside text: pictures, and HTML.

import { frame } from "./frame.js";

/** A `figure` for each, in their order. The text of a cell is not among them. */
export function figuresOf(notebook) {
  return notebook.cells.flatMap((cell) =>
    (cell.outputs ?? []).flatMap((output) => {
      const shown = picture(output, cell) ?? page(output);
      return shown ? [figure(shown)] : [];
    }),
  );
}

/** As a picture it runs no script, whatever an SVG may hold. */
function picture({ data = {}, metadata = {} }, cell) {
  const kind = Object.keys(data).find((each) => each.startsWith("image/"));
  if (!kind) return null;
  const image = document.createElement("img");
  const source = text(data[kind]);
  const content = kind.includes("svg") ? encodeURIComponent(source) : source.replace(/\s/g, "");
  image.src = `data:${kind}${kind.includes("svg") ? "," : ";base64,"}${content}`;
  image.alt = metadata[kind]?.alt ?? metadata.alt ?? cell.metadata.alt ?? "Figure without a title";
  return image;
}

/** HTML, unless it has a form of text that says the same, as a table has: "<" begins one that
 * only names a Python object. */
function page({ data = {} }) {
  const html = data["text/html"];
  if (!html || !text(data["text/plain"] ?? "<").startsWith("<")) return null;
  return frame(text(html), "What a cell has shown");
}

function figure(shown) {
  const element = document.createElement("figure");
  element.append(shown);
  return element;
}

/** nbformat allows a list of lines. */
const text = (value) => (Array.isArray(value) ? value.join("") : value);
