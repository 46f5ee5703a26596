package waypost_test

import (
	"os"
	"testing"

	"google.golang.org/grpc/codes"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

func TestWithoutTheKeyACallIsUnauthenticated(t *testing.T) {
	_, err := dial(t, setting(t, "WAYPOST_KEYED_ADDRESS")).Embed(t.Context(), hello())
	failed := failureOf(t, err)
	if failed.Code != codes.Unauthenticated ||
		failed.Reason != waypostv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED {
		t.Errorf("got %+v", failed)
	}
}

func TestWithTheKeyACallIsAnswered(t *testing.T) {
	client := dial(t, setting(t, "WAYPOST_KEYED_ADDRESS"), waypost.WithToken(setting(t, "WAYPOST_KEY")))
	if _, err := client.Embed(t.Context(), hello()); err != nil {
		t.Error(err)
	}
	for _, err := range client.GenerateStream(t.Context(), forever()) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

func TestBehindTLSTheAuthorityIsWhatCounts(t *testing.T) {
	address, ca := setting(t, "WAYPOST_TLS_ADDRESS"), setting(t, "WAYPOST_CA")
	cert, key := os.Getenv("WAYPOST_CLIENT_CERT"), os.Getenv("WAYPOST_CLIENT_KEY")
	for name, tried := range map[string]struct {
		ca     string
		answer bool
	}{"its own": {ca, true}, "the system's": {"", false}} {
		t.Run(name, func(t *testing.T) {
			config, err := waypost.TLSFromFiles(tried.ca, cert, key)
			if err != nil {
				t.Fatal(err)
			}
			_, err = dial(t, address, waypost.WithTLS(config)).Embed(t.Context(), hello())
			if (err == nil) != tried.answer {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPlainTextIsNotUnderstoodBehindTLS(t *testing.T) {
	_, err := dial(t, setting(t, "WAYPOST_TLS_ADDRESS")).Embed(t.Context(), hello())
	if failed := failureOf(t, err); failed.Code != codes.Unavailable {
		t.Errorf("got %+v", failed)
	}
}

func TestAFileWithoutACertificateIsRefused(t *testing.T) {
	path := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := waypost.TLSFromFiles(path, "", ""); err == nil {
		t.Error("it was taken")
	}
}
