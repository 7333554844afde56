// A run as text, for people.

import { serverTime } from "./server.js";

const STATUS = {
  QUEUED: "Waiting for a worker",
  RUNNING: "Running",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
  LOST: "Lost",
};

/** Why a run did not succeed. The run's `error` says it in full. */
const REASON = {
  cell_error: "a cell raised an error",
  cell_timeout: "a cell took too long",
  run_timeout: "the run took too long",
  kernel_died: "the kernel died",
  out_of_memory: "memory ran out",
  output_limit: "too much output",
  output_missing: "some output is missing",
  cancelled: "as asked",
  notebook_unusable: "the notebook cannot be used",
  kernel_not_started: "the kernel did not start",
  no_token: "no fencing token",
  output_not_kept: "the output could not be kept",
  namespace_shared: "another runner has the same names",
  runner_failed: "a fault of the runner",
  no_worker: "no worker was there",
  not_taken: "no worker took it",
  not_claimed: "no worker claimed it",
  worker_lost: "the worker fell silent",
  worker_stopped: "the worker was stopped",
};

export const active = (run) => run?.status === "QUEUED" || run?.status === "RUNNING";

export const status = (run) =>
  active(run) && run.cancel_requested ? "Ending…" : STATUS[run.status];

export function reason(run) {
  if (!run.reason) return "";
  const how = run.signal ?? (run.exit_code === null ? "" : `exit code ${run.exit_code}`);
  return REASON[run.reason] + (how && ` (${how})`);
}

export function cells(run) {
  const { cells_done: done, cells_total: total } = run;
  if (total === null) return active(run) ? "not started yet" : "never started";
  if (active(run)) return `cell ${Math.min(done + 1, total)} of ${total}`;
  return `${done} of ${total} cells done`;
}

export function facts(run) {
  const queued = `Queued ${moment(run.queued_at)}`;
  const who = run.requested_by ? `asked for by ${run.requested_by}` : "";
  const took = run.started_at ? `${active(run) ? "running for" : "took"} ${duration(run)}` : "";
  return [queued, who, took].filter(Boolean).join(" · ");
}

/** A time of today, or of another day. */
export function moment(time) {
  const when = new Date(time);
  const today = when.toDateString() === new Date().toDateString();
  const day = today ? {} : { day: "numeric", month: "short" };
  return when.toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit" });
}

export function duration(run) {
  if (!run.started_at) return "–";
  const end = run.finished_at ? Date.parse(run.finished_at) : serverTime();
  const s = Math.max(0, Math.round((end - Date.parse(run.started_at)) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
}

export function size(bytes) {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
