import { connect } from "node:net";

import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { reaching } from "./reach.js";

/** As in the server; a larger one fails with RESOURCE_EXHAUSTED. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
const UNIX = "unix:";

/** PEM: text, or bytes as read from a file. */
type Pem = string | Buffer;

export interface Tls {
  /** The authority that the server's certificate must be from; absent: those of Node.js. */
  ca?: Pem;
  /** The caller's own certificate and its key, where the server asks for one. */
  cert?: Pem;
  key?: Pem;
}

/** A way to a mesh, and its end. */
export interface Connection {
  transport: Transport;
  close(): void;
}

/** A gRPC connection to "host:port" or "unix:/path", made at the first call and again whenever that is needed. */
export function open(address: string, token: string | undefined, tls: Tls | undefined): Connection {
  const url = baseUrl(address, tls !== undefined);
  const unix = address.startsWith(UNIX) && socket(address.slice(UNIX.length));
  const sessionManager = new Http2SessionManager(url, undefined, { ...tls, ...unix });
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager,
    interceptors: token === undefined ? [reaching] : [reaching, authorized(token)],
    readMaxBytes: MAX_MESSAGE_BYTES,
    writeMaxBytes: MAX_MESSAGE_BYTES,
  });
  return { transport, close: () => sessionManager.abort() };
}

/** A Unix socket has no host name, and servers that look at it take "localhost". */
function baseUrl(address: string, secure: boolean): string {
  const host = address.startsWith(UNIX) ? "localhost" : address;
  return `${secure ? "https" : "http"}://${host}`;
}

function socket(path: string) {
  return { createConnection: () => connect(path) };
}

function authorized(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
