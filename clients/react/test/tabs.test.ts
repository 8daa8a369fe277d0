import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import {
  type FakeEndpoint,
  type FakeLocks,
  refused,
  silent,
  synced,
} from "./browser.js";
import { FakeClerk } from "./fake-clerk.js";
import {
  fillStorage,
  openTab,
  refuseStorage,
  settle,
  slowStorage,
  startBrowser,
  stopBrowser,
  withLocks,
} from "./page.js";

let endpoint: FakeEndpoint;
let locks: FakeLocks;
let clerk: FakeClerk;

beforeEach(() => {
  ({ endpoint, locks } = startBrowser());
  clerk = new FakeClerk();
  clerk.signIn("sess_1");
});

afterEach(stopBrowser);

describe("two tabs", () => {
  it("post once, when one opens after the other", async () => {
    await openTab(clerk);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("post once, when one opens while the other is posting", async () => {
    let answer!: (response: Response) => void;
    endpoint.script = [() => new Promise((resolve) => (answer = resolve))];
    await openTab(clerk);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(1);
    answer(synced());
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("post once, though what one has stored reaches the other later", async () => {
    vi.mocked(Math.random).mockReturnValue(0);
    slowStorage(400);
    await openTab(clerk);
    await openTab(clerk);
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("post once at a sign-in that both hear of", async () => {
    clerk.signOut();
    await openTab(clerk);
    await openTab(clerk);
    clerk.signIn("sess_2");
    await settle();
    expect(endpoint.posts).toHaveLength(1);
  });

  it("share the attempts after a failure: only one of them makes any", async () => {
    endpoint.script = [() => refused(500), () => refused(500)];
    await openTab(clerk);
    await openTab(clerk);
    await settle(3000);
    expect(endpoint.posts).toHaveLength(3);
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(3);
  });

  it("post once for each of their sessions, and each remembers both", async () => {
    const other = new FakeClerk();
    other.signIn("sess_2");
    await openTab(clerk);
    await openTab(other);
    await openTab(clerk);
    await openTab(other);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("do not take an id for another one that begins like it", async () => {
    const other = new FakeClerk();
    other.signIn("sess_12");
    await openTab(other);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("post to each endpoint that is named", async () => {
    await openTab(clerk);
    await openTab(clerk, { endpoint: "/elsewhere" });
    expect(endpoint.posts.map((post) => post.url)).toEqual(["/api/users/sync", "/elsewhere"]);
  });
});

describe("a tab that is closed in the middle", () => {
  it("is followed by the next one", async () => {
    endpoint.script = [silent];
    await openTab(clerk);
    const onSynced = vi.fn();
    await openTab(clerk, { onSynced });
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(1);
    locks.closeHolders();
    await settle();
    expect(endpoint.posts).toHaveLength(2);
    expect(onSynced).toHaveBeenCalledTimes(1);
  });

  it("is followed by the next one also when it navigates to a page without the hook", async () => {
    endpoint.script = [silent];
    const tab = await openTab(clerk);
    await openTab(clerk);
    tab.unmount();
    await settle();
    expect(endpoint.posts).toHaveLength(2);
  });

  it("while it only waits is forgotten", async () => {
    let answer!: (response: Response) => void;
    endpoint.script = [() => new Promise((resolve) => (answer = resolve))];
    await openTab(clerk);
    const waiting = await openTab(clerk);
    waiting.unmount();
    answer(refused(400));
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
  });
});

describe.each([
  ["refuses storage", refuseStorage],
  ["has no room in its storage", fillStorage],
])("a browser that %s", (_, spoil) => {
  beforeEach(spoil);

  it("posts once in each tab", async () => {
    const tab = await openTab(clerk, { components: 2, strict: true });
    tab.rerender({ enabled: false });
    tab.rerender({ enabled: true });
    await settle();
    expect(endpoint.posts).toHaveLength(1);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("posts once also without locks", async () => {
    withLocks(undefined);
    await openTab(clerk, { components: 2, strict: true });
    expect(endpoint.posts).toHaveLength(1);
  });
});

describe.each([
  ["without locks", undefined],
  ["whose locks are not for this page", { request: () => Promise.reject(new DOMException()) }],
])("a browser %s", (_, refusedLocks) => {
  beforeEach(() => withLocks(refusedLocks));

  it("posts once for all components of a page", async () => {
    await openTab(clerk, { components: 3 });
    expect(endpoint.posts).toHaveLength(1);
  });

  it("posts once for two tabs that open one after the other", async () => {
    await openTab(clerk);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("makes no further attempt when another tab has succeeded meanwhile", async () => {
    endpoint.script = [() => refused(500)];
    await openTab(clerk);
    await openTab(clerk);
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("goes on with the next component when the posting one unmounts", async () => {
    endpoint.script = [silent];
    const tab = await openTab(clerk, { components: 2 });
    tab.rerender({ enabled: false });
    tab.rerender({ enabled: true });
    await settle();
    expect(endpoint.posts).toHaveLength(2);
  });
});

it("what is remembered has a limit, and holds no token and no profile", async () => {
  const tab = await openTab(clerk);
  for (let i = 2; i <= 60; i++) {
    clerk.signIn(`sess_${i}`);
    await settle();
  }
  tab.unmount();
  expect(endpoint.posts).toHaveLength(60);
  expect(localStorage).toHaveLength(1);
  const kept = localStorage.getItem("clerksync")!;
  expect(kept).toHaveLength(999);
  expect(kept.startsWith("\n/api/users/sync sess_60\n")).toBe(true);
});

it("what others have written over the marks does no harm", async () => {
  localStorage.setItem("clerksync", "{]");
  await openTab(clerk);
  await openTab(clerk);
  expect(endpoint.posts).toHaveLength(1);
});
