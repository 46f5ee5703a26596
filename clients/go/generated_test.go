package waypost_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// After a change to proto/, run `go generate` here.
func TestGeneratedCodeIsWhatTheContractGenerates(t *testing.T) {
	if _, err := exec.LookPath("buf"); err != nil {
		t.Skip("NOT RUN: buf is not here; make test-client-go has it")
	}
	fresh := t.TempDir()
	if said, err := exec.Command("buf", "generate", "../../proto", "--path", "../../proto/waypost", "-o", fresh).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	made, err := filepath.Glob(filepath.Join(fresh, "waypostv1", "*.go"))
	if err != nil || len(made) == 0 {
		t.Fatalf("nothing was generated: %v", err)
	}
	for _, path := range made {
		compare(t, path, filepath.Join("waypostv1", filepath.Base(path)))
	}
	committed, err := filepath.Glob("waypostv1/*.go")
	if err != nil || len(committed) != len(made) {
		t.Errorf("%d files are committed, %d are generated", len(committed), len(made))
	}
}

func compare(t *testing.T, fresh, committed string) {
	t.Helper()
	want, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(committed); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the contract generates: run go generate (%v)", committed, err)
	}
}
