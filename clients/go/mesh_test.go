package waypost_test

import (
	"os"
	"testing"
	"time"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

// patience is the longest a test waits for what takes milliseconds.
const patience = 10 * time.Second

// setting is a variable of the runner, clients/run.py; clients/golden/README.md lists them.
func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("NOT RUN: %s is not set; make test-client-go sets it", name)
	}
	return value
}

// mesh is a client of the mesh of the golden table.
func mesh(t *testing.T, options ...waypost.Option) *waypost.Client {
	t.Helper()
	return dial(t, setting(t, "WAYPOST_ADDRESS"), options...)
}

func dial(t *testing.T, address string, options ...waypost.Option) *waypost.Client {
	t.Helper()
	client, err := waypost.Dial(address, append([]waypost.Option{waypost.WithTimeout(patience)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func hello() *waypostv1.EmbedRequest {
	return &waypostv1.EmbedRequest{Model: "hash", Texts: []string{"hello"}}
}

// forever is answered by one word after the other until the caller leaves.
func forever() *waypostv1.GenerateRequest {
	return &waypostv1.GenerateRequest{Model: "drip", Input: waypost.Chat(waypost.User("forever"))}
}
