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
    queueMicrotask(() => signal.aborted || callbacks.current[name]?.(value));

  const tryUntilSynced = async () => {
    for (let attempt = 0; !signal.aborted && !marks().includes(mark); attempt++) {
      let retryAfter = 0;
      try {
        const user = await syncUser<Row>({
          getToken: (options) => session.getToken(options),
          endpoint,
          signal,
        });
        marked = (mark + marks()).slice(0, 999);
        try {
          localStorage[KEY] = marked;
        } catch {}
        tell("onSynced", user);
      } catch (error) {
        tell("onError", error);
        if (!(error as UserSyncError).retryable) return;
        retryAfter = (error as UserSyncError).retryAfter;
      }
      // 1, 2, 4, … 300 seconds, up to half of it less by chance. After a success, too: the
      // next tab may otherwise have the lock before it sees what this one has stored.
      const backoff = Math.min(500 * 2 ** attempt, 150_000) * (1 + Math.random());
      let timer;
      await new Promise((resolve) => {
        timer = setTimeout(resolve, retryAfter + backoff);
        signal.onabort = resolve;
        if (!retryAfter) addEventListener("online", resolve, { once: true, signal });
      });
      clearTimeout(timer);
    }
  };

  try {
    // One tab at a time. The browser passes the lock on when its tab goes away.
    await navigator.locks.request(KEY + mark, tryUntilSynced);
  } catch {
    // No locks (not HTTPS), or none for this page (a sandboxed frame).
    queue = queue ? queue.then(tryUntilSynced) : tryUntilSynced();
  }
}

const KEY = "clerksync";

// Instead of a lock: the components of this page, one after the other.
let queue: Promise<void> | undefined;

// What was synced: the newest first, kept by the page where storage is refused.
let marked = "";

function marks(): string {
  try {
    marked = localStorage[KEY] ?? marked;
  } catch {}
  return marked;
}
