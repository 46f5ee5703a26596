package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.waypost.v1.FinishReason;
import dev.waypost.v1.GenerateRequest;
import dev.waypost.v1.GenerateStreamResponse;
import dev.waypost.v1.InstanceStatus;
import dev.waypost.v1.ListInstancesRequest;
import dev.waypost.v1.MeshServiceGrpc;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Answers come piece by piece, and can be stopped. */
@Timeout(10)
class StreamTest {
    private WaypostClient client;

    @BeforeEach
    void connect() {
        client = Mesh.client();
    }

    @AfterEach
    void close() {
        client.close();
    }

    @Test
    void piecesComeOneByOneAndTheLastSaysHowItEnded() {
        var pieces = new ArrayList<GenerateStreamResponse>();
        try (var stream = client.generateStream(ask("one two three"))) {
            stream.forEachRemaining(pieces::add);
        }
        assertTrue(pieces.size() > 3, () -> pieces.size() + " pieces");
        assertEquals(FinishReason.FINISH_REASON_STOP, pieces.get(pieces.size() - 1).getFinal().getFinishReason());
    }

    @Test
    void closingAStreamFreesTheModel() {
        try (var stream = client.generateStream(ask("forever"))) {
            stream.next();
            assertTrue(inFlight() > 0);
        }
        while (inFlight() > 0) {
            Thread.onSpinWait();
        }
    }

    @Test
    void closingAStreamWakesWhoeverReadsIt() {
        var stream = client.generateStream(ask("forever"));
        stream.next();
        var reading = CompletableFuture.runAsync(() -> stream.forEachRemaining(piece -> {}));
        stream.close();
        var failure = assertThrows(CompletionException.class, reading::join);
        assertEquals(Status.Code.CANCELLED, ((CallerException) failure.getCause()).code());
    }

    @Test
    void closingAStreamThatIsOverDoesNothing() {
        var stream = client.generateStream(ask("one"));
        stream.forEachRemaining(piece -> {});
        stream.close();
        assertFalse(stream.hasNext());
    }

    @Test
    void aStreamEndsAtItsDeadline() {
        var hurried = client.withTimeout(Duration.ofMillis(200));
        try (var stream = hurried.generateStream(ask("forever"))) {
            var failure = assertThrows(RetryableException.class, () -> stream.forEachRemaining(piece -> {}));
            assertEquals(Status.Code.DEADLINE_EXCEEDED, failure.code());
        }
    }

    private static GenerateRequest ask(String prompt) {
        return Requests.chat(prompt).toBuilder().setModel("drip").build();
    }

    private int inFlight() {
        return MeshServiceGrpc.newBlockingStub(client.channel())
                .listInstances(ListInstancesRequest.getDefaultInstance())
                .getInstancesList()
                .stream()
                .filter(instance -> instance.getModelsList().contains("drip"))
                .mapToInt(InstanceStatus::getInFlight)
                .sum();
    }
}
