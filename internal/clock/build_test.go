//go:build unix

package clock

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// variable is spelt out here too: a test must not read it from what it tests.
const variable = "LASTGOOD_TEST_CLOCK"

// buildNow builds the program in testdata/now.
func buildNow(t *testing.T, flags ...string) string {
	t.Helper()
	// The test's cached result must not outlive a change of these.
	for _, source := range []string{"offset_file.go", "offset_none.go", "testdata/now/main.go"} {
		if _, err := os.ReadFile(source); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "now")
	args := append(append([]string{"build", "-o", out}, flags...), "./testdata/now")
	if msg, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	return out
}

// running is a started program and what it prints.
type running struct {
	in  io.Writer
	out *bufio.Reader
}

func start(t *testing.T, program, offsetFile string) *running {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), variable+"="+offsetFile)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	return &running{in: in, out: bufio.NewReader(out)}
}

// read asks the program for its clock's readings.
func (r *running) read(t *testing.T) (mono Mono, wall time.Time) {
	t.Helper()
	fmt.Fprintln(r.in)
	line, err := r.out.ReadString('\n')
	var nanos int64
	if err == nil {
		_, err = fmt.Sscan(line, (*int64)(&mono), &nanos)
	}
	if err != nil {
		t.Fatal(err)
	}
	return mono, time.Unix(0, nanos)
}

// setOffset writes the offset in place, as the mapping is of this very file.
func setOffset(t *testing.T, file string, d time.Duration) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(d.Microseconds())), 0); err != nil {
		t.Fatal(err)
	}
}

// near allows for the real time that a test takes.
func near(got, want time.Duration) bool { return got >= want && got < want+time.Minute }

// TestOffset lets days pass for a running program.
func TestOffset(t *testing.T) {
	program, file := buildNow(t, "-tags", "testclock"), filepath.Join(t.TempDir(), "offset")
	setOffset(t, file, 0)
	r := start(t, program, file)
	mono, wall := r.read(t)
	if !near(time.Since(wall), 0) || mono <= 0 {
		t.Fatalf("without offset: %d, %v", mono, wall)
	}
	for _, d := range []time.Duration{time.Millisecond, 72 * time.Hour, 90 * 24 * time.Hour, time.Hour} {
		setOffset(t, file, d)
		m, w := r.read(t)
		if !near(m.Sub(mono), d) || !near(w.Sub(wall), d) {
			t.Errorf("offset %v: %v and %v later", d, m.Sub(mono), w.Sub(wall))
		}
	}
	setOffset(t, file, -time.Hour)
	if m, w := r.read(t); m <= 0 || !near(w.Sub(wall), -time.Hour) {
		t.Errorf("an hour back: reads %d, %v", m, w)
	}
}

// TestOffsetFileMissing: the real time instead would make a test's results lies.
func TestOffsetFileMissing(t *testing.T) {
	program, short := buildNow(t, "-tags", "testclock"), filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, make([]byte, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(t.TempDir(), "missing"), short} {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), variable+"="+file)
		if msg, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(msg, []byte(variable)) {
			t.Errorf("%s: %v, %s", file, err, msg)
		}
	}
}

// TestNoOffsetInOrdinaryBuild: nothing of it is in the binary, and an offset
// that is set has no effect.
func TestNoOffsetInOrdinaryBuild(t *testing.T) {
	program, file := buildNow(t), filepath.Join(t.TempDir(), "offset")
	for _, p := range []struct {
		path string
		want bool
	}{{program, false}, {buildNow(t, "-tags", "testclock"), true}} {
		binary, err := os.ReadFile(p.path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(binary, []byte(variable)) != p.want {
			t.Errorf("the variable is in the binary: %v, want %v", !p.want, p.want)
		}
	}
	setOffset(t, file, 72*time.Hour)
	if mono, wall := start(t, program, file).read(t); !near(time.Since(wall), 0) || !near(time.Duration(mono), 0) {
		t.Errorf("an ordinary build reads %d, %v", mono, wall)
	}
}
