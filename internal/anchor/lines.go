package anchor

import (
	"fmt"
	"strings"
)

// Bounds of a text that anchors are read from.
const (
	mostText    = 1 << 20 // octets
	mostRecords = 1000
)

// mistake is what is wrong with a text, where, and what to do about it.
type mistake struct {
	file   string
	line   int // 0: all of it
	why    string
	remedy string
}

func (m *mistake) Error() string {
	if m.line == 0 {
		return fmt.Sprintf("%s: %s; %s", m.file, m.why, m.remedy)
	}
	return fmt.Sprintf("%s:%d: %s; %s", m.file, m.line, m.why, m.remedy)
}

// entry is one record of a text, in fields.
type entry struct {
	line   int  // where it begins
	owner  bool // it begins with a name, which is its first field
	fields []string
}

// scanner splits a text into records as a master file has them (RFC 1035 §5.1): a
// record a line, unless parentheses join lines; a semicolon begins a comment.
type scanner struct {
	file string
	rest string
	line int // of what is left
}

// next gives the next record, nil at the end.
func (s *scanner) next() (*entry, error) {
	for s.rest != "" {
		e := &entry{line: s.line + 1, owner: !strings.ContainsAny(s.rest[:1], " \t(")}
		open := false
		for {
			var err error
			if open, err = s.add(e, open); err != nil {
				return nil, err
			}
			if !open {
				break
			}
			if s.rest == "" {
				return nil, &mistake{s.file, e.line, "a parenthesis is not closed", "close it, or restore what the file lost"}
			}
		}
		if len(e.fields) > 0 {
			return e, nil
		}
	}
	return nil, nil
}

// add takes a line into a record and tells whether parentheses are open at its end.
func (s *scanner) add(e *entry, open bool) (bool, error) {
	line, rest, _ := strings.Cut(s.rest, "\n")
	s.rest = rest
	s.line++
	start := -1
	end := func(at int) {
		if start >= 0 {
			e.fields = append(e.fields, line[start:at])
		}
		start = -1
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ';':
			end(i)
			return open, nil
		case c == '(' && open || c == ')' && !open:
			return open, &mistake{s.file, s.line, "a parenthesis has no other that belongs to it", "delete it, or write both"}
		case c == '(' || c == ')':
			end(i)
			open = c == '('
		case c == ' ' || c == '\t' || c == '\r':
			end(i)
		default:
			if start < 0 {
				start = i
			}
			if c == '\\' { // the octet behind it is part of the field, whatever it is
				i++
			}
		}
	}
	end(len(line))
	return open, nil
}
