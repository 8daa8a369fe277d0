import { type GetToken, syncUser, type UserRow, type UserSyncError } from "./sync-user.js";

/** What is needed of Clerk's session. */
export interface Session {
  id: string;
  getToken: GetToken;
}

export interface Callbacks<Row = UserRow> {
  /** Called in the tab that posted, with the committed row. */
  onSynced?: ((user: Row) => void) | undefined;
  /** Called after each attempt that failed; `retryable` says if another follows. */
  onError?: ((error: UserSyncError) => void) | undefined;
}

/**
 * Ends when the session is synced, in whichever tab, or cannot be, or when aborted. Never
 * rejects. The callbacks are read when they are due.
 */
export async function syncOnce<Row>(
  session: Session,
  endpoint: string,
  callbacks: { current: Callbacks<Row> },
  signal: AbortSignal,
): Promise<void> {
  const mark = `\n${endpoint} ${session.id}\n`;
  // What a callback throws is the page's own uncaught error, and disturbs nothing here.
  const tell = (name: keyof Callbacks, value: any) =>
    queueMicrotask(() => callbacks.current[name]?.(value));

  const tryUntilDone = async () => {
    for (let attempt = 0; !signal.aborted && !(done + stored()).includes(mark); attempt++) {
      let retryAfter = 0;
      try {
        const user = await syncUser<Row>({
          getToken: (options) => session.getToken(options),
          endpoint,
          signal,
        });
        done += mark;
        try {
          localStorage[KEY] = (mark + stored()).slice(0, 999);
        } catch {}
        tell("onSynced", user);
      } catch (error) {
        if (signal.aborted) return;
        tell("onError", error);
        if (!(error as UserSyncError).retryable) done += mark;
        retryAfter = (error as UserSyncError).retryAfter;
      }
      // 1, 2, 4, … 256 seconds, up to half of it less by chance. When done, too: the next
      // tab may otherwise have the lock before it sees what this one has stored.
      let timer;
      await new Promise((resolve) => {
        const backoff = 500 * 2 ** Math.min(attempt, 8) * (1 + Math.random());
        timer = setTimeout(resolve, retryAfter + backoff);
        signal.onabort = resolve;
        if (!retryAfter) addEventListener("online", resolve, { once: true, signal });
      });
      clearTimeout(timer);
    }
  };

  try {
    // One tab at a time. The browser passes the lock on when its tab goes away.
    await navigator.locks.request(KEY + mark, tryUntilDone);
  } catch {
    // No locks (not HTTPS), or none for this page (a sandboxed frame).
    queue = queue ? queue.then(tryUntilDone) : tryUntilDone();
  }
}

const KEY = "clerksync";

/** What this page need not try (again): what it has synced, and what was refused. */
let done = "";

/** Instead of a lock: the components of this page, one after the other. */
let queue: Promise<void> | undefined;

/** What was synced in any tab, the newest first. */
function stored(): string {
  try {
    return localStorage[KEY] ?? "";
  } catch {
    return "";
  }
}
