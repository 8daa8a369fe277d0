import { useClerk, useUser } from "@clerk/react";
import { useEffect, useRef } from "react";

import { type Callbacks, syncOnce } from "./sync-once.js";
import { DEFAULT_ENDPOINT, type UserRow } from "./sync-user.js";

export interface UseUserSyncOptions<Row = UserRow> extends Callbacks<Row> {
  /** A path of this origin or a full URL. Default: `/api/users/sync`. */
  endpoint?: string | undefined;
  /** False: do as `useUser()` does and nothing else. Default: true. */
  enabled?: boolean | undefined;
}

/**
 * Clerk's `useUser()`, and the user's row is synced once for each session.
 *
 * Returns what `useUser()` returned, renders no more often and throws nothing else. What
 * it needs of Clerk beyond that is read from the context that `useUser()` reads as well,
 * so a session or token that changes renders nothing anew.
 */
export function useUserSync<Row = UserRow>(
  options: UseUserSyncOptions<Row> = {},
): ReturnType<typeof useUser> {
  const { endpoint = DEFAULT_ENDPOINT, enabled = true } = options;
  const result = useUser();
  const clerk = useClerk();
  const callbacks = useRef<Callbacks<Row>>(options);

  useEffect(() => {
    callbacks.current = options;
  });

  useEffect(() => {
    if (!enabled) return;
    let current: string | false | undefined;
    let controller: AbortController | undefined;
    const unsubscribe = clerk.addListener(({ session }) => {
      const active = session?.status === "active" && session.id;
      if (active === current) return;
      current = active;
      controller?.abort();
      controller = new AbortController();
      if (active) void syncOnce(session!, endpoint, callbacks, controller.signal);
    });
    return () => {
      controller?.abort();
      unsubscribe();
    };
  }, [clerk, endpoint, enabled]);

  return result;
}
