// The server that `make dev` runs, asked from the page.

/** What the server, or its absence, has to say to a person. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Nobody answered. */
export class Absence extends Problem {}

/** The state and its tag; null where it is still the one with the given tag. */
export async function readState(search, tag) {
  const headers = tag ? { "If-None-Match": tag } : {};
  const response = await ask(`/page/state?${new URLSearchParams({ q: search })}`, { headers });
  if (response.status === 304) return null;
  return { state: await understood(response), tag: response.headers.get("ETag") };
}

export async function readUser(id) {
  return understood(await ask(`/page/user?${new URLSearchParams({ id })}`));
}

export async function post(action, asked) {
  const response = await ask(`/page/${action}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(asked),
  });
  return understood(response);
}

async function ask(path, options) {
  try {
    const signal = AbortSignal.timeout(30_000);
    return await fetch(path, { cache: "no-store", signal, ...options });
  } catch {
    throw new Absence("The server does not answer. Is make dev still running?");
  }
}

async function understood(response) {
  const body = await response.json().catch(() => ({ error: "The answer broke off." }));
  if (response.ok && !body.error) return body;
  throw new Problem(body.error ?? "The answer is not understood.", response.status);
}
