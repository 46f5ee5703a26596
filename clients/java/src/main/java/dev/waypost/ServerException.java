package dev.waypost;

import io.grpc.Status;

/** The server is at fault. */
public final class ServerException extends WaypostException {
    private static final long serialVersionUID = 1L;

    ServerException(Status status, ErrorDetails details) {
        super(status, details);
    }
}
