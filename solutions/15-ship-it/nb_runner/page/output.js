// The output of a run: its text, while it runs and after; its figures; its notebook, that as a
// page, its files.

import { figuresOf } from "./figures.js";
import { frame } from "./frame.js";
import { Lost, Refused, call, lost, pieces } from "./server.js";
import { active, size } from "./words.js";

const LONGEST = 200_000; // characters that are shown
const LARGEST = 20_000_000; // bytes of a notebook that is fetched for its figures
const PATIENCE = 120_000; // ms for a large notebook on a slow line
const DRAW_EVERY = 100; // ms

const $ = (id) => document.getElementById(id);
const note = (text) => {
  if ($("output-note").textContent !== text) $("output-note").textContent = text;
};
let shown = null; // id of the run whose output is here
let live = false; // whether that run had not ended when its output was asked for
let following = new AbortController(); // ends the request for the output of a run that goes on

/** Show the output of that run. While it runs, that grows. */
export async function showOutput(run) {
  if (run.run_id === shown && active(run) === live) return;
  const [id, going] = [run.run_id, active(run)];
  const same = id === shown;
  shown = id;
  live = going;
  following.abort();
  closePage();
  if (!same || !going) showFiles(run);
  $("figures").replaceChildren();
  $("output-forms").hidden = going;
  if (!same) $("output").hidden = true;
  try {
    if (going) await follow(id);
    else await Promise.all([showText(id), showFigures(id)]);
  } catch (error) {
    if (id !== shown || going !== live) return; // another one was chosen meanwhile
    if (!(error instanceof Lost || error instanceof Refused)) throw error;
    // 404: it left none. Anything else: the next look at the runs tries again.
    if (error.status === 404) $("output").hidden = true;
    else shown = null;
  }
}

/** The text of a run that has ended: its beginning. */
async function showText(id) {
  let text = "";
  for await (const piece of pieces(await fetchOutput(id, "text"))) {
    text += piece;
    if (text.length > LONGEST) break;
  }
  if (id !== shown || live) return;
  $("output-text").textContent = text.slice(0, LONGEST);
  const start = `These are the first ${LONGEST.toLocaleString("en")} characters. `;
  if (text.length > LONGEST) note(`${start}The notebook has all of them.`);
  else note(text ? "" : "It printed nothing.");
  $("output").hidden = false;
}

/** What its cells have shown beside text. */
async function showFigures(id) {
  const answer = await fetchOutput(id, "ipynb").catch((error) => {
    if (error.status !== 404) throw error; // its worker died: there is text, and no notebook
  });
  if (!answer) return;
  if (answer.headers.get("Content-Length") > LARGEST) return answer.body.cancel();
  const figures = figuresOf(await answer.json().catch(lost));
  if (id === shown && !live) $("figures").replaceChildren(...figures);
}

/** The text of a run that goes on: its end. */
async function follow(id) {
  const { signal } = (following = new AbortController());
  const place = $("output-text");
  let text = "";
  let drawn = 0;
  const draw = () => {
    drawn = Date.now();
    const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
    place.textContent = text.split("\n").map(leftOf).join("\n");
    if (atEnd) place.scrollTop = place.scrollHeight;
  };
  for await (const piece of pieces(await call(`output/${id}?follow=true`, { signal }))) {
    if (signal.aborted) return;
    text = (text + piece).slice(-LONGEST);
    if (!text) continue;
    $("output").hidden = false;
    note("So far. It goes on as the run does.");
    // What came in the meantime is drawn with what comes next, or a moment later.
    if (Date.now() - drawn > DRAW_EVERY) draw();
    else setTimeout(() => signal.aborted || draw(), DRAW_EVERY);
  }
}

/** What a terminal still shows of a line, when a progress bar has gone back to its beginning. */
const leftOf = (line) => line.slice(line.replace(/\r$/, "").lastIndexOf("\r") + 1);

/** The files that the run has left in OUTPUT_DIR. */
function showFiles(run) {
  $("files").hidden = !run.files.length;
  $("files").replaceChildren(
    ...run.files.map((file) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = file.name;
      button.onclick = () => downloadFile(run.run_id, file.name);
      item.append(button, ` ${size(file.size)}`);
      return item;
    }),
  );
}

const fetchOutput = (id, format) =>
  call(`output/${id}?format=${format}`, { signal: AbortSignal.timeout(PATIENCE) });

/** The answer as a file, or null when there was a problem; says so. */
async function fetchFile(answer, meanwhile) {
  note(meanwhile);
  try {
    const content = await (await answer).blob();
    note("");
    return content;
  } catch (error) {
    note(error instanceof Refused ? error.message : "The server did not answer. Try again.");
    return null;
  }
}

async function download() {
  const name = `${shown}.ipynb`;
  save(name, await fetchFile(fetchOutput(shown, "ipynb"), "Fetching the notebook…"));
}

async function downloadFile(id, name) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  const answer = call(`output/${id}/files/${path}`, { signal: AbortSignal.timeout(PATIENCE) });
  save(name.split("/").at(-1), await fetchFile(answer, `Fetching ${name}…`));
}

/** By way of a blob, since a plain link could not send the key. */
function save(name, content) {
  if (!content) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function togglePage() {
  if (!$("report").hidden) return closePage();
  const id = shown;
  const html = await (await fetchFile(fetchOutput(id, "html"), "Making the page…"))?.text();
  if (!html || id !== shown) return;
  $("report").replaceChildren(frame(html, `Notebook of run ${id}`));
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
