// What is shown. Rows keep their elements, so that focus stays where it was, and flash
// when they change. Whatever comes from a user is set as text, never as markup.

const number = new Intl.NumberFormat("en");

const STANDINGS = {
  "in step": ["good", "The table has the version that Clerk has."],
  synced: ["good", "Open the user to compare the row with what Clerk has."],
  "not synced": ["dim", "The row is the application's; no sync has written it yet."],
  behind: ["warn", "Clerk has another version than the table."],
  "no row": ["warn", "The table has no row yet."],
  "email lost": ["warn", "Another user has the newer claim to the email."],
  orphan: ["bad", "The table has a row, and Clerk does not know the user."],
  deleted: ["dim", "Deleted. The tombstone keeps late events from reviving the user."],
  skipped: ["dim", "No row, for want of an email."],
  gone: ["dim", "Neither Clerk nor the table has this user."],
};
const TONES = {
  delivered: "good",
  held: "warn",
  sending: "dim",
  retrying: "bad",
  "given up": "bad",
  completed: "good",
  running: "dim",
  partial: "warn",
  refused: "bad",
  failed: "bad",
};

// What a run did comes before how long it took.
const COUNTED = [
  "fetched", "created", "updated", "unchanged", "skipped", "deleted", "failed",
  "email_conflicts", "orphans_found", "requests",
];
const LONGEST = 80;

export const element = (id) => document.getElementById(id);
export const shortId = (id) => `…${String(id).slice(-6)}`;
export const nameOf = (user) => user.clerk?.name ?? user.row?.name ?? shortId(user.key);

/** Everything in a state of the server. `quiet`: nothing of it is news. */
export function show(state, { quiet, searching }) {
  showCounts(state);
  showRows("user", state.users.map(userCells), quiet);
  showRows("self-sync", state.self_syncs.map(selfSyncCells), quiet);
  showRows("run", state.runs.map(runCells), quiet);
  const noUsers = searching ? "Nobody is found." : "No users yet.";
  showEmpty("no-users", state.users.length, noUsers);
  showEmpty("no-self-syncs", state.self_syncs.length, state.stub
    ? "None yet. Open a user and sign in: the row is there without a webhook."
    : "None yet. Your front end posts to /api/users/sync.");
  showEmpty("no-runs", state.runs.length);
  if (!state.stub) return;
  showRows("delivery", state.deliveries.map(deliveryCells), quiet);
  showEmpty("no-deliveries", state.deliveries.length);
  showHolding(state.holding);
}

/** Take away what acts: with a Clerk instance of one's own the page only reads. */
export function showNoActions() {
  const roots = [document, ...[...document.querySelectorAll("template")].map((t) => t.content)];
  for (const root of roots) {
    for (const part of root.querySelectorAll(".of-stub")) part.remove();
  }
}

/** One user, column by column. */
export function showFields(fields) {
  const rows = fields.map(({ name, clerk, table, own }) => {
    const differs = !own && text(clerk) !== text(table);
    return {
      key: name,
      name,
      clerk: own ? { text: "", title: "Not Clerk's" } : valueCell(clerk),
      table: { ...valueCell(table), differs },
    };
  });
  showRows("field", rows, true);
}

export function showReport(run) {
  element("report-title").textContent = `${run.mode} sync: ${run.status}`;
  element("report-reason").textContent = run.report?.reason ?? "";
  const list = element("report");
  list.replaceChildren();
  const report = run.report ?? {};
  for (const name of new Set([...COUNTED, ...Object.keys(report).sort()])) {
    const value = report[name] ?? null;
    if (value === null || name === "reason") continue;
    const [term, told] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name.replaceAll("_", " ");
    told.textContent = typeof value === "number" ? number.format(value) : String(value);
    list.append(term, told);
  }
}

/** What a run did, in a few words. */
export function summary(report) {
  if (!report) return "";
  const told = ["created", "updated", "deleted", "failed"]
    .filter((name) => report[name])
    .map((name) => `${number.format(report[name])} ${name}`);
  return [`${number.format(report.fetched)} read`, ...told].join(", ");
}

export function showAges() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const age = ageOf(Number(time.dataset.at));
    if (time.textContent !== age) time.textContent = age;
  }
}

function showHolding(holding) {
  const focused = document.activeElement;
  element("hold").hidden = holding;
  element("release").hidden = element("release-newest").hidden = !holding;
  // Who pressed one of them stays where they are.
  if (focused.hidden) element(holding ? "release" : "hold").focus();
}

function showCounts({ stub, counts }) {
  const parts = [`table ${number.format(counts.table)}`, `tombstones ${number.format(counts.tombstones)}`];
  if (stub) parts.unshift(`Clerk ${number.format(counts.clerk)}`);
  element("counts").textContent = parts.join(" · ");
}

function showEmpty(id, length, words) {
  const note = element(id);
  note.hidden = length > 0;
  if (words) note.textContent = words;
}

function showRows(kind, rows, quiet) {
  const body = element(`${kind}-rows`);
  const template = element(`${kind}-row`).content.firstElementChild;
  const before = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const focused = document.activeElement;
  let place = body.firstElementChild;
  for (const cells of rows) {
    const known = before.get(cells.key);
    const row = known ?? template.cloneNode(true);
    row.dataset.key = cells.key;
    before.delete(cells.key);
    const changed = fill(row, cells);
    if (row === place) place = row.nextElementSibling;
    else body.insertBefore(row, place);
    if (!quiet && (changed || !known)) flash(row);
  }
  for (const row of before.values()) row.remove();
  // A row that moves loses the focus that was in it.
  if (focused !== document.activeElement && body.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
  showAges();
}

function fill(row, cells) {
  let changed = false;
  for (const place of row.querySelectorAll("[data-f]")) {
    const given = cells[place.dataset.f] ?? "";
    const cell = typeof given === "object" ? given : { text: given };
    if (cell.at !== undefined) {
      place.dataset.at = cell.at;
      place.title = new Date(cell.at).toISOString();
      continue;
    }
    const words = String(cell.text);
    if (place.textContent !== words) {
      place.textContent = words;
      changed = true;
    }
    place.title = cell.title ?? "";
    place.dataset.tone = cell.tone ?? "";
    place.classList.toggle("differs", Boolean(cell.differs));
    place.classList.toggle("none", Boolean(cell.none));
    if (cell.label) place.setAttribute("aria-label", cell.label);
  }
  return changed;
}

function flash(row) {
  row.classList.remove("changed");
  void row.offsetWidth; // begins the animation anew
  row.classList.add("changed");
}

function userCells(user) {
  const { key, clerk, row, standing } = user;
  const [tone, title] = STANDINGS[standing];
  const cells = {
    key,
    id: { text: shortId(key), title: key, label: `Open ${nameOf(user)}, ${key}` },
    standing: { text: standing, tone, title },
    "clerk.name": valueCell(clerk?.name, clerk ? "no name" : "gone"),
    "clerk.email": valueCell(clerk?.email, clerk ? "no email" : ""),
    "clerk.version": versionCell(clerk?.version),
  };
  if (!row) {
    const why = standing === "deleted" ? `tombstone, ${ageOf(user.deleted_at)}` : "no row";
    return { ...cells, "row.name": { text: why, none: true } };
  }
  const differs = (name) => user.differs.includes(name);
  return {
    ...cells,
    "row.name": { ...valueCell(row.name), differs: differs("name") },
    "row.email": { ...valueCell(row.email), differs: differs("email") },
    "row.version": { ...versionCell(user.version), differs: differs("version") },
    "row.tier": valueCell(row.tier, ""),
    "row.bucket": valueCell(row.bucket, ""),
  };
}

function deliveryCells(delivery) {
  const { key, type, user_id, standing, status, answer, attempts, at } = delivery;
  const words = status ? `${status}` : "no answer";
  const sent = standing === "held" ? "Send now" : "Replay";
  return {
    key,
    type,
    user: { text: shortId(user_id), title: user_id },
    attempts,
    standing: {
      text: standing === "delivered" ? words : attempts && standing !== "held" ? `${words}, ${standing}` : standing,
      tone: TONES[standing],
    },
    answer: standing === "held" ? "" : (answer ?? ""),
    at: { at },
    send: { text: sent, label: `${sent}: ${type} of ${user_id}` },
  };
}

function selfSyncCells({ key, at, status, user_id, error }) {
  return {
    key,
    user: user_id ? { text: shortId(user_id), title: user_id } : "",
    status: { text: status, tone: status === 200 ? "good" : "bad" },
    error: error ?? "",
    at: { at },
  };
}

function runCells(run) {
  const { key, mode, dry_run, status, report, at } = run;
  const words = dry_run ? `${mode}, dry run` : mode;
  return {
    key,
    mode: { text: words, label: `Report of the ${words} run` },
    status: { text: status, tone: TONES[status], title: report?.reason ?? "" },
    users: summary(report),
    took: report ? tookOf(report.duration_ms) : "",
    at: { at },
  };
}

function valueCell(value, none = "NULL") {
  const missing = value === null || value === undefined;
  if (missing) return { text: none, none: true };
  const whole = text(value);
  const cut = whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole;
  return { text: cut, title: whole };
}

function text(value) {
  return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
}

function versionCell(version) {
  if (!version) return "";
  const moment = new Date(version);
  const day = moment.toLocaleDateString("sv"); // the ISO form, in this time zone
  const time = `${moment.toLocaleTimeString("sv")}.${String(version % 1000).padStart(3, "0")}`;
  const today = day === new Date().toLocaleDateString("sv");
  return { text: today ? time : day, title: `${day} ${time}` };
}

function tookOf(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function ageOf(moment) {
  const seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
