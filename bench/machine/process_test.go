package machine

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// The CPU clock of a process is its own, counts threads that ended, and is finer
// than the hundredths of a second of /proc.
func TestCPU(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{&exec.Cmd{Process: self}}
	before, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	x := 1
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
		x = x*31 + 1
	}
	after, err := p.CPU()
	if err != nil || x == 0 {
		t.Fatal(err)
	}
	// Others may have the processor meanwhile, and the runtime has threads of its own.
	if used := after - before; used <= 0 || used > time.Second || used%(10*time.Millisecond) == 0 {
		t.Errorf("30 ms of work took %v", used)
	}
}

func TestLocate(t *testing.T) {
	if path, err := Locate("sh"); err != nil || path == "" {
		t.Errorf("no shell: %v", err)
	}
	if path, err := Locate("no-such-program-anywhere", "", t.TempDir()); err == nil {
		t.Errorf("found %s", path)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/sh", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := Locate("sh", dir); err != nil || path != dir+"/sh" {
		t.Errorf("%s, %v: not the one in the folder", path, err)
	}
}
