package dev.waypost;

import dev.waypost.v1.ClassifyRequest;
import dev.waypost.v1.ClassifyResponse;
import dev.waypost.v1.ClassifyServiceGrpc;
import dev.waypost.v1.DeleteDocumentsRequest;
import dev.waypost.v1.DeleteDocumentsResponse;
import dev.waypost.v1.Document;
import dev.waypost.v1.EmbedRequest;
import dev.waypost.v1.EmbedServiceGrpc;
import dev.waypost.v1.GenerateRequest;
import dev.waypost.v1.GenerateResponse;
import dev.waypost.v1.GenerateServiceGrpc;
import dev.waypost.v1.GenerateStreamRequest;
import dev.waypost.v1.GetDocumentsRequest;
import dev.waypost.v1.ListDocumentsRequest;
import dev.waypost.v1.ListDocumentsResponse;
import dev.waypost.v1.ListModelsRequest;
import dev.waypost.v1.MeshServiceGrpc;
import dev.waypost.v1.ModelInfo;
import dev.waypost.v1.QueryDocumentsRequest;
import dev.waypost.v1.QueryDocumentsResponse;
import dev.waypost.v1.RerankRequest;
import dev.waypost.v1.RerankResponse;
import dev.waypost.v1.RerankServiceGrpc;
import dev.waypost.v1.RetrieveServiceGrpc;
import dev.waypost.v1.RetrieveServiceGrpc.RetrieveServiceBlockingStub;
import dev.waypost.v1.UpsertDocumentsRequest;
import dev.waypost.v1.UpsertDocumentsResponse;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Calls a router or a single worker; safe to share among threads.
 *
 * <p>Every call has a deadline. Calls without side effects are tried again where nothing answered, for as long as the
 * deadline allows. A failed call throws a {@link WaypostException}.
 */
public final class WaypostClient implements AutoCloseable {
    private final ManagedChannel connection;
    private final Channel guarded;
    private final Channel channel;

    WaypostClient(ManagedChannel connection, Channel guarded, Duration timeout) {
        this.connection = connection;
        this.guarded = guarded;
        this.channel = ClientInterceptors.intercept(guarded, new DefaultDeadline(timeout));
    }

    /**
     * How to reach a mesh.
     *
     * @param address {@code host:port}, {@code unix:/path} (Linux), or any target that gRPC understands
     */
    public static ClientBuilder builder(String address) {
        return new ClientBuilder(address);
    }

    /** The same client over the same connection, whose calls may take this long. */
    public WaypostClient withTimeout(Duration timeout) {
        return new WaypostClient(connection, guarded, timeout);
    }

    /** For the generated stubs, where this class lacks a call: token, deadline and retries are this client's. */
    public Channel channel() {
        return channel;
    }

    /** One unit vector per text. */
    public Embeddings embed(String... texts) {
        return embed(Requests.embed(texts));
    }

    /** One unit vector per text. */
    public Embeddings embed(EmbedRequest request) {
        return Embeddings.of(answer(() -> EmbedServiceGrpc.newBlockingStub(channel).embed(request)));
    }

    /** Labels with calibrated scores, per text. */
    public ClassifyResponse classify(String... texts) {
        return classify(Requests.classify(texts));
    }

    /** Labels with calibrated scores, per text. */
    public ClassifyResponse classify(ClassifyRequest request) {
        return answer(() -> ClassifyServiceGrpc.newBlockingStub(channel).classify(request));
    }

    /** The documents ordered against the query, best first. */
    public RerankResponse rerank(String query, List<String> documents) {
        return rerank(Requests.rerank(query, documents));
    }

    /** The documents ordered against the query, best first. */
    public RerankResponse rerank(RerankRequest request) {
        return answer(() -> RerankServiceGrpc.newBlockingStub(channel).rerank(request));
    }

    /** The whole answer to one message of a user. */
    public GenerateResponse generate(String message) {
        return generate(Requests.chat(message));
    }

    /** The whole answer. */
    public GenerateResponse generate(GenerateRequest request) {
        return answer(() -> GenerateServiceGrpc.newBlockingStub(channel).generate(request));
    }

    /** The answer to one message of a user, piece by piece. */
    public GenerateStream generateStream(String message) {
        return generateStream(Requests.chat(message));
    }

    /** The answer piece by piece. */
    public GenerateStream generateStream(GenerateRequest request) {
        var wrapped = GenerateStreamRequest.newBuilder().setRequest(request).build();
        return new GenerateStream(() -> GenerateServiceGrpc.newBlockingStub(channel).generateStream(wrapped));
    }

    /** Stores documents, replacing those of the same id; what is answered is kept, and found by queries afterwards. */
    public UpsertDocumentsResponse upsertDocuments(UpsertDocumentsRequest request) {
        return answer(() -> documentsStub().upsertDocuments(request));
    }

    /** Finds documents by meaning, by words, or both: one result per query. */
    public QueryDocumentsResponse queryDocuments(QueryDocumentsRequest request) {
        return answer(() -> documentsStub().queryDocuments(request));
    }

    /** Documents by id; those that are not there are left out. */
    public List<Document> getDocuments(GetDocumentsRequest request) {
        return answer(() -> documentsStub().getDocuments(request)).getDocumentsList();
    }

    /** All documents, or those that the filter lets through, by id; fetched page by page as they are looked at. */
    public Stream<Document> documents(ListDocumentsRequest request) {
        return Stream.iterate(page(request), Objects::nonNull, page -> following(request, page))
                .flatMap(page -> page.getDocumentsList().stream());
    }

    /** Removes documents by id, or those that a filter lets through. */
    public DeleteDocumentsResponse deleteDocuments(DeleteDocumentsRequest request) {
        return answer(() -> documentsStub().deleteDocuments(request));
    }

    /** The models that can be asked for by name. */
    public List<ModelInfo> models() {
        var request = ListModelsRequest.getDefaultInstance();
        return answer(() -> MeshServiceGrpc.newBlockingStub(channel).listModels(request)).getModelsList();
    }

    /** Ends the calls under way and closes the connection. */
    @Override
    public void close() {
        connection.shutdownNow();
    }

    private RetrieveServiceBlockingStub documentsStub() {
        return RetrieveServiceGrpc.newBlockingStub(channel);
    }

    private ListDocumentsResponse page(ListDocumentsRequest request) {
        return answer(() -> documentsStub().listDocuments(request));
    }

    private ListDocumentsResponse following(ListDocumentsRequest request, ListDocumentsResponse page) {
        var token = page.getNextPageToken();
        return token.isEmpty() ? null : page(request.toBuilder().setPageToken(token).build());
    }

    private static <R> R answer(Supplier<R> call) {
        try {
            return call.get();
        } catch (StatusRuntimeException failure) {
            throw WaypostException.of(failure);
        }
    }
}
