package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// doRestart stops the app and starts another with the same configuration and
// directory. With kill the directory stays as it was: nothing is written in
// stopping.
func (w *world) doRestart(st *step) error {
	kill := len(st.words) == 1 && st.words[0] == "kill"
	if len(st.words) > 0 && !kill {
		return errors.New("want: restart [kill]")
	}
	if err := w.wait(); err != nil {
		return err
	}
	before, err := readAll(w.state)
	if err != nil {
		return err
	}
	if err := w.stop(); err != nil {
		return err
	}
	if kill {
		if err := writeAll(w.state, before); err != nil {
			return err
		}
	}
	return w.boot()
}

// readAll reads the files of a directory.
func readAll(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// writeAll makes a directory hold these files and no others.
func writeAll(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// doFlush takes entries out of the cache, as an operator may.
func (w *world) doFlush(st *step) error {
	if len(st.words) != 3 {
		return errors.New("want: flush NAME TYPE|all COUNT")
	}
	name, err := dnsname.Parse(st.words[0])
	if err != nil {
		return err
	}
	t := wire.TypeNone
	if st.words[1] != "all" {
		n, ok := typeOf(st.words[1])
		if !ok {
			return fmt.Errorf("unknown type %q", st.words[1])
		}
		t = wire.Type(n)
	}
	return number("entries flushed", w.app.Cache().Flush(name, t), st.words[2])
}

// doSuspend lets the resolver's machine sleep, at once: its clocks go on, its
// timers and the rest of the world stand still.
func (w *world) doSuspend(st *step) error {
	d, err := st.duration()
	if err == nil && d < 0 {
		err = errors.New("nothing sleeps backwards")
	}
	w.shift.Suspend(max(d, 0))
	return err
}

// doSetClock sets the time of day of the resolver's machine forward, or back.
func (w *world) doSetClock(st *step) error {
	d, err := st.duration()
	w.shift.Step(d)
	return err
}

// duration reads the only word of a statement.
func (st *step) duration() (time.Duration, error) {
	if err := st.want(1, "DURATION"); err != nil {
		return 0, err
	}
	d, err := duration(strings.TrimPrefix(st.words[0], "-"))
	if strings.HasPrefix(st.words[0], "-") {
		d = -d
	}
	return d, err
}
