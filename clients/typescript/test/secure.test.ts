import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Code, ErrorReason, Waypost, WaypostError } from "../src/index.js";
import { failure, FOREVER, HELLO, needs, setting } from "./mesh.js";

const KEYED = needs("WAYPOST_KEYED_ADDRESS", "WAYPOST_KEY");
const TLS = needs("WAYPOST_TLS_ADDRESS", "WAYPOST_CA");
const MTLS = needs("WAYPOST_MTLS_ADDRESS", "WAYPOST_CA", "WAYPOST_CLIENT_CERT", "WAYPOST_CLIENT_KEY");

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
  const address = setting("WAYPOST_TLS_ADDRESS");
  await new Waypost({ address, tls: { ca: pem("WAYPOST_CA") } }).embed(HELLO);
  const error = await failure(new Waypost({ address, tls: {} }).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unavailable);
});

test("where the caller's certificate is wanted, it counts", MTLS, async () => {
  const [address, ca] = [setting("WAYPOST_MTLS_ADDRESS"), pem("WAYPOST_CA")];
  const own = { cert: pem("WAYPOST_CLIENT_CERT"), key: pem("WAYPOST_CLIENT_KEY") };
  await new Waypost({ address, tls: { ca, ...own } }).embed(HELLO);
  const error = await failure(new Waypost({ address, tls: { ca } }).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unauthenticated);
});

test("plain text is not understood behind TLS", TLS, async () => {
  const error = await failure(new Waypost({ address: setting("WAYPOST_TLS_ADDRESS") }).embed(HELLO));
  assert.ok(error instanceof WaypostError);
  assert.equal(error.code, Code.Unavailable);
});

function pem(name: string): Buffer {
  return readFileSync(setting(name));
}
