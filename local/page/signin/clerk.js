// Stands in for @clerk/react: the same hooks over the stub's session. What is tried
// out, useUserSync, is the real one and does not see the difference.

import { useSyncExternalStore } from "react";
import { current, getToken, subscribe } from "/page/session.js";

const SIGNED_OUT = { isLoaded: true, isSignedIn: false, user: null };
let known = { session: null, state: SIGNED_OUT, active: null };

function look() {
  const session = current();
  if (session !== known.session) {
    known = {
      session,
      state: session
        ? {
            isLoaded: true,
            isSignedIn: true,
            user: { id: session.userId, fullName: session.name },
          }
        : SIGNED_OUT,
      active: session && { id: session.id, status: "active", getToken },
    };
  }
  return known;
}

const state = () => look().state;

const clerk = {
  addListener(listener) {
    const tell = () => listener({ session: look().active });
    tell();
    return subscribe(tell);
  },
};

export const useUser = () => useSyncExternalStore(subscribe, state);
export const useClerk = () => clerk;
