package waypost_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTheReadmesProgramPrintsWhatTheReadmeSays(t *testing.T) {
	setting(t, "WAYPOST_ADDRESS")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("examples/hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(source)+"```") {
		t.Error("the README shows another program than examples/hello")
	}
	printed, err := exec.Command("go", "run", "./examples/hello").CombinedOutput()
	if err != nil || !strings.Contains(string(readme), "```text\n"+string(printed)+"```") {
		t.Errorf("it prints %q (%v)", printed, err)
	}
}
