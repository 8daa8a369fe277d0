/** What the tabs of a browser share: locks. And the endpoint that they post to. */
import { vi } from "vitest";

interface Request {
  granted: boolean;
  grant: () => void;
}

/** Web Locks as far as they matter here; jsdom has none. */
export class FakeLocks {
  readonly #queues = new Map<string, Request[]>();

  request(name: string, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      const request: Request = {
        granted: false,
        grant: () => {
          request.granted = true;
          void work().then(resolve, reject).finally(() => this.#leave(queue, request));
        },
      };
      queue.push(request);
      queueMicrotask(() => this.#next(queue)); // a browser grants in a later task
    });
  }

  /** The browser's part when the tab that holds a lock is closed. */
  closeHolders(): void {
    for (const queue of this.#queues.values()) {
      const holder = queue.find(({ granted }) => granted);
      if (holder) this.#leave(queue, holder);
    }
  }

  #leave(queue: Request[], request: Request): void {
    const place = queue.indexOf(request);
    if (place >= 0) queue.splice(place, 1);
    this.#next(queue);
  }

  #next(queue: Request[]): void {
    if (queue[0] && !queue[0].granted) queue[0].grant();
  }
}

export const ROW = { id: "user_1", email: "ada@example.com", tier: "FREE" };

export const synced = () => Response.json({ success: true, user: ROW });
export const refused = (status: number, headers: HeadersInit = {}) =>
  Response.json({ error: "The reason." }, { status, headers });
export const offline = () => Promise.reject(new TypeError("Failed to fetch"));
export const silent = () => new Promise<Response>(() => {});

export interface Posted {
  url: string;
  method: string | undefined;
  authorization: string | undefined;
  body: unknown;
  signal: AbortSignal;
}

/** Answers from a script, then with a row; notes what was posted and what was aborted. */
export class FakeEndpoint {
  readonly posts: Posted[] = [];
  script: (() => Response | Promise<Response>)[] = [];

  fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const signal = init.signal!;
    signal.throwIfAborted();
    this.posts.push({
      url,
      method: init.method,
      authorization: new Headers(init.headers).get("Authorization") ?? undefined,
      body: init.body,
      signal,
    });
    const answer = this.script.shift() ?? synced;
    return Promise.race([
      answer(),
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
    ]);
  };
}

/** AbortSignal.timeout() as it is, but by timers that a test can turn. */
export function timeoutsByFakeTimers(): void {
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    const reason = new DOMException("signal timed out", "TimeoutError");
    setTimeout(() => controller.abort(reason), ms);
    return controller.signal;
  });
}

/** Lets everything run that waits for no timer, then `ms` of timers. */
export const elapse = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
