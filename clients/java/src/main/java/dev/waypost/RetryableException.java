package dev.waypost;

import io.grpc.Status;

/** Nothing is wrong with the call: try it again, not before {@link #retryAfter}. */
public final class RetryableException extends WaypostException {
    private static final long serialVersionUID = 1L;

    RetryableException(Status status, ErrorDetails details) {
        super(status, details);
    }
}
