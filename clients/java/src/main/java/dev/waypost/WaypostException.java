package dev.waypost;

import dev.waypost.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * A call failed. The subclass says who must act: {@link CallerException} the caller, {@link RetryableException} nobody,
 * try it again, {@link ServerException} whoever runs the server.
 */
public abstract class WaypostException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient ErrorDetails details;
    private final Status.Code code;

    WaypostException(Status status, ErrorDetails details) {
        super(describe(status), status.getCause());
        this.code = status.getCode();
        this.details = details;
    }

    /** The failure of a call made with a generated stub. */
    public static WaypostException of(StatusRuntimeException failure) {
        return ErrorDetails.of(failure).toException(failure.getStatus());
    }

    /** Status code of gRPC. */
    public Status.Code code() {
        return code;
    }

    /**
     * Why; {@code ERROR_REASON_UNSPECIFIED} where the failure is not Waypost's own (the network), {@code UNRECOGNIZED}
     * where the server knows reasons that this client does not.
     */
    public ErrorReason reason() {
        return details.reason();
    }

    /** Path of the offending field, such as {@code texts[3]}; empty where no field is to blame. */
    public String field() {
        return details.field();
    }

    /** When the same call is worth another try, where the server said so. */
    public Optional<Duration> retryAfter() {
        return details.retryAfter();
    }

    /** The reason's own figures, such as {@code limit} and {@code actual}. */
    public Map<String, String> metadata() {
        return details.metadata();
    }

    /** The router's name for the call, to be found in its logs; empty where no router answered. */
    public String requestId() {
        return details.requestId();
    }

    private static String describe(Status status) {
        return status.getDescription() == null ? status.getCode().name() : status.getDescription();
    }
}
