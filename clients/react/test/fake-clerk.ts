/** Clerk's browser object, as far as ClerkProvider and the hooks touch it. */
import type { ComponentProps } from "react";
import type { ClerkProvider } from "@clerk/react";

export interface FakeSession {
  id: string;
  status: string;
  getToken: (options?: { skipCache?: boolean }) => Promise<string | null>;
}

interface Resources {
  client: object;
  session: FakeSession | null | undefined;
  user: object | null | undefined;
  organization: null;
}

export class FakeClerk {
  loaded = true;
  status = "ready";
  client: object = {};
  organization = null;
  session: Resources["session"] = null;
  user: Resources["user"] = null;
  /** What useUser() reads. */
  __internal_lastEmittedResources: Resources | undefined;
  readonly #listeners = new Set<(resources: Resources) => void>();

  addListener = (
    listener: (resources: Resources) => void,
    options?: { skipInitialEmit?: boolean },
  ) => {
    this.#listeners.add(listener);
    if (!options?.skipInitialEmit) listener(this.#resources());
    return () => this.#listeners.delete(listener);
  };

  get listening(): number {
    return this.#listeners.size;
  }

  signIn(id: string, { status = "active", user = { id: "user_1" } as object } = {}): FakeSession {
    let tokens = 0;
    this.session = {
      id,
      status,
      getToken: async (options) => {
        if (!tokens || options?.skipCache) tokens++;
        return `${id}.${tokens}`;
      },
    };
    this.user = user;
    this.emit();
    return this.session;
  }

  signOut(): void {
    this.session = null;
    this.user = null;
    this.emit();
  }

  /** As when a token was refreshed: new objects, the same session. */
  emit(): void {
    if (this.session) this.session = { ...this.session };
    this.__internal_lastEmittedResources = this.#resources();
    for (const listener of [...this.#listeners]) listener(this.#resources());
  }

  /** As ClerkProvider takes it. */
  get asProp(): ComponentProps<typeof ClerkProvider>["Clerk"] {
    return this as never;
  }

  on = (event: string, listener: (status: string) => void, options?: { notify?: boolean }) => {
    if (event === "status" && options?.notify) listener(this.status);
  };
  off = () => {};
  load = async () => {};

  #resources(): Resources {
    const { client, session, user, organization } = this;
    return { client, session, user, organization };
  }
}
