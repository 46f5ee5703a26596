package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.waypost.v1.EmbedRequest;
import dev.waypost.v1.EmbedResponse;
import dev.waypost.v1.EmbedServiceGrpc.EmbedServiceImplBase;
import dev.waypost.v1.GenerateRequest;
import dev.waypost.v1.GenerateResponse;
import dev.waypost.v1.GenerateServiceGrpc.GenerateServiceImplBase;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls without side effects are tried again, others are not; against a server that is unavailable at first. */
@Timeout(30)
class RetriesTest {
    private static final int FAILURES = 2;

    private final AtomicInteger calls = new AtomicInteger();
    private final Metadata pause = new Metadata();
    private Server server;
    private WaypostClient client;

    @BeforeEach
    void start() throws IOException {
        server = Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
                .addService(new Embedding())
                .addService(new Generating())
                .build()
                .start();
        client = WaypostClient.builder("127.0.0.1:" + server.getPort()).build();
    }

    @AfterEach
    void stop() {
        client.close();
        server.shutdownNow();
    }

    @Test
    void aCallWithoutSideEffectsIsTriedAgain() {
        client.embed("hello");
        assertEquals(FAILURES + 1, calls.get());
    }

    @Test
    void aCallWithSideEffectsIsTriedOnce() {
        assertThrows(RetryableException.class, () -> client.generate("hello"));
        assertEquals(1, calls.get());
    }

    @Test
    void aPauseBeyondTheDeadlineIsNotWaitedFor() {
        pause.put(Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER), "120000");
        var failure = assertThrows(RetryableException.class, () -> client.embed("hello"));
        assertEquals(Status.Code.UNAVAILABLE, failure.code());
        assertEquals(1, calls.get());
    }

    private <R> void answer(StreamObserver<R> caller, R response) {
        if (calls.incrementAndGet() <= FAILURES) {
            caller.onError(Status.UNAVAILABLE.asRuntimeException(pause));
            return;
        }
        caller.onNext(response);
        caller.onCompleted();
    }

    private final class Embedding extends EmbedServiceImplBase {
        @Override
        public void embed(EmbedRequest request, StreamObserver<EmbedResponse> caller) {
            answer(caller, EmbedResponse.getDefaultInstance());
        }
    }

    private final class Generating extends GenerateServiceImplBase {
        @Override
        public void generate(GenerateRequest request, StreamObserver<GenerateResponse> caller) {
            answer(caller, GenerateResponse.getDefaultInstance());
        }
    }
}
