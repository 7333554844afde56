"use strict";
// The board. The room sends all that it shows each time that it changes, and all of it is drawn from
// that. Names are written as text, never as HTML. The view for the projector has no names.
(() => {
  const SIGNS = { passed: "✓", failed: "✗", not_reached: "…" };
  const WORDS = { passed: "passed", failed: "not passed", not_reached: "not reached" };
  const MANY = 24; // tasks, with which tiles get narrower
  const MINUTE = 60;
  const PROJECTOR = "#projector";

  const find = (id) => document.getElementById(id);
  const call = (method, path, body) =>
    fetch(`/board/${path}`, {
      method,
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });

  function element(name, classes = "", text = "", ...children) {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    if (text) made.textContent = text;
    made.append(...children);
    return made;
  }

  function button(text, label, press) {
    const made = element("button", "action", text);
    made.setAttribute("aria-label", label);
    made.addEventListener("click", press);
    return made;
  }

  // At the door, the secret is behind the # of the address: no server's log has it.
  async function enter() {
    const secret = location.hash.slice(1);
    if (!secret || secret === PROJECTOR.slice(1)) return;
    history.replaceState(null, "", location.pathname);
    const answer = await call("POST", "enter", { secret });
    if (answer.ok) location.reload();
    else find("door").textContent = (await answer.json()).detail;
  }

  let told; // the board as it was told last
  const onProjector = () => location.hash === PROJECTOR;

  function draw() {
    if (!told) return;
    const large = onProjector();
    document.body.classList.toggle("projector", large);
    find("view").setAttribute("aria-pressed", large);
    drawTotals();
    if (large) drawProjector();
    drawPace();
    drawStuck(large);
    drawHelp(large);
    drawBehind(large);
    drawGrid(large ? [] : told.attendees);
  }

  function drawTotals() {
    const passed = told.attendees.flatMap((each) => each.states).filter((s) => s === "passed").length;
    const totals = [
      [told.attendees.length, "attendees"],
      [passed, "tasks passed"],
      [told.help.length, "ask for help"],
    ];
    find("totals").replaceChildren(
      ...totals.map(([number, what]) => element("li", "", "", element("b", "", String(number)), ` ${what}`)),
    );
  }

  const marked = () => told.exercises.find((each) => each.slug === told.pace.now);
  const named = (exercise) => `${exercise.number} ${exercise.title}`;

  function drawPace() {
    const select = find("now");
    const options = [["", "not begun"], ...told.exercises.map((each) => [each.slug, named(each)])];
    if (select.options.length !== options.length) {
      select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    }
    if (document.activeElement !== select) select.value = told.pace.now;
    find("time-up").setAttribute("aria-pressed", told.pace.time_up);
    find("time-up").disabled = !told.pace.now;
    find("agenda").textContent = `Agenda: ${told.pace.agenda}`;
    document.body.classList.toggle("many", told.exercises.flatMap((each) => each.tasks).length > MANY);
  }

  function drawStuck(hidden) {
    const stuck = told.stuck;
    const parts = [element("h3", "", "Where the room is stuck")];
    if (!stuck) parts.push(element("p", "what", "Nowhere."));
    else if (!hidden) {
      parts.push(
        element("p", "", "", element("span", "number", stuck.number), ` ${stuck.title}`),
        element("p", "count", "", element("b", "", String(stuck.count)), ` of ${told.attendees.length} fail it now`),
      );
      if (stuck.demand) {
        parts.push(element("p", "what", `Not met yet, by ${stuck.demand_count} of them:`), element("p", "", stuck.demand));
      }
      for (const { did, say } of stuck.say) {
        parts.push(element("p", "say", "", element("small", "", `To those who did this: ${plain(did)}`), plain(say)));
      }
    }
    find("stuck").replaceChildren(...parts);
  }

  // The handbook's texts are Markdown. Here, backticks are all that would show.
  const plain = (text) => text.replaceAll("`", "");

  function drawHelp(hidden) {
    const list = element("ul");
    for (const each of hidden ? [] : told.help) {
      const minutes = Math.max(0, Math.floor((Date.now() / 1000 - each.since) / MINUTE));
      list.append(
        element(
          "li", "", "",
          element("span", "", "", element("bdi", "", each.name), `${each.at ? `, ${each.at}` : ""}, ${minutes} min`),
          button("Helped", `${each.name} has been helped`, () => tell(`helped/${each.id}`)),
        ),
      );
    }
    const nobody = told.help.length ? [] : [element("p", "what", "Nobody.")];
    find("help").replaceChildren(element("h3", "", "Who asks for help"), ...nobody, list);
  }

  const distance = (minutes) =>
    minutes > 0 ? `${minutes} min behind` : minutes < 0 ? `${-minutes} min ahead` : "in time";

  function drawBehind(hidden) {
    const rows = [["Median", told.pace.median], ["Slowest", told.pace.slowest]];
    const known = hidden ? [] : rows.filter(([, each]) => each);
    find("behind").replaceChildren(
      element("h3", "", "Against the agenda"),
      element("p", "what", told.pace.agenda),
      element(
        "ul", "", "",
        ...known.map(([who, each]) =>
          element("li", "", "", element("span", "", who), element("span", "", `${each.at ? `at ${each.at}` : "done"}, ${distance(each.minutes)}`)),
        ),
      ),
    );
  }

  function drawGrid(attendees) {
    const [head, body] = [find("grid").tHead, find("grid").tBodies[0]];
    const columns = told.exercises.flatMap((each) => each.tasks.map((task, i) => ({ ...task, first: i === 0 })));
    const top = element("tr", "exercises");
    const name = heading("name", "Attendee");
    const where = heading("where", "At");
    name.rowSpan = where.rowSpan = 2;
    top.append(name, where);
    for (const each of told.exercises) {
      const cell = heading("first", "");
      cell.colSpan = each.tasks.length;
      cell.scope = "colgroup";
      cell.title = each.title;
      cell.append(element("span", "exercise", "", element("b", "", each.number), element("span", "", each.title)));
      top.append(cell);
    }
    const tasks = element("tr", "tasks");
    for (const each of columns) {
      const cell = heading(each.first ? "first" : "", each.number);
      cell.title = `${each.number} ${each.title}: ${each.passed} passed`;
      cell.append(element("div", "count", String(each.passed)));
      tasks.append(cell);
    }
    head.replaceChildren(top, tasks);
    body.replaceChildren(...attendees.map((each) => row(each, columns)));
  }

  function heading(classes, text) {
    const made = element("th", classes, text);
    made.scope = "col";
    return made;
  }

  function row(attendee, columns) {
    const name = element("span", "", "", element("bdi", "", attendee.name));
    if (told.help.some((each) => each.id === attendee.id)) {
      const asks = element("span", "asks", "?");
      asks.setAttribute("role", "img");
      asks.setAttribute("aria-label", "asks for help");
      name.append(asks);
    }
    const head = element("th", "name", "", name);
    head.scope = "row";
    head.title = attendee.name;
    const where = element("td", "where", attendee.at);
    where.title = `${attendee.checks} checks; ${attendee.minutes} min at this exercise`;
    const cells = attendee.states.map((state, i) => {
      const tile = element("span", `tile ${state}`, SIGNS[state] ?? "");
      tile.setAttribute("role", "img");
      tile.setAttribute("aria-label", `${columns[i].number}: ${WORDS[state] ?? "not checked"}`);
      return element("td", columns[i].first ? "first" : "", "", tile);
    });
    const made = element("tr", "", "", head, where, ...cells);
    return made;
  }

  function drawProjector() {
    const exercise = marked();
    const over = told.pace.time_up ? ": time is up" : "";
    find("now-large").textContent = exercise ? `Now ${named(exercise)}${over}` : "Welcome";
    const all = Math.max(1, told.attendees.length);
    find("bars").replaceChildren(
      ...(exercise?.tasks ?? []).map((task) =>
        element(
          "div", "big-task", "",
          element("p", "", "", element("span", "", `${task.number} ${task.title}`), element("b", "", `${task.passed} of ${told.attendees.length}`)),
          bar(task.passed / all),
        ),
      ),
    );
  }

  function bar(share) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "bar");
    svg.setAttribute("viewBox", "0 0 100 6");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const [name, width] of [["all", 100], ["done", 100 * share]]) {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      rect.setAttribute("class", name);
      rect.setAttribute("height", 6);
      rect.setAttribute("width", width);
      svg.append(rect);
    }
    return svg;
  }

  function listen() {
    const events = new EventSource("/board/events");
    const link = find("link");
    events.onopen = () => (link.textContent = "live");
    events.onerror = () => (link.textContent = "the room does not answer");
    events.onmessage = (event) => {
      told = JSON.parse(event.data);
      draw();
    };
  }

  // What the room did not take is not lost without a word.
  async function tell(path, body) {
    const answer = await call("POST", path, body).catch(() => null);
    if (!answer?.ok) find("link").textContent = "the room has not taken that: press again";
  }

  const mark = (now, time_up) => tell("pace", { now, time_up });

  if (!document.body.classList.contains("board")) {
    enter();
    return;
  }
  history.replaceState(null, "", onProjector() ? PROJECTOR : location.pathname);
  find("view").addEventListener("click", () => {
    history.replaceState(null, "", onProjector() ? location.pathname : PROJECTOR);
    draw();
  });
  find("now").addEventListener("change", (event) => {
    mark(event.target.value, false);
    event.target.blur();
  });
  find("time-up").addEventListener("click", () => mark(find("now").value, !told.pace.time_up));
  listen();
})();
