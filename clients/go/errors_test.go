package waypost_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

func failureOf(t *testing.T, err error) *waypost.Error {
	t.Helper()
	var failed *waypost.Error
	if !errors.As(err, &failed) {
		t.Fatalf("%v is no *waypost.Error", err)
	}
	return failed
}

func TestAnErrorSaysWhichFieldIsWrongAndWhy(t *testing.T) {
	request := &waypostv1.EmbedRequest{Model: "hash", Texts: []string{"hello"}, Dimensions: 7}
	_, err := mesh(t).Embed(t.Context(), request)
	failed := failureOf(t, err)
	if failed.Reason != waypostv1.ErrorReason_ERROR_REASON_INVALID_FIELD || failed.Field != "dimensions" {
		t.Errorf("got %+v", failed)
	}
	if failed.Metadata["actual"] != "7" || failed.RequestID == "" || failed.Temporary() {
		t.Errorf("got %+v", failed)
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("gRPC takes it for %v", status.Code(err))
	}
}

func TestARateThatIsSpentSaysWhenToComeBack(t *testing.T) {
	request := hello()
	request.Route = &waypostv1.RouteHints{Tenant: "throttled"}
	_, err := mesh(t).Embed(t.Context(), request)
	failed := failureOf(t, err)
	if failed.Reason != waypostv1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED || !failed.Temporary() {
		t.Fatalf("got %+v", failed)
	}
	if pause := *failed.RetryAfter; pause <= 0 || pause > 10_000*time.Second {
		t.Errorf("the pause is %v", pause)
	}
}

func TestAStreamThatCannotBeginSaysWhy(t *testing.T) {
	request := forever()
	request.Model = "nobody"
	for _, err := range mesh(t).GenerateStream(t.Context(), request) {
		if waypost.ReasonOf(err) != waypostv1.ErrorReason_ERROR_REASON_MODEL_NOT_FOUND {
			t.Errorf("got %v", err)
		}
	}
}

func TestNobodyListeningIsUnavailable(t *testing.T) {
	_, err := dial(t, "unix:/nowhere/waypost.sock").Embed(t.Context(), hello())
	if failed := failureOf(t, err); failed.Code != codes.Unavailable || !failed.Temporary() {
		t.Errorf("got %+v", failed)
	}
}
