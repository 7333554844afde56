// The page for people. One loop learns what is going on (watch), one function shows it (render).
// What a notebook printed is somebody else's text: it enters the page by textContent only.

import { showOutput } from "./output.js";
import { Lost, Refused, ask, events, key, post, problems } from "./server.js";
import { active, cells, duration, facts, moment, reason, status } from "./words.js";

const LOOK_EVERY = 5_000; // ms between two looks at the list while nothing runs
const READY_EVERY = 10_000; // ms between two looks at whether a start would work
const LONGEST_PAUSE = 5_000; // ms between two tries to reach a server that is away
const NEWS_EVERY = 5_000; // ms between two announcements of progress to a screen reader

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let runs = []; // the last runs, newest first
let chosen = null; // id of a run picked from the list; null: whichever is the newest
let readyAt = -READY_EVERY; // when that was last asked
let bell = Promise.withResolvers(); // rung when there is reason to look at once

// --- Learning what goes on -----------------------------------------------------------------

/** For ever: look at the list, follow the newest run to its end. One request at a time. */
async function watch() {
  for (let failures = 0; ; ) {
    try {
      runs = await ask("runs");
      letIn();
      render();
      await lookAtReadiness();
      if (active(runs[0])) {
        const id = runs[0].run_id;
        for await (const run of events(`status/${id}/events`)) {
          failures = 0;
          connected();
          merge(run);
        }
        readyAt = -READY_EVERY; // the run may have ended because something is missing now
        if (active(runs.find((run) => run.run_id === id))) throw new Lost("broke off");
      } else {
        failures = 0;
        connected();
        await pause(LOOK_EVERY);
      }
    } catch (error) {
      if (error.status === 401) {
        await askForKey();
      } else if (error instanceof Refused || error instanceof Lost) {
        disconnected(error);
        await pause(Math.min(LONGEST_PAUSE, 250 * 2 ** failures++));
      } else {
        throw error; // a mistake of ours
      }
    }
  }
}

/** While no run proves that all is well: say what a start would lack, a worker for example. */
async function lookAtReadiness() {
  if (runs[0]?.status === "RUNNING") return;
  if (!$("readiness").textContent && performance.now() - readyAt < READY_EVERY) return;
  readyAt = performance.now();
  show($("readiness"), (await problems()).join(" "));
}

export const lookAtOnce = () => bell.resolve();

async function pause(ms) {
  await Promise.race([sleep(ms), bell.promise]);
  bell = Promise.withResolvers();
}

/** A newer state of one run, into the list. */
function merge(run) {
  const place = runs.findIndex((known) => known.run_id === run.run_id);
  if (place < 0) runs.unshift(run);
  else runs[place] = run;
  render();
}

function connected() {
  if (!$("connection").textContent) return;
  $("connection").textContent = "";
  $("news").textContent = "Connected again.";
}

function disconnected(error) {
  const lost = "Connection lost; trying again…";
  show($("connection"), error instanceof Refused ? `${error.message} Trying again…` : lost);
  $("app").hidden = !$("key-form").hidden;
}

async function askForKey() {
  $("key-problem").textContent = key.value === null ? "" : "That key is wrong.";
  key.forget();
  $("connection").textContent = "";
  $("app").hidden = $("forget-key").hidden = true;
  $("key-form").hidden = false;
  $("key").value = "";
  $("key").focus();
  const given = Promise.withResolvers();
  $("key-form").onsubmit = (event) => {
    event.preventDefault();
    given.resolve($("key").value);
  };
  // Only these characters fit into a header, so a key with any other one is wrong anyway.
  key.value = (await given.promise).replace(/[^\x20-\x7e\xa0-\xff]/g, "?");
}

/** The server has answered: the key is right, or it wants none. */
function letIn() {
  const asked = !$("key-form").hidden;
  $("key-form").hidden = true;
  $("app").hidden = false;
  $("forget-key").hidden = key.value === null;
  key.keep();
  if (asked) $("start").focus();
}

// --- What people do ------------------------------------------------------------------------

async function start(event) {
  event.preventDefault();
  const who = $("requested-by").value.trim();
  await act(async () => {
    const run = await post("start", who ? { requested_by: who } : {});
    chosen = null;
    return run;
  });
}

async function act(call) {
  $("problem").replaceChildren();
  try {
    merge(await call());
  } catch (error) {
    complain(error);
  }
  lookAtOnce();
}

function complain(error) {
  if (error.status === 401) return location.reload(); // somebody changed the key
  const lost = "The server did not answer. The list will tell whether it heard.";
  const later = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
  $("problem").textContent = error instanceof Refused ? error.message + later : lost;
  if (!error.running) return;
  const follow = document.createElement("button");
  follow.type = "button";
  follow.textContent = "Follow that run";
  follow.onclick = () => choose(error.running);
  $("problem").append(follow);
}

function choose(id) {
  chosen = id === runs[0]?.run_id ? null : id;
  render();
  $("run-title").focus();
}

// --- Showing it ----------------------------------------------------------------------------

/** The run that is shown: the chosen one, else the newest. */
const current = () => runs.find((known) => known.run_id === chosen) ?? runs[0];

function render() {
  const run = current();
  $("run").hidden = $("runs").hidden = !run;
  if (runs[0]?.status === "RUNNING") show($("readiness"), ""); // there is a worker
  runs.forEach((each, place) => renderRow(each, place, each === run));
  while ($("rows").children.length > runs.length) $("rows").lastChild.remove();
  if (run) renderRun(run);
}

function renderRun(run) {
  show($("notebook"), run.notebook);
  show($("run-id"), run.run_id);
  show($("run-status"), status(run));
  $("run-status").className = `status ${run.status}`;
  $("bar").className = run.status;
  show($("cells"), cells(run));
  if (run.cells_total !== null) $("bar").value = run.cells_done / (run.cells_total || 1);
  else if (active(run)) $("bar").removeAttribute("value");
  else $("bar").value = 0;
  show($("run-facts"), facts(run));
  show($("run-reason"), reason(run));
  show($("run-error"), run.error ?? "");
  // A cancel was asked for: nothing went wrong.
  $("run-error").className = run.status === "CANCELLED" ? "hint" : "problem";
  if (!active(run)) {
    if (document.activeElement === $("cancel")) $("start").focus(); // it goes, the focus stays
    if ($("problem").textContent.includes(run.run_id)) $("problem").replaceChildren();
  }
  $("cancel").hidden = !active(run);
  showOutput(run);
  announce(run);
}

function renderRow(run, place, current) {
  const rows = $("rows");
  let row = [...rows.children].find((known) => known.dataset.id === run.run_id);
  if (!row) {
    row = $("row").content.firstElementChild.cloneNode(true);
    row.dataset.id = run.run_id;
    row.querySelector("button").textContent = run.run_id;
    row.querySelector("button").onclick = () => choose(run.run_id);
  }
  // It stays where it is, if it can: to move it would take the focus from its button.
  if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
  const [head, state, who, queued, took] = row.children;
  head.firstElementChild.setAttribute("aria-current", current);
  state.className = `status ${run.status}`;
  show(state.firstElementChild, status(run));
  show(state.lastElementChild, reason(run));
  show(who, run.requested_by ?? "–");
  show(queued, moment(run.queued_at));
  show(took, duration(run));
}

/** Only when it differs, so that what a reader has selected stays selected. */
function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let announced = { state: "", news: "", at: 0 };

/** For screen readers: each change of status at once, and progress now and then. */
function announce(run) {
  const state = `${run.run_id} ${status(run)}`;
  const news = `${status(run)}, ${cells(run)}. ${run.error ?? ""}`;
  const due = state !== announced.state || Date.now() - announced.at > NEWS_EVERY;
  if (!due || (state === announced.state && news === announced.news)) return;
  announced = { state, news, at: Date.now() };
  $("news").textContent = news;
}

$("start-form").onsubmit = start;
$("cancel").onclick = () => act(() => post(`cancel?run_id=${current().run_id}`));
$("forget-key").onclick = () => {
  key.forget();
  location.reload(); // and nothing of what was shown stays
};
window.addEventListener("online", lookAtOnce);
setInterval(() => runs.some(active) && render(), 1_000); // time passes
watch();
