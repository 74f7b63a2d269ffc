package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lastgood/internal/stale"
)

// smallDisk names the directory on which the test's own process, in name spaces
// of its own, mounts a disk of a quarter of a mebibyte.
const smallDisk = "LASTGOOD_TEST_SMALL_DISK"

// A disk that is full costs nothing but the snapshot: the last one stays whole,
// nothing is left beside it, the failure is counted and said once, questions are
// answered, and once there is room all is well again.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(smallDisk); dir != "" {
		if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
			fmt.Println("cannot mount:", err)
			return
		}
		fillDisk(t, dir)
		fmt.Println("played")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	missing := t.Skipf // at a desk; in CI nothing may be left out
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		missing("the system allows no name spaces of our own: %v", err)
	case bytes.Contains(out, []byte("cannot mount")):
		missing("the system allows no disk of our own: %s", out)
	case err != nil || !bytes.Contains(out, []byte("played")):
		t.Errorf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	file, filler := filepath.Join(dir, "cache.snapshot"), filepath.Join(dir, "filler")
	k := startKeeping(t, file, "")
	k.put("first.example.", 3600)
	k.saveSnapshot(nil)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	f.Close()
	for n := range 1000 { // more than a page that happens to be free
		k.put(fmt.Sprintf("h%d.example.", n), 3600)
	}
	for range 3 {
		k.saveSnapshot(nil)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the last snapshot is not what it was (%v)", err)
	}
	if list, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
	if n := k.metric("lastgood_snapshot_failures_total", "what", "save"); n != 3 || strings.Count(k.log.String(), "the disk is full") != 1 {
		t.Errorf("%v failures; the log says %s", n, k.log.String())
	}
	if k.state("h7.example.") != stale.Fresh || !k.ready.Load() {
		t.Error("nothing is answered any more")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	k.saveSnapshot(nil)
	if n := k.metric("lastgood_snapshot_saves_total"); n != 2 {
		t.Errorf("%v saves, want 2; the log says %s", n, k.log.String())
	}
	k.stop(t)
	k = startKeeping(t, file, "")
	if k.state("first.example.") != stale.Fresh || k.state("h7.example.") != stale.Fresh {
		t.Error("what was saved when there was room again is lost")
	}
	k.stop(t)
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
