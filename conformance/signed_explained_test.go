package conformance

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// signedRule explains a class of differences between validators; its clause is the
// heading in docs/divergences.md that gives the reason.
type signedRule struct {
	name   string
	clause string
	match  func(o opinion) bool
}

// explainedSigned is every difference that is known and meant. A rule that matches
// nothing fails the test.
var explainedSigned = []signedRule{
	{"Ed448 is not validated", "Ed448", func(o opinion) bool {
		return ours448(o) && !o.ours.ad && o.unbound.ad && o.bind.ad && o.ours.sameBut(o.unbound) && o.ours.sameBut(o.bind)
	}},
	{"more than 500 iterations are refused", "NSEC3 iterations", func(o opinion) bool {
		return o.ours.rcode == dns.RcodeServerFailure && slices.Contains(o.ours.codes(), unsupportedIterations) && !o.unbound.ad && !o.bind.ad && o.unbound.key(o.bits) == o.bind.key(o.bits)
	}},
	{"more than 50 iterations prove nothing", "NSEC3 iterations", func(o opinion) bool {
		return o.zone.rounds > insecureRounds && !o.ours.ad && o.unbound.ad && o.ours.sameBut(o.unbound) && o.ours.sameBut(o.bind)
	}},
	{"Unbound makes a CNAME of a DNAME and goes on", "A CNAME that a DNAME makes", func(o opinion) bool {
		return o.typ == dns.TypeCNAME && o.ours.key(o.bits) == o.bind.key(o.bits) && o.ours.aliasOfDNAME()
	}},
}

// ours448 says that a zone signed with Ed448 has part in the answer.
func ours448(o opinion) bool {
	return o.zone.alg == "ED448" || strings.Contains(strings.Join(o.ours.shown, " "), "ed448-")
}

// sameBut compares all but AD.
func (a answer) sameBut(b answer) bool { return a.rcode == b.rcode && slices.Equal(a.data, b.data) }

// aliasOfDNAME says that the answer is a DNAME and the CNAME made of it.
func (a answer) aliasOfDNAME() bool {
	text := strings.Join(a.shown, "\n")
	return a.rcode == dns.RcodeSuccess && strings.Contains(text, "\tDNAME\t") && strings.Count(text, "\tCNAME\t") == 1
}

// TestSignedExplanationsAreWritten finds each rule's clause in the page that
// explains it to people.
func TestSignedExplanationsAreWritten(t *testing.T) {
	page, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range explainedSigned {
		if !strings.Contains(string(page), "\n**"+r.clause+"**") {
			t.Errorf("docs/divergences.md has no paragraph %q", r.clause)
		}
	}
}

func explainSigned(o opinion) string {
	for _, r := range explainedSigned {
		if r.match(o) {
			return r.name
		}
	}
	return ""
}
