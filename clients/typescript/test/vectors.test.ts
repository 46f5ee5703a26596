import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";

import { EmbedResponseSchema, vectors } from "../src/index.js";

test("rows are read wherever their bytes lie", () => {
  const bytes = new Uint8Array(17);
  new Float32Array([1, -0.5, 0, 0.25]).forEach((value, index) =>
    new DataView(bytes.buffer).setFloat32(1 + index * 4, value, true),
  );
  const reply = create(EmbedResponseSchema, { dimensions: 2, vectors: bytes.subarray(1) });
  assert.deepEqual(vectors(reply), [Float32Array.of(1, -0.5), Float32Array.of(0, 0.25)]);
});

test("a reply without vectors has no rows", () => {
  assert.deepEqual(vectors(create(EmbedResponseSchema)), []);
});
