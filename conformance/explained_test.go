package conformance

import (
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// rule explains a class of differences; its clause is the heading in
// docs/divergences.md that gives the reason.
type rule struct {
	name   string
	clause string
	match  func(v verdict) bool
}

// explained is every difference that is known and meant. A rule that matches
// nothing fails the test: explanations do not outlive their cause.
var explained = []rule{
	{"ANY gets HINFO", "ANY", func(v verdict) bool {
		return v.typ == dns.TypeANY && v.ours.rcode == dns.RcodeSuccess && len(v.ours.exact) == 1 && strings.Contains(v.ours.exact[0], "RFC8482")
	}},
	{"more than 11 aliases", "Eleven aliases", func(v verdict) bool {
		return v.ours.rcode == dns.RcodeServerFailure && len(v.ours.answers) == 0 && (v.unbound.aliases() > 11 || v.kresd.aliases() > 11)
	}},
}

// aliases counts the CNAME records of an answer.
func (o outcome) aliases() (n int) {
	for _, rr := range o.exact {
		if strings.Contains(rr, "\tCNAME\t") {
			n++
		}
	}
	return n
}

// TestExplanationsAreWritten finds each rule's clause in the page that explains
// it to people.
func TestExplanationsAreWritten(t *testing.T) {
	page, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range explained {
		if !strings.Contains(string(page), "\n**"+r.clause+"**") {
			t.Errorf("docs/divergences.md has no paragraph %q", r.clause)
		}
	}
}

// explain gives the name of the first rule that covers the difference.
func explain(v verdict) string {
	for _, r := range explained {
		if r.match(v) {
			return r.name
		}
	}
	return ""
}
