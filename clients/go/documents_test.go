package waypost_test

import (
	"errors"
	"iter"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

const (
	documents = "documents"
	namespace = "go"
)

func TestDocumentsAreStoredFoundListedAndDeleted(t *testing.T) {
	client := mesh(t)
	for stored, err := range client.UpsertDocumentsStream(t.Context(), batches(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if stored.GetAdded()+stored.GetReplaced() != 1 {
			t.Errorf("got %v", stored)
		}
	}
	found, err := client.QueryDocuments(t.Context(), &waypostv1.QueryDocumentsRequest{
		Model: documents, Namespace: namespace, Snippets: 1, Filter: inEnglish(),
		Queries: []*waypostv1.DocumentQuery{{Text: "how long is the leave?"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	best := found.GetResults()[0].GetDocuments()
	if len(best) != 1 || best[0].GetDocument().GetId() != "leave" || len(best[0].GetSnippets()) != 1 {
		t.Errorf("got %v", found)
	}
	if ids := listed(t, client); !slices.Equal(ids, []string{"ferien", "leave", "trips"}) {
		t.Errorf("got %v", ids)
	}
	gone, err := client.DeleteDocuments(t.Context(), &waypostv1.DeleteDocumentsRequest{
		Model: documents, Namespace: namespace, Ids: []string{"ferien", "leave", "trips"},
	})
	if err != nil || gone.GetDeleted() != 3 {
		t.Errorf("got %v, %v", gone, err)
	}
}

func TestAListOfNoNamespaceEndsWithWhy(t *testing.T) {
	request := &waypostv1.ListDocumentsRequest{Model: documents, Namespace: "nowhere"}
	var last error
	for _, last = range mesh(t).Documents(t.Context(), request) {
	}
	var failed *waypost.Error
	if !errors.As(last, &failed) || failed.Reason != waypostv1.ErrorReason_ERROR_REASON_NAMESPACE_NOT_FOUND {
		t.Errorf("got %v", last)
	}
}

// batches has a document each.
func batches(t *testing.T) iter.Seq[*waypostv1.UpsertDocumentsRequest] {
	t.Helper()
	english, err := structpb.NewStruct(map[string]any{"lang": "en"})
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(*waypostv1.UpsertDocumentsRequest) bool) {
		for _, document := range []*waypostv1.Document{
			{Id: "leave", Text: "The leave is 30 days long.", Metadata: english},
			{Id: "ferien", Text: "How long is the leave? 30 Tage."},
			{Id: "trips", Text: "Trips are booked by the office."},
		} {
			request := &waypostv1.UpsertDocumentsRequest{
				Model: documents, Namespace: namespace, Documents: []*waypostv1.Document{document},
			}
			if !yield(request) {
				return
			}
		}
	}
}

func inEnglish() *waypostv1.Filter {
	equals := &waypostv1.FieldTest_Equals{Equals: structpb.NewStringValue("en")}
	return &waypostv1.Filter{Kind: &waypostv1.Filter_Field{Field: &waypostv1.FieldTest{Field: "lang", Test: equals}}}
}

// listed are the ids, two a page.
func listed(t *testing.T, client *waypost.Client) []string {
	t.Helper()
	request := &waypostv1.ListDocumentsRequest{Model: documents, Namespace: namespace, PageSize: 2}
	var ids []string
	for document, err := range client.Documents(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, document.GetId())
	}
	return ids
}
