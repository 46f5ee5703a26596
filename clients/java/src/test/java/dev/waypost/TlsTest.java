package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** A mesh behind TLS. */
@Timeout(30)
@EnabledIfEnvironmentVariable(named = "WAYPOST_TLS_ADDRESS", matches = ".+")
class TlsTest {
    private final String address = Mesh.required("WAYPOST_TLS_ADDRESS");

    @Test
    void aServerOfTheGivenAuthorityIsTrusted() throws IOException {
        var ca = Path.of(Mesh.required("WAYPOST_CA"));
        try (var client = WaypostClient.builder(address).tls(ca).build()) {
            assertEquals(1, client.embed("hello").vectors().length);
        }
    }

    @Test
    void aServerOfAnUnknownAuthorityIsNot() {
        try (var client = WaypostClient.builder(address).tls().build()) {
            var failure = assertThrows(RetryableException.class, () -> client.generate("hello"));
            assertEquals(Status.Code.UNAVAILABLE, failure.code());
        }
    }
}
