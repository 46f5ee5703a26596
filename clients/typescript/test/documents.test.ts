import assert from "node:assert/strict";
import { test } from "node:test";

import { ErrorReason, WaypostError } from "../src/index.js";
import { all, failure, MESH, mesh } from "./mesh.js";

const OURS = { model: "documents", namespace: "typescript" };
const STORED = [
  { id: "leave", text: "The leave is 30 days long.", metadata: { lang: "en", year: 2026 } },
  { id: "ferien", text: "How long is the leave? 30 Tage.", metadata: { lang: "de" } },
  { id: "trips", text: "Trips are booked by the office." },
];

test("documents are stored, found, listed and deleted", MESH, async () => {
  const waypost = mesh();
  const batches = STORED.map((document) => ({ ...OURS, documents: [document] }));
  for (const { added, replaced } of await all(waypost.upsertDocumentsStream(batches))) {
    assert.equal(added + replaced, 1);
  }
  const { results } = await waypost.queryDocuments({
    ...OURS,
    queries: [{ text: "how long is the leave?" }],
    snippets: 1,
    filter: {
      kind: {
        case: "field",
        value: {
          field: "lang",
          test: { case: "equals", value: { kind: { case: "stringValue", value: "en" } } },
        },
      },
    },
  });
  const [best, ...others] = results[0]?.documents ?? [];
  assert.deepEqual(best?.document?.metadata, STORED[0]?.metadata);
  assert.equal(best?.snippets.length, 1);
  assert.equal(others.length, 0);
  const [one] = await waypost.getDocuments({ ...OURS, ids: ["trips", "none"] });
  assert.equal(one?.text, STORED[2]?.text);
  const ids = (await all(waypost.documents({ ...OURS, pageSize: 2 }))).map(({ id }) => id);
  assert.deepEqual(ids, ["ferien", "leave", "trips"]);
  assert.equal((await waypost.deleteDocuments({ ...OURS, ids })).deleted, 3);
});

test("a list of no namespace ends with why", MESH, async () => {
  const error = await failure(all(mesh().documents({ ...OURS, namespace: "nowhere" })));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.reason, ErrorReason.NAMESPACE_NOT_FOUND);
});
