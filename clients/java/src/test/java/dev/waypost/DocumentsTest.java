package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.waypost.v1.DeleteDocumentsRequest;
import dev.waypost.v1.Document;
import dev.waypost.v1.DocumentQuery;
import dev.waypost.v1.ErrorReason;
import dev.waypost.v1.FieldTest;
import dev.waypost.v1.Filter;
import dev.waypost.v1.GetDocumentsRequest;
import dev.waypost.v1.ListDocumentsRequest;
import dev.waypost.v1.QueryDocumentsRequest;
import dev.waypost.v1.UpsertDocumentsRequest;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Documents of a namespace: stored, found, listed, deleted. */
@Timeout(10)
class DocumentsTest {
    private static final String MODEL = "documents";
    private static final String NAMESPACE = "java";
    private static final Value ENGLISH = Value.newBuilder().setStringValue("en").build();

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
    void whatIsStoredIsFoundListedAndDeleted() {
        var leave = document("leave", "The leave is 30 days long.")
                .setMetadata(Struct.newBuilder().putFields("lang", ENGLISH));
        var stored = client.upsertDocuments(UpsertDocumentsRequest.newBuilder()
                .setModel(MODEL)
                .setNamespace(NAMESPACE)
                .addDocuments(leave)
                .addDocuments(document("ferien", "How long is the leave? 30 Tage."))
                .addDocuments(document("trips", "Trips are booked by the office."))
                .build());
        assertEquals(3, stored.getAdded() + stored.getReplaced());

        var found = client.queryDocuments(QueryDocumentsRequest.newBuilder()
                .setModel(MODEL)
                .setNamespace(NAMESPACE)
                .addQueries(DocumentQuery.newBuilder().setText("how long is the leave?"))
                .setFilter(Filter.newBuilder().setField(FieldTest.newBuilder().setField("lang").setEquals(ENGLISH)))
                .setSnippets(1)
                .build());
        var best = found.getResults(0).getDocumentsList();
        assertEquals(List.of(leave.build()), best.stream().map(each -> each.getDocument()).toList());
        assertEquals(1, best.get(0).getSnippetsCount());

        var asked = GetDocumentsRequest.newBuilder().setModel(MODEL).setNamespace(NAMESPACE).addIds("leave").addIds("no");
        assertEquals(List.of(leave.build()), client.getDocuments(asked.build()));

        var ids = client.documents(list(NAMESPACE).setPageSize(2).build()).map(Document::getId).toList();
        assertEquals(List.of("ferien", "leave", "trips"), ids);

        var gone = DeleteDocumentsRequest.newBuilder().setModel(MODEL).setNamespace(NAMESPACE).addAllIds(ids).build();
        assertEquals(3, client.deleteDocuments(gone).getDeleted());
    }

    @Test
    void aListOfNoNamespaceSaysSo() {
        var failure = assertThrows(CallerException.class, () -> client.documents(list("nowhere").build()));
        assertEquals(ErrorReason.ERROR_REASON_NAMESPACE_NOT_FOUND, failure.reason());
    }

    private static Document.Builder document(String id, String text) {
        return Document.newBuilder().setId(id).setText(text);
    }

    private static ListDocumentsRequest.Builder list(String namespace) {
        return ListDocumentsRequest.newBuilder().setModel(MODEL).setNamespace(namespace);
    }
}
