// Talking to the server: the key, the errors, and server-sent events.

const PATIENCE = 10_000; // ms for a call
const SILENCE = 45_000; // ms; a stream that lives says something every 15 s

/** The server cannot be reached, or broke off in mid-answer. */
export class Lost extends Error {}

/** The server refuses: a sentence that says why, and the run that blocks the start. */
export class Refused extends Error {
  constructor(answer, body) {
    const { detail, running } = body;
    super(typeof detail === "string" ? detail : `The server answered ${answer.status}.`);
    this.status = answer.status;
    this.body = body;
    this.running = running;
    this.retryAfter = answer.headers.get("Retry-After"); // seconds
  }
}

export const lost = (error) => {
  throw new Lost(error.message);
};

/** The key, for as long as the tab is open; null when none was asked for so far. */
export const key = {
  value: sessionStorage.getItem("key"),
  keep() {
    if (this.value !== null) sessionStorage.setItem("key", this.value);
  },
  forget() {
    sessionStorage.removeItem("key");
  },
};

let ahead = 0; // ms by which the server's clock is ahead of ours

/** The time on the server, whatever the clock here says; in ms. */
export const serverTime = () => Date.now() + ahead;

/** The answer to a request, if it is a good one. Throws Refused or Lost. */
export async function call(path, { signal = AbortSignal.timeout(PATIENCE), ...options } = {}) {
  const headers = { ...options.headers, ...(key.value !== null && { "X-API-Key": key.value }) };
  const answer = await fetch(path, { ...options, headers, signal, cache: "no-store" }).catch(lost);
  const date = Date.parse(answer.headers.get("Date"));
  if (date) ahead = date - Date.now();
  if (answer.ok) return answer;
  throw new Refused(answer, await answer.json().catch(() => ({})));
}

/** The answer's JSON. */
export const ask = async (path, options) => (await call(path, options)).json().catch(lost);

/** What a start would lack, as a sentence: nothing, when the runner is ready. */
export async function problems() {
  const state = await ask("ready").catch((error) => {
    if (error.status === 503 && error.body.redis) return error.body;
    throw error;
  });
  const { remark: _, ...parts } = state; // a start works in spite of it
  return Object.values(parts).filter((words) => words !== "ok");
}

export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

/** An answer's text, piece by piece. (Safari cannot iterate over a stream.) */
export async function* pieces(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let part; !(part = await reader.read().catch(lost)).done; ) yield part.value;
  } finally {
    reader.cancel().catch(() => {}); // a reader who has seen enough need not load the rest
  }
}

/** Server-sent events, read by hand: EventSource cannot send a key. */
export async function* events(path) {
  const silence = new AbortController();
  const watchdog = () => setTimeout(() => silence.abort(), SILENCE);
  let timer = watchdog();
  try {
    let text = "";
    for await (const piece of pieces(await call(path, { signal: silence.signal }))) {
      clearTimeout(timer);
      timer = watchdog();
      const blocks = (text + piece).split(/\r?\n\r?\n/);
      text = blocks.pop(); // not whole yet
      for (const block of blocks) {
        const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (lines.length) yield JSON.parse(lines.map((line) => line.slice(5)).join("\n"));
      }
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}
