package dev.waypost;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.waypost.v1.ErrorReason;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** What the {@code google.rpc.Status} and the trailers of a failed call say. */
record ErrorDetails(
        ErrorReason reason,
        String field,
        Optional<Duration> retryAfter,
        Map<String, String> metadata,
        String requestId) {
    private static final Metadata.Key<String> REQUEST_ID =
            Metadata.Key.of("waypost-request-id", Metadata.ASCII_STRING_MARSHALLER);

    static ErrorDetails of(StatusRuntimeException failure) {
        var packed = packed(failure);
        var info = find(packed, ErrorInfo.class);
        return new ErrorDetails(
                info.map(ErrorInfo::getReason).map(ErrorDetails::reason).orElse(ErrorReason.ERROR_REASON_UNSPECIFIED),
                find(packed, BadRequest.class).map(ErrorDetails::fields).orElse(""),
                find(packed, RetryInfo.class).map(RetryInfo::getRetryDelay).map(ErrorDetails::duration),
                info.map(ErrorInfo::getMetadataMap).map(Map::copyOf).orElse(Map.of()),
                requestId(failure.getTrailers()));
    }

    /** By who must act. */
    WaypostException toException(Status status) {
        return switch (status.getCode()) {
            case INVALID_ARGUMENT, OUT_OF_RANGE, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION -> caller(status);
            case UNAUTHENTICATED, PERMISSION_DENIED, CANCELLED -> caller(status);
            case RESOURCE_EXHAUSTED, ABORTED -> isPassing() ? retryable(status) : caller(status);
            case UNAVAILABLE, DEADLINE_EXCEEDED -> retryable(status);
            default -> new ServerException(status, this);
        };
    }

    /** Of a quota, whether it is only the rate: then the server says when to come back. */
    private boolean isPassing() {
        return switch (reason) {
            case ERROR_REASON_MESSAGE_TOO_LARGE, ERROR_REASON_CHANGED_MEANWHILE -> false;
            case ERROR_REASON_QUOTA_EXCEEDED -> retryAfter.isPresent();
            default -> true;
        };
    }

    private WaypostException caller(Status status) {
        return new CallerException(status, this);
    }

    private WaypostException retryable(Status status) {
        return new RetryableException(status, this);
    }

    /** Broken details are a proxy's doing, and must not hide the failure itself. */
    private static List<Any> packed(StatusRuntimeException failure) {
        try {
            return StatusProto.fromThrowable(failure).getDetailsList();
        } catch (IllegalArgumentException broken) {
            return List.of();
        }
    }

    private static <M extends Message> Optional<M> find(List<Any> packed, Class<M> kind) {
        return packed.stream().filter(any -> any.is(kind)).findFirst().flatMap(any -> unpack(any, kind));
    }

    private static <M extends Message> Optional<M> unpack(Any any, Class<M> kind) {
        try {
            return Optional.of(any.unpack(kind));
        } catch (InvalidProtocolBufferException broken) {
            return Optional.empty();
        }
    }

    private static ErrorReason reason(String name) {
        try {
            return ErrorReason.valueOf(name);
        } catch (IllegalArgumentException unknown) {
            return ErrorReason.UNRECOGNIZED;
        }
    }

    private static String fields(BadRequest bad) {
        return bad.getFieldViolationsList().stream()
                .map(BadRequest.FieldViolation::getField)
                .collect(Collectors.joining(", "));
    }

    private static Duration duration(com.google.protobuf.Duration said) {
        return Duration.ofSeconds(said.getSeconds(), said.getNanos());
    }

    private static String requestId(Metadata trailers) {
        var said = trailers == null ? null : trailers.get(REQUEST_ID);
        return said == null ? "" : said;
    }
}
