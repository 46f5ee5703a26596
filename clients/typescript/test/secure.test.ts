import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Code, ErrorReason, type Tls, Waypost, WaypostError } from "../src/index.js";
import { failure, FOREVER, HELLO, needs, setting } from "./mesh.js";

const KEYED = needs("WAYPOST_KEYED_ADDRESS", "WAYPOST_KEY");
const TLS = needs("WAYPOST_TLS_ADDRESS", "WAYPOST_CA");

test("without the key a call is unauthenticated", KEYED, async () => {
  const error = await failure(new Waypost({ address: setting("WAYPOST_KEYED_ADDRESS") }).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unauthenticated);
  assert.equal(error.reason, ErrorReason.UNAUTHENTICATED);
});

test("with the key calls and streams are answered", KEYED, async () => {
  const waypost = new Waypost({ address: setting("WAYPOST_KEYED_ADDRESS"), token: setting("WAYPOST_KEY") });
  await waypost.embed(HELLO);
  for await (const piece of waypost.generateStream(FOREVER)) {
    assert.equal(piece.text, "drip ");
    break;
  }
});

test("behind TLS the authority is what counts", TLS, async () => {
  await secure({ ca: readFileSync(setting("WAYPOST_CA")) }).embed(HELLO);
  const error = await failure(secure({}).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unavailable);
});

test("plain text is not understood behind TLS", TLS, async () => {
  const error = await failure(new Waypost({ address: setting("WAYPOST_TLS_ADDRESS") }).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unavailable);
});

/** A client that shows its own certificate where the runner has one for it. */
function secure(tls: Tls): Waypost {
  const [cert, key] = [setting("WAYPOST_CLIENT_CERT"), setting("WAYPOST_CLIENT_KEY")];
  const own = cert && key ? { cert: readFileSync(cert), key: readFileSync(key) } : {};
  return new Waypost({ address: setting("WAYPOST_TLS_ADDRESS"), tls: { ...tls, ...own } });
}
