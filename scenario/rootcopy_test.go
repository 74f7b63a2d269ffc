package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lastgood/internal/dnsname"
)

// doWrite puts a file into the app's directory: one of the scenario, or a zone as
// it is served just now.
func (w *world) doWrite(st *step) error {
	if err := st.want(2, "NAME FILE|ZONE"); err != nil {
		return err
	}
	if err := w.start(); err != nil { // the zones are there then
		return err
	}
	text, ok := w.script.files[st.words[1]]
	if !ok {
		zone, err := dnsname.Parse(st.words[1])
		if err != nil || len(w.serves(zone)) == 0 {
			return fmt.Errorf("there is neither a file nor a zone %s", st.words[1])
		}
		var b strings.Builder
		for _, r := range w.serves(zone)[0].Zone(zone).Records() {
			b.WriteString(r.String() + "\n")
		}
		text = b.String()
	}
	if filepath.Base(st.words[0]) != st.words[0] {
		return errors.New("want a file's name without a directory")
	}
	return os.WriteFile(filepath.Join(w.state, st.words[0]), []byte(text), 0o600)
}

// checkRootCopy wants a copy of the root zone of a serial, or none.
func checkRootCopy(o *outcome, rest []string) error {
	z := o.world.app.RootZone()
	got := "none"
	if z.Usable {
		got = strconv.FormatUint(uint64(z.Serial), 10)
	}
	if got != rest[0] {
		return fmt.Errorf("the copy of the root zone is %s, want %s (%+v)", got, rest[0], z)
	}
	return nil
}

// checkLogged wants a text in the log, which may go over several words.
func checkLogged(o *outcome, rest []string) error {
	if o.world.trace.log.contains(rest[0]) {
		return nil
	}
	return fmt.Errorf("nothing says %q in the log", rest[0])
}
