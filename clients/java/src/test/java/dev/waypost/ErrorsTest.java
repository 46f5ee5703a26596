package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import dev.waypost.v1.EmbedRequest;
import dev.waypost.v1.ErrorReason;
import dev.waypost.v1.RouteHints;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a failed call throws says why, where, and when to come back. */
@Timeout(30)
class ErrorsTest {
    private static final int NOBODY_LISTENS = 1;

    @Test
    void aWrongFieldIsTheCallersAndIsNamed() {
        try (var client = Mesh.client()) {
            var failure = assertThrows(CallerException.class, () -> client.embed());
            assertEquals(Status.Code.INVALID_ARGUMENT, failure.code());
            assertEquals(ErrorReason.ERROR_REASON_EMPTY_INPUT, failure.reason());
            assertEquals("texts", failure.field());
            assertEquals(Map.of("field", "texts"), failure.metadata());
            assertFalse(failure.requestId().isEmpty());
        }
    }

    @Test
    void aSpentRateSaysWhenToComeBack() {
        var route = RouteHints.newBuilder().setTenant("throttled");
        var request = EmbedRequest.newBuilder().setModel("hash").setRoute(route).addTexts("mine").build();
        try (var client = Mesh.client()) {
            var failure = assertThrows(RetryableException.class, () -> client.embed(request));
            assertEquals(ErrorReason.ERROR_REASON_QUOTA_EXCEEDED, failure.reason());
            assertTrue(failure.retryAfter().orElseThrow().compareTo(Duration.ZERO) > 0);
        }
    }

    @Test
    void aServerThatIsNotThereIsWorthAnotherTry() {
        try (var client = WaypostClient.builder("127.0.0.1:" + NOBODY_LISTENS).build()) {
            var failure = assertThrows(RetryableException.class, () -> client.generate("hello"));
            assertEquals(Status.Code.UNAVAILABLE, failure.code());
            assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, failure.reason());
        }
    }

    @Test
    void aReasonOfANewerServerIsNotLost() {
        var info = ErrorInfo.newBuilder().setReason("ERROR_REASON_OF_TOMORROW").setDomain("waypost");
        var status = com.google.rpc.Status.newBuilder()
                .setCode(Status.Code.INTERNAL.value())
                .addDetails(Any.pack(info.build()))
                .build();
        var failure = WaypostException.of(StatusProto.toStatusRuntimeException(status));
        assertEquals(ErrorReason.UNRECOGNIZED, failure.reason());
        assertInstanceOf(ServerException.class, failure);
    }

    @Test
    void brokenDetailsDoNotHideTheFailure() {
        var trailers = new Metadata();
        trailers.put(Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER), new byte[] {7});
        var failure = WaypostException.of(Status.NOT_FOUND.withDescription("gone").asRuntimeException(trailers));
        assertEquals("gone", failure.getMessage());
        assertInstanceOf(CallerException.class, failure);
    }
}
