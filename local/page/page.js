// Asks the server what there is, shows it, and carries out what a person does.

import { Absence, post, Problem, readState, readUser } from "/page/server.js";
import * as session from "/page/session.js";
import { element, nameOf, show, showAges, showFields, showNoActions, showReport, summary } from "/page/view.js";

const OFTEN_MS = 150; // just after an action: its webhook is on the way
const USUALLY_MS = 1000;
const OWN_MS = 5000; // a database of one's own, which may cost money while it is awake
const AWAY_MS = 5 * 60_000; // and which is left alone when nobody moves
const LONGEST_MS = 5000; // between tries while the server is gone

let state = null;
let tag = null;
let shownSearch = null;
let failures = 0;
let lastInput = Date.now();
let lastAction = 0;

// Polling

let isAsked = false;
let resume = () => {};

/** Ask the server now, or again if that is being done. */
function wake() {
  isAsked = true;
  resume();
}

async function keepUp() {
  for (;;) {
    isAsked = false;
    await poll();
    if (!isAsked) await pause();
  }
}

async function poll() {
  const search = element("search").value.trim();
  try {
    const news = await readState(search, search === shownSearch ? tag : null);
    if (news) take(news, search);
    failures = 0;
    tellConnection("live", "live");
  } catch (error) {
    failures += 1;
    const kind = error instanceof Absence ? "not connected" : "failing";
    tellConnection(kind, kind, `${wordsFor(error)} Trying again.`);
  }
}

/** A fault of the page's own is told as well: what comes next may be shown again. */
function wordsFor(error) {
  if (error instanceof Problem) return error.message;
  console.error(error);
  return `The page cannot show what there is: ${error.message}.`;
}

function take(news, search) {
  const before = state;
  const quiet = before === null || search !== shownSearch;
  if (before === null && !news.state.stub) showNoActions();
  show(news.state, { quiet, searching: search !== "" });
  // Only what is shown is not asked for again.
  ({ state, tag } = news);
  shownSearch = search;
  if (!quiet) tellChanges(before.users, state.users);
  if (before === null) {
    document.body.dataset.mode = state.stub ? "stub" : "own";
    if (state.stub) startSignIn();
  }
}

async function pause() {
  const own = state && !state.stub;
  const resumed = new Promise((resolve) => (resume = resolve));
  if (document.hidden) return resumed;
  if (own && Date.now() - lastInput > AWAY_MS) {
    tellConnection("paused", "paused: press a key or move the pointer");
    return resumed;
  }
  let wait = own ? OWN_MS : USUALLY_MS;
  if (Date.now() - lastAction < 3000) wait = OFTEN_MS;
  if (failures) wait = Math.min(USUALLY_MS * failures, LONGEST_MS);
  const timer = setTimeout(resume, wait);
  await resumed;
  clearTimeout(timer);
}

function tellConnection(kind, words, trouble = "") {
  const parts = { connection: words, trouble };
  for (const [id, told] of Object.entries(parts)) {
    // Told again, it would be read out again.
    if (element(id).textContent !== told) element(id).textContent = told;
  }
  element("connection").dataset.state = kind;
  element("trouble").hidden = !trouble;
}

/** For who does not see rows flash: what has become of whom. */
function tellChanges(before, after) {
  const standings = new Map(before.map((user) => [user.key, user.standing]));
  const changed = after.filter((user) => standings.get(user.key) !== user.standing);
  if (!changed.length) return;
  const told = changed.slice(0, 3).map((user) => `${nameOf(user)}: ${user.standing}`);
  if (changed.length > 3) told.push(`${changed.length - 3} more changed`);
  element("changes").textContent = told.join(". ");
}

const say = (words) => (element("said").textContent = words);

// Acting

async function act(action, asked = {}) {
  const answer = await post(action, asked);
  lastAction = Date.now();
  wake();
  return answer;
}

/** Do the work; what goes wrong is said where the person is looking. */
async function settle(part, work) {
  const dialog = part.closest("dialog");
  const problem = dialog?.querySelector(".problem");
  if (problem) problem.hidden = true;
  try {
    await work();
    dialog?.close();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!problem) return say(error.message);
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function onClick(id, work) {
  const button = element(id);
  button.addEventListener("click", async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    await settle(button, work);
    button.ariaBusy = null;
  });
}

const SAID = {
  "sign-up": (fields) => `${fields.first_name || fields.email || "Somebody"} signed up.`,
  rename: () => `${nameOf(opened)} renamed.`,
  email: () => `Email of ${nameOf(opened)} changed.`,
  tier: (fields) => `Tier of ${nameOf(opened)}: ${fields.tier}.`,
};

function wireForms() {
  for (const form of document.querySelectorAll("form[data-action]")) {
    const { action } = form.dataset;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const fields = Object.fromEntries(new FormData(form));
      const ofUser = action === "sign-up" ? {} : { id: opened.key };
      settle(form, async () => {
        await act(action, { ...ofUser, ...fields });
        say(SAID[action](fields));
        form.reset();
      });
    });
  }
}

function wireActions() {
  wireForms();
  onClick("sign-up", async () => element("sign-up-dialog").showModal());
  onClick("hold", async () => {
    await act("hold");
    say("Webhooks are held back from now on.");
  });
  for (const [id, newest_first] of [["release", false], ["release-newest", true]]) {
    onClick(id, async () => {
      await act("release", { newest_first });
      say("What was held back is sent.");
    });
  }
  for (const mode of ["full", "incremental"]) {
    onClick(`sync-${mode}`, async () => {
      const report = await act("sync", { mode });
      const why = report.reason ? ` ${report.reason}` : "";
      say(`${mode} sync ${report.status}: ${summary(report)}.${why}`);
    });
  }
  onClick("delete", async () => {
    await act("delete", { id: opened.key });
    say(`${nameOf(opened)} deleted at Clerk.`);
  });
  onClick("delete-behind", async () => {
    await act("delete", { id: opened.key, behind_our_back: true });
    say(`${nameOf(opened)} deleted at Clerk, and no webhook tells of it.`);
  });
  onClick("sign-in", async () => session.signIn(opened.key, nameOf(opened)));
  onClick("sign-out", async () => session.signOut());
}

// Dialogs

let opened = null;

async function openUser(key) {
  opened = state.users.find((user) => user.key === key);
  const dialog = element("user-dialog");
  element("user-title").textContent = nameOf(opened);
  element("user-id").textContent = key;
  dialog.querySelector(".problem").hidden = true;
  showFields([]);
  element("user-actions")?.toggleAttribute("hidden", !opened.clerk);
  dialog.showModal();
  const read = await readUser(key).catch((error) => ({ problem: error.message }));
  if (opened.key !== key) return;
  const problem = read.problem ?? "";
  dialog.querySelector(".problem").textContent = problem;
  dialog.querySelector(".problem").hidden = !problem;
  showFields(read.fields ?? []);
  const given = { ...read.given, tier: opened.row?.tier ?? "FREE" };
  for (const input of dialog.querySelectorAll("[name]")) {
    if (input !== document.activeElement) input.value = given[input.name] ?? "";
  }
}

function openReport(key) {
  showReport(state.runs.find((run) => run.key === key));
  element("report-dialog").showModal();
}

const OPEN = {
  user: openUser,
  report: openReport,
  replay: (key, button) => settle(button, () => act("replay", { message_id: key })),
};

function wirePage() {
  addEventListener("click", ({ target }) => {
    if (target.closest("[data-close]")) target.closest("dialog").close();
    const button = target.closest("[data-open]");
    if (button) OPEN[button.dataset.open](button.closest("[data-key]").dataset.key, button);
  });
  element("search").addEventListener("input", wake);
  for (const name of ["pointermove", "keydown", "visibilitychange", "online"]) {
    addEventListener(name, () => {
      const wasAway = Date.now() - lastInput > AWAY_MS;
      lastInput = Date.now();
      if (wasAway || name === "visibilitychange" || name === "online") wake();
    });
  }
  setInterval(showAges, 1000);
}

// Signing in

async function startSignIn() {
  const root = element("session");
  const signOut = element("sign-out");
  const showSignOut = () => {
    if (signOut === document.activeElement) element("self-sync").focus();
    signOut.hidden = !session.current();
  };
  session.subscribe(showSignOut);
  showSignOut();
  if (state.hook) {
    const { mount } = await import("/page/signin.js");
    mount(root, {
      onSynced: () => tellSynced("by the hook"),
      onError: (error) => say(`The hook could not sync: ${error.message}`),
    });
    return;
  }
  element("no-hook").hidden = false;
  session.subscribe(async () => {
    const { name } = session.current() ?? {};
    root.textContent = name ? `Signed in as ${name}` : "Nobody is signed in.";
    // One tab is enough; the hook has a better way to choose it.
    if (name && document.hasFocus() && (await session.syncPlainly())) {
      tellSynced("by a plain request");
    }
  });
}

function tellSynced(how) {
  const { name, at } = session.current() ?? {};
  if (name) say(`${name} synced ${how}, ${Date.now() - at} ms after sign-in.`);
  lastAction = Date.now();
  wake();
}

wirePage();
wireActions();
keepUp();
