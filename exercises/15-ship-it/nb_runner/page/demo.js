// Demo mode: twenty starts at once, drawn as they are answered, and the lease as it drains.

import { lookAtOnce } from "./app.js";
import { Lost, Refused, ask, post } from "./server.js";

const STARTS = 20;
const LOOK_EVERY = 500; // ms between two looks at the lease
const ROWS = 5; // of dots, so that answers of the same moment stay apart

const $ = (id) => document.getElementById(id);
const ours = (error) => error instanceof Lost || error instanceof Refused;

/** What happened to one start: its HTTP status, its run, and after how many ms that was known. */
async function tryToStart(begin) {
  const answer = { status: 202, run: null };
  try {
    answer.run = (await post("start", { requested_by: "twenty at once" })).run_id;
  } catch (error) {
    if (!ours(error)) throw error;
    answer.status = error.status ?? 0; // 0: no answer came
  }
  return { ...answer, ms: performance.now() - begin };
}

async function twenty() {
  $("twenty").disabled = true;
  const begin = performance.now();
  const answers = await Promise.all(Array.from({ length: STARTS }, () => tryToStart(begin)));
  $("twenty").disabled = false;
  $("twenty").focus();
  lookAtOnce();
  draw(answers.sort((one, other) => one.ms - other.ms));
}

function draw(answers) {
  const last = answers.at(-1).ms;
  $("dots").replaceChildren(
    ...answers.map(({ status, ms }, place) => {
      const dot = document.createElement("span");
      dot.className = { 202: "in", 409: "out" }[status] ?? "none";
      dot.style.left = `${(100 * ms) / last}%`;
      dot.style.top = `${(100 * (place % ROWS)) / (ROWS - 1)}%`;
      return dot;
    }),
  );
  $("last-answer").textContent = `${Math.round(last)} ms`;
  $("answers-told").textContent = told(answers);
  $("answers").hidden = false;
}

/** The drawing as text. */
function told(answers) {
  const got = (status) => answers.filter((answer) => answer.status === status);
  const [admitted, refused] = [got(202), got(409)];
  const others = answers.length - admitted.length - refused.length;
  return [
    `${answers.length} starts, all answered within ${Math.round(answers.at(-1).ms)} ms.`,
    admitted.length
      ? `${admitted.length} got in (202): run ${admitted.map(({ run }) => run).join(", ")}.`
      : "None got in: another run holds the lease.",
    `${refused.length} were refused (409).`,
    others ? `${others} got another answer, or none.` : "",
  ].join(" ");
}

async function showLease() {
  if (document.hidden || $("app").hidden) return; // nobody sees it, or the key is still missing
  try {
    const { run_id: run, left, lasts } = await ask("lease");
    $("lease").max = lasts;
    $("lease").value = left;
    $("lease-left").textContent = run
      ? `${left.toFixed(1)} of ${lasts} s left`
      : "free: the next start gets in";
  } catch (error) {
    if (!ours(error)) throw error;
    $("lease-left").textContent = "not known: no answer";
  }
}

async function watchLease() {
  for (;;) {
    await showLease();
    await new Promise((done) => setTimeout(done, LOOK_EVERY));
  }
}

$("twenty").onclick = twenty;
watchLease();
