import { connect } from "node:net";

import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

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

/** Says UNAVAILABLE, as gRPC does, of a server that cannot be reached; Connect takes most such failures for INTERNAL. */
const reaching: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    throw unreached(error.cause)
      ? new ConnectError(error.rawMessage, Code.Unavailable, {}, [], error.cause)
      : error;
  }
};

/** Whether Node.js could not connect, or the two sides did not agree on a certificate or a protocol. */
function unreached(cause: unknown): boolean {
  if (!(cause instanceof Error)) {
    return false;
  }
  const { code = "", syscall = "" } = cause as NodeJS.ErrnoException;
  return (
    syscall === "connect" ||
    /CERT|^ERR_(SSL|TLS|HTTP2_ERROR|HTTP2_SESSION_ERROR)|^ECONNRESET|^EPROTO/.test(code)
  );
}
