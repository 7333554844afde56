// The output of a run that has ended: its text, its notebook, and that as a page.

import { Refused, call, pieces } from "./server.js";

const LONGEST = 200_000; // characters that are shown
const PATIENCE = 120_000; // ms for a large notebook on a slow line

const $ = (id) => document.getElementById(id);
const note = (text) => ($("output-note").textContent = text);
let shown = null; // id of the run whose output is here

/** Show the output of that run; null: of none. */
export async function showOutput(id) {
  if (id === shown) return;
  shown = id;
  $("output").hidden = true;
  closePage();
  if (id === null) return;
  try {
    let text = "";
    for await (const piece of pieces(await fetchOutput(id, "text"))) {
      text += piece;
      if (text.length > LONGEST) break;
    }
    if (id !== shown) return; // another one was chosen meanwhile
    $("output-text").textContent = text.slice(0, LONGEST);
    const start = `These are the first ${LONGEST.toLocaleString("en")} characters. `;
    if (text.length > LONGEST) note(`${start}The notebook has all of them.`);
    else note(text ? "" : "It printed nothing.");
    $("output").hidden = false;
  } catch (error) {
    // 404: it left none. Anything else: the next look at the runs tries again.
    if (id === shown && error.status !== 404) shown = null;
  }
}

const fetchOutput = (id, format) =>
  call(`output/${id}?format=${format}`, { signal: AbortSignal.timeout(PATIENCE) });

/** The output as a file, or null when there was a problem; says so. */
async function fetchFile(format, meanwhile) {
  note(meanwhile);
  try {
    const content = await (await fetchOutput(shown, format)).blob();
    note("");
    return content;
  } catch (error) {
    note(error instanceof Refused ? error.message : "The server did not answer. Try again.");
    return null;
  }
}

/** By way of a blob, since a plain link could not send the key. */
async function download() {
  const name = `${shown}.ipynb`;
  const notebook = await fetchFile("ipynb", "Fetching the notebook…");
  if (!notebook) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(notebook);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** In a sandbox: whatever the notebook printed, it runs no script and reaches nothing of ours. */
async function togglePage() {
  if (!$("report").hidden) return closePage();
  const id = shown;
  const html = await (await fetchFile("html", "Making the page…"))?.text();
  if (!html || id !== shown) return;
  const frame = document.createElement("iframe");
  frame.title = `Notebook of run ${id}`;
  frame.src = "page/report.html"; // it says why
  frame.onload = () => (frame.contentDocument.querySelector("iframe").srcdoc = html);
  $("report").replaceChildren(frame);
  $("report").hidden = false;
  $("as-page").setAttribute("aria-expanded", "true");
}

function closePage() {
  $("report").replaceChildren();
  $("report").hidden = true;
  $("as-page").setAttribute("aria-expanded", "false");
}

$("download").onclick = download;
$("as-page").onclick = togglePage;
