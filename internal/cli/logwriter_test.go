package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/config"
)

// stuckWriter writes when it is let; without, it fails or hangs.
type stuckWriter struct {
	mu   sync.Mutex
	let  chan struct{} // nil: does not hang
	fail error
	got  bytes.Buffer
}

func (s *stuckWriter) Write(p []byte) (int, error) {
	if s.let != nil {
		<-s.let
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	return s.got.Write(p)
}

func (s *stuckWriter) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// A log that nobody reads holds nobody up, and says afterwards what is missing.
func TestLogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckWriter{let: make(chan struct{})}
		w := newLogWriter(out, config.Log{})
		start := time.Now()
		for i := range logQueue + 501 {
			fmt.Fprintf(w, "message %d\n", i)
			if i == 0 {
				synctest.Wait() // it hangs in writing the first
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("logging took %v", took)
		}
		close(out.let)
		synctest.Wait()
		if text := out.text(); !strings.Contains(text, "missing=500") || !strings.Contains(text, fmt.Sprintf("message %d\n", logQueue)) {
			t.Errorf("the log ends in %q", text[max(0, len(text)-200):])
		}
		w.Close()
	})
}

// A full disk loses messages and nothing else; when there is room again the log
// goes on and says how many are missing.
func TestLogOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckWriter{fail: errors.New("no space left on device")}
		w := newLogWriter(out, config.Log{})
		for range 3 {
			if _, err := w.Write([]byte("lost\n")); err != nil {
				t.Errorf("who logs is bothered with: %v", err)
			}
		}
		synctest.Wait()
		out.mu.Lock()
		out.fail = nil
		out.mu.Unlock()
		w.Write([]byte("after\n"))
		w.Close()
		if text := out.text(); !strings.HasPrefix(text, "after\n") || !strings.Contains(text, "missing=3") {
			t.Errorf("the log is %q", text)
		}
	})
}

// The end of the program writes what waits, but does not wait for ever.
func TestLogAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckWriter{}
		w := newLogWriter(out, config.Log{})
		w.Write([]byte("last words\n"))
		w.Close()
		if out.text() != "last words\n" {
			t.Errorf("the log is %q", out.text())
		}
		hangs := &stuckWriter{let: make(chan struct{})}
		w = newLogWriter(hangs, config.Log{})
		w.Write([]byte("x"))
		start := time.Now()
		w.Close()
		if took := time.Since(start); took != logPatience {
			t.Errorf("waited %v", took)
		}
		close(hangs.let)
	})
}
