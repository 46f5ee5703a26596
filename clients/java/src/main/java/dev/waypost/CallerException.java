package dev.waypost;

import io.grpc.Status;

/** The call cannot succeed as it is: {@link #reason}, {@link #field} and the message say what to change. */
public final class CallerException extends WaypostException {
    private static final long serialVersionUID = 1L;

    CallerException(Status status, ErrorDetails details) {
        super(status, details);
    }
}
