/** The mesh of the runner, clients/run.py; clients/golden/README.md lists what it sets. */
import { Waypost, type WaypostOptions } from "../src/index.js";

/** The longest a test waits for what takes milliseconds. */
export const PATIENCE_MS = 10_000;

export function setting(name: string): string {
  return process.env[name] ?? "";
}

/** As an option of a test: skips it where one of these is not set. */
export function needs(...names: string[]): { skip: string | false } {
  const missing = names.filter((name) => !setting(name));
  return {
    skip: missing.length > 0 && `NOT RUN: ${missing.join(", ")} not set; make test-client-typescript does`,
  };
}

export const MESH = needs("WAYPOST_ADDRESS", "WAYPOST_GOLDEN");

export function mesh(options: Partial<WaypostOptions> = {}): Waypost {
  return new Waypost({ address: setting("WAYPOST_ADDRESS"), timeoutMs: PATIENCE_MS, ...options });
}

export const HELLO = { model: "hash", texts: ["hello"] };

/** What `generate` and `generateStream` ask of the model that repeats it word by word. */
export function say(content: string, model = "drip") {
  return { model, input: { case: "chat" as const, value: { messages: [{ role: "user", content }] } } };
}

/** Answered by one word after the other until the caller leaves. */
export const FOREVER = say("forever");

/** Returns once nothing is under way at an instance. */
export async function idle(waypost: Waypost, name: string): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
    const instance = (await waypost.instances()).find((each) => each.instance === name);
    if (instance?.inFlight === 0) {
      return;
    }
  }
  throw new Error(`${name} still works`);
}

/** What a call fails with. */
export async function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => Promise.reject(new Error(`it was answered: ${String(answer)}`)),
    (error: unknown) => error,
  );
}

export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const received: T[] = [];
  for await (const message of messages) {
    received.push(message);
  }
  return received;
}
