package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.waypost.v1.FinishReason;
import dev.waypost.v1.GenerateResponse;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.io.TempDir;

/** A mesh behind TLS, and one that asks its callers for a certificate as well. */
@Timeout(30)
@EnabledIfEnvironmentVariable(named = "WAYPOST_TLS_ADDRESS", matches = ".+")
class TlsTest {
    @Test
    void aServerOfTheGivenAuthorityIsTrusted() throws IOException {
        assertAnswered(secure().tls(file("WAYPOST_CA")));
    }

    @Test
    void aServerOfAnUnknownAuthorityIsNot() {
        assertFails(Status.Code.UNAVAILABLE, secure().tls());
    }

    @Test
    void plainTextIsNotUnderstood() {
        assertThrows(WaypostException.class, () -> call(secure()));
    }

    @Test
    void aServerThatAsksForACertificateIsShownIt() throws IOException {
        var ca = file("WAYPOST_CA");
        assertAnswered(mutual().tls(ca, file("WAYPOST_CLIENT_CERT"), file("WAYPOST_CLIENT_KEY")));
    }

    @Test
    void aServerThatAsksForACertificateSaysSo() throws IOException {
        assertFails(Status.Code.UNAUTHENTICATED, mutual().tls(file("WAYPOST_CA")));
    }

    @Test
    void aKeyInAnotherFormIsRefusedWithWhatHelps(@TempDir Path folder) throws IOException {
        var ca = file("WAYPOST_CA");
        var key = Files.writeString(folder.resolve("client.key"), "-----BEGIN EC PRIVATE KEY-----\n");
        var failure = assertThrows(IllegalArgumentException.class, () -> mutual().tls(ca, ca, key));
        assertTrue(failure.getMessage().contains("openssl pkcs8"), failure.getMessage());
    }

    private static ClientBuilder secure() {
        return WaypostClient.builder(Mesh.required("WAYPOST_TLS_ADDRESS"));
    }

    private static ClientBuilder mutual() {
        return WaypostClient.builder(Mesh.required("WAYPOST_MTLS_ADDRESS"));
    }

    private static Path file(String variable) {
        return Path.of(Mesh.required(variable));
    }

    private static void assertAnswered(ClientBuilder builder) {
        assertEquals(FinishReason.FINISH_REASON_STOP, call(builder).getFinishReason());
    }

    private static void assertFails(Status.Code code, ClientBuilder builder) {
        assertEquals(code, assertThrows(WaypostException.class, () -> call(builder)).code());
    }

    /** One that is not tried again: the first failure is the one to be seen. */
    private static GenerateResponse call(ClientBuilder builder) {
        try (var client = builder.build()) {
            return client.generate(Requests.chat("hello").toBuilder().setModel("canned").build());
        }
    }
}
