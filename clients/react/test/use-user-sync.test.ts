import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { UserSyncError } from "../src/index.js";
import { type FakeEndpoint, offline, refused, ROW, silent, synced } from "./browser.js";
import { FakeClerk } from "./fake-clerk.js";
import { openTab, settle, startBrowser, stopBrowser } from "./page.js";

let endpoint: FakeEndpoint;
let clerk: FakeClerk;
const onSynced = vi.fn<(user: Record<string, unknown>) => void>();
const onError = vi.fn<(error: UserSyncError) => void>();

beforeEach(() => {
  ({ endpoint } = startBrowser());
  clerk = new FakeClerk();
});

afterEach(() => {
  stopBrowser();
  vi.clearAllMocks();
});

const tokens = () => endpoint.posts.map((post) => post.authorization);

describe("a session", () => {
  it("is posted when the page opens signed in", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk, { onSynced, onError });
    expect(tokens()).toEqual(["Bearer sess_1.1"]);
    expect(onSynced.mock.calls).toEqual([[ROW]]);
    expect(onError).not.toHaveBeenCalled();
  });

  it("is posted at sign-in, and nothing before", async () => {
    await openTab(clerk);
    expect(endpoint.posts).toEqual([]);
    clerk.signIn("sess_1");
    await settle();
    expect(endpoint.posts).toHaveLength(1);
  });

  it("is posted once, however often Clerk has news of it", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk);
    clerk.emit();
    clerk.emit();
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("is posted once for all components of a page", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk, { components: 3 });
    expect(endpoint.posts).toHaveLength(1);
  });

  it("is not posted while Clerk has tasks for the user to do", async () => {
    clerk.signIn("sess_1", { status: "pending" });
    await openTab(clerk);
    expect(endpoint.posts).toEqual([]);
    clerk.signIn("sess_1");
    await settle();
    expect(endpoint.posts).toHaveLength(1);
  });

  it("is posted to the endpoint that is named", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk, { endpoint: "https://api.example.com/api/users/sync" });
    expect(endpoint.posts[0]!.url).toBe("https://api.example.com/api/users/sync");
  });

  it("is left alone until enabled", async () => {
    clerk.signIn("sess_1");
    const tab = await openTab(clerk, { enabled: false });
    expect(endpoint.posts).toEqual([]);
    tab.rerender({ enabled: true });
    await settle();
    expect(endpoint.posts).toHaveLength(1);
  });

  it("tells the callbacks of the last render, not of the first", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(500)];
    const tab = await openTab(clerk, { onSynced: () => expect.unreachable("stale") });
    tab.rerender({ onSynced });
    await settle(1000);
    expect(onSynced).toHaveBeenCalledTimes(1);
  });
});

describe("the next session", () => {
  it("is posted too", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk);
    clerk.signOut();
    clerk.signIn("sess_2");
    await settle();
    expect(tokens()).toEqual(["Bearer sess_1.1", "Bearer sess_2.1"]);
  });

  it("takes over from one that is being posted", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [silent];
    await openTab(clerk, { onSynced, onError });
    clerk.signIn("sess_2");
    await settle();
    expect(endpoint.posts[0]!.signal.aborted).toBe(true);
    expect(tokens()).toEqual(["Bearer sess_1.1", "Bearer sess_2.1"]);
    expect(onSynced).toHaveBeenCalledTimes(1);
    expect(onError).not.toHaveBeenCalled();
  });

  it("does not make the one before it new, when somebody switches back", async () => {
    clerk.signIn("sess_1");
    await openTab(clerk);
    clerk.signIn("sess_2");
    await settle();
    clerk.signIn("sess_1");
    await settle();
    expect(endpoint.posts).toHaveLength(2);
  });
});

describe("a sign-out", () => {
  it("aborts the request and calls nobody", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [silent];
    await openTab(clerk, { onSynced, onError });
    clerk.signOut();
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
    expect(endpoint.posts[0]!.signal.aborted).toBe(true);
    expect(onSynced).not.toHaveBeenCalled();
    expect(onError).not.toHaveBeenCalled();
  });

  it("ends the waiting for another attempt, and asks for no further token", async () => {
    const getToken = vi.fn(clerk.signIn("sess_1").getToken);
    clerk.session!.getToken = getToken;
    endpoint.script = [() => refused(500)];
    await openTab(clerk);
    clerk.signOut();
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
    expect(getToken).toHaveBeenCalledTimes(1);
  });
});

describe("a failure", () => {
  it.each([
    ["500", () => refused(500)],
    ["429", () => refused(429)],
    ["no network", offline],
  ])("(%s) is followed by another attempt, each later than the last", async (_, answer) => {
    clerk.signIn("sess_1");
    endpoint.script = Array.from({ length: 12 }, () => answer);
    await openTab(clerk, { onSynced, onError });
    for (const [i, seconds] of [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256, 256].entries()) {
      await settle(seconds * 1000 - 1);
      expect(endpoint.posts).toHaveLength(i + 1);
      expect(onSynced).not.toHaveBeenCalled();
      await settle(1);
      expect(endpoint.posts).toHaveLength(i + 2);
    }
    expect(onError).toHaveBeenCalledTimes(12);
    expect(onError.mock.calls[0]![0].retryable).toBe(true);
    expect(onSynced).toHaveBeenCalledTimes(1);
  });

  it("is jittered: a wait is between half and all of its time", async () => {
    vi.mocked(Math.random).mockReturnValue(0);
    clerk.signIn("sess_1");
    endpoint.script = [offline];
    await openTab(clerk);
    await settle(499);
    expect(endpoint.posts).toHaveLength(1);
    await settle(1);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("with Retry-After is followed by none before that, not even online again", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(503, { "Retry-After": "60" })];
    await openTab(clerk);
    window.dispatchEvent(new Event("online"));
    await settle(60_000);
    expect(endpoint.posts).toHaveLength(1);
    await settle(1000);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("with a Retry-After beyond all timers does not make a loop", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(503, { "Retry-After": "9999999999" })];
    await openTab(clerk);
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
  });

  it("for want of a network is followed by an attempt as soon as there is one", async () => {
    clerk.signIn("sess_1");
    endpoint.script = Array.from({ length: 5 }, () => offline);
    await openTab(clerk);
    await settle(15_000);
    expect(endpoint.posts).toHaveLength(5);
    window.dispatchEvent(new Event("online"));
    await settle();
    expect(endpoint.posts).toHaveLength(6);
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(6);
  });

  it.each([400, 403, 404])("with %i is final for this session", async (status) => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(status)];
    await openTab(clerk, { onError });
    window.dispatchEvent(new Event("online"));
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
    expect(onError).toHaveBeenCalledTimes(1);
    clerk.signIn("sess_2");
    await settle();
    expect(endpoint.posts).toHaveLength(2);
  });

  it("that is final is so for all components of the page, and for those to come", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(400)];
    const tab = await openTab(clerk, { components: 3, strict: true });
    await settle(3_600_000);
    tab.rerender({ enabled: false });
    tab.rerender({ enabled: true });
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
    await openTab(clerk);
    expect(endpoint.posts).toHaveLength(2);
  });

  it("with 401 gets a fresh token, and with a second one the session is left alone", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(401), () => refused(401)];
    await openTab(clerk, { onError });
    await settle(3_600_000);
    expect(tokens()).toEqual(["Bearer sess_1.1", "Bearer sess_1.2"]);
    expect(onError.mock.calls[0]![0]).toMatchObject({ status: 401, retryable: false });
  });

  it("is none when the session has no token any more, and nothing is posted", async () => {
    clerk.signIn("sess_1").getToken = async () => null;
    clerk.emit();
    await openTab(clerk, { onError });
    await settle(3_600_000);
    expect(endpoint.posts).toEqual([]);
    expect(onError).toHaveBeenCalledTimes(1);
  });
});

describe("an unmount", () => {
  it("aborts the request and stops listening", async () => {
    clerk.signIn("sess_1");
    const before = clerk.listening;
    endpoint.script = [silent];
    const tab = await openTab(clerk, { onSynced, onError });
    tab.unmount();
    await settle();
    expect(endpoint.posts[0]!.signal.aborted).toBe(true);
    expect(clerk.listening).toBe(before);
    clerk.signIn("sess_2");
    await settle(3_600_000);
    expect(endpoint.posts).toHaveLength(1);
    expect(onError).not.toHaveBeenCalled();
  });

  it("leaves no timer of a long wait", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [() => refused(503, { "Retry-After": "3600" })];
    const tab = await openTab(clerk);
    tab.unmount();
    await settle(30_000); // the timeout of the request itself
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not keep the next page from posting", async () => {
    clerk.signIn("sess_1");
    endpoint.script = [silent, synced];
    const tab = await openTab(clerk);
    tab.unmount();
    await openTab(clerk, { onSynced });
    expect(onSynced).toHaveBeenCalledTimes(1);
  });
});
