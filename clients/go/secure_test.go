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
	address := setting(t, "WAYPOST_TLS_ADDRESS")
	if _, err := secure(t, address, setting(t, "WAYPOST_CA"), "", "").Embed(t.Context(), hello()); err != nil {
		t.Error(err)
	}
	_, err := secure(t, address, "", "", "").Embed(t.Context(), hello())
	if failed := failureOf(t, err); failed.Code != codes.Unavailable {
		t.Errorf("got %+v", failed)
	}
}

func TestWhereTheCallersCertificateIsWantedItCounts(t *testing.T) {
	address, ca := setting(t, "WAYPOST_MTLS_ADDRESS"), setting(t, "WAYPOST_CA")
	cert, key := setting(t, "WAYPOST_CLIENT_CERT"), setting(t, "WAYPOST_CLIENT_KEY")
	if _, err := secure(t, address, ca, cert, key).Embed(t.Context(), hello()); err != nil {
		t.Error(err)
	}
	_, err := secure(t, address, ca, "", "").Embed(t.Context(), hello())
	if failed := failureOf(t, err); failed.Code != codes.Unauthenticated {
		t.Errorf("got %+v", failed)
	}
}

// secure is a client over TLS, with the PEM files of TLSFromFiles.
func secure(t *testing.T, address, ca, cert, key string) *waypost.Client {
	t.Helper()
	config, err := waypost.TLSFromFiles(ca, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return dial(t, address, waypost.WithTLS(config))
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
