/**
 * A server that cannot be reached, or is lost on the way, is UNAVAILABLE, as with every other gRPC client; Connect takes
 * it for INTERNAL, ABORTED or even CANCELED, by what Node.js says of the socket.
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

export const reaching: Interceptor = (next) => async (request) => {
  const fail = (thrown: unknown): never => {
    const error = ConnectError.from(thrown);
    throw lost(error, request.signal) ? unavailable(error) : error;
  };
  const response = await next(request).catch(fail);
  return response.stream ? { ...response, message: watched(response.message, fail) } : response;
};

async function* watched<T>(messages: AsyncIterable<T>, fail: (thrown: unknown) => never): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    fail(error);
  }
}

/** Whether no status came, and neither the caller nor the deadline ended the call. */
function lost(error: ConnectError, signal: AbortSignal): boolean {
  if (signal.aborted) {
    return false;
  }
  const cut = error.code === Code.Canceled && !error.metadata.keys().next().value;
  return cut || isOfNode(error.cause);
}

/** An error of a socket, of TLS or of HTTP/2: Node.js gives each a code in letters. */
function isOfNode(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string";
}

function unavailable({ rawMessage, cause }: ConnectError): ConnectError {
  return new ConnectError(rawMessage, Code.Unavailable, undefined, undefined, cause);
}
