package anchor

import (
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// What is kept over a restart is text: a heading with the version of the form, a
// line for each thing, and a last line with a checksum of all lines before, by
// which torn and foreign text is known.

// seal adds the last line.
func seal(text []byte) []byte {
	return fmt.Appendf(text, "end %08x\n", crc32.ChecksumIEEE(text))
}

// stateRemedy is the way out of a text that cannot be read.
const stateRemedy = "delete the file; what it knew is lost"

func unsound(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %s; %s", line, fmt.Sprintf(format, args...), stateRemedy)
}

// unseal gives the lines between the heading and the last.
func unseal(text []byte, heading string, most int) ([]string, error) {
	if len(text) > most {
		return nil, unsound(1, "more than %d octets", most)
	}
	whole := string(text)
	lines := strings.SplitAfter(whole, "\n")
	if lines[0] != heading+"\n" {
		if name, _, _ := strings.Cut(heading, ", version"); strings.HasPrefix(lines[0], name+", version ") {
			return nil, unsound(1, "another version of the program wrote %s", quote(strings.TrimSuffix(lines[0], "\n")))
		}
		return nil, unsound(1, "does not begin with %s", quote(heading))
	}
	last := len(lines) - 2 // behind the last newline there is nothing
	if last < 1 || lines[last+1] != "" || !strings.HasPrefix(lines[last], "end ") {
		return nil, unsound(len(lines), "the end is missing")
	}
	body := strings.Join(lines[:last], "")
	if want := string(seal([]byte(body)))[len(body):]; lines[last] != want {
		return nil, unsound(last+1, "the checksum differs: the text was changed or damaged")
	}
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\n")
	}
	return lines[1:last], nil
}

// readStamp reads a moment as stamp writes it; "-" is none.
func readStamp(field string) (time.Time, error) {
	if field == "-" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, field)
	if t = t.UTC(); err != nil || stamp(t) != field {
		return t, fmt.Errorf("%s is no moment in UTC such as 2026-05-05T19:30:00Z", quote(field))
	}
	return t, nil
}

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return stamp(t)
}
