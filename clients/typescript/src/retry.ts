/**
 * Second tries of unary calls without side effects, as gRPC's own retry policy has them (gRFC A6), which Connect lacks.
 *
 * UNAVAILABLE is tried again, after the pause that the server asks for (`grpc-retry-pushback-ms`, RetryInfo) or one that
 * doubles and is drawn at random, as long as the call's deadline leaves room for it.  A budget, filled by successes,
 * keeps a mesh in trouble from getting four times its load.  Streams are not tried again.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";

import { retryAfterMs } from "./errors.js";

export interface RetryPolicy {
  /** Tries of one call, the first included; 1 switches retries off. */
  maxAttempts: number;
  /** The longest first pause; it doubles with every further one. */
  initialBackoffMs: number;
  maxBackoffMs: number;
}

export const RETRY: RetryPolicy = { maxAttempts: 4, initialBackoffMs: 100, maxBackoffMs: 1000 };

const PUSHBACK = "grpc-retry-pushback-ms";
const MAX_TOKENS = 100;
const TOKENS_PER_SUCCESS = 0.2;

/** A transport that tries again; `timeoutMs` is for calls that bring none. */
export function retrying(inner: Transport, policy: RetryPolicy, timeoutMs: number): Transport {
  const budget = new Budget();
  return {
    stream: (method, signal, timeout = timeoutMs, ...rest) => inner.stream(method, signal, timeout, ...rest),
    unary: (method, signal, timeout = timeoutMs, ...rest) => {
      const attempts = method.idempotency === Idempotency.IDEMPOTENCY_UNKNOWN ? 1 : policy.maxAttempts;
      const tries = new Tries({ ...policy, maxAttempts: attempts }, budget, timeout, signal);
      return tries.run((left) => inner.unary(method, signal, left, ...rest));
    },
  };
}

/** What all calls of a client together may try again. */
class Budget {
  private tokens = MAX_TOKENS;

  succeeded(): void {
    this.tokens = Math.min(MAX_TOKENS, this.tokens + TOKENS_PER_SUCCESS);
  }

  /** Counts a failure; false: no more tries now. */
  failed(): boolean {
    this.tokens = Math.max(0, this.tokens - 1);
    return this.tokens > MAX_TOKENS / 2;
  }
}

/** The tries of one call. */
class Tries {
  private made = 0;
  private readonly ends: number;

  constructor(
    private readonly policy: RetryPolicy,
    private readonly budget: Budget,
    timeoutMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.ends = performance.now() + timeoutMs;
  }

  async run<T>(attempt: (timeoutMs: number) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const answer = await attempt(Math.max(1, Math.ceil(this.leftMs())));
        this.budget.succeeded();
        return answer;
      } catch (error) {
        await this.pauseOrThrow(ConnectError.from(error));
      }
    }
  }

  private async pauseOrThrow(error: ConnectError): Promise<void> {
    this.made += 1;
    const again = error.code === Code.Unavailable && this.budget.failed();
    const pause = this.pauseMs(error);
    if (!again || this.made >= this.policy.maxAttempts || pause < 0 || pause >= this.leftMs()) {
      throw error;
    }
    await sleep(pause, undefined, this.signal && { signal: this.signal });
  }

  /** Below 0: the server asks not to be tried again. */
  private pauseMs(error: ConnectError): number {
    const asked = error.metadata.get(PUSHBACK);
    if (asked !== null) {
      return /^\d+$/.test(asked) ? Number(asked) : -1;
    }
    const { initialBackoffMs, maxBackoffMs } = this.policy;
    return (
      retryAfterMs(error) ?? Math.random() * Math.min(maxBackoffMs, initialBackoffMs * 2 ** (this.made - 1))
    );
  }

  private leftMs(): number {
    return this.ends - performance.now();
  }
}
