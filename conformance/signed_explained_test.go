package conformance

import (
	"fmt"
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
	{"Unbound follows aliases that are asked for", "A question for CNAME", func(o opinion) bool {
		like := o.ours.key(o.bits) == o.bind.key(o.bits) || ours448(o) && o.ours.sameBut(o.bind)
		return o.typ == dns.TypeCNAME && like && o.ours.isAlias()
	}},
}

// seldom are differences that come of how the others happen to ask and to time
// things: they need not be met in each run.
var seldom = []signedRule{
	{"signatures of what is bogus", "Signatures of bogus data", func(o opinion) bool {
		return o.bits.cd && o.bits.do && o.zone.want == bogus && o.ours.unsigned() == o.unbound.unsigned() && o.ours.unsigned() == o.bind.unsigned()
	}},
	{"BIND gives up on proofs without signature", "Signatures of bogus data", func(o opinion) bool {
		return o.bind.rcode == silence && strings.HasSuffix(o.zone.name, "bare.four.") && o.ours.key(o.bits) == o.unbound.key(o.bits)
	}},
}

// unsigned is the answer but for its signatures, and AD.
func (a answer) unsigned() string {
	var rest []string
	for _, rr := range a.shown {
		if !strings.Contains(rr, "\tRRSIG\t") {
			rest = append(rest, strings.ToLower(rr))
		}
	}
	slices.Sort(rest)
	return fmt.Sprint(a.rcode, rest)
}

// ours448 says that a zone signed with Ed448 has part in the answer.
func ours448(o opinion) bool {
	return o.zone.alg == "ED448" || strings.Contains(strings.Join(o.ours.shown, " "), "ed448-")
}

// sameBut compares all but AD.
func (a answer) sameBut(b answer) bool { return a.rcode == b.rcode && slices.Equal(a.data, b.data) }

// isAlias says that the answer is one alias and no more, or a DNAME and the alias
// made of it.
func (a answer) isAlias() bool {
	return a.rcode == dns.RcodeSuccess && strings.Count(strings.Join(a.shown, "\n"), "\tCNAME\t") == 1
}

// TestSignedExplanationsAreWritten finds each rule's clause in the page that
// explains it to people.
func TestSignedExplanationsAreWritten(t *testing.T) {
	page, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range slices.Concat(explainedSigned, seldom) {
		if !strings.Contains(string(page), "\n**"+r.clause+"**") {
			t.Errorf("docs/divergences.md has no paragraph %q", r.clause)
		}
	}
}

func explainSigned(o opinion) string {
	for _, r := range slices.Concat(explainedSigned, seldom) {
		if r.match(o) {
			return r.name
		}
	}
	return ""
}
