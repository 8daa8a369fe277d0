// Who is signed in at the stub Clerk: the same in every tab, as with Clerk's cookie.

import { post } from "/page/server.js";

const KEY = "clerksync.dev.session";
const listeners = new Set();
let read = { raw: null, session: null };

/** The session `{id, userId, name, at}`, or null; the same object while it lasts. */
export function current() {
  const raw = localStorage.getItem(KEY);
  if (raw !== read.raw) read = { raw, session: raw && JSON.parse(raw) };
  return read.session;
}

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function signIn(userId, name) {
  const id = `sess_${crypto.randomUUID().replaceAll("-", "")}`;
  localStorage.setItem(KEY, JSON.stringify({ id, userId, name, at: Date.now() }));
  tell();
}

export function signOut() {
  localStorage.removeItem(KEY);
  tell();
}

/** A session token of the stub's. Signs out whose user is gone, as Clerk would. */
export async function getToken() {
  const session = current();
  if (!session) return null;
  try {
    const answer = await post("token", { id: session.userId, session_id: session.id });
    return answer.token;
  } catch (problem) {
    if (problem.status === 404) signOut();
    if (problem.status) return null;
    throw problem;
  }
}

/** What the hook does, once and without its care, for where it is not built. */
export async function syncPlainly() {
  const headers = { Authorization: `Bearer ${await getToken()}` };
  const response = await fetch("/api/users/sync", { method: "POST", headers });
  return response.ok;
}

function tell() {
  for (const listener of listeners) listener();
}

addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) tell();
});
