package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import dev.waypost.v1.ClassifyRequest;
import dev.waypost.v1.CountTokensRequest;
import dev.waypost.v1.EmbedRequest;
import dev.waypost.v1.EmbedServiceGrpc;
import dev.waypost.v1.EmbedStreamRequest;
import dev.waypost.v1.ErrorReason;
import dev.waypost.v1.GenerateRequest;
import dev.waypost.v1.GenerateStreamRequest;
import dev.waypost.v1.ListModelsResponse;
import dev.waypost.v1.RerankRequest;
import dev.waypost.v1.RetrieveServiceGrpc;
import dev.waypost.v1.UpsertDocumentsStreamRequest;
import io.grpc.CallOptions;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every case of the table that all clients share is answered as the table says. */
class GoldenTest {
    private static final WaypostClient CLIENT = Mesh.client();
    private static final Duration TIMEOUT = Duration.ofSeconds(20);

    /** How a case is asked: through the client where it has the call, else through a generated stub. */
    private static final Map<String, Ask> CALLS = Map.of(
            "/waypost.v1.EmbedService/Embed",
            (client, one) -> response(client.embed(read(one, EmbedRequest.getDefaultInstance())).response()),
            "/waypost.v1.EmbedService/EmbedStream", GoldenTest::embedStream,
            "/waypost.v1.EmbedService/CountTokens",
            (client, one) -> response(EmbedServiceGrpc.newBlockingStub(client.channel())
                    .countTokens(read(one, CountTokensRequest.getDefaultInstance()))),
            "/waypost.v1.ClassifyService/Classify",
            (client, one) -> response(client.classify(read(one, ClassifyRequest.getDefaultInstance()))),
            "/waypost.v1.RerankService/Rerank",
            (client, one) -> response(client.rerank(read(one, RerankRequest.getDefaultInstance()))),
            "/waypost.v1.GenerateService/Generate",
            (client, one) -> response(client.generate(read(one, GenerateRequest.getDefaultInstance()))),
            "/waypost.v1.GenerateService/GenerateStream", GoldenTest::generateStream,
            "/waypost.v1.RetrieveService/UpsertDocumentsStream", GoldenTest::upsertStream,
            "/waypost.v1.MeshService/ListModels",
            (client, one) -> response(ListModelsResponse.newBuilder().addAllModels(client.models()).build()));

    private interface Ask {
        JsonObject answer(WaypostClient client, JsonObject one) throws Exception;
    }

    @AfterAll
    static void close() {
        CLIENT.close();
    }

    @TestFactory
    Stream<DynamicTest> everyCase() throws Exception {
        var cases = JsonParser.parseString(Files.readString(Mesh.GOLDEN)).getAsJsonArray();
        return cases.asList().stream().map(JsonElement::getAsJsonObject).map(GoldenTest::test);
    }

    private static DynamicTest test(JsonObject one) {
        return DynamicTest.dynamicTest(one.get("name").getAsString(), () -> {
            var answer = answer(one);
            assertTrue(Json.matches(expected(one), answer), () -> expected(one) + " is not part of " + answer);
        });
    }

    private static JsonObject answer(JsonObject one) throws Exception {
        var timeout = one.has("timeout_ms") ? Duration.ofMillis(one.get("timeout_ms").getAsLong()) : TIMEOUT;
        try {
            return CALLS.getOrDefault(one.get("rpc").getAsString(), GoldenTest::document)
                    .answer(CLIENT.withTimeout(timeout), one);
        } catch (StatusRuntimeException failure) {
            return error(WaypostException.of(failure));
        } catch (WaypostException failure) {
            return error(failure);
        }
    }

    private static JsonObject expected(JsonObject one) {
        var wanted = one.deepCopy();
        Stream.of("name", "rpc", "request", "requests", "timeout_ms").forEach(wanted::remove);
        return wanted;
    }

    private static <M extends Message> M read(JsonObject one, M kind) throws Exception {
        return Json.read(one.get("request"), kind);
    }

    private static JsonObject response(Message message) throws Exception {
        return one("response", Json.write(message));
    }

    private static JsonObject one(String name, JsonElement value) {
        var made = new JsonObject();
        made.add(name, value);
        return made;
    }

    private static JsonObject embedStream(WaypostClient client, JsonObject one) throws Exception {
        var call = EmbedServiceGrpc.newBlockingV2Stub(client.channel()).embedStream();
        for (var request : one.getAsJsonArray("requests")) {
            call.write(Json.read(request, EmbedStreamRequest.getDefaultInstance()));
        }
        call.halfClose();
        var responses = new JsonArray();
        while (call.hasNext()) {
            responses.add(Json.write(call.read()));
        }
        return one("responses", responses);
    }

    private static JsonObject upsertStream(WaypostClient client, JsonObject one) throws Exception {
        var call = RetrieveServiceGrpc.newBlockingV2Stub(client.channel()).upsertDocumentsStream();
        for (var request : one.getAsJsonArray("requests")) {
            call.write(Json.read(request, UpsertDocumentsStreamRequest.getDefaultInstance()));
        }
        call.halfClose();
        var responses = new JsonArray();
        while (call.hasNext()) {
            responses.add(Json.write(call.read()));
        }
        return one("responses", responses);
    }

    /** Any unary call of the retriever; those that the client has are tested in DocumentsTest. */
    @SuppressWarnings("unchecked")
    private static JsonObject document(WaypostClient client, JsonObject one) throws Exception {
        var method = RetrieveServiceGrpc.getServiceDescriptor().getMethods().stream()
                .filter(each -> one.get("rpc").getAsString().equals("/" + each.getFullMethodName()))
                .map(each -> (MethodDescriptor<Message, Message>) each)
                .findAny()
                .orElseThrow();
        var kind = ((PrototypeMarshaller<Message>) method.getRequestMarshaller()).getMessagePrototype();
        return response(ClientCalls.blockingUnaryCall(client.channel(), method, CallOptions.DEFAULT, read(one, kind)));
    }

    private static JsonObject generateStream(WaypostClient client, JsonObject one) throws Exception {
        var request = read(one, GenerateStreamRequest.getDefaultInstance()).getRequest();
        var text = new StringBuilder();
        var answer = new JsonObject();
        try (var pieces = client.generateStream(request)) {
            for (var piece : pieces) {
                text.append(piece.getText());
                answer.addProperty("finish_reason", piece.getFinal().getFinishReason().name());
            }
        }
        answer.addProperty("text", text.toString());
        return answer;
    }

    private static JsonObject error(WaypostException failure) {
        var error = new JsonObject();
        error.addProperty("code", failure.code().name());
        error.addProperty("has_retry_info", failure.retryAfter().isPresent());
        error.addProperty("field", failure.field());
        if (failure.reason() != ErrorReason.ERROR_REASON_UNSPECIFIED) {
            error.addProperty("reason", failure.reason().name());
        }
        var metadata = new JsonObject();
        failure.metadata().forEach(metadata::addProperty);
        error.add("metadata", metadata);
        return one("error", error);
    }
}
