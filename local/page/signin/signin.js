// Door 2 as an application has it: React, and the hook instead of Clerk's useUser.

import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { useUserSync } from "clerksync-react";

/** Show who is signed in; tells of each sync of this tab. */
export function mount(root, { onSynced, onError }) {
  createRoot(root).render(createElement(SignedIn, { onSynced, onError }));
}

function SignedIn({ onSynced, onError }) {
  const { isSignedIn, user } = useUserSync({ onSynced, onError });
  if (!isSignedIn) return "Nobody is signed in.";
  return createElement("span", null, "Signed in as ", createElement("b", null, user.fullName));
}
