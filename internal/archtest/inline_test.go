package archtest

import (
	"os/exec"
	"strings"
	"testing"
)

// TestInlining is a gate for hot code: what is called for each cached question stays
// small enough for the compiler to put it where it is called.
func TestInlining(t *testing.T) {
	want := []string{
		"(*Builder).SetOutcome", "(*Builder).count", // wire
		"(*conn).tryReserve", "(*conn).next", "(*conn).leave", "putFrame", "prefixOf", // listener, TCP
		"(*tally).count", "(*tally).replied", "cellOf", "(*acl).contains4", "number4", // each question
		"(*congestion).pressure", "(*congestion).taken", "(*congestion).begun",
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-pgo=off", "-gcflags=-m", "../wire", "../listener").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	inlined := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), ": can inline "); ok {
			inlined[name] = true
		}
	}
	for _, name := range want {
		if !inlined[name] {
			t.Errorf("%s is not inlined any more", name)
		}
	}
}
