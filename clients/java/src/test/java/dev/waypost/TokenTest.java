package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.waypost.v1.ErrorReason;
import io.grpc.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A router that wants a key gets it with every call. */
@Timeout(30)
class TokenTest {
    @Test
    void withTheKeyACallIsAnswered() {
        try (var client = WaypostClient.builder(Mesh.KEYED_ADDRESS).token(Mesh.KEY).build()) {
            assertEquals(1, client.embed("hello").vectors().length);
        }
    }

    @Test
    void withoutAKeyTheCallerIsUnknown() {
        assertUnknown(WaypostClient.builder(Mesh.KEYED_ADDRESS));
    }

    @Test
    void withAWrongKeyTheCallerIsUnknown() {
        assertUnknown(WaypostClient.builder(Mesh.KEYED_ADDRESS).token("wrong"));
    }

    @Test
    void aTokenThatNoHeaderMayHaveIsRefusedWithoutBeingShown() {
        var builder = WaypostClient.builder(Mesh.KEYED_ADDRESS);
        var failure = assertThrows(IllegalArgumentException.class, () -> builder.token("secret\n"));
        assertEquals(-1, failure.getMessage().indexOf("secret"));
    }

    private static void assertUnknown(ClientBuilder builder) {
        try (var client = builder.build()) {
            var failure = assertThrows(CallerException.class, () -> client.embed("hello"));
            assertEquals(Status.Code.UNAUTHENTICATED, failure.code());
            assertEquals(ErrorReason.ERROR_REASON_UNAUTHENTICATED, failure.reason());
        }
    }
}
