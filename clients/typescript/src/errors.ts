import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type StreamResponse, type Transport } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { ErrorReason, ErrorReasonSchema } from "./gen/waypost/v1/error_pb.js";

const DOMAIN = "waypost";
const REQUEST_ID = "waypost-request-id";

/** What a failed call throws. */
export class WaypostError extends Error {
  override readonly name = "WaypostError";
  /** The status code; the contract says what to do about each. */
  readonly code: Code;
  /** UNSPECIFIED where the failure is not Waypost's own: the network's, or the caller's deadline. */
  readonly reason: ErrorReason;
  /** Path of the offending field, such as `texts[3]`; empty where no field is to blame. */
  readonly field: string;
  /** Pause after which the same call is worth another try; undefined where the server did not say. */
  readonly retryAfterMs: number | undefined;
  /** The reason's own figures, such as `limit` and `actual`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How the router's decision log knows the call; empty where no router answered. */
  readonly requestId: string;

  constructor(cause: ConnectError) {
    super(cause.rawMessage, { cause });
    const [info] = cause.findDetails(ErrorInfoSchema).filter((each) => each.domain === DOMAIN);
    this.code = cause.code;
    this.reason = reasonOf(info?.reason ?? "");
    this.field = cause.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field ?? "";
    this.retryAfterMs = retryAfterMs(cause);
    this.metadata = info?.metadata ?? {};
    this.requestId = cause.metadata.get(REQUEST_ID) ?? "";
  }

  /** The typed error of anything that a call may throw. */
  static from(thrown: unknown): WaypostError {
    return thrown instanceof WaypostError ? thrown : new WaypostError(ConnectError.from(thrown));
  }

  /** Whether the same call may succeed later, unchanged: the server is full or away, or the deadline passed. */
  get temporary(): boolean {
    return (
      this.code === Code.Unavailable ||
      this.code === Code.DeadlineExceeded ||
      (this.code === Code.ResourceExhausted && this.retryAfterMs !== undefined)
    );
  }
}

/** The pause that the server asks for in the status details. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && durationMs(delay);
}

/** A transport whose calls throw nothing but `WaypostError`. */
export function typedErrors(inner: Transport): Transport {
  return {
    unary: (...call) => inner.unary(...call).catch(rethrow),
    stream: (...call) => inner.stream(...call).then(typedMessages, rethrow),
  };
}

function typedMessages<I extends DescMessage, O extends DescMessage>(
  response: StreamResponse<I, O>,
): StreamResponse<I, O> {
  return { ...response, message: typed<MessageShape<O>>(response.message) };
}

async function* typed<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    rethrow(error);
  }
}

function rethrow(error: unknown): never {
  throw WaypostError.from(error);
}

function reasonOf(name: string): ErrorReason {
  return ErrorReasonSchema.values.find((value) => value.name === name)?.number ?? ErrorReason.UNSPECIFIED;
}
