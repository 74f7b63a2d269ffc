package cli

import (
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"lastgood/internal/config"
)

// Bounds of what waits to be written to the log, and how long the end of the
// program waits for it.
const (
	logQueue    = 1000 // messages
	logPatience = time.Second
)

// logWriter keeps a log that cannot be written (a full disk, a pipe that nobody
// reads any more) from holding up who logs: messages wait in a queue, and when
// it is full they are lost, counted, and the count is logged once there is room.
// Errors of writing are passed over for the same reason.
type logWriter struct {
	out   io.Writer
	note  *slog.Logger // writes to out at once
	queue chan []byte
	lost  atomic.Int64
	stop  chan struct{}
	done  chan struct{}
}

// newLogWriter starts the one goroutine that writes; Close ends it.
func newLogWriter(out io.Writer, c config.Log) *logWriter {
	w := &logWriter{out: out, note: newLog(out, c), queue: make(chan []byte, logQueue), stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one message; it never waits and never fails.
func (w *logWriter) Write(p []byte) (int, error) {
	select {
	case w.queue <- append([]byte(nil), p...):
	default:
		w.lost.Add(1)
	}
	return len(p), nil
}

// Close writes what waits, for a second at most. The log is then not written any
// more; a goroutine that is stuck in writing ends when the write does.
func (w *logWriter) Close() error {
	close(w.stop)
	timer := time.NewTimer(logPatience)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
	return nil
}

func (w *logWriter) run() {
	defer close(w.done)
	for {
		select {
		case p := <-w.queue:
			w.put(p)
			continue
		default:
		}
		select {
		case p := <-w.queue:
			w.put(p)
		case <-w.stop:
			return
		}
	}
}

// put writes a message and, when some were lost before, how many.
func (w *logWriter) put(p []byte) {
	if _, err := w.out.Write(p); err != nil {
		w.lost.Add(1)
	} else if n := w.lost.Swap(0); n > 0 {
		w.note.Error("messages before this one are missing: the log could not be written", "missing", n)
	}
}
