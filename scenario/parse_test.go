package scenario

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/tools/txtar"
)

// script is a parsed scenario.
type script struct {
	file  string
	about string // the leading comment
	steps []*step
	files map[string]string
}

// step is a statement with what is expected of it.
type step struct {
	at    string // file:line
	verb  string
	words []string
	block []line // expectations, or the records of a reply
}

// line is an indented line.
type line struct {
	at   string
	verb string
	rest string
}

// maxSteps bounds a script.
const maxSteps = 2000

// parse reads a scenario. Errors begin with file:line.
func parse(file string, data []byte) (*script, error) {
	archive := txtar.Parse(data)
	s := &script{file: file, files: map[string]string{}}
	for _, f := range archive.Files {
		if s.files[f.Name] != "" {
			return nil, fmt.Errorf("%s: two files are called %s", file, f.Name)
		}
		if ext := path.Ext(f.Name); ext != ".zone" && f.Name != configFile {
			return nil, fmt.Errorf("%s: %s is neither a zone nor %s", file, f.Name, configFile)
		}
		s.files[f.Name] = string(f.Data)
	}
	for i, text := range strings.Split(string(archive.Comment), "\n") {
		if err := s.add(fmt.Sprintf("%s:%d", file, i+1), text); err != nil {
			return nil, err
		}
	}
	if s.about == "" {
		return nil, fmt.Errorf("%s:1: no comment that says what must be true", file)
	}
	return s, nil
}

// configFile is the name of the configuration in an archive.
const configFile = "lastgood.yaml"

// add takes one line of the script.
func (s *script) add(at, text string) error {
	if comment, ok := strings.CutPrefix(text, "# "); ok {
		if len(s.steps) == 0 {
			s.about += comment + "\n"
		}
		return nil
	}
	text, _, _ = strings.Cut(text, " # ")
	text = strings.TrimRight(text, " \t")
	indented := strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t")
	words := strings.Fields(text)
	if len(words) == 0 || words[0] == "#" {
		return nil
	}
	if !indented {
		if _, ok := statements[words[0]]; !ok {
			return fmt.Errorf("%s: unknown statement %q", at, words[0])
		}
		if len(s.steps) >= maxSteps {
			return fmt.Errorf("%s: more than %d statements", at, maxSteps)
		}
		s.steps = append(s.steps, &step{at: at, verb: words[0], words: words[1:]})
		return nil
	}
	if len(s.steps) == 0 {
		return fmt.Errorf("%s: expectation without a statement", at)
	}
	owner := s.steps[len(s.steps)-1]
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), words[0]))
	l := line{at: at, verb: words[0], rest: rest}
	if err := owner.takes(l); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	owner.block = append(owner.block, l)
	return nil
}

// takes tells whether a line may stand beneath the statement.
func (s *step) takes(l line) error {
	kind := statements[s.verb].block
	switch kind {
	case noBlock:
		return fmt.Errorf("nothing can be expected of %q", s.verb)
	case replyBlock:
		switch l.verb {
		case "rcode", "flags", "answer", "authority", "additional", "ede":
			return nil
		}
		return fmt.Errorf("unknown part of a reply %q", l.verb)
	}
	e, ok := expectations[l.verb]
	if !ok {
		return fmt.Errorf("unknown expectation %q", l.verb)
	}
	if e.ofReply && kind == worldBlock {
		return fmt.Errorf("%q is about a reply, and %q has none", l.verb, s.verb)
	}
	return nil
}

// options are words of the form key=value or key.
type options struct {
	vals map[string]string
}

// optionsOf reads options; those not known are errors.
func optionsOf(words []string, known string) (*options, error) {
	o := &options{vals: map[string]string{}}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		found := false
		for _, k := range strings.Fields(known) {
			found = found || k == key || strings.HasSuffix(k, "=") && k == key+"=" && strings.Contains(w, "=")
		}
		if !found {
			return nil, fmt.Errorf("unknown option %q; known are %s", w, known)
		}
		o.vals[key] = value
	}
	return o, nil
}

func (o *options) has(key string) bool { _, ok := o.vals[key]; return ok }
