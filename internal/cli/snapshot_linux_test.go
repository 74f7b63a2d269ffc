package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The program keeps its cache in the state directory, only its owner can read
// it, and a service manager's directory goes before. Nothing but serve does.
func TestServeKeepsItsCache(t *testing.T) {
	state, service := t.TempDir(), t.TempDir()
	files := func(dir string) []string {
		list, err := filepath.Glob(filepath.Join(dir, "cache-*.snapshot"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	run := func(command string, env ...string) string {
		var errs buffer
		r := launch(t, command, func(c *exec.Cmd) {
			c.Stderr, c.Env = &errs, append(c.Env, env...)
		})
		r.answers(t)
		if err := r.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := r.ends(t); code != 0 {
			t.Errorf("%s: exit %d: %s", command, code, errs.String())
		}
		return errs.String()
	}
	run("lab", "XDG_STATE_HOME="+state)
	if list := files(filepath.Join(state, "lastgood")); len(list) > 0 {
		t.Errorf("the lab wrote %v", list)
	}
	if said := run("serve", "XDG_STATE_HOME="+state); !strings.Contains(said, "there is no snapshot yet") {
		t.Errorf("it says %s", said)
	}
	list := files(filepath.Join(state, "lastgood"))
	if len(list) != 1 {
		t.Fatalf("there are %v", list)
	}
	if info, err := os.Stat(list[0]); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	run("serve", "XDG_STATE_HOME="+state, "STATE_DIRECTORY="+service)
	if len(files(filepath.Join(state, "lastgood"))) != 1 || len(files(service)) != 1 {
		t.Errorf("a service wrote %v and %v", files(filepath.Join(state, "lastgood")), files(service))
	}
	if said := run("serve", "XDG_STATE_HOME=", "HOME="); !strings.Contains(said, "not outlive a restart") || !strings.Contains(said, "STATE_DIRECTORY") {
		t.Errorf("without a directory it says %s", said)
	}
}
