// The learner's place, in the served handbook: marks in the navigation and on the line of the
// course, ticks and failures beside the tasks, hints one by one. The server sends the whole state
// each time that it changes, and all of this is drawn from it. See kit/live/state.py.

const MARKS = {
  passed: "✓",
  failed: "✗",
  "check again": "~",
  skipped: "-",
  current: "●",
  started: "◐",
};
const WORDS = {
  passed: "passed",
  failed: "not yet",
  "check again": "changed since it passed",
  skipped: "left for later",
  current: "you are here",
  started: "begun",
  "not started": "not begun",
};

const slug = location.pathname.match(/\/exercises\/(\d\d-[^/]+)\//)?.[1];

function element(name, classes, text = "") {
  const made = document.createElement(name);
  made.className = classes;
  made.textContent = text;
  return made;
}

const place = (exercise) =>
  exercise.current && exercise.state !== "check again" ? "current" : exercise.state;

// A mark that is seen, and its words, which are heard. There is one in each element. Those of
// headings stand in front, below each other.
function mark(target, state) {
  if (target.dataset.here === state) return;
  target.dataset.here = state;
  target.querySelectorAll(":scope > :is(.here-mark, .here-words)").forEach((each) => each.remove());
  if (!WORDS[state]) return;
  const sign = element("span", "here-mark", MARKS[state] ?? "");
  sign.setAttribute("aria-hidden", "true");
  const words = element("span", "here-words", ` (${WORDS[state]}) `);
  if (target.matches("h3")) {
    target.prepend(sign, words);
  } else {
    target.title = WORDS[state];
    target.append(sign, words);
  }
}

// What the marks of the line mean, below each line that has titles.
function showLegend() {
  for (const line of document.querySelectorAll("ol.course-line:not(.small)")) {
    if (line.nextElementSibling?.matches(".here-legend")) continue;
    const legend = element("p", "here-legend");
    for (const state of ["current", "passed", "check again", "started", "skipped", "not started"]) {
      const entry = element("span", "", WORDS[state]);
      entry.prepend(element("b", "", MARKS[state] ?? "○"), " ");
      entry.dataset.here = state;
      legend.append(entry, " ");
    }
    line.after(legend);
  }
}

function showCourse(exercises) {
  showLegend();
  for (const exercise of exercises) {
    const state = place(exercise);
    for (const link of document.querySelectorAll(".md-nav--primary a.md-nav__link")) {
      if (link.hash || !link.pathname.endsWith(`/exercises/${exercise.slug}/`)) continue;
      mark(link, state);
      // Of the page that is open, a narrow window shows this in place of the link.
      const label = link.parentElement.querySelector(":scope > label.md-nav__link");
      if (label) mark(label, state);
    }
    for (const station of document.querySelectorAll(`[data-station="${exercise.slug}"]`)) {
      const link = station.querySelector("a");
      station.dataset.here = state;
      const filled = state === "current" || state === "started";
      link.dataset.mark = filled ? "" : MARKS[state] ?? "";
      link.title = `${exercise.title}: ${WORDS[state]}`;
      let words = link.querySelector(".here-words");
      if (!words) link.append(words = element("span", "here-words"));
      words.textContent = ` (${WORDS[state]})`;
    }
  }
}

// The status line: below the heading of the tasks, before the command of the home page, else empty.
const ENDED = "The server has stopped. ./workshop starts it again.";
const tasksHeading = document.getElementById("tasks");
const command = document.querySelector(".begin");
const status = element("p", "here-status");
status.setAttribute("role", "status");
if (slug && tasksHeading) tasksHeading.after(status);
else if (command) command.before(status);
else document.querySelector("article").append(status);

const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

// `next`: an exercise that the line leads to, between its text and `rest`.
function say(text, next, rest = "") {
  const whole = next ? `${text} ${name(next)}${rest}` : text;
  if (status.textContent === whole) return;
  status.textContent = text;
  if (!next) return;
  const link = element("a", "", name(next));
  link.href = `/exercises/${next.slug}/`;
  status.append(" ", link, rest);
}

const name = (exercise) => `${exercise.slug.slice(0, 2)} ${exercise.title}`;

function summary(exercise) {
  const { tasks } = exercise;
  const done = tasks.filter((task) => task.state === "passed").length;
  const count = `${done} of ${tasks.length} tasks done`;
  if (exercise.checking) return `Being checked: ${count}.`;
  if (exercise.state === "passed") return "Passed.";
  const again = exercise.state === "check again" ? " It has changed since it passed." : "";
  if (exercise.at) return `${count}, checked at ${time(exercise.at)}.${again}`;
  return `Not checked yet: ./workshop check ${slug.slice(0, 2)}${again}`;
}

function showTask(task) {
  const heading = document.getElementById(`task-${task.number.replace(".", "-")}`);
  if (!heading) return;
  mark(heading, MARKS[task.state] ? task.state : "");
  let box = heading.nextElementSibling;
  if (!box?.classList.contains("here-told")) box = null;
  if (!task.told) {
    box?.remove();
    return;
  }
  if (!box) heading.after(box = element("div", ""));
  const passed = task.state === "passed";
  box.className = `here-told ${passed ? "passed" : ""}`;
  if (box.told === task.told + task.state) return;
  box.told = task.told + task.state;
  box.innerHTML = task.told; // the server has escaped what it took from elsewhere
  if (passed) return;
  box.prepend(element("p", "", `${task.number}: what the last check says`));
  const button = element("button", "here-button", "To the hints");
  button.addEventListener("click", () => toHints(task.number));
  box.append(button);
}

const hintsOf = (number) => document.querySelector(`[data-hints="${number}"]`);

function toHints(number) {
  const place = hintsOf(number);
  place.querySelector("details").open = true;
  const button = place.querySelector(".here-button");
  (button.hidden ? place.querySelector("summary") : button).focus();
  place.scrollIntoView({ block: "center" });
}

// Hints that the learner has not asked for are hidden, behind a button.
function showHints(task) {
  const place = hintsOf(task.number);
  if (!place) return;
  const folded = place.querySelector("details");
  const hints = [...folded.querySelectorAll(":scope > details")];
  hints.forEach((hint, i) => { hint.hidden = i >= task.hints; });
  let button = folded.querySelector(":scope > .here-button");
  if (!button) {
    button = element("button", "here-button");
    folded.querySelector(".to-task").parentElement.before(button);
    button.addEventListener("click", () => ask(task.number, hints, button));
  }
  button.hidden = task.hints >= hints.length;
  button.textContent = `Show hint ${task.hints + 1} of ${hints.length}`;
  if (button.asked !== undefined && button.asked < task.hints) {
    const shown = hints[task.hints - 1];
    shown.open = true;
    shown.querySelector("summary").focus();
    button.asked = undefined;
  }
}

async function ask(number, hints, button) {
  button.asked = hints.filter((hint) => !hint.hidden).length;
  try {
    await fetch(`/here/hints/${number}`, { method: "POST" });
  } catch {
    button.asked = undefined; // the stream of events says that the server is gone
  }
}

function show(exercises) {
  showCourse(exercises);
  const current = exercises.find((each) => each.current);
  const exercise = exercises.find((each) => each.slug === slug);
  if (!exercise) {
    if (!command || !current) say("");
    else if (current.state === "not started") say("Next:", current, ". To begin it, type:");
    else say("You are at", current, ". To go on, type:");
    return;
  }
  exercise.tasks.forEach(showTask);
  exercise.tasks.forEach(showHints);
  if (exercise.state === "passed" && !exercise.checking && current) say("Passed. Next:", current);
  else say(summary(exercise));
}

// A browser has few connections for one server, so pages that are not seen give theirs back.
let events;
function connect() {
  events?.close();
  if (document.hidden) return;
  events = new EventSource("/here/events");
  events.addEventListener("message", (event) => {
    status.classList.remove("ended");
    show(JSON.parse(event.data));
  });
  events.addEventListener("error", () => {
    status.classList.add("ended"); // seen wherever the reader is in the page
    say(ENDED);
  });
}
document.addEventListener("visibilitychange", connect);
connect();
