import assert from "node:assert/strict";
import { test } from "node:test";

import { Code, ErrorReason, FinishReason, vectors, WaypostError } from "../src/index.js";
import { all, failure, FOREVER, HELLO, idle, MESH, mesh, PATIENCE_MS, say } from "./mesh.js";

test("an answer comes word by word", MESH, async () => {
  const pieces = await all(mesh().generateStream(say("one two three")));
  assert.ok(pieces.length >= 3);
  assert.equal(pieces.map((piece) => piece.text).join(""), "one two three ");
  assert.equal(pieces.at(-1)?.final?.finishReason, FinishReason.STOP);
});

test("leaving the loop frees the model", MESH, async () => {
  const waypost = mesh();
  let pieces = 0;
  for await (const _ of waypost.generateStream(FOREVER)) {
    if (++pieces === 2) {
      break;
    }
  }
  await idle(waypost, "drip-0");
});

test("a signal cancels the stream and frees the model", MESH, async () => {
  const waypost = mesh();
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of waypost.generateStream(FOREVER, { signal: stop.signal })) {
      stop.abort();
    }
  })();
  const error = await failure(reading);
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Canceled);
  await idle(waypost, "drip-0");
});

test("a signal cancels a unary call", MESH, async () => {
  const waypost = mesh();
  const stop = new AbortController();
  const asking = failure(waypost.generate(FOREVER, { signal: stop.signal }));
  stop.abort();
  const error = await asking;
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Canceled);
  await idle(waypost, "drip-0");
});

test("the deadline ends a stream", MESH, async () => {
  const begun = performance.now();
  const error = await failure(all(mesh().generateStream(FOREVER, { timeoutMs: 200 })));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.DeadlineExceeded);
  assert.ok(error.temporary);
  assert.ok(performance.now() - begun < PATIENCE_MS / 2);
});

test("the client's own deadline counts where a call brings none", MESH, async () => {
  const error = await failure(mesh({ timeoutMs: 200 }).generate(FOREVER));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.DeadlineExceeded);
});

test("an embed stream answers in order", MESH, async () => {
  const waypost = mesh();
  const texts = ["first", "second", "third"];
  const replies = await all(waypost.embedStream(texts.map((text) => ({ model: "hash", texts: [text] }))));
  const together = await waypost.embed({ model: "hash", texts });
  assert.deepEqual(replies.flatMap(vectors), vectors(together));
});

test("a reply of an embed stream may make the next request", MESH, async () => {
  const answered = new EventTarget();
  async function* requests() {
    for (let sent = 0; sent < 3; sent++) {
      const next = new Promise((done) => answered.addEventListener("answer", done, { once: true }));
      yield HELLO;
      await next;
    }
  }
  let replies = 0;
  for await (const _ of mesh().embedStream(requests())) {
    replies += 1;
    answered.dispatchEvent(new Event("answer"));
  }
  assert.equal(replies, 3);
});

test("a bad request ends an embed stream with its reason", MESH, async () => {
  const error = await failure(all(mesh().embedStream([HELLO, { model: "hash" }])));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.reason, ErrorReason.EMPTY_INPUT);
});
