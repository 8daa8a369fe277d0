import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { syncUser, UserSyncError } from "../src/index.js";
import {
  elapse,
  FakeEndpoint,
  offline,
  refused,
  ROW,
  silent,
  timeoutsByFakeTimers,
} from "./browser.js";

let endpoint: FakeEndpoint;
const getToken = vi.fn(async (options?: { skipCache?: boolean }): Promise<string | null> =>
  options?.skipCache ? "fresh" : "cached",
);

beforeEach(() => {
  vi.useFakeTimers();
  timeoutsByFakeTimers();
  endpoint = new FakeEndpoint();
  vi.stubGlobal("fetch", endpoint.fetch);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const failure = (options: Partial<Parameters<typeof syncUser>[0]> = {}) =>
  syncUser({ getToken, ...options }).then(
    () => expect.unreachable("it resolved"),
    (error: unknown) => error as UserSyncError,
  );

describe("syncUser", () => {
  it("posts the token without a body, and resolves with the row", async () => {
    await expect(syncUser({ getToken })).resolves.toEqual(ROW);
    expect(endpoint.posts).toMatchObject([
      { url: "/api/users/sync", method: "POST", authorization: "Bearer cached" },
    ]);
    expect(endpoint.posts[0]!.body).toBeUndefined();
  });

  it("posts to a full URL", async () => {
    await syncUser({ getToken, endpoint: "https://api.example.com/api/users/sync" });
    expect(endpoint.posts[0]!.url).toBe("https://api.example.com/api/users/sync");
  });

  it("answers a 401 with a fresh token, once", async () => {
    endpoint.script = [() => refused(401)];
    await expect(syncUser({ getToken })).resolves.toEqual(ROW);
    expect(endpoint.posts.map((post) => post.authorization)).toEqual([
      "Bearer cached",
      "Bearer fresh",
    ]);

    endpoint.script = [() => refused(401), () => refused(401)];
    expect(await failure()).toMatchObject({ status: 401, retryable: false });
    expect(endpoint.posts).toHaveLength(4);
  });

  it.each([400, 403, 404, 409])("says of a %i that it is final", async (status) => {
    endpoint.script = [() => refused(status)];
    const error = await failure();
    expect(error).toBeInstanceOf(UserSyncError);
    expect(error).toMatchObject({ status, retryable: false, retryAfter: 0 });
    expect(error.message).toContain("The reason.");
  });

  it.each([429, 500, 502, 503, 504])("says of a %i that it may pass", async (status) => {
    endpoint.script = [() => refused(status)];
    expect(await failure()).toMatchObject({ status, retryable: true, retryAfter: 0 });
  });

  it("tells how long the server asked to wait, as long as a timer can", async () => {
    for (const [header, ms] of [
      ["7", 7000],
      ["0", 0],
      ["9999999999", 1_000_000_000],
      ["-5", 5000],
      ["Thu, 26 Nov 2026 12:01:30 GMT", 0],
    ] as const) {
      endpoint.script = [() => refused(503, { "Retry-After": header })];
      expect((await failure()).retryAfter, header).toBe(ms);
    }
  });

  it.each([
    ["a page", () => new Response("<!doctype html>")],
    ["other JSON", () => Response.json({ hello: "world" })],
    ["null", () => Response.json(null)],
    ["what comes with an error", () => Response.json({ user: ROW }, { status: 400 })],
    ["nothing", () => new Response(null, { status: 204 })],
  ])("does not take %s for a row", async (_, answer) => {
    endpoint.script = [answer];
    expect(await failure()).toMatchObject({ retryable: false });
  });

  it("copes with an error that is no JSON", async () => {
    endpoint.script = [() => new Response("Bad gateway", { status: 502 })];
    expect(await failure()).toMatchObject({ status: 502, retryable: true });
  });

  it("says that it may pass when there is no answer", async () => {
    endpoint.script = [offline];
    const error = await failure();
    expect(error).toMatchObject({ status: 0, retryable: true });
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it("posts nothing without a token", async () => {
    getToken.mockResolvedValueOnce(null);
    expect(await failure()).toMatchObject({ status: 401, retryable: false });
    expect(endpoint.posts).toEqual([]);
  });

  it("says that it may pass when Clerk gives no token because of the network", async () => {
    getToken.mockRejectedValueOnce(new Error("offline"));
    expect(await failure()).toMatchObject({ status: 0, retryable: true });
  });

  it("waits for an answer no longer than the timeout", async () => {
    endpoint.script = [silent];
    const failed = failure({ timeout: 5000 });
    await elapse(4999);
    expect(endpoint.posts[0]!.signal.aborted).toBe(false);
    await elapse(1);
    expect(await failed).toMatchObject({ status: 0, retryable: true });
    expect(endpoint.posts[0]!.signal.aborted).toBe(true);
  });

  it("waits for a token no longer than the timeout, and posts none that comes late", async () => {
    let late!: (token: string) => void;
    getToken.mockReturnValueOnce(new Promise((resolve) => (late = resolve)));
    const failed = failure();
    await elapse(30_000);
    const error = await failed;
    expect(error).toMatchObject({ status: 0, retryable: true });
    expect(error.cause).toMatchObject({ name: "TimeoutError" });
    late("late");
    await elapse();
    expect(endpoint.posts).toEqual([]);
  });

  it("rejects with the signal's reason, before, during and instead of an answer", async () => {
    const before = AbortSignal.abort("not wanted");
    expect(await failure({ signal: before })).toBe("not wanted");
    expect(endpoint.posts).toEqual([]);

    const controller = new AbortController();
    endpoint.script = [silent];
    const failed = failure({ signal: controller.signal });
    await elapse();
    controller.abort("left");
    expect(await failed).toBe("left");
    expect(endpoint.posts[0]!.signal.aborted).toBe(true);
  });
});
