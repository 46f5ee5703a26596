import assert from "node:assert/strict";
import { test } from "node:test";

import { Code, ErrorReason, MeshService, Waypost, WaypostError } from "../src/index.js";
import { failure, HELLO, MESH, mesh } from "./mesh.js";

test("an error says which field is wrong and why", MESH, async () => {
  const error = await failure(mesh().embed({ ...HELLO, dimensions: 7 }));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.InvalidArgument);
  assert.equal(error.reason, ErrorReason.INVALID_FIELD);
  assert.equal(error.field, "dimensions");
  assert.equal(error.metadata["actual"], "7");
  assert.notEqual(error.requestId, "");
  assert.ok(!error.temporary);
});

test("a rate that is spent says when to come back", MESH, async () => {
  const error = await failure(mesh().embed({ ...HELLO, route: { tenant: "throttled" } }));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.reason, ErrorReason.QUOTA_EXCEEDED);
  assert.ok(error.retryAfterMs && error.retryAfterMs <= 10_000_000);
  assert.ok(error.temporary);
});

test("a generated client's errors are typed as well", MESH, async () => {
  const error = await failure(mesh().client(MeshService).sendFeedback({ requestId: "nobody's", score: 1 }));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.reason, ErrorReason.NOT_KNOWN);
});

test("nobody listening is unavailable", async () => {
  const error = await failure(new Waypost({ address: "unix:/nowhere/waypost.sock" }).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unavailable);
  assert.ok(error.temporary);
});
