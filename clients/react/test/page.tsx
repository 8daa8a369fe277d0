/** A page in a tab: the real ClerkProvider around a component that uses the hook. */
import { ClerkProvider } from "@clerk/react";
import { act, render } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { vi } from "vitest";

import type { UseUserSyncOptions } from "../src/index.js";
import { elapse, FakeEndpoint, FakeLocks, timeoutsByFakeTimers } from "./browser.js";
import type { FakeClerk } from "./fake-clerk.js";

const PUBLISHABLE_KEY = `pk_test_${btoa("clerk.example.com$")}`;

export function Provider({ clerk, children }: { clerk: FakeClerk; children?: ReactNode }) {
  return (
    <ClerkProvider publishableKey={PUBLISHABLE_KEY} Clerk={clerk.asProp}>
      {children}
    </ClerkProvider>
  );
}

/** The package as a new tab loads it: with nothing in memory. */
export async function load(): Promise<typeof import("../src/index.js")> {
  vi.resetModules();
  return import("../src/index.js");
}

interface TabOptions extends UseUserSyncOptions {
  strict?: boolean;
  /** How many components use the hook. */
  components?: number;
}

export async function openTab(
  clerk: FakeClerk,
  { strict = false, components = 1, ...initial }: TabOptions = {},
) {
  const { useUserSync } = await load();
  function Component({ options }: { options: UseUserSyncOptions }) {
    useUserSync(options);
    return null;
  }
  const page = (options: UseUserSyncOptions) => {
    const all = Array.from({ length: components }, (_, i) => (
      <Component key={i} options={options} />
    ));
    const tree = <Provider clerk={clerk}>{all}</Provider>;
    return strict ? <StrictMode>{tree}</StrictMode> : tree;
  };
  const { rerender, unmount } = render(page(initial));
  await settle();
  return { unmount, rerender: (options: UseUserSyncOptions) => rerender(page(options)) };
}

/** Lets `ms` of timers pass, and React do what follows. */
export const settle = (ms = 0) => act(() => elapse(ms));

/** A browser with locks and storage, an endpoint, and fake timers. Call in beforeEach. */
export function startBrowser(): { endpoint: FakeEndpoint; locks: FakeLocks } {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  timeoutsByFakeTimers();
  localStorage.clear();
  const endpoint = new FakeEndpoint();
  const locks = new FakeLocks();
  vi.stubGlobal("fetch", endpoint.fetch);
  withLocks(locks);
  return { endpoint, locks };
}

export function withLocks(locks: unknown): void {
  Object.defineProperty(navigator, "locks", { configurable: true, value: locks });
}

/** Storage is refused altogether, as with all cookies blocked. */
export function refuseStorage(): void {
  vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
    throw new DOMException("Access is denied for this document", "SecurityError");
  });
}

/** Storage can be read but not written. */
export function fillStorage(): void {
  const full = new Proxy({} as Storage, {
    set: () => {
      throw new DOMException("The quota has been exceeded", "QuotaExceededError");
    },
  });
  vi.spyOn(window, "localStorage", "get").mockReturnValue(full);
}

/** What is stored is seen `ms` later, as between the processes of a browser's tabs. */
export function slowStorage(ms: number): void {
  const slow = new Proxy({} as Storage, {
    set: (stored, key, value) => {
      setTimeout(() => Reflect.set(stored, key, value), ms);
      return true;
    },
  });
  vi.spyOn(window, "localStorage", "get").mockReturnValue(slow);
}

export function stopBrowser(): void {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
}
