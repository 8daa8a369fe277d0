/** How Clerk hands out session tokens: a session's own `getToken`, or `useAuth()`'s. */
export type GetToken = (options?: { skipCache?: boolean }) => Promise<string | null>;

/** The user's row as the endpoint answers it. Its columns are your table's. */
export type UserRow = Record<string, unknown>;

export const DEFAULT_ENDPOINT = "/api/users/sync";

export interface SyncUserOptions {
  getToken: GetToken;
  /** A path of this origin or a full URL. Default: `/api/users/sync`. */
  endpoint?: string | undefined;
  /** Milliseconds for the whole call, tokens included. Default: 30000. */
  timeout?: number | undefined;
  /** Aborting it rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** Why a user was not synced, and whether the same call makes sense later. */
export class UserSyncError extends Error {
  /** True for 429, 5xx and when there was no answer. */
  readonly retryable: boolean;

  constructor(
    message: string,
    /** The HTTP status; 401 also when there is no token, 0 when there was no answer. */
    readonly status: number,
    /** Milliseconds that the server asked to wait, or 0. */
    readonly retryAfter = 0,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = "UserSyncError";
    this.retryable = !status || status === 429 || status > 499;
  }
}

/**
 * Posts once for the signed-in user, and resolves with the row once it is committed.
 *
 * A 401 is answered with one more request, with a fresh token: the first one may have
 * expired on its way. Nothing else is tried again here. Rejects with a `UserSyncError`, or
 * with the reason of an aborted `signal`.
 */
export async function syncUser<Row = UserRow>({
  getToken,
  endpoint = DEFAULT_ENDPOINT,
  timeout = 30_000,
  signal,
}: SyncUserOptions): Promise<Row> {
  const expiry = AbortSignal.timeout(timeout);
  const limited = signal ? AbortSignal.any([signal, expiry]) : expiry;
  // getToken cannot be aborted: whoever waits for it is let go.
  const ended = new Promise<never>((_, reject) => {
    limited.onabort = () => reject(limited.reason);
  });

  const post = async (options?: { skipCache: boolean }) => {
    const token = await Promise.race([ended, getToken(options)]);
    if (!token) throw new UserSyncError("No token", 401);
    return fetch(endpoint, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      signal: limited,
    });
  };

  try {
    let response = await post();
    if (response.status === 401) response = await post({ skipCache: true });
    const answer = await response.json().catch(() => null);
    if (response.ok && answer?.user) return answer.user;
    throw new UserSyncError(
      `${endpoint} answered ${response.status}: ${answer?.error ?? "no user"}`,
      response.status,
      // Seconds. From 2^31 ms on, a timer fires at once.
      Math.min(Math.abs(Number(response.headers.get("Retry-After"))) * 1000 || 0, 1e9),
    );
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof UserSyncError) throw cause;
    throw new UserSyncError(`No answer from ${endpoint}`, 0, 0, cause);
  }
}
