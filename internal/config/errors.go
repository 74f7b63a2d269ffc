package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxErrors bounds how many mistakes one parse reports.
const maxErrors = 20

// Error is one mistake in a configuration file.
type Error struct {
	File   string
	Line   int    // from 1; 0 when the mistake has no line
	Column int    // from 1; 0 when unknown
	Key    string // "cache.max-ttl"; "" when the mistake is no key's
	Msg    string // what is wrong
	Hint   string // what to write instead; "" when there is nothing to add
}

// Error gives "file:line: key: what is wrong; the remedy".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Errors are the mistakes of one file in the order of their lines, never
// empty.
type Errors struct {
	List []*Error // at most 20
	More int      // how many were found beyond those
}

// Error gives one line for each mistake.
func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.List)+1)
	for _, one := range e.List {
		lines = append(lines, one.Error())
	}
	if e.More > 0 {
		lines = append(lines, "and "+strconv.Itoa(e.More)+" more")
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first [Error].
func (e *Errors) Unwrap() []error {
	list := make([]error, len(e.List))
	for i, one := range e.List {
		list[i] = one
	}
	return list
}

// joined makes one error of many; nil when there are none.
func joined(list []*Error) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	n := min(len(list), maxErrors)
	return &Errors{List: list[:n], More: len(list) - n}
}

// problem is what is wrong with a value, before its place is known.
type problem struct {
	msg, hint string
}
