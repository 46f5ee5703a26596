package waypost_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

// shaky is a server of one test: it is UNAVAILABLE for as many calls as it is told, and notes what it saw.
type shaky struct {
	failures int
	calls    int
	tokens   []string
	deadline bool
}

type embeds struct {
	waypostv1.UnimplementedEmbedServiceServer
	*shaky
}

type writes struct {
	waypostv1.UnimplementedGenerateServiceServer
	*shaky
}

func (s embeds) Embed(ctx context.Context, _ *waypostv1.EmbedRequest) (*waypostv1.EmbedResponse, error) {
	return &waypostv1.EmbedResponse{}, s.seen(ctx)
}

func (s writes) Generate(ctx context.Context, _ *waypostv1.GenerateRequest) (*waypostv1.GenerateResponse, error) {
	return &waypostv1.GenerateResponse{}, s.seen(ctx)
}

func (s *shaky) seen(ctx context.Context) error {
	s.calls++
	s.tokens = metadata.ValueFromIncomingContext(ctx, "authorization")
	_, s.deadline = ctx.Deadline()
	if s.calls <= s.failures {
		return status.Error(codes.Unavailable, "not now")
	}
	return nil
}

// serve answers on a Unix socket until the test ends.
func serve(t *testing.T, handler *shaky) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	waypostv1.RegisterEmbedServiceServer(server, embeds{shaky: handler})
	waypostv1.RegisterGenerateServiceServer(server, writes{shaky: handler})
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	return "unix:" + path
}

func TestACallWithoutSideEffectsIsTriedAgain(t *testing.T) {
	server := &shaky{failures: 2}
	if _, err := dial(t, serve(t, server)).Embed(t.Context(), hello()); err != nil || server.calls != 3 {
		t.Errorf("%v after %d calls", err, server.calls)
	}
}

func TestACallIsNotTriedForEver(t *testing.T) {
	server := &shaky{failures: 100}
	_, err := dial(t, serve(t, server)).Embed(t.Context(), hello())
	if failureOf(t, err).Code != codes.Unavailable || server.calls != 4 {
		t.Errorf("%v after %d calls", err, server.calls)
	}
}

func TestGenerateIsNotTriedAgain(t *testing.T) {
	server := &shaky{failures: 1}
	_, err := dial(t, serve(t, server)).Generate(t.Context(), forever())
	if failureOf(t, err).Code != codes.Unavailable || server.calls != 1 {
		t.Errorf("%v after %d calls", err, server.calls)
	}
}

func TestEveryCallHasADeadlineAndTheToken(t *testing.T) {
	server := &shaky{}
	client := dial(t, serve(t, server), waypost.WithToken("wp_1_secret"))
	if _, err := client.Embed(t.Context(), hello()); err != nil {
		t.Fatal(err)
	}
	if !server.deadline || len(server.tokens) != 1 || server.tokens[0] != "Bearer wp_1_secret" {
		t.Errorf("a deadline: %v, tokens: %q", server.deadline, server.tokens)
	}
}
