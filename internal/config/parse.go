package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in octets.
const maxFile = 1 << 20

// Load reads a configuration file. Mistakes in it come as [*Errors].
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads the text of a configuration file; file is its name in messages.
// An empty text gives the defaults. The error is nil or [*Errors].
func Parse(file string, data []byte) (*Config, error) {
	r := &reader{file: file, given: map[string]*yaml.Node{}, items: map[string][]*yaml.Node{}, cfg: Default()}
	if len(data) > maxFile {
		r.errs = append(r.errs, &Error{File: file, Msg: "longer than 1 MiB", Hint: "see whether this is the right file, or shorten its lists"})
		return nil, joined(r.errs)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return r.cfg, nil
	case err != nil:
		r.errs = append(r.errs, syntaxError(file, data, err))
		return nil, joined(r.errs)
	}
	r.mapping("", r.cfg, doc.Content[0])
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.errs = append(r.errs, syntaxError(file, data, err))
	default:
		r.fail(second.Content[0], "", &problem{"a second document begins before this line", `write one document; delete the line "---"`})
	}
	if len(r.errs) == 0 {
		r.crossChecks()
	}
	if err := joined(r.errs); err != nil {
		return nil, err
	}
	return r.cfg, nil
}

// yamlLine finds the place in an error of the YAML library, which has no
// field for it.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntaxError turns an error of the YAML library into one with a place.
func syntaxError(file string, data []byte, err error) *Error {
	e := &Error{File: file, Line: 1, Msg: err.Error(), Hint: "see whether brackets, quotes and indentation match"}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		e.Msg = "not YAML: " + m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			e.Line = n
		}
	}
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "\t") && strings.TrimSpace(line) != "" {
			e.Line, e.Hint = i+1, "the line begins with a tab; indent with spaces"
			break
		}
	}
	return e
}
