import * as clerkReact from "@clerk/react";
import { useUser } from "@clerk/react";
import { act, render } from "@testing-library/react";
import { Component, type ReactNode, StrictMode, Suspense } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from "vitest";

import type { useUserSync } from "../src/index.js";
import { type FakeEndpoint, offline, refused } from "./browser.js";
import { FakeClerk } from "./fake-clerk.js";
import { load, openTab, Provider, settle, startBrowser, stopBrowser } from "./page.js";

// The real hook; what it returned is noted.
vi.mock("@clerk/react", async (importOriginal) => {
  const real = await importOriginal<typeof clerkReact>();
  return { ...real, useUser: vi.fn(real.useUser) };
});

let endpoint: FakeEndpoint;
let clerk: FakeClerk;

beforeEach(() => {
  ({ endpoint } = startBrowser());
  clerk = new FakeClerk();
});

afterEach(stopBrowser);

/** What a component got from `hook` at each of its renders, through a user's day. */
async function dayWith(hook: typeof useUser): Promise<ReturnType<typeof useUser>[]> {
  const day = new FakeClerk();
  const returned: ReturnType<typeof useUser>[] = [];
  function Page() {
    returned.push(hook());
    return null;
  }
  const { unmount } = render(
    <Provider clerk={day}>
      <Page />
    </Provider>,
  );
  await settle();
  const ada = { id: "user_1", firstName: "Ada" };
  const events = [
    () => day.signOut(),
    () => day.signIn("sess_1", { user: ada }),
    () => day.emit(),
    () => day.signIn("sess_1", { user: { ...ada, firstName: "Augusta" } }),
    () => day.signOut(),
    () => day.signIn("sess_2", { user: ada }),
    () => day.signIn("sess_3", { user: ada }),
  ];
  for (const event of events) {
    act(event);
    await settle(600_000);
  }
  unmount();
  return returned;
}

describe("what a component sees", () => {
  it("is as often, and the same, as with useUser alone", async () => {
    const alone = await dayWith(useUser);
    expect(endpoint.posts).toEqual([]);

    const { useUserSync } = await load();
    endpoint.script = [() => refused(500), offline, () => refused(401)];
    const withSync = await dayWith(useUserSync);
    expect(endpoint.posts.length).toBeGreaterThan(5);

    expect(alone.length).toBeGreaterThan(4);
    expect(withSync).toEqual(alone);
  });

  it("is the very object that useUser returned", async () => {
    const { useUserSync } = await load();
    let returned: unknown;
    function Page() {
      returned = useUserSync();
      return null;
    }
    clerk.signIn("sess_1");
    render(
      <Provider clerk={clerk}>
        <Page />
      </Provider>,
    );
    await settle();
    const { results } = vi.mocked(clerkReact.useUser).mock;
    expect(returned).toMatchObject({ isSignedIn: true });
    expect(returned).toBe(results.at(-1)!.value);
  });

  it("has the type of what useUser returns", () => {
    expectTypeOf<ReturnType<typeof useUserSync>>().toEqualTypeOf<ReturnType<typeof useUser>>();
    expectTypeOf<typeof useUserSync>().toExtend<typeof useUser>();
  });
});

describe("rendering", () => {
  it("in StrictMode posts once", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk, { strict: true });
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("on a server works and posts nothing", async () => {
    const { useUserSync } = await load();
    function Page() {
      return useUserSync().isLoaded ? "loaded" : "loading";
    }
    const html = renderToString(
      <Provider clerk={clerk}>
        <Page />
      </Provider>,
    );
    await settle();
    expect(html).toContain("load");
    expect(endpoint.posts).toEqual([]);
  });

  it("is neither suspended nor interrupted by whatever fails", async () => {
    const { useUserSync } = await load();
    let caught: unknown;
    class Boundary extends Component<{ children: ReactNode }> {
      override componentDidCatch(error: unknown) {
        caught = error;
      }
      override render() {
        return this.props.children;
      }
    }
    const waiting = vi.fn(() => null);
    const Fallback = waiting;
    function Page() {
      return useUserSync().user?.id ?? "nobody";
    }
    vi.stubGlobal("fetch", () => {
      throw new Error("a broken polyfill");
    });
    clerk.signIn("sess_1").getToken = () => {
      throw new Error("a broken Clerk");
    };
    clerk.emit();
    const { container } = render(
      <StrictMode>
        <Boundary>
          <Suspense fallback={<Fallback />}>
            <Provider clerk={clerk}>
              <Page />
            </Provider>
          </Suspense>
        </Boundary>
      </StrictMode>,
    );
    await settle(10_000);
    expect(container.textContent).toBe("user_1");
    expect(waiting).not.toHaveBeenCalled();
    expect(caught).toBeUndefined();
  });

  it("and syncing are not disturbed by a callback that throws", async () => {
    const uncaught: string[] = [];
    const original = queueMicrotask;
    vi.stubGlobal("queueMicrotask", (task: () => void) =>
      original(() => {
        try {
          task();
        } catch (error) {
          uncaught.push((error as Error).message);
        }
      }),
    );
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(500)];
    const broken = () => {
      throw new Error("the page's own mistake");
    };
    await openTab(clerk, { onSynced: broken, onError: broken });
    await settle(1000);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(2);
    expect(uncaught).toEqual(["the page's own mistake", "the page's own mistake"]);
  });
});
