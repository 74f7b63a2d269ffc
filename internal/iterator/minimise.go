package iterator

import (
	"strings"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// Mode is how much of a name servers get to see (RFC 9156).
type Mode uint8

// Modes. Relaxed asks for the full name when a server does not cope with a
// part of it; Strict takes its word.
const (
	Relaxed Mode = iota
	Strict
	Off
)

// Bounds of RFC 9156 §2.3.
const (
	maxMinimised  = 10 // minimised questions of a resolution
	minimiseByOne = 4  // of which so many add one label each
)

// minimiser chooses the name to ask for. The zero value minimises.
type minimiser struct {
	count int  // minimised questions so far
	known int  // labels of the longest name that is known not to need asking again
	full  bool // asks for the full name from now on
}

// enter is called on arrival at a zone cut: names up to it are settled.
func (m *minimiser) enter(cut dnsname.Name) { m.known = cut.Labels() }

// question gives the next question, and whether it is less than the whole.
func (m *minimiser) question(name dnsname.Name, t wire.Type) (event.Question, bool) {
	total := name.Labels()
	if m.full || m.count >= maxMinimised || m.known >= total {
		return event.Question{Name: name, Type: t}, false
	}
	step := 1
	if m.count >= minimiseByOne {
		left := maxMinimised - m.count
		step = (total - m.known + left) / (left + 1) // the full name takes its share too
	}
	n := m.known + max(step, 1)
	// _dmarc, _tcp and their like never are zone cuts (RFC 8552).
	for n < total && strings.HasPrefix(name.Suffix(n).FirstLabel(), "_") {
		n++
	}
	if n >= total {
		return event.Question{Name: name, Type: t}, false
	}
	// Type A hides the question's own and is what servers know best (RFC 9156 §2.1).
	return event.Question{Name: name.Suffix(n), Type: wire.TypeA}, true
}

// exists notes that the name asked for is there, or that nothing more can be
// learnt about it, and no cut.
func (m *minimiser) passed(asked dnsname.Name) { m.known = max(m.known, asked.Labels()) }
