import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { EmbedService, GenerateService, Waypost, WaypostError } from "../src/index.js";
import { failure, FOREVER, HELLO } from "./mesh.js";

/** A server of one test: it is UNAVAILABLE for as many calls as it is told, and notes what it saw. */
class Shaky {
  calls = 0;
  tokens: (string | null)[] = [];
  timeouts: (number | undefined)[] = [];
  readonly sessions = new Set<{ destroy(): void }>();

  constructor(
    private readonly failures: number,
    private readonly trailers: Record<string, string> = {},
  ) {}

  answer = (_: unknown, context: HandlerContext): object => {
    this.calls += 1;
    this.tokens.push(context.requestHeader.get("authorization"));
    this.timeouts.push(context.timeoutMs());
    if (this.calls <= this.failures) {
      throw new ConnectError("not now", Code.Unavailable, this.trailers);
    }
    return {};
  };

  hangUp(): void {
    this.sessions.forEach((session) => session.destroy());
  }
}

/** Answers on a Unix socket until the test ends. */
async function serve(t: TestContext, shaky: Shaky): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "waypost-"));
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => {
        router.service(EmbedService, { embed: shaky.answer });
        router.service(GenerateService, { generate: shaky.answer });
      },
    }),
  );
  server.on("session", (session) => shaky.sessions.add(session));
  t.after(() => {
    shaky.hangUp();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, "s");
  await new Promise<void>((listening) => server.listen(path, listening));
  return `unix:${path}`;
}

const QUICK = { initialBackoffMs: 1 };

test("a call without side effects is tried again", async (t) => {
  const shaky = new Shaky(2);
  await new Waypost({ address: await serve(t, shaky), retry: QUICK }).embed(HELLO);
  assert.equal(shaky.calls, 3);
});

test("a call is not tried for ever", async (t) => {
  const shaky = new Shaky(100);
  const error = await failure(new Waypost({ address: await serve(t, shaky), retry: QUICK }).embed(HELLO));
  assert.ok(error instanceof WaypostError && error.code === Code.Unavailable);
  assert.equal(shaky.calls, 4);
});

test("generate is not tried again", async (t) => {
  const shaky = new Shaky(1);
  const error = await failure(
    new Waypost({ address: await serve(t, shaky), retry: QUICK }).generate(FOREVER),
  );
  assert.ok(error instanceof WaypostError && error.code === Code.Unavailable);
  assert.equal(shaky.calls, 1);
});

test("a pause that the deadline has no room for is not waited", async (t) => {
  const shaky = new Shaky(1, { "grpc-retry-pushback-ms": "5000" });
  const begun = performance.now();
  const waypost = new Waypost({ address: await serve(t, shaky), timeoutMs: 4000 });
  const error = await failure(waypost.embed(HELLO));
  assert.ok(error instanceof WaypostError && error.code === Code.Unavailable);
  assert.ok(performance.now() - begun < 3000);
});

test("a server that asks not to be tried again is not", async (t) => {
  const shaky = new Shaky(1, { "grpc-retry-pushback-ms": "-1" });
  await failure(new Waypost({ address: await serve(t, shaky), retry: QUICK }).embed(HELLO));
  assert.equal(shaky.calls, 1);
});

test("tries share the deadline of their call", async (t) => {
  const shaky = new Shaky(1, { "grpc-retry-pushback-ms": "50" });
  await new Waypost({ address: await serve(t, shaky), timeoutMs: 5000 }).embed(HELLO);
  const [first, second] = shaky.timeouts;
  assert.ok(first && second && second <= first - 40, `${first}, then ${second}`);
});

test("after many failures in a row nothing is tried again", async (t) => {
  const shaky = new Shaky(1000);
  const waypost = new Waypost({ address: await serve(t, shaky), retry: { initialBackoffMs: 0.01 } });
  for (let call = 0; call < 100; call++) {
    await failure(waypost.embed(HELLO));
  }
  assert.ok(shaky.calls < 150, `${shaky.calls} calls`);
});

test("every call has a deadline and the token", async (t) => {
  const shaky = new Shaky(0);
  await new Waypost({ address: await serve(t, shaky), token: "wp_1_secret" }).embed(HELLO);
  assert.deepEqual(shaky.tokens, ["Bearer wp_1_secret"]);
  assert.ok(shaky.timeouts[0] && shaky.timeouts[0] <= 60_000);
});

test("a server that is lost on the way is unavailable", async (t) => {
  const shaky = new Shaky(0);
  shaky.answer = () => {
    shaky.hangUp();
    return {};
  };
  const error = await failure(new Waypost({ address: await serve(t, shaky) }).generate(FOREVER));
  assert.ok(error instanceof WaypostError && error.code === Code.Unavailable, String(error));
});
